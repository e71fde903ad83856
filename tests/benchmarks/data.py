"""Time and memory of the data pipeline, against reading and checking the table in the plainest way.

``python -m tests.benchmarks.data`` (or ``make benchmark-data``) fabricates bank customers, then measures in turns, each
in a process of its own: the data pipeline with its datasets, without tracking, figures and page; and as the yardstick
``pandas.read_csv`` followed by a pandera validation of the same declaration. Imports are no part of either.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import ROOT

WARM_UP_ROWS = 2000
DRAWN = frozenset({"draw_leakage", "draw_profile", "write_data_report"})


def _peak_mebibytes() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measured(work: Callable[[Path], object], table: Path, small: Path) -> dict[str, float]:
    """Seconds and further memory of some work, once it has been done on a small table."""
    work(small)
    before, start = _peak_mebibytes(), time.perf_counter()
    work(table)
    return {"seconds": time.perf_counter() - start, "mebibytes": _peak_mebibytes() - before}


def measure_yardstick(table: Path, small: Path) -> dict[str, float]:
    """Read the table with pandas and validate it with pandera."""
    import pandas as pd
    import pandera.pandas as pa
    import yaml

    from churn_kedro.customers.declaration import CustomerDeclaration, Range

    parameters = ROOT / "conf" / "base" / "parameters" / "customers.yml"
    declaration = CustomerDeclaration.model_validate(
        yaml.safe_load(parameters.read_text(encoding="utf-8"))["customers"]
    )
    columns = {}
    for column in declaration.required_columns(with_target=True):
        checks = []
        if isinstance(column.domain, Range):
            checks += [] if column.domain.min is None else [pa.Check.ge(column.domain.min)]
            checks += [] if column.domain.max is None else [pa.Check.le(column.domain.max)]
        elif column.levels:
            checks.append(pa.Check.isin(column.levels))
        columns[column.name] = pa.Column(None, checks, nullable=column.nullable)
    schema = pa.DataFrameSchema(columns)
    measured = _measured(lambda path: schema.validate(pd.read_csv(path), lazy=True), table, small)
    return measured | {"table": float(pd.read_csv(table).memory_usage(deep=True).sum() / 2**20)}


class _NodeTimes:
    """Seconds per node, saving included, as a Kedro hook."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._mark = 0.0

    def start(self) -> None:
        self.seconds, self._mark = {}, time.perf_counter()

    def charge(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._mark
        self._mark = now


def measure_pipeline(table: Path, small: Path) -> dict[str, float]:
    """Run the data pipeline as ``kedro run`` does, without tracking, figures and page."""
    from kedro.framework.hooks import hook_impl
    from kedro.framework.hooks.manager import _create_hook_manager
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.io import MemoryDataset
    from kedro.pipeline import Pipeline
    from kedro.runner import SequentialRunner

    from churn_kedro.pipelines import data_processing

    times = _NodeTimes()

    class Hooks:
        @hook_impl
        def after_node_run(self, node: Any) -> None:
            times.charge(node.name)

        @hook_impl
        def after_dataset_saved(self, node: Any) -> None:
            times.charge(node.name)

    manager = _create_hook_manager()
    manager.register(Hooks())
    bootstrap_project(ROOT)
    pipeline = Pipeline([node for node in data_processing.create_pipeline().nodes if node.name not in DRAWN])

    def work(path: Path) -> None:
        with KedroSession.create(project_path=ROOT, runtime_params={"raw_customers": path.as_posix()}) as session:
            assert isinstance(session, KedroSession)
            catalog: Any = session.load_context().catalog
            # The last node waits for the page, and metrics need a run.
            catalog["data_report"], catalog["data_metrics"] = MemoryDataset(""), MemoryDataset()
            times.start()
            SequentialRunner().run(pipeline, catalog, hook_manager=manager)

    return _measured(work, table, small) | {f"node {name}": value for name, value in times.seconds.items()}


MEASURES = {"yardstick": measure_yardstick, "pipeline": measure_pipeline}


def _in_process(what: str, table: Path, small: Path, folder: Path) -> dict[str, float]:
    environment = os.environ | {
        "CHURN_DATA_ROOT": (folder / "data").as_posix(),
        "MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}",
        "KEDRO_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.data", "--measure", what, str(table), str(small)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def compare(rows: int, repeats: int, folder: Path) -> None:
    """Measure one size of table, and print the ratios."""
    from churn_kedro.pipelines.fabrication.shapes import fabricate
    from churn_kedro.pipelines.fabrication.shapes.interface import FabricationParameters

    tables = {}
    for name, size in (("table", rows), ("small", WARM_UP_ROWS)):
        tables[name] = folder / f"{name}_{rows}.csv"
        parameters = FabricationParameters(shape="bank", rows=size, new_rows=0, seed=1)
        fabricate(parameters).labelled.to_csv(tables[name], index=False)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in MEASURES}
    for _ in range(repeats):
        for name, runs in found.items():
            runs.append(_in_process(name, tables["table"], tables["small"], folder))
    middle = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in found.items()
    }
    yardstick, pipeline = middle["yardstick"], middle["pipeline"]
    print(f"\n{rows:,} rows; the table takes {yardstick['table']:.0f} MiB in memory")
    print(f"  read_csv and pandera  {yardstick['seconds']:8.2f} s  {yardstick['mebibytes']:8.0f} MiB")
    print(
        f"  data pipeline         {pipeline['seconds']:8.2f} s  {pipeline['mebibytes']:8.0f} MiB   "
        f"{pipeline['seconds'] / yardstick['seconds']:.1f} x the time, "
        f"{pipeline['mebibytes'] / yardstick['table']:.1f} x the table in memory"
    )
    nodes = {key.removeprefix("node "): value for key, value in pipeline.items() if key.startswith("node ")}
    for name, seconds in sorted(nodes.items(), key=lambda item: -item[1]):
        if seconds >= 0.02 * pipeline["seconds"]:
            print(f"    {name:<32} {seconds:6.2f} s")


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "TABLE", "SMALL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, table, small = arguments.measure
        print(json.dumps(MEASURES[what](Path(table), Path(small))))
        return
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            compare(rows, arguments.repeats, Path(folder))


if __name__ == "__main__":
    main()
