"""Claims about `kedro run --pipelines ingestion` as a user runs it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import yaml

from tests import ROOT
from tests.end_to_end.conftest import Project
from tests.ingestion_cases import paged_api
from tests.servers import postgres_database

pytestmark = pytest.mark.slow

PLANTED = "s3cr3t-PLANTED"
CUSTOMERS = pd.read_csv(ROOT / "data/01_raw/bank/customers.csv", nrows=1000)
ROWS = json.loads(CUSTOMERS.to_json(orient="records"))


def _configure(project: Project, dataset: dict[str, Any], credentials: dict[str, Any]) -> None:
    entry = {"source_customers": {"type": "churn_kedro.datasets.SourceTableDataset", "dataset": dataset}}
    (project.path / "conf" / "local" / "catalog_source.yml").write_text(yaml.safe_dump(entry))
    (project.path / "conf" / "local" / "credentials.yml").write_text(yaml.safe_dump(credentials))


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _stored_texts(project: Project) -> bytes:
    """The store of MLflow, its artifacts and the logs."""
    files = [project.path / "mlflow.db", *(project.path / "mlartifacts").rglob("*"), *(project.path / "logs").iterdir()]
    return b"".join(file.read_bytes() for file in files if file.is_file())


@pytest.fixture(scope="module")
def project(clone: Callable[[str], Project]) -> Project:
    made = clone("ingestion")
    # A clone has what the working tree has.
    (made.path / "data/01_raw/bank/customers.parquet").unlink(missing_ok=True)
    return made


def test_a_run_that_is_killed_between_two_pages_is_continued(project: Project) -> None:
    folder = project.path / "data/01_raw/bank"
    with paged_api(ROWS, 250, lambda rows, *_: {"items": rows, "n": len(ROWS)}) as api:
        api.token = f"Bearer {PLANTED}"
        paging = {"rows": "items", "total": "n", "page_parameter": "page", "pages": "data/01_raw/bank/.pages"}
        source = {"type": "churn_kedro.datasets.PagedApiDataset", "url": api.url, "credentials": "api", **paging}
        _configure(project, source, {"api": {"headers": {"Authorization": api.token}}})
        api.faults = {2: (hangs := threading.Event())}
        command = [sys.executable, "-m", "kedro", "run", "--pipelines", "ingestion"]
        killed = subprocess.Popen(
            command, cwd=project.path, env=project.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for(lambda: len(api.asked) == 3)
        killed.kill()
        killed.wait()
        hangs.set()
        assert sorted(path.name for path in (folder / ".pages").iterdir()) == ["000000.json.gz", "000001.json.gz"]
        assert not (folder / "customers.parquet").exists()

        printed = project.kedro("run", "--pipelines", "ingestion").stdout

    assert [query["page"] for query in api.asked] == ["1", "2", "3", "1", "3", "4"]
    stored = pd.read_parquet(folder / "customers.parquet")
    pd.testing.assert_frame_equal(stored, CUSTOMERS, check_dtype=False)
    assert f"read        {api.url}: 1,000 rows, digest " in printed
    assert not (folder / ".pages").exists()
    # The run has what arrived, from where, and how much; when is its time.
    first, second = project.runs("bank")
    assert (first.info.status, second.info.status) == ("KILLED", "FINISHED")
    assert second.inputs is not None
    [arrived] = second.inputs.dataset_inputs
    assert json.loads(arrived.dataset.source) == {"url": api.url}
    assert json.loads(str(arrived.dataset.profile)) == {"num_rows": 1000, "num_elements": 1000 * CUSTOMERS.shape[1]}
    assert len(arrived.dataset.digest) == 32
    assert [tag.value for tag in arrived.tags if tag.key == "mlflow.data.context"] == ["source"]
    assert PLANTED.encode() not in _stored_texts(project)


def test_a_database_that_refuses_the_user_is_one_sentence_without_the_password(project: Project) -> None:
    with postgres_database() as address:
        user, _, rest = address.partition("://")[2].partition("@")
        wrong = f"postgresql+pg8000://{user.partition(':')[0]}:{PLANTED}@{rest}"
        query = {"type": "pandas.SQLQueryDataset", "sql": "SELECT 1", "credentials": "database"}
        _configure(project, query, {"database": {"con": wrong}})

        ended = project.kedro("run", "--pipelines", "ingestion", check=False)

    assert ended.returncode == 1
    message = ended.stderr.rpartition("Error: ")[2]
    assert "The source (SQLQueryDataset) fails after 0 rows: password authentication failed" in message
    assert "\n" not in message.strip()
    assert "Traceback" not in ended.stderr
    assert PLANTED not in ended.stdout + ended.stderr
    assert PLANTED.encode() not in _stored_texts(project)


def test_the_stored_table_is_trained_on_like_a_file(project: Project) -> None:
    _configure(
        project, {"type": "churn_kedro.datasets.RawTablePartsDataset", "filepath": "data/01_raw/bank/customers.csv"}, {}
    )
    (project.path / "conf/local/credentials.yml").unlink()

    project.kedro("run", "--pipelines", "ingestion")
    stored = "raw_customers=data/01_raw/bank/customers.parquet"
    from_stored = project.kedro("run", "--pipelines", "data_processing", "--params", stored).stdout
    manifest = (project.path / "data/05_model_input/bank/split_manifest.json").read_text(encoding="utf-8")
    from_file = project.kedro("run", "--pipelines", "data_processing").stdout

    kept = next(line for line in from_stored.splitlines() if "rows read" in line)
    assert kept in from_file
    assert json.loads(manifest) == json.loads(
        (project.path / "data/05_model_input/bank/split_manifest.json").read_text(encoding="utf-8")
    )
