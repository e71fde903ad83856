"""Runs of the pipelines in MLflow, for monitoring."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from mlflow import MlflowClient

from churn_kedro.datasets.runtime.processes import has_ended
from churn_kedro.monitoring import PipelineRun

_MOST = 1_000


class PipelineRunsDataset(AbstractDataset[list[PipelineRun], list[PipelineRun]]):
    """Runs of a use case in the last days. It is read-only.

    Args:
        experiment: MLflow experiment of the use case.
        days: Days before now.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, experiment: str, days: float = 7, metadata: dict[str, Any] | None = None) -> None:
        self._experiment = experiment
        self._days = days
        self.metadata = metadata

    def load(self) -> list[PipelineRun]:
        """Read the runs that Kedro has started, at most a thousand."""
        client = MlflowClient()
        experiment = client.get_experiment_by_name(self._experiment)
        if experiment is None:
            return []
        since = int((time.time() - 86_400 * self._days) * 1000)
        found = client.search_runs(
            [experiment.experiment_id],
            # Trials have no tag `pipeline`: the server leaves them out, so that they displace no run.
            f"attributes.start_time >= {since} and tags.pipeline != ''",
            order_by=["attributes.start_time DESC"],
            max_results=_MOST,
        )
        runs = []
        for run in found:
            if "mlflow.parentRunId" in run.data.tags:
                continue
            start, end = run.info.start_time, run.info.end_time
            is_lost = run.info.status == "RUNNING" and has_ended(run.data.tags)
            runs.append(
                PipelineRun(
                    pipelines=run.data.tags["pipeline"],
                    status="KILLED" if is_lost else run.info.status,
                    started=datetime.fromtimestamp(start / 1000, UTC).isoformat(timespec="seconds"),
                    seconds=None if not end else (end - start) / 1000,
                )
            )
        return runs

    def save(self, data: list[PipelineRun]) -> None:
        """Raise an error, since runs record themselves."""
        raise DatasetError("The runs are read-only.")

    def _describe(self) -> dict[str, Any]:
        return {"experiment": self._experiment}
