"""A stream that is killed and started again: nothing is lost, and nothing is stored twice."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pandas as pd
import pytest

from tests import ROOT
from tests.end_to_end.conftest import Project
from tests.servers import redis_server

pytestmark = pytest.mark.slow

QUICK = "training.search.n_trials=1,training.search.max_rounds=30,training.search.early_stopping_rounds=10"
MESSAGES = 400


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a champion."""
    file = tmp_path_factory.mktemp("small") / "customers.csv"
    pd.read_csv(ROOT / "data/01_raw/bank/customers.csv", nrows=2000, dtype="str").to_csv(file, index=False)
    made = clone("streams")
    made.kedro("run", "--params", f"{QUICK},raw_customers={file}")
    return made


def messages() -> list[str]:
    customers = pd.read_csv(ROOT / "data/01_raw/bank/new_customers.csv", nrows=MESSAGES)
    return [json.dumps(row) for row in customers.to_dict("records")]


def stored(project: Project) -> list[tuple[str, str]]:
    """Id and customer of each prediction of a stream."""
    file = project.path / "data/07_model_output/bank/prediction_log.db"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file)) as log:
        query = "SELECT prediction_id, customer_id FROM predictions WHERE source = 'stream'"
        return list(log.execute(query))
    return []


def start(project: Project, address: str) -> subprocess.Popen[bytes]:
    options = "streaming.stream.micro_batch=5,streaming.stream.stop_when_idle_seconds=3"
    command = [sys.executable, "-m", "kedro", "run", "--pipelines", "streaming_inference", "--params"]
    return subprocess.Popen(
        [*command, f"{options},stream={address}"],
        cwd=project.path,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_halfway(project: Project, address: str, before: int) -> None:
    process = start(project, address)
    until = time.monotonic() + 120
    while len(stored(project)) < before + 50:
        assert process.poll() is None, process.stderr.read().decode()[-3000:] if process.stderr else ""
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert before < len(stored(project)) < before + MESSAGES


def finish(project: Project, address: str) -> None:
    process = start(project, address)
    _, error = process.communicate(timeout=180)
    assert process.returncode == 0, error.decode()[-3000:]


def test_a_redis_stream(project: Project) -> None:
    import redis

    before = len(stored(project))
    with redis_server() as server:
        client: Any = redis.Redis.from_url(server, decode_responses=True)
        for message in messages():
            client.xadd("customers", {"json": message})
        address = f"{server}?stream=customers&take_over_ms=500"

        kill_halfway(project, address, before)
        finish(project, address)

        assert client.xpending("customers", "churn")["pending"] == 0
    rows = stored(project)[before:]
    assert len(rows) == len({key for key, _ in rows}) == MESSAGES
    run = project.runs("bank")[-1]
    assert run.data.metrics["inference/batch_size"] > 0
    assert project.client.list_artifacts(run.info.run_id, "inference_batches")
    assert {customer for _, customer in rows} == {str(json.loads(message)["CustomerId"]) for message in messages()}
