"""Metrics in the active MLflow run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import mlflow
from kedro.io import AbstractDataset, DatasetError
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, Metric

from churn_kedro.evaluation import RunMetrics


def group_metrics(group: str, values: Mapping[str, float]) -> dict[str, float]:
    """Put metrics into the groups in which MLflow shows them.

    Args:
        group: Name of the group.
        values: Metric by name.

    Returns:
        Metric by ``GROUP/NAME``; ``seconds_NAME`` becomes ``time/NAME``.
    """
    return {
        f"time/{name.removeprefix('seconds_')}" if name.startswith("seconds_") else f"{group}/{name}": value
        for name, value in values.items()
    }


def log_run_metrics(run_id: str, values: Mapping[str, float]) -> None:
    """Log metrics of a run in one batch.

    ``mlflow.log_metrics`` would link them to a model that the run logged.

    Args:
        run_id: The run.
        values: Metric by name.
    """
    now = int(time.time() * 1000)
    MlflowClient().log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in values.items()])


class RunMetricsDataset(AbstractDataset[RunMetrics, RunMetrics]):
    """Log metrics in one batch and link those of a model, and the run, to the model.

    Args:
        group: Group of the metrics in MLflow, see :func:`group_metrics`.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, group: str, metadata: dict[str, Any] | None = None) -> None:
        self._group = group
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> RunMetrics:
        """Refuse."""
        raise DatasetError("The metrics are write-only; read them in MLflow, by run or by model.")

    def save(self, data: RunMetrics) -> None:
        """Log the metrics.

        Args:
            data: Values, and the model, if any.
        """
        if not self._logging_activated:
            return
        run = mlflow.active_run()
        if run is None:
            raise DatasetError("No active MLflow run to log metrics to; use `kedro run`.")
        values = group_metrics(self._group, data.values)
        if data.model_id is None:
            log_run_metrics(run.info.run_id, values)
        else:
            mlflow.log_metrics(values, model_id=data.model_id)
            MlflowClient().log_inputs(run.info.run_id, models=[LoggedModelInput(data.model_id)])

    def _describe(self) -> dict[str, Any]:
        return {"group": self._group}
