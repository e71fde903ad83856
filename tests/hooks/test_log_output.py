"""Claims about what the console shows and what the log file contains, in processes of their own."""

import subprocess
import sys
from pathlib import Path

from tests import ROOT

SCRIPT = """
import logging, logging.handlers, sys
from pathlib import Path
import churn_kedro.settings
from churn_kedro.hooks.log_output import show_all_records, write_log_file

own = logging.handlers.RotatingFileHandler(Path(sys.argv[1]).with_name("own.log"), delay=True)
logging.getLogger().addHandler(own)
write_log_file(Path(sys.argv[1]).with_name("former.log"))
write_log_file(Path(sys.argv[1]))
if len(sys.argv) > 2:
    show_all_records()
logging.getLogger("kedro.io").info("a dataset is loaded")
logging.getLogger("kedro.io").warning("a dataset is replaced")
logging.getLogger("kedro.pipeline.node").error("a node has failed")
logging.getLogger("churn_kedro.training").info("a trial has ended")
logging.getLogger("churn_kedro.training").debug("a detail")
logging.getLogger("mlflow.store").info("a table is created")
"""


def run(*arguments: str) -> str:
    # The folder contains conf/logging.yml, which Kedro reads.
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ended.stderr


def test_the_console_shows_what_matters_and_the_file_has_everything_once(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "bank.log"

    console = run(str(path))

    assert [line[9:] for line in console.splitlines()] == [
        "WARNING a dataset is replaced",
        "INFO    a trial has ended",
    ]
    assert [line.split(maxsplit=2)[2] for line in path.read_text(encoding="utf-8").splitlines()] == [
        "INFO    kedro.io: a dataset is loaded",
        "WARNING kedro.io: a dataset is replaced",
        "ERROR   kedro.pipeline.node: a node has failed",
        "INFO    churn_kedro.training: a trial has ended",
    ]


def test_a_file_of_the_logging_configuration_is_kept(tmp_path: Path) -> None:
    run(str(tmp_path / "bank.log"))

    assert "a trial has ended" in (tmp_path / "own.log").read_text(encoding="utf-8")
    assert not (tmp_path / "former.log").read_text(encoding="utf-8")


def test_verbose_shows_the_records_of_kedro_and_details(tmp_path: Path) -> None:
    console = run(str(tmp_path / "bank.log"), "verbose")

    assert "a dataset is loaded" in console
    assert "a detail" in console
    assert console.count("a node has failed") == 1


def test_a_log_file_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file", encoding="utf-8")

    console = run(str(tmp_path / "logs" / "bank.log"))

    assert "No log file is written to" in console
    assert "a trial has ended" in console
