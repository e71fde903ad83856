"""How far a long computation is, for whoever waits."""

from __future__ import annotations

import logging
import sys
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.training import Progress

logger = logging.getLogger(__name__)


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


class ProgressDataset(AbstractDataset[Progress, Progress]):
    """Where a computation shows how far it is.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> Progress:
        """Hand it over.

        Returns:
            A bar on a terminal, lines in the log elsewhere.
        """
        return TerminalProgress()

    def save(self, data: Progress) -> None:
        """Refuse."""
        raise DatasetError("Progress is shown, not saved.")

    def _describe(self) -> dict[str, Any]:
        return {}
