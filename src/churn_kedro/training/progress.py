"""Progress of a search."""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Shows how far a search is."""

    def start(self, name: str, total: int) -> None:
        """A search of so many trials begins."""
        ...

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        """A trial ended."""
        ...

    def stop(self) -> None:
        """The search ended."""
        ...


class NoProgress:
    """Progress that nobody looks at."""

    def start(self, name: str, total: int) -> None:
        """Nothing to show."""

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        """Nothing to show."""

    def stop(self) -> None:
        """Nothing to show."""


class TerminalProgress:
    """A bar where somebody looks, lines in the log elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, name: str, total: int) -> None:
        """Begin.

        Args:
            name: What is computed.
            total: Steps.
        """
        if sys.stderr.isatty():
            from tqdm import tqdm

            look = "{desc}: {bar:24} {n}/{total}{postfix}"
            self._bar = tqdm(total=total, desc=name, file=sys.stderr, bar_format=look)

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        """A step is done.

        Args:
            message: What came out.
            done: Steps so far.
            seconds_left: About how long the rest takes.
        """
        left = f", about {_duration(seconds_left)} left" if seconds_left else ""
        if self._bar is None:
            logger.info("%s%s", message, left)
            return
        self._bar.n = done
        self._bar.set_postfix_str(f"{message.partition(': ')[2]}{left}")

    def stop(self) -> None:
        """End."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
