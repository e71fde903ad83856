"""The DAGs: written from the project, safe to repeat, and run by Airflow itself where it is installed."""

import ast
import importlib.util
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import yaml

from tests import ROOT
from tests.end_to_end.conftest import QUICK, Project, clone_project
from tests.servers import Received, free_port, http_receiver

FOLDER = ROOT / "deploy" / "airflow"
DAGS = FOLDER / "dags"
KINDS = ("train", "inference", "monitoring")
SERVICE_TASKS = ("deployment", "smoke_test")
PATIENCE = 180

# Stands for the project where only Airflow is tested: notes each call, and ends as the file of the pipeline says.
FAKE_KEDRO = """#!{python}
import json, os, pathlib, sys, time
name = [one.removeprefix("--pipelines=") for one in sys.argv if one.startswith("--pipelines=")] or [sys.argv[1]]
secrets = [one for one in os.environ if one.startswith("AIRFLOW_")]
began = time.time()
said = pathlib.Path(name[0])
wait = json.loads(said.read_text()) if said.exists() else {{}}
with open("calls", "a") as file:
    file.write(json.dumps([name[0], os.getpid(), os.getppid(), secrets]) + "\\n")
time.sleep(wait.get("sleep", 0))
with open("ended", "a") as file:
    file.write(json.dumps([name[0], began, time.time()]) + "\\n")
sys.exit(wait.get("status", 0))
"""


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _described() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DAGS / "project.json").read_text())
    return found


@pytest.mark.slow
def test_the_description_is_that_of_the_project() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import describe; print(describe.render(), end='')"
    printed = subprocess.run(
        [sys.executable, "-c", code, str(FOLDER)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert (DAGS / "project.json").read_text() == printed, "run python deploy/airflow/describe.py"


@pytest.mark.slow
def test_no_pipeline_of_a_training_reads_what_a_later_one_writes() -> None:
    from churn_kedro.pipelines.data_processing import create_pipeline as data_processing
    from churn_kedro.pipelines.evaluation import create_pipeline as evaluation
    from churn_kedro.pipelines.registry import create_pipeline as registry
    from churn_kedro.pipelines.training import create_pipeline as training

    made = {
        "data_processing": data_processing(), "training": training(), "evaluation": evaluation(),
        "registry": registry(),
    }  # fmt: skip
    order = _described()["train"]

    assert set(order) == set(made)
    for place, name in enumerate(order):
        for later in order[place + 1 :]:
            assert not made[name].inputs() & made[later].outputs(), f"{name} reads what {later} writes"


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.name)
def test_dag_files_import_nothing_of_the_project(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 11))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }

    assert imported
    assert not imported & {"kedro", "churn_kedro", "churn_estimators", "mlflow", "pandas"}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-kubernetes.txt"])
def test_every_requirement_has_a_version_and_hashes(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (FOLDER / name).read_text().strip())
    packages = [one for one in entries if not one.startswith("#")]

    assert len(packages) > 100
    assert all(re.match(r"\S+==\S+", one) and "--hash=sha256:" in one for one in packages)
    assert any(one.startswith("apache-airflow==3.3.") for one in packages)


def test_the_pod_can_do_no_more_than_run_the_command() -> None:
    pod = yaml.safe_load((DAGS / "pod.yaml").read_text())
    (container,) = pod["spec"]["containers"]

    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"]["runAsUser"] == pod["spec"]["securityContext"]["fsGroup"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {one["mountPath"] for one in container["volumeMounts"]} >= {"/tmp", "/opt/churn/logs"}  # noqa: S108
    assert "env" not in container


def _texts(requests: list[Received]) -> list[str]:
    return [json.loads(one.body)["text"] for one in requests]


def test_a_late_run_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    alerts = _module(DAGS / "churn_alerts.py")
    with http_receiver() as (address, requests):
        monkeypatch.setenv("CHURN_ALERT_WEBHOOK", address)
        alerts.report_late({"dag_run": {"dag_id": "churn_base_train", "dag_run_id": "one"}}, minutes=480.0)

    assert _texts(requests) == ["churn_base_train has not ended within 480 minutes: run one."]


def test_a_receiver_that_does_not_answer_stops_nothing_and_its_address_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = _module(DAGS / "churn_alerts.py")
    monkeypatch.setenv("CHURN_ALERT_WEBHOOK", f"http://127.0.0.1:{free_port()}/planted-token")

    alerts.report_late({"dag_run": {"dag_id": "churn_base_train", "dag_run_id": "one"}}, minutes=480.0)

    assert "Not sent: churn_base_train" in caplog.text
    assert "planted-token" not in caplog.text


def _airflow_python() -> Path:
    path = Path(os.environ.get("CHURN_AIRFLOW_PYTHON") or ROOT / ".venv-airflow" / "bin" / "python")
    if not path.exists():
        pytest.skip("Airflow is not installed: `make airflow-env`, or CHURN_AIRFLOW_PYTHON")
    return path


@dataclass(frozen=True)
class Airflow:
    """An Airflow with an empty database of its own."""

    python: Path
    environment: dict[str, str]

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``airflow ARGUMENTS``."""
        command = [str(self.python.with_name("airflow")), *arguments]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=600)
        if check and ended.returncode:
            pytest.fail(f"airflow {' '.join(arguments)}:\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}")
        return ended

    def structure(self, **variables: str) -> dict[str, Any]:
        """Describe the DAGs, which are loaded in a process."""
        command = [str(self.python), str(ROOT / "tests" / "deploy" / "airflow_structure.py"), str(DAGS)]
        environment = {**self.environment, **variables}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert ended.returncode == 0, ended.stderr[-3000:]
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found

    def test(self, dag: str, date: str, *parameters: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a DAG with ``airflow dags test``."""
        conf = json.dumps({"parameters": ",".join(parameters)})
        return self.call("dags", "test", dag, date, "--conf", conf, check=check)

    def states(self, dag: str, run: str) -> dict[str, str]:
        """State of the tasks of a run, and under ``run`` that of the run."""
        with sqlite3.connect(f"file:{self.environment['AIRFLOW_HOME']}/airflow.db?mode=ro", uri=True) as database:
            where = "WHERE dag_id = ? AND run_id LIKE ?"
            tasks = database.execute(f"SELECT task_id, state FROM task_instance {where}", (dag, run))  # noqa: S608
            found = {str(name): str(state) for name, state in tasks}
            for (state,) in database.execute(f"SELECT state FROM dag_run {where}", (dag, run)):  # noqa: S608
                found["run"] = str(state)
        return found

    def runs(self, dag: str) -> list[str]:
        """Names of the runs of a DAG."""
        with sqlite3.connect(f"file:{self.environment['AIRFLOW_HOME']}/airflow.db?mode=ro", uri=True) as database:
            found = database.execute("SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY id", (dag,))
            return [str(name) for (name,) in found]


def _airflow(home: Path, project: Path, kedro: Path, environment: dict[str, str], **variables: str) -> Airflow:
    dropped = ("AIRFLOW", "PYTHONPATH", "CHURN_")
    made = Airflow(
        _airflow_python(),
        {
            **{name: value for name, value in environment.items() if not name.startswith(dropped)},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "CHURN_PROJECT": str(project),
            "CHURN_KEDRO": str(kedro),
            **variables,
        },
    )
    made.call("db", "migrate")
    return made


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Airflow, Project]:
    """An Airflow above a clone of the project; `airflow dags test` runs its pipelines."""
    _airflow_python()
    project = clone_project(tmp_path_factory.mktemp("project"))
    home, kedro = tmp_path_factory.mktemp("airflow"), Path(sys.executable).with_name("kedro")
    variables = {"CHURN_AIRFLOW_RETRIES": "0", "CHURN_AIRFLOW_DEADLINES": "off"}
    return _airflow(home, project.path, kedro, project.environment, **variables), project


@pytest.mark.slow
def test_each_use_case_has_its_dags_whose_tasks_can_be_repeated(real: tuple[Airflow, Project]) -> None:
    described = _described()
    found = real[0].structure(CHURN_AIRFLOW_DEADLINES="", CHURN_AIRFLOW_RETRIES="")

    # Airflow reads the file again and again.
    assert found["seconds"] < 5
    assert not {"kedro", "churn_kedro", "churn_pods"} & set(found["modules"])
    assert set(found["dags"]) == {f"churn_{env}_{kind}" for env in described["use_cases"] for kind in KINDS}
    for name, dag in found["dags"].items():
        assert (dag["max_active_runs"], dag["catchup"], dag["deadline"], dag["alerts"]) == (1, False, True, True)
        commands = {key: task for key, task in dag["tasks"].items() if task["kind"] == "KedroOperator"}
        assert commands
        for task in commands.values():
            assert task["retries"] == 2
            assert task["backoff"] > 1
            assert 0 < task["limit"] <= 6 * 3600
            assert f"--env={name.split('_')[1]}" in task["arguments"]
    train = found["dags"]["churn_telco_train"]["tasks"]
    order = [*described["train"], *SERVICE_TASKS]
    assert [train[name]["downstream"] for name in order] == [[name] for name in order[1:]] + [[]]
    assert train["evaluation"]["arguments"] == ["run", "--env=telco", "--pipelines=evaluation"]


@pytest.mark.slow
def test_each_date_is_scored_with_its_own_table_and_time(real: tuple[Airflow, Project]) -> None:
    tables = {"CHURN_AIRFLOW_NEW_CUSTOMERS": "s3://churn/{use_case}/{date}.parquet"}
    airflow = replace(real[0], environment={**real[0].environment, **tables})

    rendered = airflow.call("tasks", "render", "churn_base_inference", "inference", "2026-11-02").stdout

    assert "['inference.as_of=2026-11-02', 'new_customers=s3://churn/bank/2026-11-02.parquet', '']" in rendered


@pytest.mark.slow
def test_pods_get_the_commands_of_the_processes_and_the_template(real: tuple[Airflow, Project], tmp_path: Path) -> None:
    airflow = real[0]
    if not list(airflow.python.parents[1].glob("lib/*/site-packages/airflow/providers/cncf")):
        pytest.skip("the environment has no provider for Kubernetes: `make airflow-env`")
    context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
    cluster = {"name": "it", "cluster": {"server": "https://127.0.0.1:1"}}
    configuration = {"contexts": [context], "clusters": [cluster], "users": [{"name": "it", "user": {}}]}
    (tmp_path / "config").write_text(yaml.safe_dump({**configuration, "current-context": "it"}))
    processes = airflow.structure()
    image = "example.com/churn-kedro-job:1"
    variables = {
        "CHURN_AIRFLOW_RUNS_IN": "kubernetes",
        "CHURN_AIRFLOW_JOB_IMAGE": image,
        "CHURN_AIRFLOW_SERVE_IMAGE": "example.com/churn-kedro-serve:1",
    }
    pods = airflow.structure(**variables, CHURN_AIRFLOW_NAMESPACE="churn", KUBECONFIG=str(tmp_path / "config"))

    for name, dag in processes["dags"].items():
        for key, task in dag["tasks"].items():
            if task["kind"] == "KedroOperator":
                # Only the image of the service has what a smoke test imports.
                used = "example.com/churn-kedro-serve:1" if key in SERVICE_TASKS else image
                assert pods["dags"][name]["tasks"][key] == {**task, "kind": "KedroPodOperator", "image": used}
    (container,) = pods["pod"]["spec"]["containers"]
    assert container["image"] == image
    assert container["args"] == ["run", "--env=base", "--pipelines=training"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pods["pod"]["metadata"]["namespace"] == "churn"
    assert pods["pod"]["spec"]["automountServiceAccountToken"] is False


@pytest.fixture(scope="module")
def trained(real: tuple[Airflow, Project]) -> tuple[Airflow, Project]:
    """The same, after the DAG of training has run."""
    real[0].test("churn_base_train", "2026-11-01", QUICK)
    return real


@pytest.mark.slow
def test_the_real_pipelines_train_score_and_monitor_and_an_alarm_trains_again(trained: tuple[Airflow, Project]) -> None:
    airflow, project = trained
    logged = project.path / "data/07_model_output/bank/prediction_log.db"
    listed = project.path / "data/07_model_output/bank/predictions.csv"

    def rows() -> int:
        with sqlite3.connect(logged) as database:
            return int(database.execute("SELECT count(*) FROM predictions").fetchone()[0])

    assert project.aliases("bank") == {"champion": 1}

    airflow.test("churn_base_inference", "2026-11-02")
    first, count = listed.read_bytes(), rows()
    assert pd.read_csv(listed)["scored_at"].str.startswith("2026-11-02T00:00:00").all()
    # As after a task that was killed before it could say that it had ended.
    airflow.test("churn_base_inference", "2026-11-02")
    assert (listed.read_bytes(), rows()) == (first, count)

    quiet = airflow.test("churn_base_monitoring", "2026-11-03")
    assert "monitoring.as_of=2026-11-03T00:00:00Z" in quiet.stdout + quiet.stderr
    assert airflow.runs("churn_base_train")[1:] == []

    raw = pd.read_csv(project.path / "data/01_raw/bank/new_customers.csv")
    raw.assign(Age=raw["Age"] + 25).to_csv(project.path / "drifted.csv", index=False)
    # The DAG is not paused, so that the training can be asked for.
    airflow.call("dags", "unpause", "--yes", "churn_base_train")
    airflow.test("churn_base_monitoring", "2026-11-04", "monitored=drifted.csv")
    assert airflow.runs("churn_base_train")[1:] == ["alarm__2026-W45"]


@pytest.mark.slow
def test_deployment_and_smoke_test_ask_the_running_service(trained: tuple[Airflow, Project], tmp_path: Path) -> None:
    airflow, project = trained
    port = free_port()
    asking = replace(airflow, environment={**airflow.environment, "CHURN_SERVICE_URL": f"http://127.0.0.1:{port}"})
    command = [airflow.environment["CHURN_KEDRO"], "serve", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=project.path, env=project.environment, stdout=log, stderr=log)
    try:
        # Deployment waits for the service.
        passed = [asking.call("tasks", "test", "churn_base_train", one, "2026-11-01") for one in SERVICE_TASKS]
    finally:
        process.terminate()
        process.wait(60)
    failed = asking.call("tasks", "test", "churn_base_train", "smoke_test", "2026-11-01")

    # The exit status of `airflow tasks test` does not tell.
    for ended in passed:
        assert "kedro smoke-test --env=base" in ended.stdout
        assert "bank: version 1 answers probability" in ended.stdout
        assert "ended with exit status" not in ended.stdout
    assert "`kedro smoke-test --env=base` ended with exit status 1" in failed.stdout


@pytest.mark.slow
def test_a_run_that_fails_is_a_failure_of_airflow(real: tuple[Airflow, Project]) -> None:
    ended = real[0].test("churn_iris_train", "2026-11-01", "raw_customers=absent.csv", check=False)

    assert ended.returncode == 1
    assert "`kedro run --env=iris --pipelines=data_processing` ended with exit status 1" in ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_command_that_takes_too_long_ends_with_everything_that_it_started(
    real: tuple[Airflow, Project], tmp_path: Path
) -> None:
    kedro = tmp_path / "kedro"
    kedro.write_text("#!/bin/sh\nsleep 300 &\necho $$ $! > started\nwait\n")
    kedro.chmod(0o755)
    code = f"""
import signal, sys
sys.path.insert(0, {str(DAGS)!r})
from churn_operators import KedroOperator
def late(*given):
    raise TimeoutError
signal.signal(signal.SIGALRM, late)
signal.alarm(2)
try:
    KedroOperator(task_id="it", arguments=["run"]).execute({{}})
except TimeoutError:
    print("late")
"""
    environment = {**real[0].environment, "CHURN_PROJECT": str(tmp_path), "CHURN_KEDRO": str(kedro)}
    command = [str(real[0].python), "-c", code]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout.splitlines()[-1] == "late"
    started = [int(one) for one in (tmp_path / "started").read_text().split()]
    assert len(started) == 2
    assert not any(_is_running(one) for one in started)


def _wait(what: Callable[[], Any], text: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE} seconds for {text}")
        time.sleep(0.3)
    return found


@contextmanager
def _scheduler(folder: Path, **variables: str) -> Iterator[tuple[Airflow, Path]]:
    """A running Airflow above the fake project; yields it and the folder of the fake project."""
    project, port = folder / "project", str(free_port())
    project.mkdir()
    kedro = project / "kedro"
    kedro.write_text(FAKE_KEDRO.format(python=sys.executable))
    kedro.chmod(0o755)
    airflow = _airflow(
        folder / "home", project, kedro, dict(os.environ),
        AIRFLOW__API__PORT=port,
        AIRFLOW__API__BASE_URL=f"http://localhost:{port}",
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://localhost:{port}/execution/",
        AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
        CHURN_AIRFLOW_RETRY_SECONDS="1",
        CHURN_AIRFLOW_USE_CASES="base",
        **variables,
    )  # fmt: skip
    command = [str(airflow.python.with_name("airflow")), "standalone"]
    with (folder / "log").open("w") as log:
        environment = {**airflow.environment, "PATH": f"{airflow.python.parent}{os.pathsep}{os.environ['PATH']}"}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(lambda: "Airflow is ready" in (folder / "log").read_text(), "Airflow")
        airflow.call("dags", "reserialize")
        yield airflow, project
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _calls(project: Path, name: str) -> list[list[Any]]:
    path = project / "calls"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [one for one in lines if one[0] == name]


def _is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a killed task takes its command with it on Linux only")
def test_the_scheduler_repeats_killed_tasks_starts_one_training_at_a_time_and_tells_of_failures(tmp_path: Path) -> None:
    _airflow_python()
    with (
        http_receiver() as (address, requests),
        _scheduler(tmp_path, CHURN_ALERT_WEBHOOK=address, CHURN_AIRFLOW_LATE_MINUTES="0.05") as (airflow, project),
    ):
        (project / "training").write_text(json.dumps({"sleep": 300}))
        (project / "monitoring").write_text(json.dumps({"status": 4}))
        for dag in ("train", "monitoring"):
            # Unpausing starts the run of the last schedule.
            airflow.call("dags", "unpause", "--yes", f"churn_base_{dag}")
        ((_, command, task, secrets),) = _wait(lambda: _calls(project, "training"), "the training")
        assert secrets == []
        (project / "training").write_text(json.dumps({"sleep": 3}))
        os.kill(task, signal.SIGKILL)
        _wait(lambda: not _is_running(command), "the end of the command of the killed task")

        train = "churn_base_train"
        _wait(lambda: airflow.states(train, "scheduled%").get("run") == "success", "the repeated training")
        _wait(lambda: airflow.states(train, "alarm%").get("run") == "success", "the training of the alarm")
        assert airflow.states(train, "alarm%")["smoke_test"] == "skipped"
        trained = [json.loads(line) for line in (project / "ended").read_text().splitlines()]
        times = [(began, ended) for name, began, ended in trained if name in _described()["train"]]
        assert len(times) == 2 * len(_described()["train"])
        assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(times))
        late = f"{train} has not ended within 0.05 minutes: run alarm__"
        _wait(lambda: any(text.startswith(late) for text in _texts(requests)), "the alert of a late run")

        (project / "monitoring").write_text(json.dumps({"status": 1}))
        before = len(_calls(project, "monitoring"))
        airflow.call("dags", "trigger", "churn_base_monitoring", "--run-id", "failing")
        failed = "churn_base_monitoring failed at monitoring: run failing."
        _wait(lambda: failed in _texts(requests), "the alert of a failed run")
        assert len(_calls(project, "monitoring")) == before + 3
        assert len(airflow.runs(train)) == 2
