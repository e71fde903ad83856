"""Progress of a search."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from churn_kedro.base import progress_bar, terminal

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar

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
        self._bar: ProgressBar | None = None

    def start(self, name: str, total: int) -> None:
        """Start the display.

        Args:
            name: Name of the computation.
            total: Number of steps.
        """
        if terminal().is_terminal:
            self._bar = progress_bar()
            self._bar.add_task(name, total=total, note="")
            self._bar.start()

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
        self._bar.update(self._bar.task_ids[0], completed=done, note=f"{message.partition(': ')[2]}{left}")

    def stop(self) -> None:
        """End."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
