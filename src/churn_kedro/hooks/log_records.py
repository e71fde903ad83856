"""Log records whose text cannot imitate another record."""

from __future__ import annotations

import logging

from churn_kedro.base import indent_continued


class PlainRecord(logging.LogRecord):
    """A log record with escaped control characters, and with indented lines after the first.

    Messages contain names and cells of customer tables. A record applies to every handler and format; Kedro does not
    permit a formatter of the project in ``conf/logging.yml``.
    """

    _exception_text: str | None = None

    def getMessage(self) -> str:  # noqa: N802 - the name is logging's.
        """Return the message with its arguments."""
        return indent_continued(super().getMessage())

    @property
    def exc_text(self) -> str | None:
        """Text of the exception, which a formatter sets."""
        return self._exception_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exception_text = None if text is None else indent_continued(text)
