"""Each pipeline in its own process: the hand-off is files and the registry, with SQLite as with a server."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from churn_kedro.pipelines import MAIN_JOB
from tests.end_to_end.conftest import QUICK, Project

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


def test_the_same_code_works_against_an_mlflow_server(clone: Callable[[str], Project], server: str) -> None:
    project = clone("server")
    project = replace(project, environment={**project.environment, "MLFLOW_TRACKING_URI": server})

    first = project.kedro("run", "--params", QUICK).stdout
    second = project.kedro("run", "--pipelines", "training,evaluation,registry,inference", "--params", QUICK).stdout

    assert "version 1 promoted, alias champion" in first
    assert "of champion version 1: gain +0.0000" in second
    assert project.aliases("bank") == {"champion": 2, "previous_champion": 1}
    assert not (project.path / "mlflow.db").exists()
    assert not (project.path / "mlartifacts").exists()
