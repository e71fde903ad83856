"""Logs written off the request path: bounded queues, and threads that write in batches."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Generic, TypeVar

from pydantic_core import to_json

from churn_kedro.base import hide_secrets, one_line
from churn_kedro.campaigns import LoggedPrediction
from churn_kedro.datasets import PredictionLog
from churn_kedro.serving.metrics import ServiceMetrics
from churn_kedro.serving.scoring import Answer

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
# Rows of one write, seconds between writes, and seconds after which a batch that fails again and again is given up.
_BATCH_ROWS, _PAUSE_SECONDS, _GIVE_UP_SECONDS = 2_000, 0.25, 60.0
_SLOWEST_RETRY_SECONDS, _EXPIRE_SECONDS = 5.0, 86_400.0


class LogWriter(Generic[Item]):
    """A bounded queue and the thread that writes it. A request never waits for it.

    What does not fit into the queue is dropped and counted. A batch that cannot be written is tried again for a minute
    and then dropped and counted as well, so that a single row cannot block the log for good.

    Args:
        name: Name in metrics and messages.
        write: Writes items; raises an error if it cannot.
        limit: Rows that may wait.
        metrics: Metrics of this process.
        housekeep: Called at the start and once a day.
        pause_seconds: Seconds between two writes.
        give_up_seconds: Seconds after which a failing batch is dropped.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Item]], None],
        limit: int,
        metrics: ServiceMetrics,
        *,
        housekeep: Callable[[], None] | None = None,
        pause_seconds: float = _PAUSE_SECONDS,
        give_up_seconds: float = _GIVE_UP_SECONDS,
    ) -> None:
        self.name = name
        self._write = write
        self._limit = limit
        self._housekeep = housekeep
        self._pause_seconds = pause_seconds
        self._give_up_seconds = give_up_seconds
        self._waiting: deque[tuple[int, Item]] = deque()
        self._rows = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._deadline = float("inf")
        self._is_failing = False
        self._logged = metrics.logged.labels(name)
        self._lost = metrics.lost.labels(name)
        self._failures = metrics.failures.labels(name)
        self._show_queue = metrics.queue.labels(name).set
        self._show_queue(0)
        self._thread = threading.Thread(target=self._run, name=f"log-{name}", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, item: Item, rows: int = 1) -> bool:
        """Add an item.

        Args:
            item: What to write.
            rows: Rows that it has.

        Returns:
            Whether it fits; if not, its rows are counted as lost.
        """
        with self._lock:
            fits = self._rows + rows <= self._limit or not self._rows
            if fits:
                self._rows += rows
                self._waiting.append((rows, item))
        if not fits:
            self._lost.inc(rows)
        return fits

    def stop(self, seconds: float) -> None:
        """Write what waits, and end.

        Args:
            seconds: Time for it; what is left then is counted as lost.
        """
        self._deadline = monotonic() + seconds
        self._ended.set()
        self._thread.join(seconds + 1)
        if self._rows:
            self._lost.inc(self._rows)
            logger.error("%s: %d rows could not be written before the end.", self.name, self._rows)

    def _take(self) -> tuple[int, list[Item]]:
        rows, items = 0, []
        with self._lock:
            while self._waiting and rows < _BATCH_ROWS:
                count, item = self._waiting.popleft()
                rows += count
                items.append(item)
        return rows, items

    def _run(self) -> None:
        housekeep_at = monotonic()
        while True:
            if self._housekeep is not None and monotonic() >= housekeep_at:
                housekeep_at = monotonic() + _EXPIRE_SECONDS
                self._try(self._housekeep)
            rows, items = self._take()
            if rows:
                self._store(rows, items)
            self._show_queue(self._rows)
            if self._ended.is_set():
                if not self._rows or monotonic() >= self._deadline:
                    return
            elif self._rows < _BATCH_ROWS:
                self._ended.wait(self._pause_seconds)

    def _store(self, rows: int, items: Sequence[Item]) -> None:
        begun, delay = monotonic(), self._pause_seconds
        while not self._try(lambda: self._write(items)):
            self._show_queue(self._rows)
            if monotonic() >= self._deadline:
                return
            if monotonic() - begun >= self._give_up_seconds:
                self._lost.inc(rows)
                logger.error("%s: %d rows are lost, since they could not be written.", self.name, rows)
                break
            # At the end of the service, the time that is left is used for further attempts.
            threading.Event().wait(min(delay, max(0.0, self._deadline - monotonic())))
            delay = min(2 * delay, _SLOWEST_RETRY_SECONDS)
        else:
            self._logged.inc(rows)
        with self._lock:
            self._rows -= rows

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # Whatever fails, requests are answered.
            self._failures.inc()
            if not self._is_failing:
                logger.error("%s: %s", self.name, one_line(hide_secrets(str(error) or type(error).__name__)))
            self._is_failing = True
            return False
        if self._is_failing:
            logger.info("%s: written again.", self.name)
        self._is_failing = False
        return True


@dataclass(frozen=True)
class AnsweredRequest:
    """Answers of one request, as they are put into the queue.

    Attributes:
        request_id: Identifier of the request.
        model_name: Registered model.
        model_version: Its version.
        rows: Cells of the customers.
        answers: Their answers; those of unreadable customers are not logged.
        prediction_ids: Identifiers of the predictions.
        predicted_at: Time of the request.
        latency_ms: Milliseconds from the beginning of the request to its answers.
    """

    request_id: str
    model_name: str
    model_version: int
    rows: Sequence[Mapping[str, Any]]
    answers: Sequence[Answer]
    prediction_ids: Sequence[str]
    predicted_at: datetime
    latency_ms: float


class PredictionSink:
    """Writes answered requests to the prediction log.

    Args:
        log: The log.
        identify: Joins the identifiers of a customer.
        feature_names: Columns that are stored.
        retention_days: Days after which predictions are deleted; None: never.
        examine: Gets the requests that were stored; None: nothing is examined.
    """

    def __init__(
        self,
        log: PredictionLog,
        identify: Callable[[Mapping[str, Any]], str | None],
        feature_names: Sequence[str],
        retention_days: int | None,
        examine: Callable[[Sequence[AnsweredRequest]], None] | None = None,
    ) -> None:
        self._log = log
        self._examine = examine
        self._identify = identify
        self._feature_names = tuple(feature_names)
        self._retention_days = retention_days

    def write(self, requests: Sequence[AnsweredRequest]) -> None:
        """Store the predictions of requests.

        Args:
            requests: The requests.

        Raises:
            DatasetError: The database does not accept them.
        """
        self._log.append([row for request in requests for row in self._rows_of(request)])
        if self._examine is not None:
            self._examine(requests)

    def expire(self) -> None:
        """Delete predictions that are older than the rule of retention."""
        if self._retention_days is not None:
            limit = datetime.now(UTC) - timedelta(days=self._retention_days)
            self._log.delete_before(limit.isoformat(timespec="milliseconds"))

    def close(self) -> None:
        """Close the database."""
        self._log.close()

    def _rows_of(self, request: AnsweredRequest) -> list[LoggedPrediction]:
        at = request.predicted_at.isoformat(timespec="milliseconds")
        return [
            LoggedPrediction(
                prediction_id=prediction_id,
                source="online",
                batch_id=request.request_id,
                customer_id=self._identify(row),
                predicted_at=at,
                model_name=request.model_name,
                model_version=request.model_version,
                features={name: row[name] for name in self._feature_names},
                score=answer.score,
                decision=answer.decision,
                expected_value=answer.expected_value,
                risk_band=answer.risk_band,
                holdout=answer.holdout,
                latency_ms=request.latency_ms,
            )
            for row, answer, prediction_id in zip(request.rows, request.answers, request.prediction_ids, strict=True)
            if not answer.unreadable
        ]


class RequestsFile:
    """A file with a line of JSON per request, rotated by size; worker processes share it.

    Args:
        path: The file.
        max_bytes: Size at which it is rotated.
        count: Older files that are kept: ``PATH.1`` is the newest.
    """

    def __init__(self, path: Path, max_bytes: int, count: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._count = count

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append records.

        Args:
            records: One for each request.

        Raises:
            OSError: The file cannot be written.
        """
        import fcntl

        content = b"".join(to_json(record) + b"\n" for record in records)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            # Another worker could rotate between the check of the size and the write.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.exists() and self._path.stat().st_size >= self._max_bytes:
                self._rotate()
            with self._path.open("ab") as file:
                file.write(content)

    def _rotate(self) -> None:
        for number in range(self._count, 0, -1):
            older = self._path if number == 1 else self._place(number - 1)
            if older.exists():
                older.replace(self._place(number))
        if not self._count:
            self._path.unlink()

    def _place(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
