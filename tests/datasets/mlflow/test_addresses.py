"""Claims about where runs and models are kept, and about a tracking server that is down."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from churn_kedro.base import secrets
from churn_kedro.base.errors import ParameterError
from churn_kedro.base.secrets import hide_secrets
from churn_kedro.datasets.mlflow import addresses as places
from churn_kedro.datasets.mlflow.addresses import (
    TrackingServerError,
    artifact_location,
    protect_addresses,
    require_answer,
    tracking_uri,
)

PROJECT = Path("/srv/churn")

Serve = Callable[[int], "Server"]


class Server(ThreadingHTTPServer):
    """A local server that answers every request with one status, and remembers the paths."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    # A proxy for the outside world has no part in a local connection.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers: list[Server] = []

    def start(status: int) -> Server:
        server = Server(status)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound, so that nobody else can take it, and refuses connections since nobody listens."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_remembered", set())


def test_the_environment_names_the_tracking_server() -> None:
    assert tracking_uri(PROJECT, {"MLFLOW_TRACKING_URI": "http://mlflow:5000"}) == "http://mlflow:5000"


@pytest.mark.parametrize("environment", [{}, {"MLFLOW_TRACKING_URI": ""}])
def test_the_default_is_an_absolute_sqlite_file_in_the_project(environment: dict[str, str]) -> None:
    assert tracking_uri(PROJECT, environment) == "sqlite:////srv/churn/mlflow.db"


@pytest.mark.parametrize(
    ("environment", "location"),
    [
        ({}, "file:///srv/churn/mlartifacts"),
        ({"MLFLOW_TRACKING_URI": "sqlite:////tmp/x.db"}, "file:///srv/churn/mlartifacts"),
        ({"MLFLOW_TRACKING_URI": "postgresql://db/mlflow"}, "file:///srv/churn/mlartifacts"),
        ({"MLFLOW_TRACKING_URI": "http://mlflow:5000"}, None),
        ({"MLFLOW_TRACKING_URI": "https://mlflow"}, None),
        ({"CHURN_ARTIFACT_LOCATION": "s3://bucket/folder"}, "s3://bucket/folder"),
        ({"CHURN_ARTIFACT_LOCATION": "s3://b", "MLFLOW_TRACKING_URI": "http://mlflow:5000"}, "s3://b"),
        ({"CHURN_ARTIFACT_LOCATION": "", "MLFLOW_TRACKING_URI": "http://mlflow:5000"}, None),
    ],
)
def test_artifacts_are_stored_by_environment_server_or_project(
    environment: dict[str, str], location: str | None
) -> None:
    assert artifact_location(PROJECT, environment) == location


@pytest.mark.parametrize(
    "uri",
    ["sqlite:////tmp/mlflow.db", "file:///tmp/mlruns", "mlruns", "/tmp/mlruns", "databricks", ""],  # noqa: S108
)
def test_a_local_file_always_answers(uri: str) -> None:
    require_answer(uri)


@pytest.mark.parametrize("status", [200, 401, 403, 404])
def test_any_answer_below_500_will_do(status: int, serve: Serve) -> None:
    server = serve(status)

    require_answer(f"http://127.0.0.1:{server.server_port}/")

    assert server.paths == ["/health"]


def test_a_server_below_a_path_is_checked_there(serve: Serve) -> None:
    server = serve(200)

    require_answer(f"http://127.0.0.1:{server.server_port}/tracking/")

    assert server.paths == ["/tracking/health"]


def test_a_server_that_needs_a_password_answers_too(serve: Serve) -> None:
    server = serve(200)

    require_answer(f"http://me:secret@127.0.0.1:{server.server_port}")

    assert server.paths == ["/health"]


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_in_trouble_is_reported_with_its_status(status: int, serve: Serve) -> None:
    server = serve(status)

    with pytest.raises(TrackingServerError) as caught:
        require_answer(f"http://me:secret@127.0.0.1:{server.server_port}")

    assert f"http://127.0.0.1:{server.server_port} answers with status {status}" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "postgresql+psycopg2", "mysql+pymysql"])
def test_a_closed_port_is_reported_without_the_password(scheme: str, closed_port: int, serve: Serve) -> None:
    with pytest.raises(TrackingServerError) as caught:
        require_answer(f"{scheme}://me:secret@127.0.0.1:{closed_port}/mlflow")

    message = str(caught.value)
    assert f"{scheme.split('+')[0]}://127.0.0.1:{closed_port} does not answer" in message
    assert "refused" in message
    assert "MLFLOW_TRACKING_URI" in message
    assert "secret" not in message


def test_a_database_that_listens_answers() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        require_answer(f"postgresql+psycopg2://me:secret@127.0.0.1:{listening.getsockname()[1]}/mlflow")


def test_a_server_that_accepts_without_response_is_reported(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    monkeypatch.setattr(places, "_PATIENCE_SECONDS", 0.1)
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
        pytest.raises(TrackingServerError, match=r"does not answer .*timed out"),
    ):
        require_answer(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_an_answer_that_is_not_http_is_reported(serve: Serve) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        speaker = threading.Thread(target=talk)
        speaker.start()
        with pytest.raises(TrackingServerError, match="does not answer"):
            require_answer(f"http://127.0.0.1:{listening.getsockname()[1]}")
        speaker.join()


@pytest.mark.parametrize("uri", ["postgresql://me:sec/ret@db:5432/mlflow", "http://db:port"])
def test_an_address_without_a_valid_port_is_reported_without_showing_it(uri: str) -> None:
    with pytest.raises(TrackingServerError, match="MLFLOW_TRACKING_URI is invalid") as caught:
        require_answer(uri)

    assert "sec" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_user_and_password_of_a_server_move_to_the_variables_of_mlflow() -> None:
    environment = {
        "MLFLOW_TRACKING_URI": "https://ann:p%40ssword@mlflow:5000/x",
        "CHURN_STUDY_URL": "postgresql://churn:study-secret@db/x",
        "AWS_SECRET_ACCESS_KEY": "storage-secret",
    }

    protect_addresses(environment)
    protect_addresses(environment)

    assert environment["MLFLOW_TRACKING_URI"] == "https://mlflow:5000/x"
    assert environment["MLFLOW_TRACKING_USERNAME"] == "ann"
    assert environment["MLFLOW_TRACKING_PASSWORD"] == "p@ssword"  # noqa: S105
    assert environment["CHURN_STUDY_URL"] == "postgresql://churn:study-secret@db/x"
    for secret in ("p%40ssword", "p@ssword", "study-secret", "storage-secret"):
        assert secret not in hide_secrets(f"found {secret} there")


def test_a_database_as_tracking_store_keeps_its_credentials() -> None:
    environment = {"MLFLOW_TRACKING_URI": "postgresql://ann:secret@db/mlflow"}

    protect_addresses(environment)

    assert environment == {"MLFLOW_TRACKING_URI": "postgresql://ann:secret@db/mlflow"}


def test_an_artifact_location_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ParameterError, match="contains a password, which MLflow would store") as caught:
        artifact_location(PROJECT, {"CHURN_ARTIFACT_LOCATION": "sftp://ann:secret@host/models"})

    assert "secret@" not in str(caught.value)
