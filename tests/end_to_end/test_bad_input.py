"""Bad input gets one clear error, a failing exit code, and loses nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.conftest import QUICK, Project

pytestmark = pytest.mark.slow

Edit = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project]) -> Project:
    """A clone with a champion."""
    made = clone("bad_input")
    made.kedro("run", "--params", QUICK)
    return made


def _error(project: Project, *arguments: str, **environment: str) -> str:
    """Last paragraph of what a failing command prints."""
    completed = project.kedro("run", *arguments, check=False, **environment)
    assert completed.returncode == 1, completed.stdout
    assert "Traceback" not in completed.stderr
    return completed.stderr.rpartition("Error: ")[2]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda table: table.iloc[:0], "has a header but no rows"),
        (
            lambda table: table.rename(columns={"Geography": "Geograpy"}),
            "'Geography' (nearest in the file: 'Geograpy')",
        ),
        (lambda table: table.assign(Exited=0), "None of the 10000 customers has Exited = 1"),
        (lambda table: table.assign(Exited="left"), "row 1: Exited: 'left' is neither 0 nor 1"),
        (lambda table: table.assign(Age="old"), "10,000 of 10,000 rows (100.0%) break the declaration"),
    ],
    ids=["no rows", "column misspelt", "one class", "unknown label", "text in a number column"],
)
def test_a_table_that_cannot_be_used_is_refused(project: Project, tmp_path: Path, edit: Edit, message: str) -> None:
    table = pd.read_csv(project.path / "data/01_raw/bank/customers.csv")
    edit(table).to_csv(tmp_path / "customers.csv", index=False)
    kept = sorted((project.path / "data/05_model_input/bank").iterdir())
    before = [path.read_bytes() for path in kept]

    error = _error(project, "--pipelines", "data_processing", "--params", f"raw_customers={tmp_path}/customers.csv")

    assert message in error
    assert [path.read_bytes() for path in kept] == before


def test_the_reasons_are_on_disk_when_too_many_rows_are_rejected(project: Project, tmp_path: Path) -> None:
    table = pd.read_csv(project.path / "data/01_raw/bank/customers.csv")
    table.assign(Age="old").to_csv(tmp_path / "customers.csv", index=False)

    error = _error(project, "--pipelines", "data_processing", "--params", f"raw_customers={tmp_path}/customers.csv")

    assert "rejected_customers" in error
    rejected = pd.read_csv(project.path / "data/02_intermediate/bank/rejected_customers.csv")
    assert len(rejected) == 10_000
    assert set(rejected["reasons"]) == {"Age: 'old' is not a number"}


def test_a_missing_and_an_empty_file_are_told_apart(project: Project, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    missing = _error(project, "--pipelines", "data_processing", "--params", "raw_customers=nowhere.csv")
    blank = _error(project, "--pipelines", "data_processing", "--params", f"raw_customers={empty}")

    assert f"File {project.path}/nowhere.csv does not exist" in missing
    assert "--params raw_customers=PATH" in missing
    assert "is empty, without header" in blank


def test_unknown_levels_are_scored_counted_and_warned_of(project: Project, tmp_path: Path) -> None:
    new = pd.read_csv(project.path / "data/01_raw/bank/new_customers.csv").astype(object)
    new.loc[[0, 1], "Geography"] = "Atlantis"
    new.to_parquet(tmp_path / "new.parquet")

    completed = project.kedro(
        "run",
        *("--pipelines", "inference"),
        *("--params", f"new_customers={tmp_path}/new.parquet,predictions={tmp_path}/out.parquet"),
    )

    assert len(pd.read_parquet(tmp_path / "out.parquet")) == len(new)
    assert "Geography: 2 cells are unknown" in completed.stderr
    assert "outside of the declaration: Geography 2" in completed.stdout
    assert project.runs("bank")[-1].data.metrics["inference/unusual_cells"] == 2


def test_a_version_that_does_not_exist_is_named(project: Project) -> None:
    error = _error(project, "--pipelines", "evaluation", "--params", "model_version=99")

    assert "There is no version or alias 99 of the model 'bank_churn'; the last versions are" in error


def test_scoring_without_a_champion_is_an_error_with_the_command(project: Project) -> None:
    # Telco was never trained in this clone.
    error = _error(project, "--pipelines", "inference", "--env", "telco")

    assert "Model 'telco_churn' has no version in the registry" in error
    assert "kedro run" in error


def test_a_parameter_out_of_range_is_named_before_anything_runs(project: Project) -> None:
    completed = project.kedro("run", "--params", "data_processing.split.test_size=1.5", check=False)

    assert completed.returncode == 1
    assert "split.test_size" in completed.stderr
    assert "Running node" not in completed.stderr


def test_a_misspelt_parameter_and_a_misspelt_use_case_are_refused(project: Project) -> None:
    parameter = project.kedro("run", "--params", "data_processing.splitt.test_size=0.3", check=False)
    use_case = project.kedro("run", "--env", "telko", check=False)

    assert parameter.returncode == use_case.returncode == 1
    assert "splitt" in parameter.stderr
    assert "There is no use case 'telko'" in use_case.stderr
    assert "Use cases for --env: housing, iris, subscription, telco" in use_case.stderr


def test_a_search_space_with_an_unknown_parameter_is_refused(project: Project) -> None:
    error = _error(
        project,
        *("--pipelines", "training"),
        *("--params", f"{QUICK},training.spaces.xgboost.depth.low=1,training.spaces.xgboost.depth.high=2"),
    )

    assert (
        "training.spaces.xgboost contains parameters that cannot be searched: depth (do you mean max_depth?)" in error
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("training.search.n_trials=0", "search.n_trials"),
        ("training.device=cuda", "XGBoost finds no CUDA device"),
        ("training.spaces.xgboost.max_depth=deep", "expected values that xgboost accepts"),
        ("campaigns.objective=recall_at_precision", "min_precision"),
        ("campaigns.economics.value=40", "no customer is worth a contact"),
        ("training.class_weight=balanced,training.calibration.method=none", "such scores are not probabilities"),
    ],
)
def test_an_impossible_training_is_an_error_with_its_reason(project: Project, parameters: str, message: str) -> None:
    error = _error(project, "--pipelines", "training", "--params", f"{QUICK},{parameters}")

    assert message in error


def test_a_server_that_is_down_is_reported_within_seconds(project: Project) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    # MLflow's own retries would take minutes.
    error = _error(project, "--pipelines", "inference", MLFLOW_TRACKING_URI=closed)

    assert f"The MLflow tracking server at {closed} does not answer" in error
    assert "MLFLOW_TRACKING_URI" in error


def test_splits_of_two_runs_are_never_mixed(clone: Callable[[str], Project]) -> None:
    project = clone("mixed")
    project.kedro("run", "--pipelines", "data_processing")
    test = project.path / "data/05_model_input/bank/test.parquet"
    pd.read_parquet(test).iloc[1:].to_parquet(test, index=False)
    project.kedro("run", "--pipelines", "training", "--params", QUICK)

    error = _error(project, "--pipelines", "evaluation")

    assert "The test table" in error
    assert "kedro run --pipelines data_processing" in error


def _wait_for(process: "subprocess.Popen[str]", text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"The run ended without '{text}'.")


def test_an_interrupted_search_goes_on_and_ends_with_the_model_of_an_uninterrupted_one(
    clone: Callable[[str], Project],
) -> None:
    project = clone("interrupted")
    project.kedro("run", "--pipelines", "data_processing")
    # Long enough to be interrupted, on a busy machine too.
    few = ("run", "--pipelines", "training", "--params", "training.search.n_trials=12")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("kedro"), *few],
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in its background, this test perhaps, with interrupts ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    _wait_for(process, "trial 2 of 12")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]

    assert process.returncode == 1
    assert "The search of xgboost was interrupted after" in said
    assert "Traceback" not in said
    resumed = project.kedro(*few).stdout
    assert "known from before" in resumed
    whole = project.kedro(*few[:-1], f"{few[-1]},training.search.resume=false").stdout
    assert "known from before" not in whole
    first, second = (project.client.get_model_version("bank_churn", number).tags for number in ("1", "2"))
    assert first["model_digest"] == second["model_digest"]


def test_the_run_after_a_killed_one_works(clone: Callable[[str], Project]) -> None:
    project = clone("killed")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("kedro"), "run", "--params", "training.search.n_trials=500"],
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(process, "trial 2 of")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    time.sleep(0.1)

    printed = project.kedro("run", "--params", QUICK).stdout

    assert "version 1 promoted, alias champion" in printed
    assert [run.info.status for run in project.runs("bank")] == ["KILLED", "FINISHED"]
    assert not list(project.path.rglob("*.part*"))
