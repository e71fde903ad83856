"""Log records whose text cannot imitate another record and has no password; tracebacks without passwords."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from churn_kedro.base import has_secrets, hide_secrets, indent_continued

_NONE = (None, None, None)
# Kedro, kedro-mlflow and MLflow warn here of their own code, which a user cannot change.
_NOT_OURS = ("register_new_resolver() is deprecated", "Add type hints to the `predict` method")


class PlainRecord(logging.LogRecord):
    """A log record without passwords, with escaped control characters and indented lines after the first.

    Messages contain addresses, and names and cells of customer tables. A record applies to every handler and format;
    Kedro does not permit a formatter of the project in ``conf/logging.yml``.
    """

    _exception_text: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info != _NONE and has_secrets():
            text = "".join(traceback.format_exception(*self.exc_info)).rstrip("\n")
            if hide_secrets(text) != text:
                # Without exc_info, since a handler of rich would render the exception itself.
                self.exc_text, self.exc_info = text, None

    def getMessage(self) -> str:  # noqa: N802 - the name is logging's.
        """Return the message with its arguments."""
        return indent_continued(hide_secrets(super().getMessage()))

    @property
    def exc_text(self) -> str | None:
        """Text of the exception, which a formatter sets."""
        return self._exception_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exception_text = None if text is None else indent_continued(hide_secrets(text))


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


def _is_useful(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(text in message for text in _NOT_OURS)


def protect_output() -> None:
    """Use :class:`PlainRecord` for all libraries, and hide passwords in tracebacks of uncaught errors.

    Warnings of the libraries become log records, except those that no user can act on.
    """
    logging.setLogRecordFactory(PlainRecord)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addFilter(_is_useful)
    if not isinstance(sys.excepthook, _ExceptHook):
        sys.excepthook = _ExceptHook(sys.excepthook)
