"""The workflows of GitHub Actions: accepted by their checkers, with few rights; and the scripts that they call."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.end_to_end.conftest import QUICK, clone_project

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
CI = ROOT / ".ci"
SECRET = "planted-secret"  # noqa: S105

# Stands for docker, helm and the script that builds an image: notes how it was called.
FAKE = """#!{python}
import json, os, pathlib, sys
given = "" if sys.stdin.isatty() else sys.stdin.read()
config = os.environ.get("KUBECONFIG", "")
call = {{
    "name": pathlib.Path(sys.argv[0]).name, "arguments": sys.argv[1:], "stdin": given, "kubeconfig": config,
    "content": pathlib.Path(config).read_text() if config else "",
    "mode": oct(pathlib.Path(config).stat().st_mode & 0o777) if config else "",
}}
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(call) + "\\n")
if sys.argv[1] == "inspect":
    name = sys.argv[-1].rpartition(":")[0]
    print("other.example.com/x@sha256:1\\n" + name + "@sha256:" + name.rpartition("-")[2])
sys.exit(int(os.environ.get("STATUS", "0")))
"""


def _read(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


def _steps() -> list[tuple[str, dict[str, Any]]]:
    jobs = [(path.name, job) for path in WORKFLOWS for job in _read(path)["jobs"].values()]
    return [(name, step) for name, job in jobs for step in job.get("steps", [])]


def _tool(name: str, where: str) -> str:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"{name} is not installed ({where})")
    return found


def _check(*command: str) -> None:
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_the_workflows_follow_the_schema_of_github() -> None:
    tool = _tool("check-jsonschema", "PyPI: check-jsonschema")
    _check(tool, "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


@pytest.mark.slow
def test_an_audit_finds_no_weakness() -> None:
    # Less than medium is style, such as another way to write the path of a workflow.
    _check(_tool("zizmor", "PyPI: zizmor"), "--offline", "--no-progress", "--min-severity=medium", str(FOLDER))


@pytest.mark.slow
def test_actionlint_accepts_expressions_and_scripts() -> None:
    _check(_tool("actionlint", "github.com/rhysd/actionlint"), *map(str, WORKFLOWS))


def test_each_action_is_pinned_by_its_commit_with_the_version_beside_it() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    others = [line for line in lines if "uses: ./" not in line]

    assert others
    for line in others:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_each_job_has_a_time_limit_and_the_rights_that_it_needs() -> None:
    allowed = {("delivery.yml", "images"): {"contents": "read", "packages": "write"}}
    for path in WORKFLOWS:
        workflow = _read(path)
        assert workflow["permissions"] in ({}, {"contents": "read"})
        for name, job in workflow["jobs"].items():
            rights = job.get("permissions", workflow["permissions"])
            assert rights == allowed.get((path.name, name), {"contents": "read"}), name
            assert "uses" in job or 0 < job["timeout-minutes"] <= 60


def test_steps_call_one_tested_command_without_values_of_the_event_in_their_text() -> None:
    commands = [step["run"] for _, step in _steps() if "run" in step]

    assert {one.split()[0] for one in commands} == {
        ".ci/run", "make", "deploy/images/build.sh", ".ci/push-images", ".ci/deploy",
    }  # fmt: skip
    assert all("\n" not in one and "${{" not in one for one in commands)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {one.split()[1] for one in commands if one.startswith("make ")} <= targets


def test_production_waits_for_staging_and_gets_the_same_images() -> None:
    jobs = _read(FOLDER / "delivery.yml")["jobs"]
    staging, production = jobs["staging"], jobs["production"]

    assert jobs["images"]["needs"] == "checks"
    assert "images" in staging["needs"]
    assert {"images", "staging"} <= set(production["needs"])
    assert (staging["environment"], production["environment"]) == ("staging", "production")
    assert staging["steps"][-1]["env"] == production["steps"][-1]["env"]
    # Two deployments to a place never overlap, and none is cancelled half-way.
    assert staging["concurrency"] == {"group": "staging", "cancel-in-progress": False}
    assert production["concurrency"] == {"group": "production", "cancel-in-progress": False}


def test_secrets_reach_a_step_by_its_environment_only() -> None:
    for path in WORKFLOWS:
        workflow = _read(path)
        for job in workflow["jobs"].values():
            assert "secrets." not in json.dumps({key: value for key, value in job.items() if key != "steps"})
            for step in job.get("steps", []):
                assert "secrets." not in json.dumps({key: value for key, value in step.items() if key != "env"})


@pytest.mark.parametrize(
    "path", [CI / name for name in ("gate", "push-images", "deploy", "run")], ids=lambda one: one.name
)
def test_scripts_can_be_run_and_stop_at_the_first_error(path: Path) -> None:
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.slow
def test_shellcheck_accepts_the_scripts() -> None:
    scripts = [str(CI / name) for name in ("gate", "push-images", "deploy", "run")]
    scripts += [str(path) for path in sorted((ROOT / "deploy").glob("*/*.sh"))]
    assert len(scripts) >= 9
    _check(_tool("shellcheck", "Debian: shellcheck"), *scripts)


def _call(script: str, folder: Path, *arguments: str, **variables: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run a script in a copy, with fakes of what it calls; status, text, calls."""
    (folder / ".ci").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "deploy/images").mkdir(parents=True)
    shutil.copy(CI / script, folder / ".ci" / script)
    for place in ("bin/docker", "bin/helm", "deploy/images/build.sh"):
        (folder / place).write_text(FAKE.format(python=sys.executable))
        (folder / place).chmod(0o755)
    calls = folder / "calls"
    environment = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls), "TMPDIR": str(folder),
        "REGISTRY": "registry.example.com/Team", **variables,
    }  # fmt: skip
    command = [str(folder / ".ci" / script), *arguments]
    ended = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    found = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
    return ended.returncode, ended.stdout + ended.stderr, found


@pytest.mark.slow
def test_images_are_pushed_under_the_commit_and_known_by_digest(tmp_path: Path) -> None:
    output = tmp_path / "output"
    variables = {"REGISTRY_USER": "robot", "REGISTRY_TOKEN": SECRET, "GITHUB_SHA": "abc", "GITHUB_OUTPUT": str(output)}

    status, text, calls = _call("push-images", tmp_path / "copy", **variables)

    assert status == 0, text
    assert output.read_text() == "job=sha256:job\nserve=sha256:serve\n"
    assert [one["arguments"][0] for one in calls if one["name"] == "build.sh"] == ["job", "serve"]
    pushed = [one["arguments"][-1] for one in calls if one["arguments"][0] == "push"]
    assert pushed == [f"registry.example.com/team/churn-kedro-{kind}:abc" for kind in ("job", "serve")]
    assert [one["stdin"].strip() for one in calls if one["arguments"][0] == "login"] == [SECRET]
    assert SECRET not in text + json.dumps([one["arguments"] for one in calls])


@pytest.mark.slow
@pytest.mark.parametrize("expected", [0, 1])
def test_a_deployment_ends_as_helm_does_and_leaves_no_credentials(tmp_path: Path, expected: int) -> None:
    variables = {"KUBE_CONFIG": SECRET, "JOB_DIGEST": "sha256:1", "SERVE_DIGEST": "sha256:2", "STATUS": str(expected)}

    status, text, ((call),) = _call("deploy", tmp_path / "copy", "staging", **variables)

    assert status == expected
    assert call["arguments"][:4] == ["upgrade", "--install", "churn", "deploy/kubernetes/churn"]
    assert "--rollback-on-failure" in call["arguments"]
    assert "churn-staging" in call["arguments"]
    assert "deploy/kubernetes/environments/staging.yaml" in call["arguments"]
    joined = " ".join(call["arguments"])
    assert "images.serve.repository=registry.example.com/team/churn-kedro-serve,images.serve.digest=sha256:2" in joined
    assert "images.job.digest=sha256:1" in joined
    assert (call["content"], call["mode"]) == (SECRET, "0o600")
    assert SECRET not in text + joined
    assert not Path(call["kubeconfig"]).exists()


@pytest.mark.slow
def test_a_deployment_without_credentials_does_nothing(tmp_path: Path) -> None:
    status, text, calls = _call("deploy", tmp_path / "copy", "staging", JOB_DIGEST="sha256:1", SERVE_DIGEST="sha256:2")

    assert status != 0
    assert "KUBE_CONFIG" in text
    assert calls == []


def _require(folder: Path, verdict: str, passed: bool) -> subprocess.CompletedProcess[str]:
    check = {"name": "roc_auc_low", "reason": "roc_auc_low 0.5", "decisive": True, "passed": passed}
    path = folder / "decision.json"
    path.write_text(json.dumps({"candidate": 1, "verdict": verdict, "checks": [check]}))
    command = [sys.executable, str(CI / "require_promotion.py"), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_refusal_of_the_gate_fails_the_check_and_says_why(tmp_path: Path) -> None:
    assert _require(tmp_path, "promoted", True).returncode == 0
    refused = _require(tmp_path, "refused", False)
    assert refused.returncode == 1
    assert "  - roc_auc_low 0.5" in refused.stderr
    for verdict in ("awaiting_approval", "unchanged"):
        assert _require(tmp_path, verdict, True).returncode == 1


@pytest.mark.slow
def test_the_step_of_the_gate_trains_in_a_place_of_its_own(tmp_path: Path) -> None:
    project = clone_project(tmp_path)
    shutil.copytree(CI, tmp_path / ".ci", dirs_exist_ok=True)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    environment = {**project.environment, "GATE_PARAMS": QUICK}

    ended = subprocess.run([".ci/gate"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "The gate promoted version 1" in ended.stdout
    assert (tmp_path / "build/gate/data/08_reporting/bank/evaluation_report.html").exists()
    assert not (tmp_path / "mlflow.db").exists()
    assert not list((tmp_path / "data/08_reporting").rglob("*.html"))
