"""Failures of MLflow's store and of datasets, in one sentence for the user."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from churn_kedro.base import hide_secrets, split_credentials

CONTENT = "the runs and registered versions"
_SQLITE = "sqlite:///"
# Kedro's catalog prefixes the name of the dataset.
_WRAPPED = re.compile(r"(?:[\w@.:]+: )?Failed while (?:loading data from|saving data to) dataset ")
_DATASET = re.compile(r"(loading data from|saving data to) dataset (?:\w+\.)*(\w+)\((.*)\)\.\n", re.DOTALL)
_FIELD = re.compile(r"(\w+)='?([^',)]*)")
# What urllib3 says after repeated answers of this kind.
_SERVER_ERRORS = re.compile(r"too many (5\d\d) error responses")
_STATUS = re.compile(r"error code (\d{3})\b")
_SOCKET_ERRORS = (
    re.compile(r"\[Errno -?\d+\] ([^'\")]+)"),
    re.compile(r"(?:Error|Disconnected)\((?:\d+, )?'([^']+)'"),
)
# Appended to a database's own message by SQLAlchemy: the statement, its parameters and a link.
_STATEMENT = re.compile(r"\s*(\[SQL: .*|\[parameters: .*|\(Background on this error at: .*)", re.DOTALL)
_DATABASE_CLASS = re.compile(r"^\((?:\w+\.)+\w+\) ")


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for any other store."""
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]) if uri.startswith(_SQLITE) else None


def find_damage(file: Path, *, thorough: bool = False) -> str | None:
    """Examine a SQLite file.

    Args:
        file: Path. A file that does not exist is not damaged, since it is created on first use.
        thorough: Check all pages, instead of the beginning of each table in some milliseconds.

    Returns:
        What is wrong; None if nothing was found.
    """
    if not file.exists():
        folder = next(parent for parent in file.absolute().parents if parent.exists())
        if not folder.is_dir():
            return f"{folder} is not a folder"
        return None if os.access(folder, os.W_OK) else f"the folder {folder} cannot be written"
    if not file.is_file():
        return "it is not a file"
    if file.stat().st_size == 0:
        return "it is empty"
    try:
        # Not read-only: what a killed process left half written is rolled back.
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                database.execute(f'SELECT * FROM "{table}" LIMIT 1').fetchone()  # noqa: S608 - a name of the file
            if thorough:
                found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
                return None if found == ["ok"] else "; ".join(found).replace("\n", ", ")
    except sqlite3.OperationalError as error:
        # Busy is not damaged.
        return None if "locked" in str(error) else str(error)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        return str(error)
    return None


def explain_damage(file: Path, reason: str) -> str:
    """Explain that the SQLite file of the store is damaged.

    Args:
        file: The file.
        reason: What is wrong with it.

    Returns:
        A sentence with what to do.
    """
    return (
        f"The file {file}, which holds {CONTENT} of MLflow, cannot be used: {reason}. Restore it from a backup, or "
        "move it away to begin with an empty one: `kedro run`; or, if MLFLOW_TRACKING_URI names it, correct that."
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, the outermost first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def first_line(error: BaseException) -> str:
    """Return the reason in the message of an error, without statements, parameters and links of SQLAlchemy."""
    text = _DATABASE_CLASS.sub("", _STATEMENT.sub("", str(error))).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


def without_statement(message: str) -> str:
    """Remove what SQLAlchemy appends to the message of a database."""
    return _STATEMENT.sub("", message) if "[SQL: " in message else message


def explain_store_failure(error: BaseException) -> str | None:
    """Explain an error of MLflow's store, or of the storage of its artifacts.

    Args:
        error: Any error; its causes are considered.

    Returns:
        A sentence with the address, what it holds and what to do; None if the error is of another kind.
    """
    chain = list(causes(error))
    uri = _tracking_uri()
    address = split_credentials(uri).without_credentials
    file = sqlite_file(uri)
    kinds = [(type(link).__module__.partition(".")[0], link) for link in chain]
    database = next((link for module, link in reversed(kinds) if module in ("sqlite3", "sqlalchemy")), None)
    has_server = uri.startswith(("http://", "https://"))
    if database is not None and not has_server:
        if file is None:
            return explain_database_failure(address, database)
        return _explain_sqlite(file, database_reason(database))
    storage = next((link for module, link in kinds if module in ("botocore", "boto3", "s3transfer", "s3fs")), None)
    if storage is not None:
        return (
            f"The storage of models and tables fails: {first_line(storage)}. CHURN_ARTIFACT_LOCATION and "
            "CHURN_DATA_ROOT name it; correct them, or its credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and "
            "run the command again."
        )
    refused = next((link for module, link in reversed(kinds) if module in ("requests", "urllib3")), None)
    mlflow_error = next((link for module, link in kinds if module == "mlflow"), None)
    if refused is None and mlflow_error is None:
        return None
    if not has_server:
        # Without a server, MLflow's own message is the reason.
        where = f"the file {file}" if file is not None else address
        return f"MLflow refuses a request: {first_line(mlflow_error or error)}. {CONTENT.capitalize()} are in {where}."
    return _explain_server(address, mlflow_error, refused)


def _explain_sqlite(file: Path, reason: str) -> str:
    if "locked" in reason:
        return f"The file {file}, which holds {CONTENT} of MLflow, is in use ({reason}). Try again in a moment."
    if "full" in reason or "readonly" in reason or "I/O" in reason:
        return (
            f"The file {file}, which holds {CONTENT} of MLflow, cannot be written: {reason}. Correct "
            "that, and run the command again."
        )
    return explain_damage(file, reason)


def explain_database_failure(address: str, error: BaseException) -> str:
    """Explain an error of the database of MLflow's store.

    Args:
        address: Its address without credentials.
        error: The error.

    Returns:
        A sentence with what to do.
    """
    return (
        f"The database {address}, which holds {CONTENT} of MLflow, fails: {database_reason(error)}. "
        "MLFLOW_TRACKING_URI names it. "
        "Check that it runs and accepts this user and password, and run the command again."
    )


def _explain_server(address: str, error: BaseException | None, refused: BaseException | None) -> str:
    server = f"The MLflow server at {address}, which holds {CONTENT},"
    again = "Start it again or correct MLFLOW_TRACKING_URI, and repeat the command."
    failed = _SERVER_ERRORS.search(str(refused))
    if failed is not None:
        return (
            f"{server} fails (status {failed[1]}); its log says why, such as its database, or an absent bucket of its "
            f"artifacts. {again}"
        )
    if refused is not None:
        return f"{server} does not answer: {_connection_reason(refused)}. {again}"
    status = _STATUS.search(str(error))
    if status is not None and status[1] in ("401", "403"):
        return (
            f"{server} refuses this user (status {status[1]}). Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or user and password in MLFLOW_TRACKING_URI."
        )
    if status is not None and status[1].startswith("5"):
        return f"{server} fails with status {status[1]}; its log says why. {again}"
    return f"{server} answers: {first_line(error) if error is not None else 'nothing'}."


def database_reason(error: BaseException) -> str:
    """Return the reason that a database gave, which SQLAlchemy and others wrap."""
    error = list(causes(error))[-1]
    # pg8000 has the fields of the server's message as a dictionary.
    fields = error.args[0] if error.args else None
    return str(fields["M"]) if isinstance(fields, dict) and "M" in fields else first_line(error)


def _connection_reason(error: BaseException) -> str:
    # The errors of requests and urllib3 contain those of the socket as text.
    found = next((found for pattern in _SOCKET_ERRORS if (found := pattern.search(str(error)))), None)
    return found[1] if found is not None else first_line(error)


def is_wrapped(error: BaseException) -> bool:
    """Return whether Kedro has wrapped an error that a dataset raised."""
    return _WRAPPED.match(str(error)) is not None


def explain_dataset_failure(error: BaseException) -> str:
    """Explain an error that Kedro has wrapped and that is none of the store.

    Args:
        error: The wrapping error.

    Returns:
        A sentence with what could not be read or written, and why.
    """
    cause = list(causes(error))[-1]
    reason = f"{first_line(cause)}" if isinstance(cause, OSError) else f"{type(cause).__name__}: {first_line(cause)}"
    found = _DATASET.search(str(error))
    if found is None:
        return without_statement(str(error))
    done = "read" if found[1].startswith("loading") else "written"
    fields = dict(_FIELD.findall(found[3]))
    if "model_name" in fields and done == "read":
        given = (fields.get(key, "None") for key in ("alias", "stage_or_version"))
        return _explain_model(fields["model_name"], next((one for one in given if one != "None"), "latest"), reason)
    what = fields.get("filepath") or found[2].removesuffix("Dataset")
    return f"{what} cannot be {done}: {reason}."


def _explain_model(name: str, wanted: str, reason: str) -> str:
    from churn_kedro.datasets.mlflow.registry import find_model_version
    from churn_kedro.datasets.mlflow.stored_files import explain_stored_files

    version = find_model_version(name, wanted)
    if version is None:
        return f"The model {name} cannot be read: {reason}."
    return explain_stored_files(version) or (
        f"The model {name} version {version.version} cannot be loaded, although its files are whole: {reason}. Was it "
        "trained with other versions of the libraries? `kedro models info` has its commit."
    )


def _tracking_uri() -> str:
    # An error of MLflow can only occur where it is imported.
    mlflow = sys.modules.get("mlflow")
    return "" if mlflow is None else hide_secrets(str(mlflow.get_tracking_uri()))
