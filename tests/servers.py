"""Real servers for tests: those of `deploy/stack`, and servers that misbehave."""

import base64
import http.client
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from deploy.stack import servers
from deploy.stack.processes import NotInstalledError, free_port as free_port

_PIECE = 65536
_METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ")


@contextmanager
def _skipped_if_absent() -> Iterator[None]:
    try:
        yield
    except NotInstalledError as error:
        pytest.skip(str(error))


@contextmanager
def postgres_database() -> Iterator[str]:
    """An empty database in a cluster that exists only for it; skips the test where there is no PostgreSQL."""
    passwords = {role: servers.new_password() for role in ("postgres", "mlflow", "churn", "churn_reader")}
    folder = Path(tempfile.mkdtemp(prefix="churn-postgres-"))
    try:
        with _skipped_if_absent(), servers.postgres(folder, passwords, sync=False) as port:
            yield servers.database_url("mlflow", passwords["mlflow"], port, "mlflow")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def object_store(bucket: str) -> Iterator[dict[str, str]]:
    """An S3 endpoint in this process, with an empty bucket.

    Yields:
        Environment variables with its address and the credentials.
    """
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "planted-name",
            "AWS_SECRET_ACCESS_KEY": "planted-key",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        import boto3

        boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        ).create_bucket(Bucket=bucket)
        yield environment
    finally:
        server.stop()


@contextmanager
def mlflow_server(
    store: str, folder: Path, artifacts: str | None = None, variables: Mapping[str, str] | None = None
) -> Iterator[str]:
    """An MLflow server.

    Args:
        store: Address of the database for runs and versions.
        folder: Where it keeps its log, and artifacts unless ``artifacts`` is given.
        artifacts: Address of the artifacts.
        variables: Further environment variables of the server.

    Yields:
        The server's address.
    """
    given = {
        **(variables or {}),
        "MLFLOW_BACKEND_STORE_URI": store,
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts or (folder / "served").as_uri(),
    }
    with servers.mlflow(folder, given, users=False) as uri:
        yield uri


class GuardedServer(ThreadingHTTPServer):
    """A proxy that lets only one user through to a server, as one in front of MLflow does.

    Args:
        uri: Address of the server.
        user: Name of the user.
        password: Password of the user.
    """

    daemon_threads = True

    def __init__(self, uri: str, user: str, password: str) -> None:
        self.behind = uri.removeprefix("http://")
        self.expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        super().__init__(("127.0.0.1", 0), _Guard)
        self.uri = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Guard(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        assert isinstance(self.server, GuardedServer)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != self.server.expected:
            self._answer(401, {}, b"Who are you?")
            return
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "authorization")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("content-type",)}
        self._answer(answer.status, kept, answer.read())
        connection.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - names of http.server

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@dataclass(frozen=True)
class Received:
    """A request that a receiver has got; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


@contextmanager
def http_receiver(
    answer: bytes = b"", status: int = 200, location: str | None = None, authorization: str | None = None
) -> Iterator[tuple[str, list[Received]]]:
    """A server that keeps the requests to it; yields its address and them.

    Args:
        answer: Content of each answer.
        status: Its status.
        location: Its address to be redirected to.
        authorization: Header that requests need; others are answered with 401.
    """
    got: list[Received] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            got.append(Received(self.command, self.path, headers, body))
            is_known = authorization in (None, self.headers["authorization"])
            self.send_response(status if is_known else 401)
            if location is not None:
                self.send_header("location", location)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(answer if is_known else b"")

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Greeter(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"SSH-2.0-test\r\n")


@contextmanager
def no_http() -> Iterator[str]:
    """A server that does not speak HTTP; yields its address as if it did."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Greeter)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FailingLine:
    """A line to a server that goes dead after so many requests: a TCP proxy between client and server.

    Args:
        uri: Address of the server.
        requests: Requests that are answered.
        lose_answer: Let the request after them through, too, and lose its answer.
    """

    def __init__(self, uri: str, requests: int, *, lose_answer: bool) -> None:
        host, port = uri.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._left = requests
        self._lose_answer = lose_answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_dead = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_dead = True
        _hang_up(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.is_dead:
                    near.close()
                    continue
                far = socket.create_connection(self._server)
                threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
                threading.Thread(target=self._answer, args=(near, far), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := near.recv(_PIECE):
                if piece.startswith(_METHODS):
                    self._left -= 1
                    self.is_dead = self._left < 0
                    if self._left < (-1 if self._lose_answer else 0):
                        break
                far.sendall(piece)
        _hang_up(near, far)

    def _answer(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while (piece := far.recv(_PIECE)) and not self.is_dead:
                near.sendall(piece)
        _hang_up(near, far)


def _hang_up(*lines: socket.socket) -> None:
    for line in lines:
        # Closing alone wakes up nobody who waits for more.
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        line.close()


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis server of its own; skips the test where there is none.

    Yields:
        Its address.
    """
    folder = Path(tempfile.mkdtemp(prefix="churn-redis-"))
    try:
        with _skipped_if_absent(), servers.redis(folder) as address:
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)
