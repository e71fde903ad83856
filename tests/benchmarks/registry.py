"""``kedro models list`` on a registry of 200 versions, beside the bare call to MLflow that fetches them.

``make benchmark-registry`` prints the table. Every ratio has both sides measured in the same run, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tests import ROOT

KEDRO = Path(sys.executable).with_name("kedro")
MODEL = "bank_churn"
# What the command needs, imported before the clock starts.
_FIRST_CALL = """
import io, contextlib, time
begun = time.perf_counter()
import kedro.framework.session, kedro.framework.startup, kedro_mlflow.framework.hooks, mlflow.store.db.utils
import mlflow.store.model_registry.sqlalchemy_store, mlflow.store.tracking.sqlalchemy_store
import churn_kedro.datasets.mlflow.registry, churn_kedro.hooks.lineage
import churn_kedro.pipeline_registry, churn_kedro.settings
from churn_kedro.cli.models import list_versions
imported = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    list_versions.main([], standalone_mode=False)
print(imported - begun, time.perf_counter() - imported)
"""


def _environment(uri: str) -> dict[str, str]:
    dropped = ("KEDRO_", "MLFLOW_", "CHURN_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "MLFLOW_TRACKING_URI": uri}


def _fill(uri: str, folder: Path, n_versions: int) -> None:
    """Versions with as many tags as those that training, evaluation and gate make."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    client.create_registered_model(MODEL)
    experiment = client.create_experiment(MODEL, artifact_location=(folder / "artifacts").as_uri())
    run = client.create_run(experiment)
    digest = "0123456789abcdef" * 4
    reasons = "; ".join(["+ roc_auc_low 0.8512, at least 0.55 is required"] * 8)
    event = json.dumps({"at": "2026-01-01T00:00:00Z", "action": "decide", "reasons": reasons.split("; ")})
    for number in range(1, n_versions + 1):
        metrics = {
            f"{name}{end}": f"{0.8 + number / 10_000:.4f}"
            for name in ("roc_auc", "pr_auc", "profit_per_customer")
            for end in ("", "_low", "_high")
        }
        facts = {f"fact_{place}": digest for place in range(12)}
        told = {"decision": "promoted", "decision_reasons": reasons, "audit.2026-01-01T00:00:00Z": event}
        client.create_model_version(
            MODEL,
            source=f"{run.info.artifact_uri}/model",
            run_id=run.info.run_id,
            tags={"algorithm": "xgboost", "evaluated_at": "2026-01-01T00:00:00+00:00", **metrics, **facts, **told},
        )
    for place, alias in enumerate(("champion", "previous_champion", "challenger")):
        client.set_registered_model_alias(MODEL, alias, str(n_versions - place))


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure_list(repeats: int, n_versions: int) -> None:
    """The command in a process that has its imports behind it, as a whole process, and beside MLflow's call."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
        _fill(uri, folder, n_versions)
        environment = _environment(uri)

        def run(*command: str) -> str:
            return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

        printed = run(str(KEDRO), "models", "list")
        assert f"{n_versions}  champion" in printed, printed[:1000]
        whole = [_seconds(lambda: run(str(KEDRO), "models", "list")) for _ in range(repeats)]
        fresh = [[float(part) for part in run(sys.executable, "-c", _FIRST_CALL).split()] for _ in range(repeats)]

        os.chdir(ROOT)
        os.environ.clear()
        os.environ.update(environment)
        from mlflow import MlflowClient

        from churn_kedro.cli.models import list_versions

        client = MlflowClient(uri)

        def bare() -> object:
            return client.search_model_versions(f"name = '{MODEL}'", max_results=1000)

        def command() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                list_versions.main([], standalone_mode=False)

        bare()
        command()
        pairs = [(_seconds(bare), _seconds(command)) for _ in range(repeats)]
    page, again = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"\nkedro models list, {n_versions} versions, SQLite, seconds, median of {repeats}")
    print(f"  {'whole process':<52}{statistics.median(whole):7.3f}")
    print(f"  {'imports of a new process':<52}{statistics.median(one[0] for one in fresh):7.3f}")
    print(f"  {'command after them':<52}{statistics.median(one[1] for one in fresh):7.3f}")
    print(f"  {'command in a process that has done it before':<52}{again:7.3f}")
    print(f"  {'one page of client.search_model_versions':<52}{page:7.3f}   ({again / page:.1f} times)")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="measured calls of each kind (default 5)")
    parser.add_argument("--versions", type=int, default=200, help="versions in the registry (default 200)")
    arguments = parser.parse_args()
    shown = ", ".join(f"{name} {version(name)}" for name in ("kedro", "kedro-mlflow", "mlflow"))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {shown}")
    measure_list(arguments.repeats, arguments.versions)


if __name__ == "__main__":
    main()
