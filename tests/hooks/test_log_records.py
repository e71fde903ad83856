"""Claims about log records."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from churn_kedro.hooks.log_records import PlainRecord
from tests import ROOT
from tests.hostile_text import FRAGMENTS


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of such records, and what it writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("TIME %(levelname)s %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(PlainRecord)
    yield logger, stream
    logging.setLogRecordFactory(before)


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=ascii)
def test_a_value_cannot_begin_a_line_of_the_log(lines: tuple[logging.Logger, io.StringIO], fragment: str) -> None:
    logger, stream = lines

    logger.warning("%s: %d cells", f"a{fragment}TIME INFO forged", 3)

    text = stream.getvalue()
    assert [line for line in text.splitlines() if not line.startswith("    ")] == [text.splitlines()[0]]
    assert text.startswith("TIME WARNING a")
    assert text.replace("\n", "").replace("\t", "").replace("\u200d", "").isprintable()


def test_an_exception_cannot_either(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = lines

    try:
        raise ValueError("a\nTIME INFO forged\x1b[2K")
    except ValueError:
        logger.exception("failed")

    first, *others = stream.getvalue().splitlines()
    assert first == "TIME ERROR failed"
    assert others[0].startswith("Traceback")
    assert others[-1] == r"    TIME INFO forged\x1b[2K"


@pytest.mark.slow
def test_the_settings_of_the_project_install_them() -> None:
    script = (
        "import churn_kedro.settings, logging, warnings\n"
        "logging.warning('a\\n%s', 'b\\r')\nwarnings.warn('c\\nd', stacklevel=1)"
    )

    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    # The format is that of conf/logging.yml.
    lines = [line[9:] if line[2:3] == ":" else line for line in ended.stderr.splitlines()]
    place = lines.index("WARNING a")
    assert lines[place + 1] == r"    b\r"
    assert lines[place + 2].startswith("WARNING <string>:3: UserWarning: c")
    assert lines[place + 3] == "    d"
