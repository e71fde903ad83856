"""Where log records go: what matters to the console, in colour on a terminal, and everything to a file."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from churn_kedro.base import terminal

logger = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_MAX_BYTES, _BACKUPS = 10_000_000, 5


class _RunLog(RotatingFileHandler):
    """The log file of this project, which is told apart from handlers of the logging configuration."""


def _handling_loggers() -> Iterator[logging.Logger]:
    """Yield the loggers that pass records to handlers of their own: the root, and those that do not propagate."""
    yield logging.getLogger()
    for found in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(found, logging.Logger) and found.handlers and not found.propagate:
            yield found


def write_log_file(path: Path) -> None:
    """Append all records of this process to a file, in place of a former one.

    The file is rotated at 10 MB; five older ones are kept.

    Args:
        path: The file. If it cannot be written, there is a warning and the run goes on.
    """
    for target in _handling_loggers():
        for former in [one for one in target.handlers if isinstance(one, _RunLog)]:
            target.removeHandler(former)
            former.close()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _RunLog(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8")
    except OSError as error:
        logger.warning("No log file is written to %s: %s.", path, error.strerror)
        return
    handler.setFormatter(logging.Formatter(_FORMAT))
    for target in _handling_loggers():
        target.addHandler(handler)


def show_in_colour() -> None:
    """Show records by Rich, which colours their level, if standard error is a terminal."""
    if not terminal().is_terminal:
        return
    from rich.logging import RichHandler

    for target in _handling_loggers():
        for handler in list(target.handlers):
            if type(handler) is logging.StreamHandler and handler.stream is sys.stderr:
                shown = RichHandler(
                    handler.level, terminal(), show_path=False, log_time_format="%H:%M:%S", omit_repeated_times=False
                )
                target.removeHandler(handler)
                target.addHandler(shown)


def show_all_records() -> None:
    """Show the records of all levels on the console, those of Kedro included, and debug records of this project."""
    logging.getLogger("churn_kedro").setLevel(logging.DEBUG)
    for target in _handling_loggers():
        if any(isinstance(handler, logging.NullHandler) for handler in target.handlers):
            # The console leaves out what it reports.
            target.handlers.clear()
            target.propagate = True
        for handler in target.handlers:
            handler.setLevel(logging.NOTSET)
