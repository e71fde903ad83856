"""`make stack`: the whole job against the servers of a team, and servers that do not start."""

import base64
import json
import os
import shutil
import sqlite3
import ssl
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from deploy.stack.processes import NotInstalledError, Server, ServerError, answers_tcp, find_program, free_port, running
from deploy.stack.servers import database_url
from deploy.stack.team import BUCKET, Team, run_team
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError, InterfaceError

from tests.end_to_end.conftest import QUICK, Project, clone_project
from tests.servers import FailingLine, Received, http_receiver, mlflow_server, object_store

pytestmark = pytest.mark.slow

NAME = "bank_churn"


@dataclass(frozen=True)
class _Place:
    project: Project
    team: Team
    secrets: dict[str, str]
    received: list[Received]

    def database(self, role: str, database: str) -> Any:
        port = int(self.team.addresses["postgres"].rpartition(":")[2])
        return create_engine(database_url(role, self.secrets[role], port, database)).connect()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Place]:
    """All servers with TLS, after the main job, and the scoring service."""
    # PostgreSQL runs as a user of its own, who cannot reach pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="churn-stack-"))
    project = clone_project(tmp_path_factory.mktemp("team"))
    try:
        with (
            http_receiver() as (webhook, received),
            run_team(folder, project.path, with_tls=True, webhook=webhook, workers=1, interval="1s") as team,
        ):
            placed = replace(project, environment={**project.environment, **team.variables})
            placed.kedro("run", "--params", QUICK)
            with running(team.service):
                secrets = json.loads((folder / "secrets.json").read_text())
                yield _Place(placed, team, secrets, received)
    except NotInstalledError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _client(place: _Place, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> MlflowClient:
    for name, value in variables.items():
        if name.startswith("MLFLOW_"):
            monkeypatch.setenv(name, value)
    return MlflowClient(variables["MLFLOW_TRACKING_URI"], registry_uri=variables["MLFLOW_TRACKING_URI"])


def _until(find: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := find()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return found


def _query(place: _Place, expression: str) -> list[Any]:
    url = f"{place.team.addresses['prometheus']}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        result: list[Any] = json.load(answer)["data"]["result"]
    return result


def test_models_are_in_the_bucket_and_versions_in_postgresql(place: _Place) -> None:
    variables = place.team.variables
    s3 = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    names = [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET, Prefix="mlflow/")["Contents"]]

    assert any(name.endswith("/model.skops") for name in names)
    with place.database("mlflow", "mlflow") as connection:
        assert connection.execute(text("SELECT name, version FROM model_versions")).all() == [(NAME, 1)]
    assert not (place.project.path / "mlflow.db").exists()
    assert not (place.project.path / "mlartifacts").exists()


def test_the_service_follows_the_alias_logs_to_postgresql_and_is_scraped(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = place.project
    assert "version 1 answers" in project.kedro("smoke-test").stdout

    project.kedro("run", "--pipelines", "training", "--params", QUICK)
    with monkeypatch.context() as patched:
        client = _client(place, patched, place.team.variables)
        client.set_registered_model_alias(NAME, "champion", "2")

    assert "version 2 answers" in project.kedro("smoke-test", "--wait", "60").stdout
    with place.database("churn_reader", "churn") as connection:
        count = text("SELECT model_version FROM predictions WHERE batch_id = 'smoke-test' ORDER BY model_version")
        assert _until(lambda: connection.execute(count).scalars().all()[1:], 10) == [2]
    assert _until(lambda: _query(place, 'churn_requests_total{route="/bank/predict",code="200"} >= 2'))


def test_an_alarm_of_monitoring_reaches_the_team(place: _Place) -> None:
    customers = pd.read_csv(place.project.path / "data/01_raw/bank/new_customers.csv")
    older = customers.assign(Age=(customers["Age"] + 20).clip(upper=90))
    older.to_csv(place.project.path / "older.csv", index=False)

    place.project.kedro("run", "--pipelines", "monitoring", "--params", "monitored=older.csv")

    def alarms() -> list[Any]:
        alerts = [alert for one in place.received for alert in json.loads(one.body).get("alerts", [])]
        return [alert for alert in alerts if alert["labels"]["alertname"] == "ChurnMonitoringAlarm"]

    assert _until(alarms)[0]["annotations"]["summary"] == "The monitoring of bank has an alarm; see its report."


def test_each_user_can_do_only_what_is_needed(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with place.database("churn_reader", "churn") as connection, pytest.raises(DatabaseError, match="permission denied"):
        connection.execute(text("DELETE FROM predictions"))
    with pytest.raises((DatabaseError, InterfaceError), match="permission denied"):
        place.database("churn", "mlflow")
    with place.database("churn", "churn") as connection, pytest.raises(DatabaseError, match="permission denied"):
        connection.execute(text("CREATE ROLE other"))
    # The service reads the registry, and moves no alias.
    client = _client(place, monkeypatch, place.team.service_variables)
    assert client.get_registered_model(NAME).name == NAME
    with pytest.raises(MlflowException, match=r"403|[Pp]ermission"):
        client.set_registered_model_alias(NAME, "champion", "1")
    with pytest.raises(MlflowException, match=r"403|[Pp]ermission"):
        client.set_model_version_tag(NAME, "1", "model_file_sha256", "0" * 64)


def test_tls_is_verified_and_a_certificate_that_is_not_trusted_is_named(place: _Place) -> None:
    url = place.team.variables["MLFLOW_TRACKING_URI"]
    assert url.startswith("https://")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(url, timeout=10, context=ssl.create_default_context())  # noqa: S310

    done = place.project.kedro(
        "models", "list", check=False, MLFLOW_TRACKING_SERVER_CERT_PATH="", SSL_CERT_FILE="", REQUESTS_CA_BUNDLE=""
    )

    assert done.returncode == 1
    assert "is not trusted: self-signed certificate. Name the file" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_pages_of_mlflow_work_through_tls(place: _Place) -> None:
    url, variables = place.team.variables["MLFLOW_TRACKING_URI"], place.team.variables
    given = f"{variables['MLFLOW_TRACKING_USERNAME']}:{variables['MLFLOW_TRACKING_PASSWORD']}"
    headers = {
        "Authorization": "Basic " + base64.b64encode(given.encode()).decode(),
        "Content-Type": "application/json",
        # A browser sends it with each POST.
        "Origin": url,
    }
    trusted = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"])
    search = f"{url}/ajax-api/2.0/mlflow/experiments/search"
    request = urllib.request.Request(search, b'{"max_results": 5}', headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:  # noqa: S310
        assert json.load(answer)["experiments"]


def test_a_wrong_password_is_an_error_without_the_password(place: _Place) -> None:
    done = place.project.kedro("models", "list", check=False, MLFLOW_TRACKING_PASSWORD="planted-password")  # noqa: S106

    assert done.returncode == 1
    assert "refuses this user (status 401)" in done.stderr
    assert "planted-password" not in done.stderr + done.stdout


def test_no_password_is_in_a_file_of_the_project_or_in_the_tables_of_mlflow(place: _Place) -> None:
    secrets = [value.encode() for value in place.secrets.values()]
    written = [path for path in place.project.path.rglob("*") if path.is_file() and ".git/" not in path.as_posix()]
    assert len(written) > 100
    assert [path for path in written if any(secret in path.read_bytes() for secret in secrets)] == []
    with place.database("mlflow", "mlflow") as connection:
        for table in (
            "tags",
            "params",
            "model_version_tags",
            "experiment_tags",
            "inputs",
            "datasets",
            "model_versions",
        ):
            for row in connection.execute(text(f"SELECT * FROM {table}")):  # noqa: S608 - names from above
                assert not any(secret.decode() in str(row) for secret in secrets), table


def _server(folder: Path, code: str, port: int, seconds: float = 20) -> Server:
    return Server("example", [sys.executable, "-c", code], folder, answers_tcp(port), seconds=seconds)


def test_a_server_that_ends_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    server = _server(tmp_path, "print('the disk is full'); raise SystemExit(3)", free_port())
    with pytest.raises(ServerError, match=r"(?s)example has ended with status 3.*the disk is full"), running(server):
        pass


def test_a_server_that_does_not_answer_is_stopped_with_the_processes_it_has_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    server = _server(tmp_path, code, free_port(), seconds=2)
    with pytest.raises(ServerError, match=r"example does not answer after 2 s"), running(server):
        pass

    child = int(server.log.read_text().split()[0])

    def has_ended() -> bool:
        status = Path(f"/proc/{child}/stat")
        return not status.exists() or status.read_text().split()[2] == "Z"

    assert _until(has_ended, 10)


def test_a_port_in_use_is_an_error_before_the_server_starts(tmp_path: Path) -> None:
    code = "import socket, time, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    port = free_port()
    first = Server("first", [sys.executable, "-c", code, str(port)], tmp_path, answers_tcp(port))
    second = replace(first, name="second")
    with (
        running(first),
        pytest.raises(ServerError, match="second: another process answers at its address"),
        running(second),
    ):
        pass


def test_a_program_that_is_not_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(NotInstalledError, match=r"radosgw-x is not installed.*apt-get install radosgw"):
        find_program("radosgw-x", "radosgw")


def test_an_absent_bucket_of_artifacts_is_an_error_of_the_server_and_an_absent_table_has_its_whole_address(
    tmp_path: Path,
) -> None:
    project = clone_project(tmp_path)
    served = tmp_path / "served"
    served.mkdir()
    with object_store("churn") as store:
        with mlflow_server(f"sqlite:///{served}/server.db", served, "s3://absent/mlflow", variables=store) as uri:
            done = project.kedro("run", "--pipelines", "data_processing", check=False, MLFLOW_TRACKING_URI=uri)
        assert done.returncode == 1
        assert "fails (status 500); its log says why, such as its database, or an absent bucket" in done.stderr
        places = {**store, "CHURN_DATA_ROOT": "s3://absent/data"}
        done = project.kedro("run", "--pipelines", "data_processing", check=False, **places)
    assert done.returncode == 1
    assert "File s3://absent/data/01_raw/bank/customers.csv does not exist." in done.stderr


def test_a_database_of_an_older_mlflow_is_refused_with_the_command_that_upgrades_it(tmp_path: Path) -> None:
    project = clone_project(tmp_path)
    project.kedro("models", "list", check=False)
    with closing(sqlite3.connect(project.path / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")

    done = project.kedro("run", "--pipelines", "data_processing", check=False)

    assert done.returncode == 1
    assert "mlflow db upgrade" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_upload_registers_no_version_and_the_next_run_succeeds(tmp_path: Path) -> None:
    project = clone_project(tmp_path)
    served = tmp_path / "served"
    served.mkdir()
    database = f"sqlite:///{served}/server.db"
    parameters = ("--params", QUICK)
    with object_store("churn") as store:
        project.kedro("run", "--pipelines", "data_processing")
        with FailingLine(store["AWS_ENDPOINT_URL"], 8, lose_answer=False) as line:
            broken = {**store, "AWS_ENDPOINT_URL": line.uri}
            with mlflow_server(database, served, "s3://churn/mlflow", variables=broken) as uri:
                done = project.kedro(
                    "run", "--pipelines", "training", *parameters, check=False, MLFLOW_TRACKING_URI=uri
                )
                assert line.is_dead
                assert MlflowClient(uri, registry_uri=uri).search_model_versions(f"name = '{NAME}'") == []
        assert done.returncode == 1
        assert "fails (status 500)" in done.stderr
        with mlflow_server(database, served, "s3://churn/mlflow", variables=store) as uri:
            project.kedro("run", "--pipelines", "training", *parameters, MLFLOW_TRACKING_URI=uri)
            assert "files are readable" in project.kedro("models", "check", MLFLOW_TRACKING_URI=uri).stdout
