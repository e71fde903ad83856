"""Threads fit the machine and the table."""

import os

import joblib
import pytest

from churn_kedro.base.threads import available_cores, training_threads


def test_available_cores_are_those_of_the_process() -> None:
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))
    assert available_cores() == joblib.cpu_count()


@pytest.mark.parametrize(("n_rows", "threads"), [(0, 1), (6_000, 1), (39_999, 1), (40_000, 2), (10**9, 10**9)])
def test_small_tables_train_on_one_thread_and_large_ones_on_all_cores(n_rows: int, threads: int) -> None:
    assert training_threads(n_rows, None) == min(threads, available_cores())


def test_requested_threads_are_limited_to_the_available_cores() -> None:
    assert training_threads(10, 2) == min(2, available_cores())
    assert training_threads(10**9, 1) == 1
    assert training_threads(10, 10**6) == available_cores()
