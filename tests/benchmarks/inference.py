"""Throughput of inference: in batch beside the bare trees, over HTTP beside FastAPI and MLflow.

``python -m tests.benchmarks.inference`` (or ``make benchmark-inference``) trains a champion of the bank sample in a
copy of the project, and measures:

- batch: rows per second of the model object in chunks, in memory and with Parquet read and written, beside
  ``Booster.inplace_predict`` on prepared rows;
- pipeline: seconds and peak memory of the whole inference pipeline, with start-up, ranks, reasons, page and prediction
  log (``--parts pipeline --rows 10000000``: about ten minutes and 7 GB of disk);
- one customer: the compiled form, ``inplace_predict`` on a prepared row, and the model object;
- the service: latency and requests per second of ``kedro serve``, beside a FastAPI application that returns its body,
  and ``mlflow models serve`` on the same version, under the load of wrk (Debian package ``wrk``).

Both sides of a ratio are measured in turn; the shown ones are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import ROOT
from tests.servers import free_port

if TYPE_CHECKING:
    import pandas as pd

    from churn_estimators.model import CustomerModel

KEDRO, MLFLOW = (Path(sys.executable).with_name(name) for name in ("kedro", "mlflow"))
CHUNK_ROWS, BLOCK_ROWS = 100_000, 500_000
SEED = 20260101
# Customers that the load asks for in turn.
N_BODIES = 500
WARM_UP_SECONDS = 2
PATIENCE_SECONDS = 180.0
# Concurrent connections of the load.
CONNECTIONS = (1, 16)
PARTS = ("batch", "pipeline", "single", "service")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def _environment(folder: Path) -> dict[str, str]:
    dropped = ("KEDRO_", "MLFLOW_", "CHURN_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    programs = os.pathsep.join([str(KEDRO.parent), kept.get("PATH", "")])
    return {**kept, "PATH": programs, "MLFLOW_TRACKING_URI": f"sqlite:///{folder.as_posix()}/mlflow.db"}


def _kedro(project: Path, *arguments: str) -> float:
    """Run a command and return its seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        [KEDRO, *arguments], cwd=project, env=_environment(project), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"kedro {' '.join(arguments)}: {done.stderr[-3000:]}")
    return time.perf_counter() - started


def _measure_kedro(project: Path, *arguments: str) -> tuple[float, float]:
    """Run a command and return its seconds and its peak memory in MiB."""
    started = time.perf_counter()
    with (project / "measured.log").open("w") as log:
        process = subprocess.Popen(
            [KEDRO, *arguments], cwd=project, env=_environment(project), stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"kedro {' '.join(arguments)}: {(project / 'measured.log').read_text()[-3000:]}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def train_champion(project: Path, trials: int) -> None:
    """Copy the project, train a version of the sample and promote it."""
    for part in ("conf", "src", "data/01_raw"):
        shutil.copytree(ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for part in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / part, project / part)
    (project / "conf" / "local").mkdir()
    _kedro(project, "run", "--params", f"training.search.n_trials={trials},evaluation.bootstrap.n_resamples=100")


def load_champion(project: Path) -> CustomerModel:
    """Load the champion of a copy of the project."""
    os.environ["MLFLOW_TRACKING_URI"] = _environment(project)["MLFLOW_TRACKING_URI"]
    from churn_kedro.datasets.mlflow.models import RegistryModelDataset
    from churn_kedro.models.interface import RegisteredModel

    found = RegistryModelDataset(model_name="bank_churn", alias="champion").load()
    assert isinstance(found, RegisteredModel)
    return found.estimator


def fabricate_customers(n_rows: int) -> pd.DataFrame:
    """Draw bank customers without their outcome."""
    from churn_kedro.pipelines.fabrication.shapes import fabricate
    from churn_kedro.pipelines.fabrication.shapes.interface import FabricationParameters

    return fabricate(FabricationParameters(shape="bank", rows=1000, new_rows=n_rows, seed=SEED)).new


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _compare(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of some works that are done in turn, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(repeats + 1):
        for name, work in works.items():
            took = _seconds(work)
            if number:
                seconds[name].append(took)
    return {name: statistics.median(each) for name, each in seconds.items()}


def measure_batch(model: CustomerModel, project: Path, n_rows: int, repeats: int) -> None:
    """Rows per second of the model object beside those of its trees."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    customers = fabricate_customers(n_rows)
    path, written = project / "customers.parquet", project / "scores.parquet"
    customers.to_parquet(path, index=False)
    text = customers.astype("str")
    chunks = range(0, n_rows, CHUNK_ROWS)
    prepared = [model.inputs(customers.iloc[start : start + CHUNK_ROWS]) for start in chunks]
    booster = model.learner.get_booster()

    def bare() -> None:
        for inputs in prepared:
            booster.inplace_predict(inputs)

    def predict(table: pd.DataFrame) -> None:
        for start in chunks:
            model.predict(table.iloc[start : start + CHUNK_ROWS])

    def with_files() -> None:
        writer = None
        for batch in pq.ParquetFile(path).iter_batches(CHUNK_ROWS):
            read = batch.to_pandas()
            scored = pa.Table.from_pandas(
                model.predict(read).assign(CustomerId=read["CustomerId"]), preserve_index=False
            )
            writer = writer or pq.ParquetWriter(written, scored.schema)
            writer.write_table(scored)
        assert writer is not None
        writer.close()

    found = _compare(
        {
            "bare inplace_predict, prepared rows": bare,
            "model object, typed table": lambda: predict(customers),
            "model object, table of text": lambda: predict(text),
            "model object, Parquet read and written": with_files,
        },
        repeats,
    )
    ceiling = found["bare inplace_predict, prepared rows"]
    print(f"\nBatch: {n_rows:,} customers in chunks of {CHUNK_ROWS:,}, medians of {repeats}")
    for name, seconds in found.items():
        print(f"  {name:<42}{n_rows / seconds:12,.0f} rows/s   ratio {ceiling / seconds:5.2f}")


def measure_pipeline(project: Path, n_rows: int) -> None:
    """Seconds and peak memory of the inference pipeline, from Parquet to Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from mlflow import MlflowClient

    path = project / "many.parquet"
    block = fabricate_customers(min(n_rows, BLOCK_ROWS))
    schema = pa.Schema.from_pandas(block, preserve_index=False)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, len(block)):
            part = block.head(n_rows - start).assign(CustomerId=range(start, min(n_rows, start + len(block))))
            writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))
    del block
    files = f"new_customers={path},predictions={project}/out.parquet"
    seconds, peak = _measure_kedro(project, "run", "--pipelines", "inference", "--params", files)
    experiment = MlflowClient().get_experiment_by_name("bank_churn")
    assert experiment is not None
    [run] = MlflowClient().search_runs([experiment.experiment_id], order_by=["start_time DESC"], max_results=1)
    metrics = run.data.metrics
    assert metrics["inference/batch_size"] == n_rows
    scored = 1000 / metrics["inference/avg_inference_time_ms"]
    contacts = metrics["inference/contacts"]
    print(f"\nInference pipeline: {n_rows:,} customers from Parquet to Parquet, {contacts:,.0f} to contact")
    print(f"  reading of cells and prediction {scored:12,.0f} rows/s")
    print(f"  whole process                   {n_rows / seconds:12,.0f} rows/s, {seconds:,.0f} s, peak {peak:,.0f} MiB")


def measure_single(model: CustomerModel, repeats: int) -> None:
    """Milliseconds of one customer within the process."""
    import pandas as pd

    from churn_kedro.models.compiled import compile_model
    from churn_kedro.models.generated_rows import rows_of

    table = fabricate_customers(N_BODIES)
    rows = rows_of(table)
    scorer = compile_model(model, table.head(20))
    if not scorer.is_compiled:
        print(f"\nNot compiled: {scorer.fallback_reason}")
    inputs = model.inputs(table)
    booster, few = model.learner.get_booster(), range(0, N_BODIES, 10)
    found = _compare(
        {
            "compiled form": lambda: [scorer.answer([row]) for row in rows],
            "inplace_predict on a prepared row": lambda: [booster.inplace_predict(each[None]) for each in inputs],
            "model object on a table": lambda: [model.predict(pd.DataFrame([rows[place]])) for place in few],
        },
        repeats,
    )
    calls = {"model object on a table": len(few)}
    print(f"\nOne customer within the process, {model.learner.get_booster().num_boosted_rounds()} trees")
    ours = found["compiled form"] / N_BODIES
    for name, seconds in found.items():
        one = seconds / calls.get(name, N_BODIES)
        print(f"  {name:<42}{one * 1e3:12.3f} ms       ratio {one / ours:5.2f}")


@dataclass(frozen=True)
class Load:
    """What wrk measured."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True)
class Server:
    """A server under test."""

    name: str
    command: list[str]
    ready: str
    path: str
    bodies: list[str]


def _script(server: Server, folder: Path) -> Path:
    """Write the requests for wrk: each thread goes round the customers."""
    literals = ",\n".join("[==[" + body + "]==]" for body in server.bodies)
    path = folder / f"{re.sub(r'[^a-z]', '_', server.name.lower())}.lua"
    path.write_text(
        f'local bodies = {{\n{literals}\n}}\nlocal place = 0\nwrk.method = "POST"\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'request = function()\n  place = place % #bodies + 1\n  return wrk.format(nil, "{server.path}", nil, '
        "bodies[place])\nend\n",
        encoding="utf-8",
    )
    return path


def _apply_load(port: int, script: Path, connections: int, seconds: int) -> Load:
    done = subprocess.run(
        ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return read_wrk(done.stdout)


def read_wrk(printed: str) -> Load:
    """Read what wrk prints."""

    def latency(share: str) -> float:
        found = re.search(rf"^\s*{share}%\s+([\d.]+)(us|ms|s|m)\s*$", printed, re.MULTILINE)
        assert found is not None, printed
        return float(found[1]) * _UNITS[found[2]]

    rate = re.search(r"^Requests/sec:\s+([\d.]+)", printed, re.MULTILINE)
    assert rate is not None, printed
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    failed = int(refused[1]) if refused else 0
    failed += sum(map(int, broken.groups())) if broken else 0
    return Load(float(rate[1]), latency("50"), latency("99"), failed)


@contextmanager
def _running(server: Server, port: int, project: Path) -> Iterator[None]:
    log = project / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in server.command],
            cwd=project,
            env=_environment(project),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(f"http://127.0.0.1:{port}{server.ready}"):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{server.name} did not start: {log.read_text(encoding='utf-8')[-3000:]}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310
            return bool(response.status < 300)
    except (urllib.error.URLError, OSError):
        return False


def _ask(port: int, server: Server) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{server.path}", server.bodies[0].encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return json.load(response)


def measure_service(model: CustomerModel, project: Path, workers: int, seconds: int, rounds: int) -> None:
    """Requests per second and latency of the service, of a FastAPI echo and of MLflow's server."""
    names = [reader.column for reader in model.readers]
    records = json.loads(fabricate_customers(N_BODIES)[names].to_json(orient="records"))
    single = [json.dumps(record) for record in records]
    framed = [json.dumps({"dataframe_records": [record]}) for record in records]
    count = str(workers)
    mlflow = [str(MLFLOW), "models", "serve", "-m", "models:/bank_churn@champion", "--env-manager", "local"]
    echo = ["--workers", count, "--no-access-log", "--app-dir", str(ROOT)]
    servers = [
        Server(
            "kedro serve",
            [str(KEDRO), "serve", "--port", "{port}", "--workers", count],
            "/ready",
            "/predict",
            single,
        ),
        Server(
            "FastAPI echo",
            [sys.executable, "-m", "uvicorn", "tests.benchmarks.echo:application", "--port", "{port}", *echo],
            "/ready",
            "/predict",
            single,
        ),
        Server("mlflow serve", [*mlflow, "--port", "{port}", "--workers", count], "/ping", "/invocations", framed),
    ]
    loads: dict[tuple[str, int], list[Load]] = {}
    for _ in range(rounds):
        for server in servers:
            port, script = free_port(), _script(server, project)
            with _running(server, port, project):
                if server.name != "FastAPI echo":
                    _require_score(_ask(port, server), model, records[0])
                _apply_load(port, script, max(CONNECTIONS), WARM_UP_SECONDS)
                for connections in CONNECTIONS:
                    load = _apply_load(port, script, connections, seconds)
                    loads.setdefault((server.name, connections), []).append(load)
    print(f"\nService: {workers} worker process(es), wrk for {seconds} s, medians of {rounds}")
    for connections in CONNECTIONS:
        print(f"  {connections} connection(s)")
        middle = {server.name: _median_load(loads[server.name, connections]) for server in servers}
        ours = middle["kedro serve"].requests_per_second
        for name, load in middle.items():
            failed = f"   {load.failed} failed" if load.failed else ""
            print(
                f"    {name:<16}{load.requests_per_second:10,.0f} requests/s   p50 {load.p50_ms:8.2f} ms   "
                f"p99 {load.p99_ms:8.2f} ms   kedro serve / this {ours / load.requests_per_second:7.2f}{failed}"
            )


def _require_score(answer: Any, model: CustomerModel, record: Mapping[str, Any]) -> None:
    """Check that a server answers with the score of the model, so that the right thing is measured."""
    import pandas as pd

    found: Any = answer["predictions"][0] if "predictions" in answer else answer
    expected = float(model.scores(pd.DataFrame([record]))[0])
    if abs(float(found["probability"]) - expected) > 1e-6:
        sys.exit(f"a server answers {found}, expected the probability {expected}")


def _median_load(loads: list[Load]) -> Load:
    return Load(
        statistics.median(load.requests_per_second for load in loads),
        statistics.median(load.p50_ms for load in loads),
        statistics.median(load.p99_ms for load in loads),
        sum(load.failed for load in loads),
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="customers of the batch (default 500,000)")
    parser.add_argument("--trials", type=int, default=10, help="trials of the search (default 10)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each kind (default 5)")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server (default 1)")
    parser.add_argument("--seconds", type=int, default=10, help="seconds of each load (default 10)")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each server (default 3)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is measured (default: all)")
    parser.add_argument("--folder", type=Path, help="keep the copy of the project here, or use the one that is there")
    arguments = parser.parse_args()
    shown = ", ".join(f"{name} {version(name)}" for name in ("xgboost", "onnxruntime", "fastapi", "mlflow"))
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {shown}")
    with tempfile.TemporaryDirectory() as folder:
        project: Path = (arguments.folder or Path(folder) / "project").resolve()
        if not (project / "mlflow.db").is_file():
            project.mkdir(parents=True, exist_ok=True)
            train_champion(project, arguments.trials)
        model = load_champion(project)
        if "batch" in arguments.parts:
            measure_batch(model, project, arguments.rows, arguments.repeats)
        if "pipeline" in arguments.parts:
            measure_pipeline(project, arguments.rows)
        if "single" in arguments.parts:
            measure_single(model, arguments.repeats)
        if "service" in arguments.parts:
            if shutil.which("wrk") is None:
                sys.exit("The service is not measured: wrk is not on the PATH (Debian: apt install wrk)")
            measure_service(model, project, arguments.workers, arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()
