"""The clock. Functions take it as an argument with this default, so that tests can replace it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter

__all__ = ["Clock", "Stopwatch", "perf_counter", "utc_now"]

# Seconds since an arbitrary moment.
Stopwatch = Callable[[], float]
# The current time in UTC, ISO 8601.
Clock = Callable[[], str]


def utc_now() -> str:
    """Return the current time.

    Returns:
        UTC as ISO 8601 text with seconds, for example ``2026-01-31T09:30:00+00:00``.
    """
    return datetime.now(UTC).isoformat(timespec="seconds")
