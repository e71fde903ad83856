"""Claims about passwords in logs and tracebacks."""

import io
import logging
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.logging import RichHandler

from churn_kedro.base import secrets
from churn_kedro.base.secrets import remember_secret
from churn_kedro.hooks.log_records import protect_output

SECRET = "s3cr3t-PLANTED"  # noqa: S105 - planted


@pytest.fixture(autouse=True)
def _hiding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secrets, "_remembered", set())
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    remember_secret(SECRET)
    protect_output()
    protect_output()
    yield
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize("is_rich", [False, True])
def test_messages_arguments_and_tracebacks_in_logs_have_no_password(is_rich: bool) -> None:
    written = io.StringIO()
    handler: logging.Handler = logging.StreamHandler(written)
    if is_rich:
        handler = RichHandler(console=Console(file=written, width=200), rich_tracebacks=True)
    logger = logging.getLogger("tests.hidden_secrets")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.error("cannot reach %s", f"db with {SECRET}")
        logger.error("rest of %d", 7)
        try:
            raise RuntimeError(f"refused: {SECRET}")
        except RuntimeError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)

    assert SECRET not in written.getvalue()
    assert "cannot reach db with ***" in written.getvalue()
    assert "rest of 7" in written.getvalue()
    assert "RuntimeError: refused: ***" in written.getvalue()


def test_the_traceback_of_an_uncaught_error_has_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        sys.excepthook(type(error), error, error.__traceback__)

    shown = capsys.readouterr().err
    assert "KeyError: '***'" in shown
    assert SECRET not in shown
