"""Damaged stores, models and servers: one sentence with the file or address, what it holds and what to do."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests import ROOT
from tests.end_to_end.conftest import SESSIONS, Project
from tests.servers import FailingLine, GuardedServer, mlflow_server

pytestmark = pytest.mark.slow

PLANTED = "s3cr3t-PLANTED"
# A search that is small enough for a test of anything else.
QUICK = "training.search.n_trials=1,training.search.max_rounds=30,training.search.early_stopping_rounds=10"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Parameter for a small table."""
    file = tmp_path_factory.mktemp("small") / "customers.csv"
    pd.read_csv(ROOT / "data/01_raw/bank/customers.csv", nrows=2000, dtype="str").to_csv(file, index=False)
    return f"raw_customers={file}"


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project], small: str) -> Project:
    """A project with a champion."""
    made = clone("faults")
    made.kedro("run", "--params", f"{QUICK},{small}")
    assert made.aliases("bank") == {"champion": 1}
    return made


@pytest.fixture
def restored(project: Project, tmp_path: Path) -> Iterator[Project]:
    """The copy; store and models are what they were after the test."""
    shutil.copy(project.path / "mlflow.db", tmp_path / "kept.db")
    shutil.copytree(project.path / "mlartifacts", tmp_path / "kept")
    yield project
    shutil.copy(tmp_path / "kept.db", project.path / "mlflow.db")
    shutil.rmtree(project.path / "mlartifacts")
    shutil.copytree(tmp_path / "kept", project.path / "mlartifacts")


def _error(project: Project, *arguments: str, **environment: str) -> str:
    """What a failing command says after everything else, which is one message without a traceback."""
    ended = project.kedro(*arguments, check=False, **environment)
    assert ended.returncode == 1, ended.stderr[-3000:]
    assert "Traceback" not in ended.stderr
    assert "[SQL" not in ended.stderr
    assert ended.stderr.count("Error: ") == 1
    message = ended.stderr.rpartition("Error: ")[2].strip()
    assert "Failed while" not in message
    assert "\n" not in message
    return message


def _damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    with closing(sqlite3.connect(file)) as store:
        [size] = store.execute("PRAGMA page_size").fetchone()
        [root] = store.execute("SELECT rootpage FROM sqlite_master WHERE name = 'model_versions'").fetchone()
    page = slice((root - 1) * size, root * size)
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "garbage":
        content[:] = bytes(range(256)) * (len(content) // 256)
    elif how == "zeroed page":
        content[page] = bytes(size)
    else:
        content.clear()
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "command"),
    [
        ("truncated", ("models", "list")),
        ("garbage", ("run", "--pipelines", "inference")),
        ("zeroed page", ("models", "info", "champion")),
        ("empty", ("models", "list")),
    ],
)
def test_a_damaged_store_is_named_with_what_to_do(
    project: Project, tmp_path: Path, how: str, command: tuple[str, ...]
) -> None:
    store = tmp_path / "store.db"
    shutil.copy(project.path / "mlflow.db", store)
    _damage(store, how)

    message = _error(project, *command, MLFLOW_TRACKING_URI=f"sqlite:///{store}")

    assert f"The file {store}, which holds the runs and registered versions of MLflow, cannot be used" in message
    assert "Restore it from a backup" in message
    assert "`kedro run`" in message


def test_a_store_that_is_damaged_where_no_command_looks_first_is_found_by_the_check(
    project: Project, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    shutil.copy(project.path / "mlflow.db", store)
    with closing(sqlite3.connect(store)) as opened:
        [size] = opened.execute("PRAGMA page_size").fetchone()
        roots = {row[0] for row in opened.execute("SELECT rootpage FROM sqlite_master")}
    content = bytearray(store.read_bytes())
    for page in range(1, len(content) // size + 1):
        first = (page - 1) * size
        # A leaf of a table, and not its first page.
        if content[first] == 0x0D and page not in roots:
            content[first : first + size] = b"\xff" * size
    store.write_bytes(content)
    uri = f"sqlite:///{store}"

    checked = project.kedro("models", "check", "--json", check=False, MLFLOW_TRACKING_URI=uri)
    message = _error(project, "run", "--pipelines", "inference", MLFLOW_TRACKING_URI=uri)

    assert checked.returncode == 3
    [result] = json.loads(checked.stdout)
    assert (result["what"], result["health"]) == ("store", "wrong")
    assert str(store) in message


def test_nothing_is_wrong_with_a_whole_registry(project: Project) -> None:
    checked = project.kedro("models", "check", "--json")

    results = json.loads(checked.stdout)
    assert {one["what"] for one in results} >= {"store", "version 1", "alias champion", "audit"}
    assert not [one for one in results if one["health"] == "wrong"]


def _files(project: Project, version: str) -> Path:
    model_id = str(project.client.get_model_version("bank_churn", version).source).removeprefix("models:/")
    return Path(str(project.client.get_logged_model(model_id).artifact_location).removeprefix("file://"))


@pytest.mark.parametrize("damaged", ["model.skops", "MLmodel"])
def test_a_damaged_model_is_named_by_scoring_and_by_the_check(restored: Project, damaged: str) -> None:
    champion = str(restored.aliases("bank")["champion"])
    file = _files(restored, champion) / damaged
    content = bytearray(file.read_bytes())
    if damaged == "MLmodel":
        content.clear()
    else:
        content[len(content) // 2] ^= 1
    file.write_bytes(content)

    if damaged == "model.skops":
        message = _error(restored, "run", "--pipelines", "inference")
        assert f"ersion {champion}" in message
        assert "kedro models" in message
    else:
        # The project reads the model file alone.
        restored.kedro("run", "--pipelines", "inference")
    checked = restored.kedro("models", "check", champion, check=False)

    assert checked.returncode == 3
    assert damaged in checked.stdout
    assert f"kedro models rebuild {champion}" in checked.stdout
    assert f"kedro models retire {champion}" in checked.stdout


def test_no_module_that_comes_with_a_version_is_imported_by_any_command(restored: Project, tmp_path: Path) -> None:
    marker, [model] = tmp_path / "imported", restored.path.glob("mlartifacts/models/*/artifacts/model.skops")
    code = model.parent / "code"
    for module in ("skops", "xgboost", "sklearn", "shap", "churn_estimators", "trap"):
        (code / module).mkdir(parents=True, exist_ok=True)
        (code / module / "__init__.py").write_text(f"open({str(marker)!r}, 'w')\n", encoding="utf-8")
    description = model.parent / "MLmodel"
    described = description.read_text(encoding="utf-8")
    description.write_text(described.replace("loader_module: mlflow.sklearn", "loader_module: trap"), encoding="utf-8")

    restored.kedro("run", "--pipelines", "evaluation,inference")
    restored.kedro("models", "compare", "1", "champion")
    restored.kedro("models", "info", "1")
    restored.kedro("models", "export", "1", str(tmp_path / "exported"))
    restored.kedro("models", "rebuild", "1")
    checked = restored.kedro("models", "check", "1", check=False)

    assert checked.returncode == 3
    assert "its folder code contains shap, sklearn, skops, trap, xgboost, which pyfunc would import" in checked.stdout
    assert not marker.exists()


def test_a_version_whose_files_are_gone_is_named_with_what_to_do(restored: Project) -> None:
    shutil.rmtree(_files(restored, "1").parent)

    described = restored.kedro("models", "info", "1")
    compared = _error(restored, "models", "compare", "1", "1")
    card = _error(restored, "models", "card", "1")
    checked = restored.kedro("models", "check", check=False)

    assert "Restore the files of version 1 of bank_churn from a backup" in described.stdout
    assert "ersion 1" in compared
    assert "kedro models" in compared
    assert "the files are lost" in card
    assert checked.returncode == 3
    assert "the files are lost" in checked.stdout


def test_a_damaged_event_of_the_audit_is_named(restored: Project) -> None:
    with closing(sqlite3.connect(restored.path / "mlflow.db")) as store:
        store.execute("UPDATE params SET value = '{\"number\"' WHERE key = 'event.000001'")
        store.commit()

    message = _error(restored, "models", "rollback", "--yes")
    checked = restored.kedro("models", "check", check=False)

    assert message.startswith("Event 1 in the audit of bank_churn is damaged (parameter event.000001")
    assert "audit_run_id" in message
    assert checked.returncode == 3
    assert "event.000001 of the run" in checked.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the server."""
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def guarded(served: Path) -> Iterator[GuardedServer]:
    """A server that wants the planted password."""
    store = f"sqlite:///{served / 'server.db'}"
    with mlflow_server(store, served) as uri, GuardedServer(uri, "ann", PLANTED) as server:
        yield server


def _with_password(uri: str, password: str = PLANTED) -> str:
    return uri.replace("://", f"://ann:{password}@")


def _find_leaks(project: Project, *printed: str) -> list[str]:
    """Places that contain the planted password."""
    found = [text for text in printed if PLANTED in text]
    for folder in ("data", "logs", "conf", "mlartifacts"):
        found += _find_files(project.path / folder)
    return found


def _find_files(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and PLANTED.encode() in path.read_bytes()]


def test_no_password_of_any_address_is_shown_or_stored(
    project: Project, guarded: GuardedServer, served: Path, small: str, tmp_path: Path
) -> None:
    study = f"sqlite:///{tmp_path}/study.db?password={PLANTED}"
    uri = _with_password(guarded.uri)

    printed = project.kedro(
        *("run", "--pipelines", "data_processing"),
        *("--params", f"{small},events=http://ann:{PLANTED}@127.0.0.1:9/events.csv"),
        MLFLOW_TRACKING_URI=uri,
        CHURN_STUDY_URL=study,
    )
    remote = project.kedro(
        *("run", "--pipelines", "data_processing"),
        *("--params", f"raw_customers=http://ann:{PLANTED}@127.0.0.1:9/customers.csv"),
        check=False,
        MLFLOW_TRACKING_URI=uri,
    )

    assert remote.returncode == 1
    assert "Traceback" not in remote.stderr
    assert _find_leaks(project, printed.stdout, printed.stderr, remote.stdout, remote.stderr) == []
    runs = replace(
        project, environment=project.environment | {"MLFLOW_TRACKING_URI": f"http://{guarded.behind}"}
    ).client
    experiment = runs.get_experiment_by_name("bank_churn")
    assert experiment is not None
    found = runs.search_runs([experiment.experiment_id], SESSIONS)
    # The second command fails before its run begins.
    assert len(found) == 1
    assert "127.0.0.1:9/events.csv" in found[0].data.tags["runtime_params"]
    assert PLANTED not in str([run.to_dictionary() for run in found])
    # Store and artifacts of the server.
    assert _find_files(served) == []


def test_a_wrong_password_is_refused_in_one_sentence(project: Project, guarded: GuardedServer) -> None:
    message = _error(project, "models", "list", MLFLOW_TRACKING_URI=_with_password(guarded.uri, "wrong-PLANTED"))

    assert f"The MLflow server at {guarded.uri}, which holds the runs and registered versions, refuses" in message
    assert "MLFLOW_TRACKING_PASSWORD" in message
    assert "wrong-PLANTED" not in message


def test_a_server_that_fails_in_the_middle_of_a_run_is_named_and_the_next_command_closes_the_run(
    project: Project, guarded: GuardedServer, small: str
) -> None:
    with FailingLine(guarded.uri, 30, lose_answer=False) as line:
        message = _error(
            project,
            *("run", "--pipelines", "data_processing", "--params", small),
            MLFLOW_TRACKING_URI=_with_password(line.uri),
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        )
    after = project.kedro("models", "history", check=False, MLFLOW_TRACKING_URI=_with_password(guarded.uri))

    assert f"The MLflow server at {line.uri}, which holds the runs and registered versions, does not answer" in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "it is marked as killed now" in after.stderr
    assert PLANTED not in message + after.stderr


def test_a_database_that_refuses_is_named_without_its_password(project: Project) -> None:
    closed = f"postgresql+pg8000://ann:{PLANTED}@127.0.0.1:9/mlflow"

    message = _error(project, "models", "list", MLFLOW_TRACKING_URI=closed)

    assert "postgresql://127.0.0.1:9" in message
    assert PLANTED not in message
