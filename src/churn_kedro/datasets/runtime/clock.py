"""The time, as a dataset: nodes stay free of the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kedro.io import AbstractDataset, DatasetError


class ClockDataset(AbstractDataset[str, str]):
    """The present moment in UTC, as ISO 8601 text with seconds.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> str:
        """Read the clock.

        Returns:
            For example ``2026-01-31T09:30:00+00:00``.
        """
        return datetime.now(UTC).isoformat(timespec="seconds")

    def save(self, data: str) -> None:
        """Refuse.

        Args:
            data: Ignored.
        """
        raise DatasetError("Time cannot be set.")

    def _describe(self) -> dict[str, Any]:
        return {}


class StopwatchDataset(AbstractDataset[Callable[[], float], Callable[[], float]]):
    """A running stopwatch.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> Callable[[], float]:
        """Hand the stopwatch over.

        Returns:
            Function that tells seconds since some moment, always the same one.
        """
        return time.perf_counter

    def save(self, data: Callable[[], float]) -> None:
        """Refuse.

        Args:
            data: Ignored.
        """
        raise DatasetError("Time cannot be set.")

    def _describe(self) -> dict[str, Any]:
        return {}
