"""What a stream produces: stored predictions, rejected messages, and summaries in MLflow."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.campaigns import ScoredMicroBatch, StreamCounts, TrackedCounts, TrackerParameters
from churn_kedro.datasets.prediction_log import PredictionLog, open_prediction_log

logger = logging.getLogger(__name__)

_ARTIFACT_FOLDER = "inference_batches"
_RETRY_SECONDS = 5.0
_CLOSE_SECONDS = 20.0


class StreamPredictionsDataset(AbstractDataset[ScoredMicroBatch, Any]):
    """Store the predictions of a micro-batch in the prediction log, then acknowledge its messages.

    Messages that cannot be scored are appended to a file first. If storing fails, nothing is acknowledged.

    Args:
        url: SQLAlchemy address of the prediction log.
        rejected: Local path of the file of rejected messages, JSON lines.
        declaration: The table's declaration, with its private columns.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        url: str,
        rejected: str,
        declaration: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._url = url
        self._rejected = Path(rejected)
        self._columns = list((declaration or {}).get("columns", []))
        self._log: PredictionLog | None = None
        self.metadata = metadata

    def save(self, data: ScoredMicroBatch) -> None:
        """Store and acknowledge a micro-batch.

        Args:
            data: Scored messages.
        """
        if data.rejected:
            self._rejected.parent.mkdir(parents=True, exist_ok=True)
            with self._rejected.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(dict(one), default=str) + "\n" for one in data.rejected)
                file.flush()
                os.fsync(file.fileno())
        if self._log is None:
            self._log = open_prediction_log(self._url, self._columns, os.environ)
        if len(data.logged.predictions):
            self._log.append_table(data.logged.predictions, data.logged.features)
        data.acknowledge()

    def load(self) -> Any:
        """Raise an error: the predictions are in the prediction log."""
        raise DatasetError(
            "The predictions of a stream are read from the prediction log (catalog entry prediction_log)."
        )

    def _exists(self) -> bool:
        return False

    def _describe(self) -> dict[str, Any]:
        return {"rejected": str(self._rejected)}


class InferenceTracker:
    """Sum the counts of predictions, and log a summary in MLflow every so many predictions or seconds.

    A thread of its own writes, so that scoring never waits. While MLflow does not respond, summaries are kept; beyond
    ``max_pending``, the oldest ones are dropped and counted.

    Args:
        run_id: MLflow run that gets the metrics, with the number of the summary as step.
        parameters: Intervals, and the number of summaries that are kept.
    """

    def __init__(self, run_id: str, parameters: TrackerParameters) -> None:
        self._run_id = run_id
        self._parameters = parameters
        self._queue: queue.SimpleQueue[StreamCounts | None] = queue.SimpleQueue()
        self._pending: deque[tuple[int, str, StreamCounts]] = deque()
        self._sum: StreamCounts | None = None
        self._since = 0.0
        self._step = 0
        self.logged = 0
        self.dropped = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="inference-tracker", daemon=True)
        self._thread.start()

    def add(self, counts: StreamCounts) -> None:
        """Count a micro-batch; returns at once.

        Args:
            counts: Its counts.
        """
        self._queue.put(counts)

    def close(self) -> None:
        """Log what is left, for 20 seconds at most; what cannot be logged is reported in a warning."""
        self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)
        left = len(self._pending)
        if left or self.dropped:
            logger.warning(
                "%d summaries of predictions were not logged in MLflow; the predictions are in the prediction log.",
                left + self.dropped,
            )

    def _run(self) -> None:
        retry_at = 0.0
        is_open = True
        while is_open:
            try:
                counts = self._queue.get(timeout=self._wait())
                is_open = counts is not None
                if counts is not None:
                    self._since = self._since if self._sum is not None else time.monotonic()
                    self._sum = counts if self._sum is None else self._sum.plus(counts)
            except queue.Empty:
                pass
            if self._is_due() or (not is_open and self._sum is not None):
                self._keep()
            if self._pending and (time.monotonic() >= retry_at or not is_open) and not self._write():
                retry_at = time.monotonic() + _RETRY_SECONDS

    def _wait(self) -> float:
        if self._sum is None:
            return 1.0 if self._pending else 3600.0
        return max(0.01, min(1.0, self._since + self._parameters.every_seconds - time.monotonic()))

    def _is_due(self) -> bool:
        if self._sum is None:
            return False
        enough = self._sum.predictions + self._sum.rejected >= self._parameters.every_predictions
        return enough or time.monotonic() - self._since >= self._parameters.every_seconds

    def _keep(self) -> None:
        if self._sum is None:
            return
        self._pending.append((self._step, datetime.now(UTC).isoformat(timespec="milliseconds"), self._sum))
        self._step += 1
        self._sum = None
        while len(self._pending) > self._parameters.max_pending:
            self._pending.popleft()
            self.dropped += 1

    def _write(self) -> bool:
        """Log the pending summaries; False if MLflow does not respond."""
        import mlflow
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        client = MlflowClient()
        while self._pending:
            step, at, counts = self._pending[0]
            moment = int(datetime.fromisoformat(at).timestamp() * 1000)
            metrics = [Metric(f"inference/{name}", value, moment, step) for name, value in counts.metrics().items()]
            summary = {"summary_id": uuid.uuid4().hex[:16], "logged_at": at, "step": step, **counts.model_dump()}
            try:
                client.log_batch(self._run_id, metrics=metrics)
                name = f"{_ARTIFACT_FOLDER}/stream-{step:06}.json"
                mlflow.log_text(json.dumps(summary, indent=2) + "\n", name, run_id=self._run_id)
            except Exception as error:  # Stores raise errors of many kinds.
                if not self._failing:
                    logger.warning(
                        "MLflow does not accept a summary of predictions (%s). Scoring goes on; up to %d summaries are "
                        "kept, and logged when it responds.",
                        str(error).strip().split("\n")[0][:200],
                        self._parameters.max_pending,
                    )
                self._failing = True
                return False
            if self._failing:
                logger.info("MLflow accepts summaries of predictions again.")
            self._failing = False
            self._pending.popleft()
            self.logged += 1
        return True


class InferenceTrackerDataset(AbstractDataset[TrackedCounts, StreamCounts | None]):
    """Give the counts of micro-batches to a tracker; loading ends it and returns their sum.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        self._tracker: InferenceTracker | None = None
        self._total: StreamCounts | None = None
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def save(self, data: TrackedCounts) -> None:
        """Count a micro-batch.

        Args:
            data: Its counts, and the parameters of the tracker.
        """
        self._total = data.counts if self._total is None else self._total.plus(data.counts)
        if self._tracker is None and self._logging_activated:
            import mlflow

            run = mlflow.active_run()
            if run is not None:
                self._tracker = InferenceTracker(run.info.run_id, data.parameters)
        if self._tracker is not None:
            self._tracker.add(data.counts)

    def load(self) -> StreamCounts | None:
        """Log what is left.

        Returns:
            The counts of the whole stream; None if there was no message.
        """
        if self._tracker is not None:
            self._tracker.close()
            self._tracker = None
        return self._total

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}
