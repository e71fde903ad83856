"""Addresses of runs and models, from environment variables with local defaults.

A use case is a Kedro environment; a place is environment variables, so any use case runs in any place.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import urlsplit

from churn_kedro.base import (
    ParameterError,
    hide_secrets,
    remember_address,
    remember_secret,
    split_credentials,
)
from churn_kedro.datasets.mlflow.failures import (
    explain_damage,
    explain_database_failure,
    find_damage,
    first_line,
    sqlite_file,
)

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE_SECONDS = 5.0
_USER, _PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
# Variables whose value is an address, by prefix, and variables whose value is a password.
_ADDRESSES = ("CHURN_", "MLFLOW_")
_PASSWORDS = (
    _PASSWORD,
    "MLFLOW_TRACKING_TOKEN",
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "CHURN_SIGNING_KEY",
)


class TrackingServerError(ConnectionError):
    """The MLflow server does not answer, or its database cannot be read."""


def protect_addresses(environment: MutableMapping[str, str]) -> None:
    """Hide the credentials of all addresses in the environment.

    MLflow shows the address of its server in links, errors and logs. User and password of a server are therefore moved
    to the variables that MLflow reads them from. Databases and storage need the credentials in the address; their
    passwords are hidden in texts (:func:`churn_kedro.base.hide_secrets`).

    Args:
        environment: Environment variables, which are changed.
    """
    for name, value in environment.items():
        if name in _PASSWORDS:
            remember_secret(value)
        elif name.startswith(_ADDRESSES) and "://" in value:
            remember_address(value)
    # The registry's first: if both have credentials, those of the tracking server are valid for both.
    for variable in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        address = environment.get(variable, "")
        found = split_credentials(address)
        if address.startswith(("http://", "https://")) and found.user is not None:
            environment[variable] = found.without_credentials
            environment[_USER] = found.user
            environment[_PASSWORD] = found.password or environment.get(_PASSWORD, "")


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

    Raises:
        ParameterError: The location contains a password.
    """
    given = environment.get("CHURN_ARTIFACT_LOCATION")
    if given:
        if split_credentials(given).password is not None:
            raise ParameterError(
                f"CHURN_ARTIFACT_LOCATION {hide_secrets(given)} contains a password, which MLflow would store with "
                "each run and model. Leave it out: S3 reads AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, SFTP the keys "
                "of ssh."
            )
        return given
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


def prediction_log_url(project_path: Path, environment: Mapping[str, str], use_case: str) -> str:
    """Return the database of the prediction log.

    Args:
        project_path: Folder of the project.
        environment: Environment variables.
        use_case: Name of the use case.

    Returns:
        ``CHURN_PREDICTION_LOG`` where it is set (an SQLAlchemy address), else a SQLite file in the project.
    """
    file = f"sqlite:///{project_path.as_posix()}/data/07_model_output/{use_case}/prediction_log.db"
    return environment.get("CHURN_PREDICTION_LOG") or file


def require_answer(uri: str) -> None:
    """Check that a tracking server responds, without MLflow's minutes of retries.

    Args:
        uri: Tracking URI.

    Raises:
        TrackingServerError: The server does not respond, responds with a server error, or the address has no valid
            port; or the SQLite file is damaged.
    """
    file = sqlite_file(uri)
    if file is not None:
        damage = find_damage(file)
        if damage is not None:
            raise TrackingServerError(explain_damage(file, damage))
        return
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
            context = _tls_context(os.environ) if scheme == "https" else None
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS, context=context):
                return
        with socket.create_connection((parts.hostname, port), timeout=_PATIENCE_SECONDS):
            return
    except urllib.error.HTTPError as error:
        # Any status below 500, such as an authentication request, shows that the server responds.
        if error.code < 500:
            return
        problem = f"answers with status {error.code}"
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise TrackingServerError(
                f"The certificate of the MLflow tracking server at {scheme}://{address} is not trusted: "
                f"{reason.verify_message}. Name the file of its certificate authority in "
                "MLFLOW_TRACKING_SERVER_CERT_PATH."
            ) from error
        problem = f"does not answer ({reason})"
    raise TrackingServerError(
        f"The MLflow tracking server at {scheme}://{address} {problem}. The address is from MLFLOW_TRACKING_URI. "
        "Start the server, correct the variable, or unset it to use the project's SQLite file."
    )


def _tls_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Trust what MLflow's client trusts: see its variables for TLS."""
    if environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        return ssl._create_unverified_context()  # noqa: S323 - asked for
    trusted = environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or environment.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=trusted or None)


def require_database(uri: str) -> None:
    """Check that a database accepts user and password, without MLflow's repeated attempts and their log.

    Args:
        uri: Tracking URI. Servers and SQLite files pass.

    Raises:
        TrackingServerError: The database refuses the connection, or its driver is not installed.
    """
    if urlsplit(uri).scheme.split("+")[0] not in ("postgresql", "mysql", "mssql"):
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    address = split_credentials(uri).without_credentials
    try:
        engine = create_engine(uri)
        with engine.connect():
            pass
        engine.dispose()
    except ImportError as error:
        raise TrackingServerError(
            f"The driver of the database {address} from MLFLOW_TRACKING_URI is not installed: {first_line(error)}. "
            "Install it, or name an installed one in the address, such as postgresql+psycopg://."
        ) from error
    except (SQLAlchemyError, OSError, ValueError) as error:
        raise TrackingServerError(explain_database_failure(address, error)) from error
