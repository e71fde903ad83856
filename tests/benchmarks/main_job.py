"""Wall time of the main job in parts, start-up against an empty Kedro project.

``make benchmark`` prints the tables. Every ratio has both sides measured in the same run, in turn.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from churn_kedro.base import find_distribution
from tests import ROOT

KEDRO = Path(sys.executable).with_name("kedro")
# Runs of Kedro's sessions; the trials of a search are runs, too.
SESSIONS = "tags.pipeline LIKE '%'"
PIPELINES = ("data_processing", "training", "evaluation", "registry", "inference")

_EMPTY = {
    "pyproject.toml": '[tool.kedro]\npackage_name = "empty"\nproject_name = "empty"\nkedro_init_version = "1.7.0"\n'
    'source_dir = "src"\n',
    "src/empty/__init__.py": "",
    "src/empty/settings.py": "",
    "src/empty/pipeline_registry.py": "from kedro.pipeline import Node, Pipeline\n\n\ndef one() -> int:\n"
    '    return 1\n\n\ndef register_pipelines():\n    return {"__default__": Pipeline([Node(one, None, "one")])}\n',
    "conf/base/mlflow.yml": "server:\n  mlflow_tracking_uri: {uri}\n",
    "conf/base/catalog.yml": "{}\n",
    "conf/base/parameters.yml": "{}\n",
    "conf/local/.gitkeep": "",
    ".telemetry": "consent: false\n",
}


def _environment(uri: str) -> dict[str, str]:
    dropped = ("KEDRO_", "MLFLOW_", "CHURN_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "MLFLOW_TRACKING_URI": uri}


def _clone(path: Path) -> None:
    for part in ("conf", "src", "data/01_raw"):
        shutil.copytree(ROOT / part, path / part, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for part in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / part, path / part)
    (path / "conf" / "local").mkdir()


def _empty_project(path: Path, uri: str) -> None:
    for name, text in _EMPTY.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("{uri}", uri), encoding="utf-8")


def _last_run_start(uri: str) -> float:
    """Moment at which the newest MLflow run began, in seconds: start-up ends there."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time DESC"])
    # Neither a trial nor the run that keeps the audit.
    newest = next(run for run in runs if not {"mlflow.parentRunId", "audit_of"} & run.data.tags.keys())
    return float(newest.info.start_time) / 1000


def _run(project: Path, uri: str, *arguments: str) -> tuple[float, float, str]:
    """Start-up seconds, seconds in all, and what was printed."""
    started = time.time()
    completed = subprocess.run(
        [KEDRO, "run", *arguments], cwd=project, env=_environment(uri), capture_output=True, text=True, check=False
    )
    ended = time.time()
    if completed.returncode:
        raise SystemExit(completed.stderr[-3000:])
    return _last_run_start(uri) - started, ended - started, completed.stdout


def _peak_of_children() -> float:
    """Largest resident set of any finished child process, MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure_start_up(repeats: int) -> None:
    """Start-up of each pipeline and of the main job, each in turn with an empty project with kedro-mlflow."""
    quick = ("--params", "training.search.n_trials=1,training.search.max_rounds=10")
    # Nodes have their pipeline as a tag: of the main job, only the first pipeline is carried out.
    started = {name: ("--pipelines", name) for name in PIPELINES} | {"main job": ("--tags", PIPELINES[0])}
    with tempfile.TemporaryDirectory() as folder:
        ours, empty = Path(folder) / "ours", Path(folder) / "empty"
        ours.mkdir()
        empty.mkdir()
        uri = f"sqlite:///{folder}/mlflow.db"
        _clone(ours)
        _empty_project(empty, uri)
        # The first run of each writes bytecode, the tables of a new database, and what each pipeline reads.
        _run(empty, uri)
        _run(ours, uri, *quick)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in started}
        for _ in range(repeats):
            for name, arguments in started.items():
                # Both sides one after the other: what else the machine does changes from minute to minute.
                seconds[name].append((_run(empty, uri)[0], _run(ours, uri, *arguments, *quick)[0]))
    print(f"\nStart-up (process start to start of the MLflow run, before the first node), medians of {repeats} pairs")
    for name, pairs in seconds.items():
        theirs, own = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(own / base for base, own in pairs)
        print(f"  {name:<16}{own:6.2f} s   empty project with kedro-mlflow{theirs:6.2f} s   ratio {ratio:5.2f}")


def measure_main_job(repeats: int) -> None:
    """The main job on the sample's 10,000 rows, split by pipeline."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "ours"
        project.mkdir()
        _clone(project)
        uri = f"sqlite:///{folder}/mlflow.db"
        rows = []
        for _ in range(repeats + 1):
            start_up, total, _printed = _run(project, uri, "--params", "training.search.resume=false")
            from mlflow import MlflowClient

            client = MlflowClient(uri)
            experiment = client.get_experiment_by_name("bank_churn")
            assert experiment is not None
            newest = client.search_runs(
                [experiment.experiment_id], SESSIONS, max_results=1, order_by=["attributes.start_time DESC"]
            )[0]
            parts = {name: newest.data.metrics[f"time/{name}"] for name in PIPELINES}
            rows.append({"start-up": start_up, **parts, "whole process": total})
        # The first run creates the database.
        first, rows = rows[0], rows[1:]
        peak = _peak_of_children()
    print(f"\nMain job on 10,000 rows with 20 trials, seconds, median of {repeats} (in a new database)")
    for name in rows[0]:
        print(f"  {name:<20}{statistics.median(row[name] for row in rows):6.2f}   ({first[name]:.2f})")
    after = statistics.median(row["whole process"] - row["start-up"] for row in rows)
    print(f"  {'after start-up':<20}{after:6.2f}")
    print(f"  peak memory {peak:.0f} MiB (largest process)")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="measured runs of each kind (default 3)")
    arguments = parser.parse_args()
    libraries = ("kedro", "kedro-mlflow", "mlflow", "xgboost", "scikit-learn")
    # XGBoost may be installed as xgboost-cpu.
    shown = ", ".join(" ".join(find_distribution(name)) for name in libraries)
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {shown}")
    measure_start_up(arguments.repeats)
    measure_main_job(arguments.repeats)


if __name__ == "__main__":
    main()
