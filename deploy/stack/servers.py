"""The servers beside the project: PostgreSQL, S3, MLflow, Redis, Prometheus, Alertmanager, TLS, the scoring service."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import yaml

from deploy.stack.processes import (
    NotInstalledError,
    Server,
    ServerError,
    answers_http,
    answers_tcp,
    find_program,
    free_port,
    harmless_environment,
    identity,
    running,
    write_private,
)

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_HOST = "127.0.0.1"
_SECONDS_PER_CALL = 120
_S3_REGION = "us-east-1"
_OSD_BYTES = 10 * 2**30


@dataclass(frozen=True)
class S3:
    """An S3 endpoint.

    Attributes:
        url: Its address.
        key: Access key.
        secret: Secret key.
    """

    url: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which boto3 and s3fs find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": _S3_REGION,
        }

    def create_bucket(self, name: str) -> None:
        """Create a bucket, if there is none of its name.

        Args:
            name: Name of the bucket.
        """
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=_S3_REGION,
        )
        if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=name)


def _call(
    command: list[str], folder: Path, user: str | None = None, text: str | None = None, **environment: str
) -> str:
    """Run a program that ends, such as one that creates a cluster, and return what it prints.

    Raises:
        ServerError: It fails.
    """
    name = Path(command[0]).name
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            cwd=folder,
            env={**harmless_environment(), **environment},
            capture_output=True,
            text=True,
            input=text,
            check=False,
            timeout=_SECONDS_PER_CALL,
            **identity(user),
        )
    except subprocess.TimeoutExpired:
        raise ServerError(f"{name} has not ended within {_SECONDS_PER_CALL} s.") from None
    if done.returncode:
        raise ServerError(f"{name} has ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


@contextmanager
def postgres(
    folder: Path, passwords: Mapping[str, str], port: int | None = None, *, sync: bool = True
) -> Iterator[int]:
    """Run PostgreSQL with the roles and databases of ``deploy/postgres/init.sh``.

    Args:
        folder: Folder of its data, which is kept.
        passwords: Passwords by role: ``postgres``, ``mlflow``, ``churn`` and ``churn_reader``.
        port: Port; None: a free one.
        sync: Whether it waits for the disk; False for tests.

    Yields:
        Its port.
    """
    folders = sorted(_DEBIAN_POSTGRES.glob("*/bin"), reverse=True)
    # The programs of one version: what `initdb` made must be read by the server beside it.
    programs = find_program("initdb", "postgresql", folders).resolve().parent
    user = "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    if identity(user):
        shutil.chown(folder, user, user)
    cluster, port = folder / "cluster", port or free_port()
    is_new = not (cluster / "PG_VERSION").exists()
    if is_new:
        # A former attempt may have been interrupted.
        shutil.rmtree(cluster, ignore_errors=True)
        given = write_private(folder / "password", passwords["postgres"], user)
        options = ["-A", "scram-sha-256", "-U", "postgres", "--pwfile", str(given), "-E", "UTF8", "--no-sync"]
        _call([str(programs / "initdb"), "-D", str(cluster), *options], folder, user)
        given.unlink()
    flags = ["-c", f"listen_addresses={_HOST}", "-c", "unix_socket_directories=", "-p", str(port)]
    server = Server(
        "postgres",
        [str(programs / "postgres"), "-D", str(cluster), *flags, *([] if sync else ["-c", "fsync=off"])],
        folder,
        lambda: (
            subprocess.run([programs / "pg_isready", "-q", "-h", _HOST, "-p", str(port)], check=False).returncode == 0
        ),
        user=user,
        # Ends connections; SIGTERM would wait for them.
        stop_signal=signal.SIGINT,
    )
    with running(server):
        if is_new:
            created = folder / "created"
            _call(
                [str(DEPLOY / "postgres" / "init.sh")],
                folder,
                PGHOST=_HOST,
                PGPORT=str(port),
                PGPASSWORD=passwords["postgres"],
                MLFLOW_DB_PASSWORD=passwords["mlflow"],
                CHURN_DB_PASSWORD=passwords["churn"],
                CHURN_READER_DB_PASSWORD=passwords["churn_reader"],
            )
            created.touch()
        elif not (folder / "created").exists():
            raise ServerError(f"The cluster in {folder} is incomplete: delete the folder and start again.")
        yield port


def database_url(role: str, password: str, port: int, database: str) -> str:
    """Return the SQLAlchemy address of a database of :func:`postgres`.

    Args:
        role: Role.
        password: Its password.
        port: Port of the cluster.
        database: Name of the database.
    """
    return f"postgresql+pg8000://{role}:{quote(password, safe='')}@{_HOST}:{port}/{database}"


@contextmanager
def redis(folder: Path, password: str | None = None) -> Iterator[str]:
    """Run Redis.

    Args:
        folder: Folder of its data and configuration.
        password: Password; None: none.

    Yields:
        Its address.
    """
    program, port = find_program("redis-server", "redis-server"), free_port()
    lines = [f"port {port}", f"bind {_HOST}", f'dir "{folder}"', 'save ""', "appendonly yes"]
    configuration = write_private(
        folder / "redis.conf", "\n".join([*lines, *([f"requirepass {password}"] if password else [])]) + "\n"
    )
    with running(Server("redis", [str(program), str(configuration)], folder, answers_tcp(port))):
        yield f"redis://{f':{quote(password)}@' if password else ''}{_HOST}:{port}/0"


@contextmanager
def moto(folder: Path) -> Iterator[S3]:
    """Run moto's S3, which keeps objects in memory and accepts any credentials.

    Args:
        folder: Folder of its log.

    Yields:
        The endpoint.
    """
    port = free_port()
    url = f"http://{_HOST}:{port}"
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", _HOST, "-p", str(port)]
    if not Path(command[0]).exists():
        raise NotInstalledError("moto is not installed: make install-dev")
    with running(Server("s3", command, folder, answers_http(url))):
        yield S3(url, new_password(), new_password())


@contextmanager
def ceph(folder: Path) -> Iterator[S3]:
    """Run Ceph with one disk and its S3 gateway, whose objects stay in the folder.

    Args:
        folder: Folder of its data.

    Yields:
        The endpoint, with keys that the gateway has made.
    """
    package = "ceph-mon ceph-osd radosgw"
    names = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
    programs = {name: str(find_program(name, package)) for name in names}
    monitor_port, port = free_port(), free_port()
    settings, is_new = folder / "ceph.conf", not (folder / "created").exists()
    if is_new:
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("monitor", "disk"):
            (folder / name).mkdir(parents=True)
        (folder / "fsid").write_text(str(uuid.uuid4()))
    fsid, keyring = (folder / "fsid").read_text(), folder / "keyring"
    write_private(settings, _ceph_settings(folder, fsid, monitor_port, port))
    base = ["-c", str(settings)]

    def call(program: str, *arguments: str) -> str:
        return _call([programs[program], *arguments], folder)

    def server(program: str, *arguments: str, ready: Any) -> Server:
        return Server(program, [programs[program], *base, *arguments, "-f"], folder, ready)

    address = f"[v2:{_HOST}:{monitor_port}]"
    if is_new:
        capabilities = {
            "mon.": ("mon", "allow *"),
            "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
            "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
            "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
        }
        write_private(keyring, "")
        for name, given in capabilities.items():
            pairs = [
                text for kind, right in zip(given[::2], given[1::2], strict=True) for text in ("--cap", kind, right)
            ]
            call("ceph-authtool", str(keyring), "--gen-key", "-n", name, *pairs)
        call("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(folder / "monmap"))
        files = ["--monmap", str(folder / "monmap"), "--keyring", str(keyring)]
        call("ceph-mon", *base, "--mkfs", "-i", "a", *files)
    else:
        # The port is part of what the monitor keeps.
        call("monmaptool", "--create", "--clobber", "--addv", "a", address, "--fsid", fsid, str(folder / "monmap"))
        call("ceph-mon", *base, "-i", "a", "--inject-monmap", str(folder / "monmap"))
    with ExitStack() as stack:
        stack.enter_context(running(server("ceph-mon", "-i", "a", ready=answers_tcp(monitor_port))))
        if is_new:
            disk = str(uuid.uuid4())
            call("ceph", *base, "--connect-timeout", "60", "osd", "new", disk, "0")
            call("ceph-osd", *base, "-i", "0", "--mkfs", "--osd-uuid", disk)
        ready = _is_up([programs["ceph"], *base, "--connect-timeout", "5"])
        stack.enter_context(running(server("ceph-osd", "-i", "0", ready=ready)))
        if is_new:
            call("radosgw-admin", *base, "user", "create", "--uid=churn", "--display-name=churn")
            (folder / "created").touch()
        (keys,) = json.loads(call("radosgw-admin", *base, "user", "info", "--uid=churn"))["keys"]
        url = f"http://{_HOST}:{port}"
        stack.enter_context(running(server("radosgw", "-n", "client.rgw", ready=answers_http(url))))
        yield S3(url, keys["access_key"], keys["secret_key"])


def _is_up(command: list[str]) -> Any:
    def ask() -> bool:
        done = subprocess.run([*command, "osd", "stat"], capture_output=True, text=True, check=False)
        return " 1 up" in done.stdout

    return ask


def _ceph_settings(folder: Path, fsid: str, monitor_port: int, port: int) -> str:
    return f"""[global]
fsid = {fsid}
mon host = v2:{_HOST}:{monitor_port}
public addr = {_HOST}
cluster addr = {_HOST}
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file =
# One disk, one copy.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
bluestore block size = {_OSD_BYTES}
osd memory target = {2**30}
[mon.a]
mon data = {folder}/monitor
[osd.0]
osd data = {folder}/disk
[client.rgw]
rgw frontends = beast endpoint={_HOST}:{port}
rgw thread pool size = 32
"""


@contextmanager
def mlflow(
    folder: Path, variables: Mapping[str, str], *, users: bool = True, port: int | None = None, workers: int = 1
) -> Iterator[str]:
    """Run an MLflow server.

    Args:
        folder: Folder of its log.
        variables: Its environment: ``MLFLOW_BACKEND_STORE_URI``, ``MLFLOW_ARTIFACTS_DESTINATION``, S3; with users
            those of ``deploy/mlflow/server.sh``.
        users: Whether it asks for user and password.
        port: Port; None: a free one.
        workers: Processes that answer.

    Yields:
        Its address.
    """
    port = port or free_port()
    uri = f"http://{_HOST}:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    programs = Path(sys.executable).parent
    options = ["--host", _HOST, "--port", str(port), "--workers", str(workers)]
    begin = [str(DEPLOY / "mlflow" / "server.sh")] if users else [str(programs / "mlflow"), "server"]
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "TMPDIR": str(folder),
        **variables,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    with running(Server("mlflow", [*begin, *options], folder, answers_http(f"{uri}/health"), environment)):
        yield uri


def create_mlflow_users(folder: Path, uri: str, admin: str, password: str, users: Mapping[str, str]) -> None:
    """Create users of an MLflow server; those that exist stay as they are.

    Args:
        folder: Working folder.
        uri: Address of the server.
        admin: Name of an administrator.
        password: The administrator's password.
        users: Passwords by name.
    """
    _call(
        [sys.executable, str(DEPLOY / "mlflow" / "create_users.py")],
        folder,
        text="".join(f"{name}={given}\n" for name, given in users.items()),
        MLFLOW_TRACKING_URI=uri,
        MLFLOW_TRACKING_USERNAME=admin,
        MLFLOW_TRACKING_PASSWORD=password,
    )


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str], alertmanager: str, key: str, interval: str) -> Iterator[str]:
    """Run Prometheus with ``deploy/monitoring/prometheus.yml`` and its rules.

    Args:
        folder: Folder of its data.
        targets: ``HOST:PORT`` by the name of a job; jobs of the file without target are left out.
        alertmanager: ``HOST:PORT`` of Alertmanager.
        key: API key of the scoring service.
        interval: Time between two looks.

    Yields:
        Its address.
    """
    program, port = find_program("prometheus", "prometheus"), free_port()
    settings = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
    settings["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    settings["rule_files"] = [str(DEPLOY / "monitoring" / "prometheus_rules.yml")]
    settings["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    jobs = [job for job in settings["scrape_configs"] if job["job_name"] in targets]
    for job in jobs:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    jobs[0]["authorization"] = {"credentials_file": str(write_private(folder / "service_key", key))}
    settings["scrape_configs"] = jobs
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    url = f"http://{_HOST}:{port}"
    command = [
        str(program),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={_HOST}:{port}",
    ]
    with running(Server("prometheus", command, folder, answers_http(f"{url}/-/ready"))):
        yield url


@contextmanager
def pushgateway(folder: Path) -> Iterator[str]:
    """Run the Pushgateway, to which jobs send their metrics.

    Args:
        folder: Folder of its data.

    Yields:
        Its address.
    """
    program, port = find_program("prometheus-pushgateway", "prometheus-pushgateway"), free_port()
    url = f"http://{_HOST}:{port}"
    command = [str(program), f"--web.listen-address={_HOST}:{port}", f"--persistence.file={folder / 'metrics'}"]
    with running(Server("pushgateway", command, folder, answers_http(f"{url}/-/ready"))):
        yield url


@contextmanager
def alertmanager(folder: Path, webhook: str | None, wait: str) -> Iterator[str]:
    """Run Alertmanager with ``deploy/monitoring/alertmanager.yml``.

    Args:
        folder: Folder of its data.
        webhook: Address that receives alerts; None: they are shown on its page only.
        wait: Time until the first message about a group of alerts.

    Yields:
        Its address.
    """
    program, port = find_program("prometheus-alertmanager", "prometheus-alertmanager"), free_port()
    settings = yaml.safe_load((DEPLOY / "monitoring" / "alertmanager.yml").read_text(encoding="utf-8"))
    (receiver,) = settings["receivers"]
    receiver["webhook_configs"] = [{"url": webhook}] if webhook else []
    settings["route"]["group_wait"] = wait
    write_private(folder / "alertmanager.yml", yaml.safe_dump(settings))
    url = f"http://{_HOST}:{port}"
    command = [
        str(program),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'state'}",
        f"--web.listen-address={_HOST}:{port}",
        # No cluster of Alertmanagers.
        "--cluster.listen-address=",
    ]
    with running(Server("alertmanager", command, folder, answers_http(f"{url}/-/ready"))):
        yield url


@contextmanager
def tls(folder: Path, mlflow_url: str, service_port: int) -> Iterator[tuple[str, str, Path]]:
    """Run nginx with TLS in front of the MLflow server and the scoring service, with ``deploy/tls``.

    Args:
        folder: Folder of its certificate, which it signs itself.
        mlflow_url: Address of the MLflow server.
        service_port: Port of the scoring service.

    Yields:
        Addresses of the two with TLS, and the certificate that clients must trust.
    """
    program, openssl = find_program("nginx", "nginx-light"), find_program("openssl", "openssl")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not certificate.exists():
        names = ["-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{_HOST}"]
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
        _call([str(openssl), "req", *kind, *names, "-keyout", str(key), "-out", str(certificate)], folder)
    ports = free_port(), free_port()
    sites = Template((DEPLOY / "tls" / "nginx.conf.template").read_text(encoding="utf-8")).safe_substitute(
        MLFLOW_TLS_LISTEN=f"{_HOST}:{ports[0]}",
        SERVICE_TLS_LISTEN=f"{_HOST}:{ports[1]}",
        MLFLOW_UPSTREAM=mlflow_url.removeprefix("http://"),
        SERVICE_UPSTREAM=f"{_HOST}:{service_port}",
        TLS_CERTIFICATE=certificate,
        TLS_KEY=key,
    )
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{sites}}}\n",
        encoding="utf-8",
    )
    urls = [f"https://{_HOST}:{port}" for port in ports]
    ready = answers_http(urls[0], ssl.create_default_context(cafile=certificate))
    command = [str(program), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(Server("tls", command, folder, ready, stop_signal=signal.SIGQUIT)):
        yield urls[0], urls[1], certificate


def scoring_service(
    project: Path, folder: Path, port: int, variables: Mapping[str, str], workers: int, wait: int
) -> Server:
    """Describe the scoring service.

    Args:
        project: Folder of the project.
        folder: Folder of its log.
        port: Its port.
        variables: Its environment: places, credentials and API keys.
        workers: Processes that answer.
        wait: Seconds in which there must be a champion.

    Returns:
        The server; it is not ready before there is a champion.
    """
    options = ["--port", str(port), "--workers", str(workers), "--wait", str(wait)]
    return Server(
        "service",
        [sys.executable, "-m", "kedro", "serve", *options],
        folder,
        answers_http(f"http://{_HOST}:{port}/ready"),
        {**variables, "PYTHONPATH": str(project / "src"), "DO_NOT_TRACK": "1"},
        cwd=project,
    )


def new_password() -> str:
    """Return a random password of letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(24)
