"""The clock is a dataset."""

import time
from datetime import UTC, datetime

import pytest
from kedro.io import DatasetError

from churn_kedro.datasets.runtime.clock import ClockDataset, StopwatchDataset


def test_the_clock_tells_the_present_moment_in_utc() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    told = datetime.fromisoformat(ClockDataset().load())

    assert told.utcoffset() is not None
    assert before <= told <= datetime.now(UTC)


def test_time_cannot_be_set() -> None:
    with pytest.raises(DatasetError, match="Time cannot be set"):
        ClockDataset().save("2026-01-01T00:00:00+00:00")
    with pytest.raises(DatasetError, match="Time cannot be set"):
        StopwatchDataset().save(lambda: 0.0)


def test_the_stopwatch_counts_seconds() -> None:
    stopwatch = StopwatchDataset().load()

    began = stopwatch()
    time.sleep(0.05)

    assert 0.04 < stopwatch() - began < 5
