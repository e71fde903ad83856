"""`kedro serve` as a user starts it: processes, signals, connections, a registry that changes."""

import hashlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient

from churn_kedro.cli import serve
from churn_kedro.cli.smoke_test import smoke_test
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.splits import SplitParameters, describe_splits, split_customers
from tests import ROOT
from tests.end_to_end.conftest import clone_project
from tests.mlflow_store import mlflow_at, register_trained
from tests.servers import free_port
from tests.serving.conftest import begin_experiment
from tests.task_cases import train_given

pytestmark = pytest.mark.slow

NAME = "bank_churn"
CUSTOMER = {
    "CustomerId": 15634602,
    "CreditScore": 619,
    "Geography": "France",
    "Gender": "Female",
    "Age": 42,
    "Tenure": 2,
    "Balance": 0,
    "NumOfProducts": 1,
    "HasCrCard": 1,
    "IsActiveMember": 1,
    "EstimatedSalary": 101348.88,
}
_PATIENCE_SECONDS = 90


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone with two small versions of the bank's model; the first one is champion."""
    path = clone_project(tmp_path_factory.mktemp("serve")).path
    text = (ROOT / "conf" / "base" / "parameters" / "customers.yml").read_text(encoding="utf-8")
    declaration = CustomerDeclaration.model_validate(yaml.safe_load(text)["customers"])
    raw = pd.read_csv(ROOT / "data" / "01_raw" / "bank" / "customers.csv", dtype=str, nrows=1500)
    table = normalise(raw, declaration, with_target=True).table.astype({declaration.target: "int64"})
    shares = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)
    parts = split_customers(table, declaration, shares)
    model = train_given(*parts[:2], describe_splits(*parts, declaration, shares, {}), declaration).model
    with mlflow_at(f"sqlite:///{path / 'mlflow.db'}"):
        begin_experiment(path)
        for _ in range(2):
            register_trained(model, NAME, path)
        MlflowClient().set_registered_model_alias(NAME, "champion", "1")
        yield path


def _environment(project: Path, **changed: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEDRO_", "MLFLOW_", "CHURN_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"PYTHONPATH": str(project / "src"), "DO_NOT_TRACK": "1"} | changed


def _start(project: Path, *arguments: str, **changed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "serve", *arguments],
        cwd=project,
        env=_environment(project, **changed),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def _serve(project: Path, *arguments: str, **changed: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Start the service and wait until it answers."""
    port = free_port()
    process = _start(project, "--port", str(port), *arguments, **changed)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                if _ask(port, "GET", "/ready")[0] == 200:
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    pytest.fail(process.communicate()[1][-4000:])
                time.sleep(0.2)
        yield port, process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"content-type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class _Load:
    """Clients that ask one request after the other until they are told to end.

    Args:
        port: Port of the service.
        clients: Number of clients.
    """

    def __init__(self, port: int, clients: int) -> None:
        self.answers: Counter[tuple[int, int | None]] = Counter()
        self.failures: list[str] = []
        self.interrupted = 0
        self._port = port
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> "_Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        body, headers = json.dumps(CUSTOMER), {"content-type": "application/json"}
        while not self._ended.is_set():
            try:
                connection.request("POST", "/predict", body, headers)
                answer = connection.getresponse()
                content = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failures.append(repr(error))
                return
            with self._lock:
                self.answers[answer.status, content.get("model_version")] += 1
        connection.close()


def _logged(project: Path) -> int:
    with sqlite3.connect(project / "data" / "07_model_output" / "bank" / "prediction_log.db") as database:
        return int(database.execute("SELECT count(*) FROM predictions").fetchone()[0])


def _move_champion(version: int) -> None:
    MlflowClient().set_registered_model_alias(NAME, "champion", str(version))


def test_the_alias_moves_under_load_without_a_failed_request_and_every_answer_is_logged(project: Path) -> None:
    parameters = project / "conf" / "base" / "parameters" / "serving.yml"
    parameters.write_text(parameters.read_text(encoding="utf-8").replace("poll_seconds: 5", "poll_seconds: 0.3"))
    _move_champion(1)
    with _serve(project, "--workers", "2") as (port, process):
        with _Load(port, 8) as load:
            for version in (2, 1, 2):
                time.sleep(2)
                _move_champion(version)
            deadline = time.monotonic() + 30
            # Both workers answer with the new version.
            while time.monotonic() < deadline:
                if {_ask(port, "GET", "/model")[1]["model_version"] for _ in range(20)} == {2}:
                    break
        status, metrics = _metrics(port)
        process.terminate()
        assert process.wait(60) == 0

    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    assert {version for _, version in load.answers} == {1, 2}
    assert status == 200
    total = sum(load.answers.values())
    # The counts of both workers.
    assert metrics['churn_requests_total{code="200",method="POST",route="/predict"}'] == total
    assert metrics['churn_model_version{use_case="bank"}'] == 2
    assert _logged(project) == total


def _metrics(port: int) -> tuple[int, dict[str, float]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    lines = answer.read().decode().splitlines()
    connection.close()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return answer.status, {name: float(value) for name, value in pairs}


def test_an_ended_service_answers_what_it_has_begun_and_logs_it(project: Path) -> None:
    before = _logged(project) if (project / "data/07_model_output/bank/prediction_log.db").exists() else 0
    with _serve(project) as (port, process):
        batch: list[tuple[int, dict[str, Any]]] = []

        def ask() -> None:
            batch.append(_ask(port, "POST", "/predict/batch", {"customers": [CUSTOMER] * 5000}))

        with _Load(port, 4) as load:
            time.sleep(1)
            asking = threading.Thread(target=ask)
            asking.start()
            time.sleep(0.15)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            asking.join()

    # A connection may be closed between two requests, not within an answer.
    assert all("IncompleteRead" not in failure for failure in load.failures)
    ((status, answer),) = batch
    assert status == 200
    assert len(answer["predictions"]) == 5000
    answered = sum(load.answers.values())
    # At most one answer of each client was on its way.
    assert answered <= _logged(project) - before - 5000 <= answered + 4


def test_a_thousand_half_open_connections_do_not_stop_the_service_and_are_closed(project: Path) -> None:
    parameters = project / "conf" / "base" / "parameters" / "serving.yml"
    before = parameters.read_text(encoding="utf-8")
    parameters.write_text(before.replace("body_seconds: 20", "body_seconds: 4"), encoding="utf-8")
    beginnings = (b"", b"POST /predict HTTP/1.1\r\nHost: loc", b"POST /predict HTTP/1.1\r\nContent-Length: 90\r\n\r\n{")
    try:
        with _serve(project) as (port, _):
            waiting = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(999)]
            for number, connection in enumerate(waiting):
                connection.sendall(beginnings[number % 3])
            assert all(_ask(port, "POST", "/predict", CUSTOMER)[0] == 200 for _ in range(20))
            for connection in waiting:
                with suppress(ConnectionResetError):
                    assert connection.recv(1000) == b""
                connection.close()
            assert _ask(port, "POST", "/predict", CUSTOMER)[0] == 200
    finally:
        parameters.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        (["--version", "challenger"], {}, "challenger"),
        (["--env", "base,local"], {}, "twice"),
        ([], {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "does not answer"),
    ],
)
def test_a_service_that_cannot_start_says_why(
    project: Path, arguments: list[str], changed: dict[str, str], said: str
) -> None:
    process = _start(project, "--port", "0", *arguments, **changed)
    try:
        _, error = process.communicate(timeout=_PATIENCE_SECONDS)
    finally:
        process.kill()

    assert process.returncode == 1
    assert said in error
    assert "Traceback" not in error


def test_an_absent_library_is_named_with_the_extra_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name in ("fastapi", "uvicorn") else name)
    ended = CliRunner().invoke(serve.serve)

    assert ended.exit_code == 1
    assert "needs fastapi, uvicorn, which are not installed" in ended.output
    assert "churn_kedro[serve]" in ended.output


def _smoke_test(project: Path, *arguments: str, **changed: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "kedro", "smoke-test", *arguments],
        cwd=project,
        env=_environment(project, **changed),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_smoke_test_waits_for_the_service_and_fails_with_a_sentence_for_another_version_or_key(project: Path) -> None:
    MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    key, port = "k" * 40, free_port()
    given = {"CHURN_SERVICE_URL": f"http://127.0.0.1:{port}", "CHURN_SERVICE_KEY": key}
    process = _start(project, "--port", str(port), CHURN_API_KEYS=hashlib.sha256(key.encode()).hexdigest())
    try:
        status, text = _smoke_test(project, "--wait", "90", **given)
        assert status == 0, text
        assert "bank: version 1 answers probability 0." in text
        status, text = _smoke_test(project, "--version", "2", **given)
        assert status == 1
        assert "serves version 1 of bank_churn; expected 2 (2)" in text
        # The registry is not asked.
        without = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "CHURN_SERVICE_KEY": "another-key"}
        status, text = _smoke_test(project, "--version", "any", **given | without)
        assert status == 1
        assert "Set CHURN_SERVICE_KEY" in text
        assert "another-key" not in text
    finally:
        process.terminate()
        process.wait(60)
    status, text = _smoke_test(project, **given)
    assert status == 1
    assert "/ready: 127.0.0.1 does not answer" in text
    assert "Traceback" not in text


def test_a_smoke_test_without_address_says_how_to_give_one() -> None:
    done = CliRunner().invoke(smoke_test, [], env={"CHURN_SERVICE_URL": ""})
    assert done.exit_code == 1
    assert "give --url, or set CHURN_SERVICE_URL" in done.output


def test_a_service_that_waits_ends_when_it_is_told_to(project: Path) -> None:
    process = _start(project, "--port", "0", "--version", "never", "--wait", "600")
    assert process.stderr is not None
    assert "Waiting: There is no version or alias never" in next(iter(process.stderr))
    process.terminate()

    assert process.wait(20) == 128 + signal.SIGTERM


def test_a_service_waits_for_a_version_that_is_not_there_yet(project: Path) -> None:
    port = free_port()
    process = _start(project, "--port", str(port), "--version", "awaited", "--wait", "60")
    try:
        time.sleep(8)
        assert process.poll() is None
        with mlflow_at(f"sqlite:///{project / 'mlflow.db'}"):
            MlflowClient().set_registered_model_alias(NAME, "awaited", "2")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        answer: dict[str, Any] = {}
        while not answer and time.monotonic() < deadline:
            with suppress(OSError):
                answer = _ask(port, "GET", "/model")[1]
            time.sleep(0.2)
        assert answer["model_version"] == 2
    finally:
        process.terminate()
        process.wait(60)
