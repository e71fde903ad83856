"""A clone of the project in a folder of its own, and Kedro commands run in it as processes.

A new Python process imports for seconds before it does anything. So commands run in processes that are forked from one
that has imported everything; what they print, their exit status and their state are those of a process of their own.
"""

import atexit
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from tests import ROOT

PARTS = ("conf", "data/01_raw", "docs", "notebooks", "src", "pyproject.toml", "README.md", ".telemetry", ".gitignore")
# Runs of Kedro's sessions.
SESSIONS = "tags.pipeline LIKE '%'"
# A search small enough for a test; everything else is as a user runs it.
QUICK = "training.search.n_trials=2,training.search.max_rounds=150,training.search.early_stopping_rounds=20"


# Seconds after which a command has failed.
TIMEOUT = 300
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "kedro.framework.cli.project",
        "kedro.framework.session",
        "kedro_mlflow.framework.hooks.mlflow_hook",
        "mlflow.sklearn",
        "mlflow.store.db.utils",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "matplotlib.figure",
        "optuna",
        "pandera.pandas",
        "shap",
        "skops.io",
        "xgboost",
        "tests.end_to_end.conftest",
    ]
)


def _run_kedro(arguments: tuple[str, ...], folder: Path, environment: dict[str, str], out: Path, err: Path) -> None:
    """Run a command in this process, which was forked for it."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False, buffering=1) for number in (1, 2))
    sys.argv = ["kedro", *arguments]
    from kedro.framework.cli import main

    try:
        main()
    finally:
        # A forked process ends without these.
        atexit._run_exitfuncs()
        sys.stdout.flush()


@dataclass(frozen=True)
class Project:
    """A clone and the environment its commands run in."""

    path: Path
    environment: dict[str, str]

    @property
    def tracking_uri(self) -> str:
        return self.environment.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(self.path / 'mlflow.db').as_posix()}"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.tracking_uri, registry_uri=self.tracking_uri)

    def kedro(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``kedro ARGUMENTS`` in the clone."""
        with tempfile.TemporaryDirectory() as folder:
            printed = Path(folder, "stdout"), Path(folder, "stderr")
            process = FORKED.Process(
                target=_run_kedro, args=(arguments, self.path, {**self.environment, **environment}, *printed)
            )
            process.start()
            process.join(TIMEOUT)
            if process.is_alive():
                process.kill()
                process.join()
                pytest.fail(f"kedro {' '.join(arguments)} took more than {TIMEOUT} seconds")
            completed = subprocess.CompletedProcess(
                ["kedro", *arguments], process.exitcode or 0, *(path.read_text(encoding="utf-8") for path in printed)
            )
        if check and completed.returncode != 0:
            pytest.fail(f"kedro {' '.join(arguments)} ended with {completed.returncode}:\n{completed.stderr[-4000:]}")
        return completed

    def runs(self, use_case: str) -> list[mlflow.entities.Run]:
        """Runs of a use case's experiment, the oldest first; without the trials, which are runs under them."""
        experiment = self.client.get_experiment_by_name(f"{use_case}_churn")
        assert experiment is not None
        found = self.client.search_runs([experiment.experiment_id], SESSIONS, order_by=["attributes.start_time ASC"])
        # A search leaves out which models were inputs.
        return [self.client.get_run(run.info.run_id) for run in found]

    def aliases(self, use_case: str) -> dict[str, int]:
        """Version by alias."""
        found = self.client.get_registered_model(f"{use_case}_churn").aliases
        return {alias: int(version) for alias, version in found.items()}


def clone_project(path: Path) -> Project:
    """Copy what git would, and commit it."""
    ignore = shutil.ignore_patterns("__pycache__", "local")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, path / part, ignore=ignore)
        else:
            shutil.copy(source, path / part)
    (path / "conf" / "local").mkdir(exist_ok=True)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Clone"]):
        subprocess.run(["git", *command], cwd=path, check=True)
    dropped = ("KEDRO_", "MLFLOW_", "CHURN_", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return Project(path, environment)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Makes clones."""
    return lambda name: clone_project(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def main_job(clone: Callable[[str], Project]) -> tuple[Project, list[str]]:
    """A clone in which the main job ran twice, and what each run printed. Not to be changed."""
    project = clone("main_job")
    printed = [project.kedro("run", "--params", QUICK).stdout for _ in range(2)]
    return project, printed
