"""All servers of a team together."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.stack import servers
from deploy.stack.processes import Server, free_port, write_private

BUCKET = "churn"
_SECRETS = (
    *("postgres", "mlflow", "churn", "churn_reader", "redis"),
    *("mlflow_admin", "mlflow_pipelines", "mlflow_service", "mlflow_form_key", "service_key"),
)


@dataclass(frozen=True)
class Team:
    """Running servers.

    Attributes:
        addresses: Address by server, for people.
        variables: Environment of `kedro run` and of other clients.
        service: The scoring service, which is not started.
        service_variables: Its environment: a user that may only read the registry.
    """

    addresses: dict[str, str]
    variables: dict[str, str]
    service: Server
    service_variables: dict[str, str]


@contextmanager
def run_team(
    folder: Path,
    project: Path,
    *,
    s3: Literal["moto", "ceph"] = "moto",
    with_tls: bool = False,
    webhook: str | None = None,
    workers: int = 2,
    service_wait: int = 0,
    interval: str = "15s",
    announce: Callable[[str, str], None] = lambda name, address: None,
) -> Iterator[Team]:
    """Run all servers, one after the other, until the block ends.

    Args:
        folder: Folder of their data, passwords and logs; a former one is used again.
        project: Folder of the project that is served.
        s3: moto keeps objects in memory, Ceph in the folder.
        with_tls: Whether clients reach MLflow and the service through TLS.
        webhook: Address that receives the alerts of Alertmanager.
        workers: Worker processes of the scoring service.
        service_wait: Seconds in which the service needs a champion.
        interval: Time between two looks of Prometheus, and before the first message about an alert.
        announce: Called with name and address of each server that is healthy.

    Yields:
        The servers.

    Raises:
        ServerError: One is not installed or does not start; those before it are stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # System users of servers must reach their own folders.
    folder.chmod(0o711)
    secrets = _read_secrets(folder / "secrets.json")
    addresses: dict[str, str] = {}
    with ExitStack() as stack:

        def begin(name: str, address: str) -> str:
            addresses[name] = address
            announce(name, address)
            return address

        def place(name: str) -> Path:
            (folder / name).mkdir(exist_ok=True)
            return folder / name

        port = stack.enter_context(servers.postgres(place("postgres"), secrets))
        begin("postgres", f"127.0.0.1:{port}")
        run_s3 = servers.moto if s3 == "moto" else servers.ceph
        objects = stack.enter_context(run_s3(place("s3")))
        objects.create_bucket(BUCKET)
        begin("s3", objects.url)
        redis_url = stack.enter_context(servers.redis(place("redis"), secrets["redis"]))
        begin("redis", redis_url.rpartition("@")[2])
        given = {
            "MLFLOW_BACKEND_STORE_URI": servers.database_url("mlflow", secrets["mlflow"], port, "mlflow"),
            "MLFLOW_AUTH_DATABASE_URI": servers.database_url("mlflow", secrets["mlflow"], port, "mlflow_auth"),
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": secrets["mlflow_admin"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets["mlflow_form_key"],
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}/mlflow",
            **objects.environment,
        }
        mlflow_url = begin("mlflow", stack.enter_context(servers.mlflow(place("mlflow"), given)))
        users = {"pipelines": secrets["mlflow_pipelines"], "service": secrets["mlflow_service"]}
        servers.create_mlflow_users(place("mlflow"), mlflow_url, "admin", secrets["mlflow_admin"], users)
        service_port = free_port()
        service_url = f"http://127.0.0.1:{service_port}"
        pushed = begin("pushgateway", stack.enter_context(servers.pushgateway(place("pushgateway"))))
        alerts = begin(
            "alertmanager", stack.enter_context(servers.alertmanager(place("alertmanager"), webhook, interval))
        )
        targets = {"churn_service": f"127.0.0.1:{service_port}", "churn_pushed": pushed.removeprefix("http://")}
        key = secrets["service_key"]
        begin(
            "prometheus",
            stack.enter_context(
                servers.prometheus(place("prometheus"), targets, alerts.removeprefix("http://"), key, interval)
            ),
        )
        trusted = {}
        if with_tls:
            run_tls = servers.tls(place("tls"), mlflow_url, service_port)
            mlflow_url, service_url, certificate = stack.enter_context(run_tls)
            begin("mlflow with TLS", mlflow_url)
            trusted = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificate), "SSL_CERT_FILE": str(certificate)}
        log = servers.database_url("churn", secrets["churn"], port, "churn")
        shared = {"MLFLOW_TRACKING_URI": mlflow_url, "CHURN_PREDICTION_LOG": log, **trusted}
        service_variables = {
            **shared,
            "MLFLOW_TRACKING_USERNAME": "service",
            "MLFLOW_TRACKING_PASSWORD": secrets["mlflow_service"],
            "CHURN_API_KEYS": hashlib.sha256(key.encode()).hexdigest(),
        }
        variables = {
            **shared,
            "MLFLOW_TRACKING_USERNAME": "pipelines",
            "MLFLOW_TRACKING_PASSWORD": secrets["mlflow_pipelines"],
            "CHURN_STUDY_URL": log,
            "CHURN_SERVICE_URL": service_url,
            "CHURN_SERVICE_KEY": key,
            "CHURN_PUSHGATEWAY": pushed,
            "CHURN_STREAM": f"{redis_url}?stream=customers",
            **objects.environment,
        }
        addresses["service"] = service_url
        lines = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        write_private(folder / "env", "\n".join([*lines, ""]))
        service = servers.scoring_service(
            project, place("service"), service_port, service_variables, workers, service_wait
        )
        yield Team(addresses, variables, service, service_variables)


def _read_secrets(path: Path) -> dict[str, str]:
    """Read the passwords of a folder, or make them."""
    if not path.exists():
        write_private(path, json.dumps({name: servers.new_password() for name in _SECRETS}))
    read: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return read
