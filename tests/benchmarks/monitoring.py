"""Time and memory of the drift of many rows, beside Evidently where an environment with it is given.

``make benchmark-monitoring``, or ``python -m tests.benchmarks.monitoring --evidently /path/to/python``. Evidently does
not install beside this project; its environment needs ``evidently`` and ``pandas<3.1``. Both read the same Parquet file
of 20 columns (12 numbers, 8 texts) with a moved column, missing cells and a new level; reading is timed apart.
Evidently's data drift preset compares it with the reference of 10,000 rows; this project with the stored profile of the
same rows.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.monitoring.counts import TableCounter
from churn_kedro.monitoring.drift import compare_columns, count_tests
from churn_kedro.monitoring.parameters import MonitoringParameters
from churn_kedro.monitoring.profiles import ReferenceProfile, profile_column

NUMBERS, TEXTS, REFERENCE_ROWS, PART_ROWS = 12, 8, 10_000, 100_000

_EVIDENTLY = """
import json, resource, sys, time
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
reference, current = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
began = time.perf_counter()
Report([DataDriftPreset()]).run(current, reference)
seconds = time.perf_counter() - began
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def make_table(rows: int, seed: int, *, drifted: bool) -> pd.DataFrame:
    """Make rows of 20 columns; the first three drift."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {f"number_{place}": random.gamma(2.0, 10.0 + place, rows) for place in range(NUMBERS)}
    levels = np.array(["north", "south", "east", "west", "centre"], dtype=object)
    for place in range(TEXTS):
        columns[f"text_{place}"] = levels[random.integers(0, 2 + place % 4, rows)]
    table = pd.DataFrame(columns)
    if drifted:
        table["number_0"] *= 1.3
        table.loc[random.random(rows) < 0.1, "number_1"] = np.nan
        table.loc[random.random(rows) < 0.1, "text_0"] = "abroad"
    return table


def declare(table: pd.DataFrame) -> CustomerDeclaration:
    """Declare the columns."""
    columns: list[dict[str, object]] = [
        {"name": name, "kind": "numeric" if str(name).startswith("number") else "categorical", "description": name}
        for name in table
    ]
    return CustomerDeclaration.model_validate(
        {
            "description": "Rows of the benchmark",
            "task": "binary",
            "labels": {"positive": 1, "negative": 0},
            "columns": [*columns, {"name": "left", "role": "target", "description": "Left"}],
        }
    )


def measure(path: Path, profile: ReferenceProfile, declaration: CustomerDeclaration) -> tuple[float, float, list[str]]:
    """Count and compare a file in parts.

    Returns:
        Seconds of counting and comparing, seconds of reading, and the drifted columns.
    """
    parameters = MonitoringParameters()
    # Imports are not measured on either side.
    importlib.import_module("scipy.stats")
    counter = TableCounter(profile, declaration)
    reading = counting = 0.0
    mark = time.perf_counter()
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=PART_ROWS):
            part = batch.to_pandas()
            now = time.perf_counter()
            reading += now - mark
            counter.add(part)
            mark = time.perf_counter()
            counting += mark - now
    level = parameters.false_alarm_rate / count_tests(profile)
    found = compare_columns(counter, profile, parameters.drift, level)
    counting += time.perf_counter() - mark
    return counting, reading, [one.name for one in found if one.severity != "ok"]


def write_many(path: Path, rows: int) -> None:
    """Write a file of many rows without holding them in memory."""
    writer = None
    for begin in range(0, rows, 500_000):
        table = make_table(min(500_000, rows - begin), 10 + begin, drifted=True)
        import pyarrow as pa

        arrow = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, arrow.schema)
        writer.write_table(arrow)
    if writer is not None:
        writer.close()


def run(rows: int, folder: Path, evidently: str | None) -> None:
    """Measure one size in this process."""
    reference = make_table(REFERENCE_ROWS, 1, drifted=False)
    reference.to_parquet(folder / "reference.parquet")
    path = folder / f"{rows}.parquet"
    if not path.is_file():
        write_many(path, rows)
    declaration = declare(reference)
    kinds = {name: "number" if str(name).startswith("number") else "level" for name in reference}
    columns = [
        profile_column(reference[name], name, kind, importance=0.05)  # type: ignore[arg-type]
        for name, kind in kinds.items()
    ]
    profile = ReferenceProfile(task="binary", rows=len(reference), columns=columns)
    seconds, reading, drifted = measure(path, profile, declaration)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows:>10,} rows x 20 columns: {seconds:6.2f} s to count and compare, {reading:5.2f} s to read the Parquet "
        f"file; peak memory of the process {memory:,.0f} MiB; drifted: {', '.join(drifted)}"
    )
    if evidently is None:
        return
    ended = subprocess.run(
        [evidently, "-c", _EVIDENTLY, str(folder / "reference.parquet"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        sys.exit(f"Evidently failed:\n{ended.stderr[-2000:]}")
    theirs, their_memory = json.loads(ended.stdout.strip().splitlines()[-1])
    print(f"{'':10} Evidently's preset: {theirs:6.2f} s, {their_memory:,.0f} MiB; ratio {theirs / seconds:.0f}")


def main() -> None:
    """Read the arguments; each size is measured in a process of its own, so that its memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evidently", metavar="PYTHON", help="interpreter of an environment with Evidently")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        run(arguments.rows[0], arguments.folder, arguments.evidently)
        return
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            write_many(Path(folder) / f"{rows}.parquet", rows)
            command = [sys.executable, "-m", "tests.benchmarks.monitoring", "--rows", str(rows), "--folder", folder]
            # Evidently holds all rows in memory, so it is given the smaller sizes only.
            extra = ["--evidently", arguments.evidently] if arguments.evidently and rows <= 1_000_000 else []
            subprocess.run([*command, *extra], check=True)


if __name__ == "__main__":
    main()
