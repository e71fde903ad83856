"""Logs are complete, or what they lack is counted; a request never waits for them."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from churn_kedro.campaigns.logged_predictions import LoggedPrediction
from churn_kedro.datasets.prediction_log import PredictionLog, open_prediction_log
from churn_kedro.serving.log_writer import AnsweredRequest, LogWriter, PredictionSink, RequestsFile
from churn_kedro.serving.metrics import ServiceMetrics
from churn_kedro.serving.scoring import Answer


class _Target:
    """Takes items; fails as often as it is told, and waits where it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.items: list[int] = []
        self.failures = failures
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> None:
        self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("No space left on device")
        self.items += items


def _writer(target: Callable[[Sequence[int]], None], metrics: ServiceMetrics, **changed: Any) -> LogWriter[int]:
    given = {"limit": 1000, "pause_seconds": 0.001, "give_up_seconds": 60.0} | changed
    return LogWriter("test", target, given.pop("limit"), metrics, **given)


def _count(metrics: ServiceMetrics, name: str) -> float:
    text = metrics.render()[0].decode()
    return float(next(line for line in text.splitlines() if line.startswith(f'{name}{{log="test"}}')).split()[-1])


def test_everything_is_written_in_order_and_counted() -> None:
    target, metrics = _Target(), ServiceMetrics()
    writer = _writer(target, metrics)
    writer.start()
    for number in range(500):
        assert writer.put(number)
    writer.stop(5)

    assert target.items == list(range(500))
    assert _count(metrics, "churn_log_rows_total") == 500
    assert _count(metrics, "churn_log_lost_rows_total") == 0
    assert _count(metrics, "churn_log_queue_rows") == 0


def test_a_slow_database_costs_rows_that_are_counted_and_no_time() -> None:
    target, metrics = _Target(), ServiceMetrics()
    target.gate.clear()
    writer = _writer(target, metrics, limit=10)
    writer.start()
    began = time.perf_counter()
    kept = [writer.put(number) for number in range(1000)]
    seconds = time.perf_counter() - began
    target.gate.set()
    writer.stop(5)

    assert seconds < 0.5
    assert sum(kept) == 10
    assert target.items == list(range(10))
    assert _count(metrics, "churn_log_lost_rows_total") == 990


def test_a_request_that_is_larger_than_the_queue_is_written_if_nothing_waits() -> None:
    target, metrics = _Target(), ServiceMetrics()
    writer = _writer(target, metrics, limit=10)

    assert writer.put(1, rows=50)
    assert not writer.put(2)
    writer.start()
    writer.stop(5)
    assert target.items == [1]


def test_a_failure_is_tried_again_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    target, metrics = _Target(failures=3), ServiceMetrics()
    writer = _writer(target, metrics)
    writer.start()
    for number in range(20):
        writer.put(number)
    deadline = time.monotonic() + 10
    while len(target.items) < 20 and time.monotonic() < deadline:
        time.sleep(0.005)
    writer.stop(5)

    assert target.items == list(range(20))
    assert _count(metrics, "churn_log_failures_total") == 3
    assert caplog.text.count("No space left on device") == 1


def test_what_fails_for_long_is_given_up_and_counted() -> None:
    target, metrics = _Target(failures=10**9), ServiceMetrics()
    writer = _writer(target, metrics, give_up_seconds=0.2)
    writer.start()
    writer.put(1, rows=7)
    while not _count(metrics, "churn_log_queue_rows"):
        time.sleep(0.01)
    deadline = time.monotonic() + 10
    while not _count(metrics, "churn_log_lost_rows_total") and time.monotonic() < deadline:
        time.sleep(0.01)
    target.failures = 0
    writer.put(2)
    writer.stop(5)

    assert _count(metrics, "churn_log_lost_rows_total") == 7
    assert target.items == [2]


def test_what_cannot_be_written_before_the_end_is_counted() -> None:
    target, metrics = _Target(failures=10**9), ServiceMetrics()
    writer = _writer(target, metrics)
    writer.start()
    writer.put(1, rows=3)
    began = time.monotonic()
    writer.stop(0.2)

    assert time.monotonic() - began < 3
    assert _count(metrics, "churn_log_lost_rows_total") == 3


def _sink(path: Path, retention_days: int | None = None) -> PredictionSink:
    return PredictionSink(PredictionLog(f"sqlite:///{path}"), lambda row: str(row["Id"]), ["Age"], retention_days)


def _request(rows: int) -> AnsweredRequest:
    return AnsweredRequest(
        "r1",
        "bank_churn",
        3,
        [{"Id": number, "Age": 40.0} for number in range(rows)],
        [Answer({}, 0.25, "contact", 1.5, "medium", True) for _ in range(rows)],
        [f"p{number}" for number in range(rows)],
        datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        2.5,
    )


def test_a_logged_prediction_has_everything_that_monitoring_reads(tmp_path: Path) -> None:
    sink = _sink(tmp_path / "log.db")
    sink.write([_request(2)])
    sink.write([_request(2)])
    sink.close()

    with sqlite3.connect(tmp_path / "log.db") as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM predictions ORDER BY prediction_id")]
    assert len(rows) == 2
    assert json.loads(rows[1].pop("features")) == {"Age": 40.0}
    assert rows[1] == {
        "prediction_id": "p1",
        "source": "online",
        "batch_id": "r1",
        "customer_id": "1",
        "predicted_at": "2026-01-31T09:30:00.000+00:00",
        "model_name": "bank_churn",
        "model_version": 3,
        "score": 0.25,
        "decision": "contact",
        "expected_value": 1.5,
        "risk_band": "medium",
        "holdout": 1,
        "treatment": None,
        "latency_ms": 2.5,
    }


def test_old_predictions_are_deleted(tmp_path: Path) -> None:
    log = PredictionLog(f"sqlite:///{tmp_path / 'log.db'}")
    now = datetime.now(UTC)
    for days in (0, 9, 11):
        at = (now - timedelta(days=days)).isoformat(timespec="milliseconds")
        log.append([LoggedPrediction(f"p{days}", "online", "b", None, at, "m", 1, {}, 0.5)])
    log.close()
    for retention_days, left in ((None, 3), (10, 2), (1, 1)):
        sink = _sink(tmp_path / "log.db", retention_days)
        sink.expire()
        sink.close()
        reader = PredictionLog(f"sqlite:///{tmp_path / 'log.db'}")
        assert reader.count() == left
        reader.close()


def test_private_columns_need_a_key(tmp_path: Path) -> None:
    columns = [{"name": "Age", "role": "feature", "private": True}]

    with pytest.raises(DatasetError, match="CHURN_PRIVATE_KEY"):
        open_prediction_log(f"sqlite:///{tmp_path / 'log.db'}", columns, {})


def test_the_file_of_requests_is_rotated_and_older_files_are_dropped(tmp_path: Path) -> None:
    file = RequestsFile(tmp_path / "requests.jsonl", max_bytes=1000, count=2)
    for number in range(100):
        file.write([{"number": number, "text": "x" * 80}])

    found = sorted(path.name for path in tmp_path.glob("requests.jsonl*"))
    assert found == ["requests.jsonl", "requests.jsonl.1", "requests.jsonl.2"]
    numbers = [
        json.loads(line)["number"]
        for name in reversed(found)
        for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()
    ]
    assert numbers == list(range(numbers[0], 100))
    assert all((tmp_path / name).stat().st_size < 1200 for name in found)


def test_several_writers_share_a_file_without_losing_a_line(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"

    def write(worker: int) -> None:
        file = RequestsFile(path, max_bytes=2000, count=1000)
        for number in range(50):
            file.write([{"worker": worker, "number": number}])

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for one in tmp_path.glob("requests.jsonl*") for line in one.read_text().splitlines()]
    assert len(lines) == 200
    assert len({(record["worker"], record["number"]) for record in map(json.loads, lines)}) == 200
