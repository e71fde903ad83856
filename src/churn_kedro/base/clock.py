"""The clock. Functions take it as an argument with this default, so a test can give them another one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

__all__ = ["Clock", "Stopwatch", "perf_counter", "utc_now"]

# Seconds since an arbitrary moment.
Stopwatch = Callable[[], float]
# The present moment in UTC, ISO 8601.
Clock = Callable[[], str]


def utc_now() -> str:
    """Read the clock.

    Returns:
        The present moment in UTC as ISO 8601 text with seconds, for example ``2026-01-31T09:30:00+00:00``.
    """
    return datetime.now(UTC).isoformat(timespec="seconds")
