"""Metrics of a model are found under the model."""

from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from churn_kedro.datasets.mlflow.metrics import RunMetricsDataset
from churn_kedro.datasets.mlflow.models import TrackedModelDataset
from churn_kedro.evaluation.metrics.estimates import RunMetrics
from churn_kedro.models.interface import TrainedModel


def test_metrics_without_a_model_belong_to_the_run_alone(tracking: str) -> None:
    with mlflow.start_run() as run:
        RunMetricsDataset(group="inference").save(RunMetrics({"band_high": 3, "seconds_search": 2}))

    found = mlflow.get_run(run.info.run_id)
    assert found.data.metrics == {"inference/band_high": 3.0, "time/search": 2.0}
    assert found.inputs is not None
    assert found.inputs.model_inputs == []


@pytest.mark.slow
def test_an_evaluation_in_a_run_of_its_own_is_linked_to_the_model(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    tracked = TrackedModelDataset(
        name="churn_model",
        registered_model_name="linked",
        use_case="test",
        declaration={"description": "Customers"},
        project_path=tmp_path.as_posix(),
    )
    with mlflow.start_run():
        tracked.save(trained)
    model_id = str(MlflowClient().get_model_version("linked", "1").source).removeprefix("models:/")

    with mlflow.start_run() as evaluation:
        RunMetricsDataset(group="evaluation").save(RunMetrics({"roc_auc": 0.75}, model_id))

    metrics = mlflow.get_logged_model(model_id).metrics or []
    assert [(metric.key, metric.value, metric.run_id) for metric in metrics] == [
        ("evaluation/roc_auc", 0.75, evaluation.info.run_id)
    ]
    inputs = mlflow.get_run(evaluation.info.run_id).inputs
    assert inputs is not None
    assert [model.model_id for model in inputs.model_inputs] == [model_id]
