"""Logs and tracebacks without passwords."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from churn_kedro.base import has_secrets, hide_secrets

_NONE = (None, None, None)


class _RecordFactory:
    """Factory of log records without passwords.

    Args:
        make: The former factory.
    """

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Make a record, and replace passwords in its message and traceback."""
        record = self._make(*args, **kwargs)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # The handler reports arguments that do not fit.
            return record
        hidden = hide_secrets(message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        if record.exc_info and record.exc_info != _NONE:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            hidden = hide_secrets(text)
            if hidden != text:
                # Without exc_info, since a handler of rich would render the exception itself.
                record.exc_text, record.exc_info = hidden, None
        return record


class _ExceptHook:
    """Hook for uncaught errors that replaces passwords in their traceback.

    Args:
        show: The former hook.
    """

    def __init__(self, show: Callable[..., Any]) -> None:
        self._show = show

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Show the error."""
        if has_secrets():
            sys.stderr.write(hide_secrets("".join(traceback.format_exception(kind, error, trace))))
        else:
            self._show(kind, error, trace)


def hide_secrets_in_output() -> None:
    """Hide passwords in the log records of all libraries, and in tracebacks of uncaught errors.

    Records are changed where they are made, so every handler of every library gets them without passwords.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RecordFactory):
        logging.setLogRecordFactory(_RecordFactory(factory))
    if not isinstance(sys.excepthook, _ExceptHook):
        sys.excepthook = _ExceptHook(sys.excepthook)
