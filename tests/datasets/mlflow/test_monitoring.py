"""What monitoring reads from and writes to MLflow."""

import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient

from churn_kedro.datasets.mlflow import pipeline_runs
from churn_kedro.datasets.mlflow.metric_series import SERIES_TAG, MetricSeriesDataset
from churn_kedro.datasets.mlflow.pipeline_runs import PipelineRunsDataset
from churn_kedro.datasets.mlflow.references import VersionReferenceDataset, load_reference
from churn_kedro.datasets.runtime.processes import describe_process
from churn_kedro.monitoring.measures import MetricPoint
from tests.mlflow_store import mlflow_at
from tests.monitoring import cases

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("store")
    with mlflow_at(f"sqlite:///{folder / 'mlflow.db'}"):
        mlflow.create_experiment("bank_churn", artifact_location=(folder / "artifacts").as_uri())
        yield "bank_churn"


def test_the_metrics_of_all_reports_are_in_one_run_that_has_ended(experiment: str) -> None:
    dataset = MetricSeriesDataset(use_case="bank", experiment=experiment)
    for day in (20_000, 20_007):
        dataset.save(MetricPoint(values={"drift/A b$c": day / 1000}, milliseconds=86_400_000 * day, day=day))

    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    (series,) = client.search_runs([found.experiment_id], f"tags.{SERIES_TAG} = 'bank'")
    assert series.info.status == "FINISHED"
    history = client.get_metric_history(series.info.run_id, "monitoring/drift/A b_c")
    assert [(point.step, point.value, point.timestamp) for point in history] == [
        (20_000, 20.0, 86_400_000 * 20_000),
        (20_007, 20.007, 86_400_000 * 20_007),
    ]


def test_runs_are_listed_with_status_and_seconds_and_trials_are_not(experiment: str) -> None:
    mlflow.set_experiment(experiment)
    with mlflow.start_run(tags={"pipeline": "training"}), mlflow.start_run(nested=True, tags={"pipeline": "trial"}):
        pass
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    host = {**describe_process(), "pipeline": "inference"}
    # A process with this number has ended long ago.
    lost = {name: "999999" if value.isdecimal() else value for name, value in host.items()}
    client.create_run(found.experiment_id, tags=lost)

    runs = {one.pipelines: one for one in PipelineRunsDataset(experiment=experiment).load()}

    assert set(runs) == {"training", "inference"}
    assert runs["training"].status == "FINISHED"
    assert (runs["training"].seconds or 0) >= 0
    assert (runs["inference"].status, runs["inference"].seconds) == ("KILLED", None)


def test_trials_displace_no_run(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{experiment}_with_trials"
    number = mlflow.create_experiment(name)
    client = MlflowClient()
    for place in range(3):
        run = client.create_run(number, tags={"pipeline": "training"}, start_time=int(time.time() * 1000) - place)
        for _ in range(5):
            client.create_run(number, tags={"mlflow.parentRunId": run.info.run_id})
    monkeypatch.setattr(pipeline_runs, "_MOST", 3)

    assert len(PipelineRunsDataset(experiment=name).load()) == 3


def test_an_experiment_that_does_not_exist_has_no_runs(experiment: str) -> None:
    assert PipelineRunsDataset(experiment=f"no_{experiment}").load() == []


def test_a_reference_is_read_back_from_the_run_that_recorded_it(experiment: str, tmp_path: Path) -> None:
    mlflow.set_experiment(experiment)
    reference = cases.reference()
    (tmp_path / "reference_profile.json").write_text(reference.profile.model_dump_json())
    reference.sample.to_parquet(tmp_path / "reference_sample.parquet")
    with mlflow.start_run() as run:
        assert load_reference(run.info.run_id) is None
        mlflow.log_artifacts(str(tmp_path), "training")

    found = load_reference(run.info.run_id)

    assert found is not None
    assert found.profile == reference.profile
    assert found.sample.equals(reference.sample)


def test_a_version_that_does_not_exist_is_named_or_none(experiment: str) -> None:
    assert VersionReferenceDataset(model_name="nobody", missing_ok=True).load() is None
    with pytest.raises(DatasetError, match="There is no version or alias champion of the model 'nobody'"):
        VersionReferenceDataset(model_name="nobody").load()
