"""Times as text."""

from __future__ import annotations

import pandas as pd


def read_time(text: str) -> pd.Timestamp:
    """Read a time; one without a time zone is in UTC.

    Args:
        text: ISO 8601.

    Returns:
        Time in UTC.

    Raises:
        ValueError: It is no time.

    Examples:
        >>> read_time("2026-01-31T10:30:00+01:00").isoformat()
        '2026-01-31T09:30:00+00:00'
    """
    time = pd.Timestamp(text)
    if pd.isna(time):
        raise ValueError(f"{text!r} is not a time")
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
