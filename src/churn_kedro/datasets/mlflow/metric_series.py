"""Metrics of a use case over time, in one MLflow run."""

from __future__ import annotations

from typing import Any

import mlflow
from kedro.io import AbstractDataset, DatasetError
from mlflow import MlflowClient
from mlflow.entities import Metric

from churn_kedro.datasets.mlflow.runs import loggable_name
from churn_kedro.monitoring import MetricPoint

# Tag of the run: use case whose metrics it has.
SERIES_TAG = "monitoring_series"
_LONGEST = 250


class MetricSeriesDataset(AbstractDataset[MetricPoint, MetricPoint]):
    """Append values to the metrics of a run that grows with each report, so that MLflow draws them over time.

    The values are also metrics of the active run.

    Args:
        use_case: Name of the use case.
        experiment: Experiment of the run.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, use_case: str, experiment: str, metadata: dict[str, Any] | None = None) -> None:
        self._use_case = use_case
        self._experiment = experiment
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> MetricPoint:
        """Refuse."""
        raise DatasetError("The metrics are write-only; read them in MLflow.")

    def save(self, data: MetricPoint) -> None:
        """Log the values.

        Args:
            data: Values at a time; the step is the number of days since 1970.
        """
        if not self._logging_activated:
            return
        client = MlflowClient()
        run = mlflow.active_run()
        experiment_id = run.info.experiment_id if run is not None else self._find_experiment(client)
        metrics = [
            Metric(loggable_name(f"monitoring/{name}", _LONGEST), value, data.milliseconds, data.day)
            for name, value in data.values.items()
        ]
        runs = [self._find_series(client, experiment_id)]
        if run is not None:
            runs.append(run.info.run_id)
        for run_id in runs:
            client.log_batch(run_id, metrics=metrics)

    def _find_experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self._experiment)
        if found is None:
            raise DatasetError(f"There is no MLflow experiment '{self._experiment}'. Train a model first: `kedro run`.")
        return str(found.experiment_id)

    def _find_series(self, client: MlflowClient, experiment_id: str) -> str:
        found = client.search_runs(
            [experiment_id],
            f"tags.{SERIES_TAG} = '{self._use_case}'",
            order_by=["attributes.start_time ASC"],
            max_results=1,
        )
        if found:
            return str(found[0].info.run_id)
        name = f"{self._use_case}: monitoring over time"
        created = client.create_run(experiment_id, run_name=name, tags={SERIES_TAG: self._use_case})
        client.set_terminated(created.info.run_id)
        return str(created.info.run_id)

    def _describe(self) -> dict[str, Any]:
        return {"use_case": self._use_case}
