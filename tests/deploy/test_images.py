"""Images of jobs and of the service: what they hold, and where they were built, how they run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import ROOT
from tests.end_to_end.conftest import QUICK
from tests.servers import free_port, mlflow_server

FOLDER = ROOT / "deploy" / "images"
CONTAINERFILE = (FOLDER / "Containerfile").read_text(encoding="utf-8")
JOB, SERVE = "localhost/churn-kedro-job", "localhost/churn-kedro-serve"
# Some hosts do not allow higher limits than these.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--no-healthcheck")
CONFINED = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host"),
    *("--tmpfs", "/tmp", "--tmpfs", "/opt/churn/logs:mode=1777"),  # noqa: S108 - in the container
)


def _versions(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_images_have_the_versions_that_the_tests_have() -> None:
    tested = _versions(ROOT / "requirements-dev.lock")

    for kind in ("job", "serve"):
        versions = _versions(FOLDER / f"{kind}.lock")
        # mlflow-skinny is a part of mlflow, of the same version.
        assert {name: found for name, found in versions.items() if found != tested.get(name)} == {}, kind


def test_the_image_of_the_service_has_no_library_of_training_or_of_reports() -> None:
    absent = {"optuna", "shap", "matplotlib", "kedro-viz", "mlflow", "numba", "xlsxwriter", "dask", "catboost", "moto"}

    assert not absent & set(_versions(FOLDER / "serve.lock"))


def test_the_image_of_jobs_has_what_a_run_a_bucket_and_the_mlflow_server_need() -> None:
    versions = _versions(FOLDER / "job.lock")

    assert set(_versions(ROOT / "requirements.lock")) <= set(versions)
    assert {"boto3", "s3fs", "pg8000", "flask-wtf", "redis", "dask"} <= set(versions)


def test_processes_are_not_root_and_the_service_has_a_health_check() -> None:
    assert re.findall(r"^USER (.*)$", CONTAINERFILE, re.MULTILINE) == ["10001:10001"]
    service = CONTAINERFILE.partition("FROM runtime AS serve")[2]
    assert "HEALTHCHECK" in service
    assert "STOPSIGNAL SIGTERM" in service


def test_local_configuration_and_data_are_no_part_of_an_image() -> None:
    ignored = (FOLDER / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()

    assert ignored[0] == "*"
    assert "conf/local" in ignored
    assert not [line for line in ignored if line.startswith("!data")]


@pytest.mark.parametrize(
    ("arguments", "base", "message"),
    [
        (["other"], None, "expected job or serve"),
        (["serve"], "python:3.11-slim", "expected an image by digest"),
    ],
)
def test_a_build_refuses_an_unknown_kind_and_a_base_by_tag(
    arguments: list[str], base: str | None, message: str
) -> None:
    environment = {**os.environ, **({"BASE": base} if base else {})}
    done = subprocess.run(
        [FOLDER / "build.sh", *arguments], capture_output=True, text=True, env=environment, check=False
    )

    assert done.returncode == 2
    assert message in done.stderr


def _podman(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False, timeout=timeout)


@pytest.fixture(scope="module")
def images() -> None:
    """Skips the tests where the images were not built."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    for name in (JOB, SERVE):
        if _podman("image", "exists", name).returncode:
            pytest.skip(f"{name} was not built: BUILDER=podman make images")


def _run(*arguments: str, image: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [text for name, value in variables.items() for text in ("--env", f"{name}={value}")]
    return _podman("run", "--rm", *LIMITS, *CONFINED, *given, *arguments[:-1], image, *arguments[-1].split())


@contextmanager
def _service(port: int, **variables: str) -> Iterator[None]:
    given = [text for name, value in variables.items() for text in ("--env", f"{name}={value}")]
    name = f"churn-test-{port}"
    begun = _podman(
        "run", "--detach", "--name", name, *LIMITS, *CONFINED, *given, SERVE,
        "serve", "--host", "0.0.0.0", "--port", str(port),  # noqa: S104 - with keys
    )  # fmt: skip
    assert begun.returncode == 0, begun.stderr
    try:
        yield
    finally:
        _podman("stop", "--time", "60", name)
        _podman("rm", "--force", name)


@pytest.mark.slow
def test_a_job_trains_and_the_service_answers_as_users_without_rights(images: None, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data" / "01_raw", tmp_path / "data" / "01_raw")
    for path in (tmp_path, *tmp_path.rglob("*")):
        shutil.chown(path, 10001, 10001)
    served = tmp_path / "served"
    served.mkdir()
    with mlflow_server(f"sqlite:///{served}/server.db", served) as uri:
        trained = _run(
            *("--volume", f"{tmp_path / 'data'}:/var/lib/churn", f"run --params {QUICK}"),
            image=JOB, MLFLOW_TRACKING_URI=uri, CHURN_STUDY_URL="sqlite:////tmp/search.db",
            CHURN_PREDICTION_LOG="sqlite:////tmp/log.db",
        )  # fmt: skip
        assert trained.returncode == 0, trained.stderr[-3000:]
        assert "version 1 promoted" in trained.stdout
        key, port = "k" * 40, free_port()
        digest = hashlib.sha256(key.encode()).hexdigest()
        with _service(port, MLFLOW_TRACKING_URI=uri, CHURN_API_KEYS=digest, CHURN_PREDICTION_LOG="sqlite:////tmp/l.db"):
            asked = _run(
                f"smoke-test --wait 90 --url http://127.0.0.1:{port}",
                image=SERVE, MLFLOW_TRACKING_URI=uri, CHURN_SERVICE_KEY=key,
            )  # fmt: skip
            assert asked.returncode == 0, asked.stderr
            assert "version 1 answers" in asked.stdout
            inside = _podman(
                "exec", f"churn-test-{port}", "sh", "-c", "id -u; touch /opt/churn/x; grep CapEff /proc/1/status"
            )
            assert inside.stdout.split() == ["10001", "CapEff:", "0000000000000000"]
            assert "Read-only file system" in inside.stderr


@pytest.mark.slow
def test_an_image_says_what_it_was_made_of(images: None) -> None:
    for name in (JOB, SERVE):
        (described,) = json.loads(_podman("image", "inspect", name).stdout)
        assert described["Config"]["User"] == "10001:10001"
        assert re.fullmatch(r"[0-9a-f]{40}|unknown", described["Labels"]["org.opencontainers.image.revision"])
