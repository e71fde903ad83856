"""Connections that must send complete requests in time, so that half-open ones do not pile up."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TimedProtocol(HttpToolsProtocol):
    """HTTP with a time limit from the first byte of a request, or the beginning of a connection, to its last one.

    Uvicorn closes idle connections between two requests only.

    Args:
        seconds: The time limit.
        arguments: Arguments of uvicorn.
    """

    def __init__(self, seconds: float, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._received()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the rest of a request."""
        super().on_message_begin()
        self._wait()

    def on_message_complete(self) -> None:
        """Answer the request, however long it takes."""
        self._received()
        super().on_message_complete()

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._give_up)

    def _received(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.abort()


def timed_protocol(seconds: float) -> Any:
    """Bind the time limit; the result can be pickled for worker processes."""
    return partial(TimedProtocol, seconds)
