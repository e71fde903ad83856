"""Addresses of runs and models, from environment variables with local defaults.

A use case is a Kedro environment; a place is environment variables, so any use case runs in any place.
"""

from __future__ import annotations

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE_SECONDS = 5.0


class TrackingServerError(ConnectionError):
    """The MLflow server, or the database behind it, does not answer."""


def tracking_uri(project_path: Path, environment: Mapping[str, str]) -> str:
    """Return the address of MLflow's tracking store and registry.

    Args:
        project_path: Folder of the project.
        environment: Environment variables.

    Returns:
        ``MLFLOW_TRACKING_URI`` where it is set, else a SQLite file in the project. The path is absolute: a notebook
        in a subfolder finds the same file.
    """
    return environment.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_path.as_posix()}/mlflow.db"


def artifact_location(project_path: Path, environment: Mapping[str, str]) -> str | None:
    """Return the artifact location of a new experiment.

    Args:
        project_path: Folder of the project.
        environment: Environment variables.

    Returns:
        ``CHURN_ARTIFACT_LOCATION`` where it is set (``s3://bucket/folder``); None with an MLflow server, which has its
        own location; else a folder in the project.
    """
    if environment.get("CHURN_ARTIFACT_LOCATION"):
        return environment["CHURN_ARTIFACT_LOCATION"]
    if urlsplit(tracking_uri(project_path, environment)).scheme in ("http", "https"):
        return None
    return (project_path / "mlartifacts").as_uri()


def study_url(project_path: Path, environment: Mapping[str, str], use_case: str) -> str:
    """Return the database of the trials of hyperparameter searches.

    Args:
        project_path: Folder of the project.
        environment: Environment variables.
        use_case: Name of the use case.

    Returns:
        ``CHURN_STUDY_URL`` where it is set (an SQLAlchemy address), else a SQLite file in the project.
    """
    file = f"sqlite:///{project_path.as_posix()}/data/06_models/{use_case}/search.db"
    return environment.get("CHURN_STUDY_URL") or file


def require_answer(uri: str) -> None:
    """Check that a tracking server responds, without MLflow's minutes of retries.

    Args:
        uri: Tracking URI. A local file always passes.

    Raises:
        TrackingServerError: The server does not respond, responds with a server error, or the address has no valid
            port.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    if not parts.hostname or scheme not in _PORTS:
        return
    try:
        port = parts.port or _PORTS[scheme]
    except ValueError:
        # The original error could show a part of the password, if that contains a slash.
        raise TrackingServerError(
            "MLFLOW_TRACKING_URI is invalid: expected a number as port. In a user name or password, write / as %2F, : "
            "as %3A, @ as %40 and # as %23."
        ) from None
    address = f"{parts.hostname}:{port}"
    try:
        if scheme in ("http", "https"):
            # urllib treats user and password as part of the host name and shows them in its errors.
            host = parts.netloc.rpartition("@")[2]
            request = urllib.request.Request(f"{scheme}://{host}{parts.path.rstrip('/')}/health", method="GET")
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS):
                return
        with socket.create_connection((parts.hostname, port), timeout=_PATIENCE_SECONDS):
            return
    except urllib.error.HTTPError as error:
        # Any status below 500, such as an authentication request, shows that the server responds.
        if error.code < 500:
            return
        problem = f"answers with status {error.code}"
    except (OSError, http.client.HTTPException) as error:
        problem = f"does not answer ({getattr(error, 'reason', None) or error})"
    raise TrackingServerError(
        f"The MLflow tracking server at {scheme}://{address} {problem}. The address is from MLFLOW_TRACKING_URI. "
        "Start the server, correct the variable, or unset it to use the project's SQLite file."
    )
