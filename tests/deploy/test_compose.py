"""The Compose file of a team's servers: its schema, its secrets, and what it publishes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT

FOLDER = ROOT / "deploy" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# Containers that end.
ONCE = {"bucket", "users", "job"}
OURS = {name for name, service in SERVICES.items() if "churn-kedro" in service["image"]}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `make-env.sh` writes."""
    path = tmp_path_factory.mktemp("compose") / ".env"
    subprocess.run([FOLDER / "make-env.sh", path], check=True)
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.slow
def test_the_file_follows_the_schema_of_compose() -> None:
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, FOLDER / "compose.yaml"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_each_secret_is_required_and_made_at_random(environment: dict[str, str]) -> None:
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    example = dict(
        re.findall(r"^([A-Z0-9_]+)=(.*)$", (FOLDER / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert {name for name, value in example.items() if not value} == required
    assert required <= set(environment)
    secrets = [environment[name] for name in required]
    assert min(map(len, secrets)) >= 32
    assert len(set(secrets)) == len(secrets)


def test_a_secret_has_no_default_and_stands_in_no_command() -> None:
    used = set(re.findall(r"\$\{(\w+):-", TEXT))
    secrets = set(re.findall(r"\$\{(\w+):\?", TEXT))

    assert not used & secrets
    for name, service in SERVICES.items():
        shown = f"{service.get('command', '')} {service.get('entrypoint', '')}".replace("$$", "")
        assert not [secret for secret in secrets if f"${{{secret}" in shown], name


def test_ports_are_published_on_localhost_unless_told() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(published) >= 4
    assert all(re.match(r"(127\.0\.0\.1|\$\{TLS_BIND:-127\.0\.0\.1\}):", port) for port in published)


def test_secrets_that_are_there_are_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("REDIS_PASSWORD=old\n")
    done = subprocess.run([FOLDER / "make-env.sh", path], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "exists" in done.stderr
    assert path.read_text() == "REDIS_PASSWORD=old\n"


def test_databases_are_in_a_network_without_a_way_out() -> None:
    assert COMPOSE["networks"]["storage"] == COMPOSE["networks"]["objects"] == {"internal": True}
    for name, network in (("postgres", "storage"), ("s3", "objects"), ("redis", "storage")):
        assert SERVICES[name]["networks"] == [network]
        assert "ports" not in SERVICES[name]
    # The service is reached from outside: from there, no way leads to objects.
    assert SERVICES["service"]["networks"] == ["storage", "front"]


def test_each_server_has_a_health_check_limits_and_starts_again() -> None:
    for name, service in SERVICES.items():
        if name in ONCE:
            assert service["restart"] == "no", name
            continue
        assert service["healthcheck"]["test"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["restart"] == "unless-stopped", name


def test_containers_of_the_project_have_no_rights_and_a_read_only_file_system() -> None:
    assert {"bucket", "mlflow", "users", "service", "job"} == OURS
    for name in OURS:
        service = SERVICES[name]
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
    assert all(service["security_opt"] == ["no-new-privileges:true"] for service in SERVICES.values())


def test_images_of_others_are_of_one_version() -> None:
    for name in SERVICES.keys() - OURS:
        _, _, tag = SERVICES[name]["image"].partition(":")
        assert re.match(r"v?\d+", tag), name


def test_the_service_reads_the_registry_with_a_user_of_its_own() -> None:
    users = {
        name: SERVICES[name]["environment"].get("MLFLOW_TRACKING_USERNAME") for name in ("service", "job", "users")
    }

    assert users == {"service": "service", "job": "pipelines", "users": "admin"}


def test_files_that_are_mounted_exist() -> None:
    named = [entry["file"] for entry in COMPOSE["configs"].values() if "file" in entry]
    named += [
        volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
        if volume.startswith("..")
    ]  # fmt: skip

    assert len(named) >= 5
    assert [name for name in named if not (FOLDER / name).is_file()] == []


def test_prometheus_looks_at_the_same_jobs_as_without_containers() -> None:
    def jobs(path: Path) -> set[str]:
        return {job["job_name"] for job in yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"]}

    alone = jobs(ROOT / "deploy" / "monitoring" / "prometheus.yml")
    # The Pushgateway replaces node_exporter.
    assert jobs(FOLDER / "prometheus.yml") == alone - {"churn_monitoring"}
