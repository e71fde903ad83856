"""Claims about the sentences for failures of MLflow's store, and about damaged SQLite files."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import ConnectionError as RefusedConnection

from churn_kedro.datasets.mlflow.failures import explain_store_failure, find_damage
from tests.mlflow_store import mlflow_at


def _raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        return raised


@pytest.mark.parametrize(
    ("uri", "error", "cause", "message"),
    [
        (
            "sqlite:////srv/mlflow.db",
            MlflowException("(sqlite3.DatabaseError) malformed\n[SQL: SELECT]"),
            sqlite3.DatabaseError("database disk image is malformed"),
            r"^The file /srv/mlflow\.db, which holds .*: database disk image is malformed\. Restore it from a backup",
        ),
        (
            "sqlite:////srv/mlflow.db",
            MlflowException("(sqlite3.OperationalError) locked"),
            sqlite3.OperationalError("database is locked"),
            r"^The file /srv/mlflow\.db, .* is in use \(database is locked\)\. Try again",
        ),
        (
            "http://127.0.0.1:9",
            MlflowException("API request failed"),
            RefusedConnection("Max retries exceeded (Caused by NewConnectionError('[Errno 111] Connection refused'))"),
            r"^The MLflow server at http://127\.0\.0\.1:9, which holds .*, does not answer: Connection refused\.",
        ),
        (
            "http://127.0.0.1:9",
            MlflowException("API request to endpoint /api failed with error code 401 != 200. Response body: 'no'"),
            None,
            r"refuses this user \(status 401\)\. Set MLFLOW_TRACKING_USERNAME and",
        ),
        (
            "http://127.0.0.1:9",
            MlflowException("API request to endpoint /api failed with error code 500 != 200. Response body: ''"),
            None,
            r"fails with status 500; its log says why",
        ),
    ],
)
def test_a_failure_is_one_sentence_with_the_place(
    uri: str, error: Exception, cause: Exception | None, message: str
) -> None:
    with mlflow_at(uri):
        explained = explain_store_failure(_raised(error, cause))

    assert explained is not None
    assert "\n" not in explained
    assert "[SQL" not in explained
    assert re.search(message, explained), explained


def test_a_defect_is_not_a_failure_of_the_store() -> None:
    assert explain_store_failure(_raised(KeyError("defect"))) is None


def test_a_whole_or_absent_file_is_not_damaged_and_an_empty_one_is(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    assert find_damage(file) is None
    with closing(sqlite3.connect(file)) as store:
        store.execute("CREATE TABLE runs (id)")
        store.commit()
    assert find_damage(file, thorough=True) is None
    assert find_damage(tmp_path) == "it is not a file"
    assert find_damage(file / "x.db") == f"{file} is not a folder"
    assert find_damage(tmp_path / "new" / "x.db") is None
    file.write_bytes(b"")
    assert find_damage(file) == "it is empty"
