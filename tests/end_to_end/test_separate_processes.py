"""Each pipeline in its own process: the hand-off is files and the registry, with SQLite as with a server."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from churn_kedro.pipelines import MAIN_JOB
from tests.end_to_end.conftest import QUICK, Project
from tests.servers import mlflow_server, object_store, postgres_database

pytestmark = pytest.mark.slow


def _run_one_by_one(project: Project, *options: str) -> dict[str, str]:
    return {name: project.kedro("run", "--pipelines", name, *options, "--params", QUICK).stdout for name in MAIN_JOB}


def test_five_processes_in_sequence_do_the_main_job(clone: Callable[[str], Project]) -> None:
    project = clone("processes")

    printed = _run_one_by_one(project, "--env", "telco")

    assert "rows read" in printed["data_processing"]
    assert "telco_churn version 1" in printed["evaluation"]
    assert "version 1 promoted, alias champion" in printed["registry"]
    assert project.aliases("telco") == {"champion": 1}
    predictions = pd.read_csv(project.path / "data/07_model_output/telco/predictions.csv")
    assert predictions["model_version"].unique().tolist() == [1]
    runs = {run.data.tags["pipeline"]: run for run in project.runs("telco")}
    assert set(runs) == set(MAIN_JOB)
    # An evaluation is a run of its own, linked to the model that another run trained.
    model_id = str(project.client.get_model_version("telco_churn", "1").source).removeprefix("models:/")
    inputs = runs["evaluation"].inputs
    assert inputs is not None
    assert [entry.model_id for entry in inputs.model_inputs] == [model_id]
    metrics = project.client.get_logged_model(model_id).metrics or []
    assert {metric.run_id for metric in metrics} == {runs["evaluation"].info.run_id}
    assert not (project.path / "data/05_model_input/bank").exists()


def test_five_checkouts_that_share_a_server_and_an_object_store_do_the_main_job(
    clone: Callable[[str], Project], main_job: tuple[Project, list[str]], tmp_path: Path
) -> None:
    import fsspec

    with object_store("churn") as store:
        server = mlflow_server(
            f"sqlite:///{(tmp_path / 'server.db').as_posix()}", tmp_path, "s3://churn/mlflow", variables=store
        )
        with server as uri:
            places = {**store, "MLFLOW_TRACKING_URI": uri, "CHURN_DATA_ROOT": "s3://churn/data"}
            files = fsspec.filesystem(
                "s3",
                endpoint_url=store["AWS_ENDPOINT_URL"],
                key=store["AWS_ACCESS_KEY_ID"],
                secret=store["AWS_SECRET_ACCESS_KEY"],
            )
            printed = {}
            for name in MAIN_JOB:
                project = clone(name)
                files.put(str(project.path / "data/01_raw"), "churn/data/01_raw", recursive=True)
                before = {path for path in project.path.rglob("*") if ".git/" not in path.as_posix()}
                shared = replace(project, environment={**project.environment, **places})
                printed[name] = shared.kedro("run", "--pipelines", name, "--params", QUICK).stdout
                if name != "training":
                    # Training keeps its trials, which can be resumed, where CHURN_STUDY_URL says.
                    written = {path for path in project.path.rglob("*") if ".git/" not in path.as_posix()} - before
                    kept = [path for path in written if path.is_file() and not {"__pycache__", ".viz"} & {*path.parts}]
                    # The prediction log is a file of the checkout unless CHURN_PREDICTION_LOG names a database.
                    others = [path for path in kept if path.suffix not in (".log", ".pyc")]
                    assert [path for path in others if path.name != "prediction_log.db"] == []
            with files.open("churn/data/07_model_output/bank/predictions.csv") as file:
                scored = pd.read_csv(file)
            reports = files.ls("churn/data/08_reporting/bank")

    expected = pd.read_csv(main_job[0].path / "data/07_model_output/bank/predictions.csv")
    pd.testing.assert_frame_equal(
        scored.drop(columns=["model_version", "scored_at"]), expected.drop(columns=["model_version", "scored_at"])
    )
    assert "version 1 promoted, alias champion" in printed["registry"]
    assert "1,000 customers by version 1" in printed["inference"]
    assert any(path.endswith("performance") for path in reports)


def test_the_main_job_without_a_server_has_its_runs_in_postgresql_and_its_models_in_s3(
    clone: Callable[[str], Project],
) -> None:
    project = clone("direct")
    with object_store("churn") as store, postgres_database() as address:
        places = {**store, "MLFLOW_TRACKING_URI": address, "CHURN_ARTIFACT_LOCATION": "s3://churn/artifacts"}
        direct = replace(project, environment={**project.environment, **places})

        printed = direct.kedro("run", "--params", QUICK).stdout

        assert "1,000 customers by version 1" in printed
        assert not (project.path / "mlflow.db").exists()
        assert not (project.path / "mlartifacts").exists()
        # Another process finds both.
        assert "files are readable" in direct.kedro("models", "check").stdout
