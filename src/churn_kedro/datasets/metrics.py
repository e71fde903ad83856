"""Metrics in the active MLflow run."""

from __future__ import annotations

from typing import Any

import mlflow
from kedro.io import AbstractDataset, DatasetError
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput

from churn_kedro.metrics import RunMetrics


class RunMetricsDataset(AbstractDataset[RunMetrics, RunMetrics]):
    """Logs metrics in one batch and, where they are a model's, links them and the run to the model.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> RunMetrics:
        """Refuse."""
        raise DatasetError("Metrics are read in MLflow, by run or by model.")

    def save(self, data: RunMetrics) -> None:
        """Log the metrics.

        Args:
            data: Values, and the model they are of.
        """
        if not self._logging_activated:
            return
        mlflow.log_metrics(dict(data.values), model_id=data.model_id)
        run = mlflow.active_run()
        if data.model_id is not None and run is not None:
            MlflowClient().log_inputs(run.info.run_id, models=[LoggedModelInput(data.model_id)])

    def _describe(self) -> dict[str, Any]:
        return {}
