"""Parameters reach the active run, and parts of a run become runs under it."""

import os
import subprocess
import sys
from itertools import pairwise

import mlflow
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient
from mlflow.entities import Run

from churn_kedro.datasets.mlflow.checks import check_runs
from churn_kedro.datasets.mlflow.runs import (
    MAX_CURVE_POINTS,
    ChildRunsDataset,
    RunParametersDataset,
    close_abandoned_runs,
    loggable_name,
)
from churn_kedro.datasets.runtime.processes import describe_process
from churn_kedro.training.child_runs import ChildRun


def _record(*children: ChildRun) -> tuple[Run, list[Run]]:
    """The run, and those under it in the order of their names."""
    with mlflow.start_run() as parent:
        ChildRunsDataset().save(list(children))
    client = MlflowClient()
    found = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'",
        order_by=["attributes.run_name ASC"],
    )
    return client.get_run(parent.info.run_id), [client.get_run(run.info.run_id) for run in found]


def _params_of(run: mlflow.ActiveRun) -> dict[str, str]:
    """Parameters of the group, which all of the run are in."""
    logged = mlflow.get_run(run.info.run_id).data.params
    assert all(name.startswith("model/") for name in logged)
    return {name.removeprefix("model/"): value for name, value in logged.items()}


def test_parameters_are_logged_to_the_active_run(tracking: str) -> None:
    many = {f"number_{number}": number for number in range(150)}  # more than MLflow takes at a time

    with mlflow.start_run() as run:
        RunParametersDataset(group="model").save({"depth": 3, "eta": 0.1, "booster": None, **many})

    logged = _params_of(run)
    assert logged == {"depth": "3", "eta": "0.1", "booster": "None"} | {name: str(n) for name, n in many.items()}


def test_names_and_values_that_mlflow_refuses_are_logged_all_the_same(
    tracking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MLflow may be told not to shorten values itself.
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    names = ["Größe (cm) 100%", "a" * 300, "rate//year", "../up", "..", ".", "/root", "end/"]

    with mlflow.start_run() as run:
        RunParametersDataset(group="model").save(dict.fromkeys(names, "x" * 10000))

    logged = _params_of(run)
    assert len(logged) == len(names)
    assert {"Größe _cm_ 100_", "rate__year", "___up", "__", "_", "_root", "end_"} < logged.keys()
    assert set(logged.values()) == {"x" * 6000}


@pytest.mark.parametrize("name", ["depth", "training.fit/rate-1 a_b", "x" * 250, ".hidden", "a..b"])
def test_names_that_mlflow_takes_stay_as_they_are(name: str) -> None:
    assert loggable_name(name, 250) == name


def test_of_a_long_name_the_ends_are_kept() -> None:
    assert loggable_name("a" * 200 + "b" * 200, 151) == "a" * 74 + "_" + "b" * 75


def test_a_parameter_that_would_change_is_refused(tracking: str) -> None:
    with mlflow.start_run() as run:
        RunParametersDataset(group="model").save({"depth": 3})
        RunParametersDataset(group="model").save({"depth": 3})
        with pytest.raises(DatasetError, match="Changing param values is not allowed"):
            RunParametersDataset(group="model").save({"depth": 4})

    assert _params_of(run) == {"depth": "3"}


def test_a_child_run_has_parameters_and_status(tracking: str) -> None:
    trial = ChildRun(
        name="trial 7",
        params={"max_depth": 4, "objective": "binary:logistic"},
        metrics={"log_loss": 0.25, "never": float("nan")},
        curves={"validation log_loss (%)": [0.5, 0.3, 0.25]},
        tags={"stage": "search"},
    )

    parent, (child,) = _record(trial)

    assert (child.info.run_name, child.info.status) == ("trial 7", "FINISHED")
    assert child.info.experiment_id == parent.info.experiment_id
    assert child.data.params == {"max_depth": "4", "objective": "binary:logistic"}
    assert child.data.metrics["log_loss"] == 0.25
    assert child.data.metrics["never"] != child.data.metrics["never"]
    assert child.data.metrics["validation log_loss ___"] == 0.25
    history = MlflowClient().get_metric_history(child.info.run_id, "validation log_loss ___")
    assert [(point.step, point.value) for point in history] == [(0, 0.5), (1, 0.3), (2, 0.25)]
    assert child.data.tags["stage"] == "search"
    assert child.data.tags["mlflow.user"] == parent.data.tags["mlflow.user"]
    assert child.data.tags["mlflow.source.name"] == parent.data.tags["mlflow.source.name"]


def test_child_runs_follow_one_another_and_took_as_long_as_they_did(tracking: str) -> None:
    parent, (one, two, three) = _record(
        ChildRun("1", seconds=2.5), ChildRun("2", status="pruned"), ChildRun("3", status="failed", seconds=0.125)
    )

    assert [run.info.status for run in (one, two, three)] == ["FINISHED", "KILLED", "FAILED"]
    assert [run.info.end_time - run.info.start_time for run in (one, two, three)] == [2500, 0, 125]
    assert (one.info.end_time, two.info.end_time) == (two.info.start_time, three.info.start_time)
    assert parent.info.start_time <= three.info.end_time <= parent.info.end_time


@pytest.mark.parametrize("n_steps", [1, MAX_CURVE_POINTS, MAX_CURVE_POINTS + 1, 300, 2000])
def test_a_long_curve_is_thinned_from_its_first_to_its_last_step(n_steps: int, tracking: str) -> None:
    curve = [1 / (step + 1) for step in range(n_steps)]

    _, (child,) = _record(ChildRun("long", curves={"loss": curve}))

    points = MlflowClient().get_metric_history(child.info.run_id, "loss")
    steps = [point.step for point in points]
    assert [point.value for point in points] == [curve[step] for step in steps]
    assert len(steps) == min(n_steps, MAX_CURVE_POINTS)
    assert (steps[0], steps[-1]) == (0, n_steps - 1)
    gaps = {later - earlier for earlier, later in pairwise(steps)}
    assert max(gaps, default=1) - min(gaps, default=1) <= 1


@pytest.mark.slow
def test_a_child_run_may_have_more_than_one_batch_holds(tracking: str) -> None:
    _, (child,) = _record(
        ChildRun(
            "large",
            params={f"p{number}": number for number in range(250)},
            metrics={f"m{number}": number for number in range(900)},
            curves={f"c{number}": [1.0] * 100 for number in range(12)},
            tags={f"t{number}": "" for number in range(150)},
        )
    )

    assert len(child.data.params) == 250
    assert len(child.data.metrics) == 912
    assert len([name for name in child.data.tags if name.startswith("t")]) == 150
    assert all(len(MlflowClient().get_metric_history(child.info.run_id, f"c{n}")) == 100 for n in range(12))


def test_no_child_runs_are_no_runs(tracking: str) -> None:
    _, children = _record()

    assert children == []


def test_what_is_switched_off_writes_nothing(tracking: str) -> None:
    child, parameters = ChildRunsDataset(), RunParametersDataset(group="model")
    # As kedro-mlflow does where tracking is off for a pipeline; there is no active run then.
    child._logging_activated = parameters._logging_activated = False

    child.save([ChildRun("switched off")])
    ChildRunsDataset(enabled=False).save([ChildRun("switched off")])
    parameters.save({"depth": 3})

    experiments = [experiment.experiment_id for experiment in MlflowClient().search_experiments()]
    assert experiments
    assert mlflow.active_run() is None
    assert MlflowClient().search_runs(experiments, "attributes.run_name = 'switched off'") == []


def test_without_a_run_there_is_nothing_to_log_to(tracking: str) -> None:
    with pytest.raises(DatasetError, match="No active MLflow run to log parameters to"):
        RunParametersDataset(group="model").save({"depth": 3})
    with pytest.raises(DatasetError, match="No active MLflow run to log child runs to"):
        ChildRunsDataset().save([ChildRun("one")])


def test_neither_is_read_back(tracking: str) -> None:
    with pytest.raises(DatasetError, match="in MLflow"):
        RunParametersDataset(group="model").load()
    with pytest.raises(DatasetError, match="in MLflow"):
        ChildRunsDataset().load()


def test_the_address_of_the_run_itself_is_still_printed(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for former in (None, "false"):
        if former is None:
            monkeypatch.delenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", raising=False)
        else:
            monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", former)
        _record(ChildRun("one"))
        assert os.environ.get("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT") == former


def test_a_metric_cannot_have_the_name_of_a_curve() -> None:
    with pytest.raises(ValueError, match="Run 'trial 1' has metrics and curves of the same name: loss"):
        ChildRun("trial 1", metrics={"loss": 0.1, "auc": 0.8}, curves={"loss": [0.2, 0.1]})


@pytest.mark.slow
def test_runs_of_processes_that_have_ended_are_closed_and_no_others(tracking: str) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = describe_process()
    client = MlflowClient()
    experiment = client.get_run(mlflow.start_run().info.run_id).info.experiment_id
    mlflow.end_run()
    tags = {
        "ended": here | {"process": str(ended.pid)},
        "nested": here | {"process": str(ended.pid), "mlflow.parentRunId": "r"},
        "id of a later process": here | {"process_start": here["process_start"] + "0"},
        "alive": here,
        "elsewhere": here | {"process": str(ended.pid), "host": "elsewhere"},
        "untagged": {},
    }
    runs = {name: client.create_run(experiment, tags=own).info.run_id for name, own in tags.items()}

    assert sum(check.health == "wrong" for check in check_runs(experiment)) == 3
    close_abandoned_runs(experiment)

    states = {name: client.get_run(run).info for name, run in runs.items()}
    closed = {name for name, info in states.items() if info.status == "KILLED"}
    assert closed == {"ended", "nested", "id of a later process"}
    assert all(states[name].end_time is not None for name in closed)
    assert {info.status for name, info in states.items() if name not in closed} == {"RUNNING"}
    assert sum(check.health == "wrong" for check in check_runs(experiment)) == 0
