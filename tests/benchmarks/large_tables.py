"""Training on tables larger than memory, beside training in memory; time, memory and quality.

``python -m tests.benchmarks.large_tables`` (or ``make benchmark-large``) fabricates bank customers in many files. It
trains and evaluates on 1,000,000 of them in memory and with Dask; with Dask on 4,000,000 with one worker and with two;
and on 20,000,000 with two. ``--parts`` selects some of it. Memory is the sum over all processes of the run and of the
cluster, shared pages counted once.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil

from tests import ROOT

KEDRO = Path(sys.executable).parent / "kedro"
SAMPLE_ROWS = 200_000
PART_ROWS = 500_000
# Faster than the default search: four trials, and trees of a larger learning rate.
PARAMETERS = (
    "data_processing.split.method=hash,training.search.n_trials=4,training.spaces.xgboost.learning_rate=0.1,"
    "evaluation.bootstrap.n_resamples=200"
)
PARTS = {"quality": 1_000_000, "scaling": 4_000_000, "large": 20_000_000}
PIPELINES = "data_processing,training,evaluation"
_COMPARED = ("roc_auc", "pr_auc", "brier", "log_loss")


def _environment(project: Path, scheduler: str | None = None) -> dict[str, str]:
    dropped = ("KEDRO_", "MLFLOW_", "CHURN_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "DASK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "MLFLOW_TRACKING_URI": f"sqlite:///{project.as_posix()}/mlflow.db",
        "PYTHONPATH": str(project / "src"),
        "DASK_TEMPORARY_DIRECTORY": str(project / "scratch"),
        **({} if scheduler is None else {"CHURN_DASK_SCHEDULER": scheduler}),
    }


def _copy_project(project: Path) -> None:
    for part in ("conf", "src", "data/01_raw"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__", "local", "large"))
    for part in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / part, project / part)
    (project / "conf" / "local").mkdir()


def _memory_of(process: int) -> int:
    """Bytes of a process and its descendants; shared pages are divided among those who share them."""
    total = 0
    try:
        family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


class _Peak(threading.Thread):
    """Largest memory of some processes while they run."""

    def __init__(self, *processes: int) -> None:
        super().__init__(daemon=True)
        self._processes, self._ended = processes, threading.Event()
        self.gibibytes = 0.0

    def run(self) -> None:
        while not self._ended.wait(0.5):
            self.gibibytes = max(self.gibibytes, sum(map(_memory_of, self._processes)) / 2**30)

    def stop(self) -> float:
        self._ended.set()
        self.join()
        return self.gibibytes


@contextmanager
def cluster(project: Path, workers: int) -> Iterator[tuple[str, list[int]]]:
    """Start a scheduler and workers with one thread each, as they would be on other machines.

    Yields:
        Address of the scheduler, and the ids of the processes.
    """
    program, environment = str(Path(sys.executable).parent / "dask"), _environment(project)
    address_file = project / "scheduler.json"
    address_file.unlink(missing_ok=True)
    options = ["--scheduler-file", str(address_file), "--no-dashboard"]
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([program, "scheduler", *options, "--host", "127.0.0.1", "--port", "0"], **quiet)  # type: ignore[call-overload]
    ]
    try:
        while not address_file.is_file():
            time.sleep(0.1)
        address = re.search(r'"address": "([^"]+)"', address_file.read_text())
        assert address is not None
        options = ["--nworkers", str(workers), "--nthreads", "1", "--memory-limit", "5GiB", "--no-dashboard"]
        started.append(
            subprocess.Popen([program, "worker", address[1], *options, "--host", "127.0.0.1"], **quiet)  # type: ignore[call-overload]
        )
        yield address[1], [process.pid for process in started]
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def train(project: Path, table: Path, *, workers: int) -> pd.Series:
    """Process the data, train and evaluate.

    Args:
        project: Copy of the project.
        table: Parquet file, or folder of such files.
        workers: Dask workers; 0: in memory.

    Returns:
        Seconds of the whole and of each pipeline, peak memory in GiB, and metrics of all test customers.
    """
    parameters = f"raw_customers={table},{PARAMETERS}" + (f",sample_rows={SAMPLE_ROWS}" if workers else "")
    command = [str(KEDRO), "run", "--pipelines", PIPELINES, "--params", parameters]

    def run(scheduler: str | None, others: list[int]) -> pd.Series:
        began = time.perf_counter()
        with (project / "run.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=project, env=_environment(project, scheduler), stdout=log, stderr=subprocess.STDOUT
            )
            peak = _Peak(process.pid, *others)
            peak.start()
            status = process.wait()
        memory = peak.stop()
        printed = (project / "run.log").read_text()
        if status:
            sys.exit(printed[-3000:])
        seconds = re.search(r"seconds .*\(data_processing ([\d.]+), training ([\d.]+), evaluation ([\d.]+)\)", printed)
        assert seconds is not None
        names = ["data_processing", "training", "evaluation"]
        return pd.Series(
            {"all": time.perf_counter() - began, "GiB": memory}
            | dict(zip(names, map(float, seconds.groups()), strict=True))
            | _metrics(project, "all_test" if workers else "evaluation")
        )

    if not workers:
        return run(None, [])
    with cluster(project, workers) as (address, processes):
        return run(address, processes)


def _metrics(project: Path, group: str) -> dict[str, float]:
    from mlflow import MlflowClient

    client = MlflowClient(_environment(project)["MLFLOW_TRACKING_URI"])
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time DESC"])
    found = next(run.data.metrics for run in runs if f"{group}/roc_auc" in run.data.metrics)
    wanted = (*_COMPARED, "roc_auc_low", "roc_auc_high", "customers")
    return {name: found[f"{group}/{name}"] for name in wanted if f"{group}/{name}" in found}


def fabricate(project: Path, rows: int, folder: Path) -> Path:
    """Fabricate labelled customers in files of 500,000."""
    table = folder / f"customers_{rows}"
    if not table.is_dir():
        size = f"fabrication.large.parts={rows // PART_ROWS},fabrication.large.part_rows={PART_ROWS}"
        began = time.perf_counter()
        subprocess.run(
            [str(KEDRO), "run", "--pipelines", "fabrication", "--params", size],
            cwd=project,
            env={**_environment(project), "CHURN_DATA_ROOT": str(folder)},
            check=True,
            capture_output=True,
        )
        (folder / "01_raw" / "bank" / "large").rename(table)
        print(f"{rows:,} customers fabricated in {time.perf_counter() - began:.0f} s", flush=True)
    return table


def _print(title: str, measured: dict[str, pd.Series]) -> None:
    print(f"\n{title}\n{pd.DataFrame(measured).to_string(float_format=lambda value: f'{value:,.4f}')}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--folder", type=Path, help="folder for the tables, which are reused; default: a temporary one")
    arguments = parser.parse_args()
    selected = arguments.parts.split(",")
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "project"
        _copy_project(project)
        folder = arguments.folder or Path(temporary)
        tables = {part: fabricate(project, PARTS[part], folder) for part in selected}
        if "quality" in selected:
            whole = folder / "whole.parquet"
            pd.concat(map(pd.read_parquet, sorted(tables["quality"].iterdir()))).to_parquet(whole, index=False)
            measured = {"memory": train(project, whole, workers=0)}
            measured["Dask, 2 workers"] = train(project, tables["quality"], workers=2)
            measured["again"] = train(project, tables["quality"], workers=2)
            _print(f"{PARTS['quality']:,} rows", measured)
        if "scaling" in selected:
            measured = {f"{workers} workers": train(project, tables["scaling"], workers=workers) for workers in (2, 1)}
            _print(f"{PARTS['scaling']:,} rows", measured)
            ratios = measured["1 workers"] / measured["2 workers"]
            print("one worker takes times as long as two:", ratios[["data_processing", "training", "all"]].to_dict())
        if "large" in selected:
            _print(f"{PARTS['large']:,} rows", {"Dask, 2 workers": train(project, tables["large"], workers=2)})


if __name__ == "__main__":
    main()
