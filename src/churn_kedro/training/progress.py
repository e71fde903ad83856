"""Progress of a search."""

from __future__ import annotations

import logging
import sys
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Interface of a progress display."""

    def start(self, name: str, total: int) -> None:
        """Start the display of a search."""
        ...

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        """Show a finished trial."""
        ...

    def stop(self) -> None:
        """End the display."""
        ...


class NoProgress:
    """Progress without display."""

    def start(self, name: str, total: int) -> None:
        """Do nothing."""

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class TerminalProgress:
    """Progress bar in a terminal, log lines elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None

    def start(self, name: str, total: int) -> None:
        """Start the display.

        Args:
            name: Name of the computation.
            total: Number of steps.
        """
        if sys.stderr.isatty():
            from tqdm import tqdm

            look = "{desc}: {bar:24} {n}/{total}{postfix}"
            self._bar = tqdm(total=total, desc=name, file=sys.stderr, bar_format=look)

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        """Show a finished step.

        Args:
            message: Result of the step.
            done: Number of finished steps.
            seconds_left: Estimated remaining time.
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
