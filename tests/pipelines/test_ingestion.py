"""Claims about the ingestion of a table, with real sources; the catalog entries are those of the guide."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy
import yaml
from kedro.io import DataCatalog, DatasetError

from churn_kedro.base import secrets
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.parts import TableParts
from churn_kedro.datasets.tables import RawTableDataset
from churn_kedro.hooks.configuration import ProjectConfigLoader
from churn_kedro.pipelines.ingestion.nodes import accept_source_customers
from tests import ROOT
from tests.ingestion_cases import paged_api
from tests.servers import object_store, postgres_database

pytestmark = pytest.mark.slow

Ingest = Callable[..., pd.DataFrame]

CUSTOMERS = pd.read_csv(ROOT / "data/01_raw/bank/customers.csv", nrows=120)


def _examples(dataset: str) -> list[dict[str, Any]]:
    """The catalog entry of the guide with a dataset of this type, and the credentials that follow it."""
    text = (ROOT / "docs" / "ingestion.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    position = next(
        place
        for place, block in enumerate(blocks)
        if block.get("source_customers", {}).get("dataset", {}).get("type") == dataset
    )
    following = blocks[position + 1] if position + 1 < len(blocks) else {}
    return [blocks[position], {} if "source_customers" in following else following]


@pytest.fixture
def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingest:
    """Ingests the source of an entry of the guide as the bank's raw table, and reads that."""
    monkeypatch.setattr(secrets, "_remembered", set())
    monkeypatch.setenv("CHURN_DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(dataset: str, **changes: Any) -> pd.DataFrame:
        entry, credentials = _examples(dataset)
        entry["source_customers"]["dataset"] |= changes
        credentials = {} if "credentials" in changes else credentials
        conf = tmp_path / "conf"
        shutil.copytree(ROOT / "conf" / "base", conf / "base", dirs_exist_ok=True)
        (conf / "local" / "catalog").mkdir(parents=True, exist_ok=True)
        (conf / "local" / "catalog" / "ingestion.yml").write_text(yaml.safe_dump(entry))
        if credentials:
            (conf / "local" / "credentials.yml").write_text(yaml.safe_dump(credentials))
        loader = ProjectConfigLoader(str(conf), base_env="base", default_run_env="local")
        entries = {
            name: entry
            for name, entry in loader["catalog"].items()
            if name in ("source_customers", "ingested_customers")
        }
        catalog = DataCatalog.from_config(entries, loader["credentials"] if credentials else None)
        declaration = loader["parameters"]["customers"]
        catalog.save("ingested_customers", accept_source_customers(catalog.load("source_customers"), declaration))
        return _read_stored()

    return run


def _read_stored() -> pd.DataFrame:
    path = f"{os.environ['CHURN_DATA_ROOT']}/01_raw/bank/customers.parquet"
    return pd.DataFrame(RawTableDataset(filepath=path).load())


def _fill(address: str, table: pd.DataFrame = CUSTOMERS) -> None:
    engine = sqlalchemy.create_engine(address)
    table.to_sql("customers", engine, index=False, if_exists="replace")
    engine.dispose()


def _is_bank_sample(table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(table, CUSTOMERS, check_dtype=False)


def test_a_query_in_postgresql_is_ingested_in_chunks(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres_database() as address:
        _fill(address)
        monkeypatch.setenv("CHURN_SOURCE_DATABASE", address)

        table = ingest("pandas.SQLQueryDataset", load_args={"chunksize": 50})

        _is_bank_sample(table.sort_values("RowNumber", ignore_index=True))
        assert table["CustomerId"].is_monotonic_increasing

        wrong = re.sub(r":[^:@]+@", ":wr0ng-PLANTED@", address)
        monkeypatch.setenv("CHURN_SOURCE_DATABASE", wrong)
        with pytest.raises(DatasetError) as raised:
            ingest("pandas.SQLQueryDataset")

    message = str(raised.value.__cause__)
    assert "The source (SQLQueryDataset) fails after 0 rows: password authentication failed" in message
    assert "PLANTED" not in str(raised.value)


def test_a_query_in_sqlite_is_ingested_and_a_failing_one_leaves_the_former_table(
    ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"sqlite:///{tmp_path / 'source.db'}"
    _fill(address)
    monkeypatch.setenv("CHURN_SOURCE_DATABASE", address)
    first = ingest("pandas.SQLQueryDataset", load_args={"chunksize": 50})
    stored = (tmp_path / "data/01_raw/bank/customers.parquet").read_bytes()

    _is_bank_sample(first.sort_values("RowNumber", ignore_index=True))
    with pytest.raises(DatasetError, match=r"fails after 0 rows: no such table: other\. Check its catalog entry"):
        ingest("pandas.SQLQueryDataset", sql="SELECT * FROM other")
    mixed = "SELECT *, CASE WHEN RowNumber > 100 THEN '?' ELSE 1 END AS Mixed FROM customers ORDER BY RowNumber"
    with pytest.raises(DatasetError, match=r"rows up to 120 cannot be stored in a table: .*Mixed.*int64 vs"):
        ingest("pandas.SQLQueryDataset", sql=mixed, load_args={"chunksize": 50})
    assert (tmp_path / "data/01_raw/bank/customers.parquet").read_bytes() == stored
    assert [path.name for path in (tmp_path / "data/01_raw/bank").iterdir()] == ["customers.parquet"]


def test_parquet_in_s3_is_ingested(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    with object_store("churn-source") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        CUSTOMERS.to_parquet("s3://churn-source/customers/2026-01.parquet", index=False)

        _is_bank_sample(ingest("churn_kedro.datasets.RawTablePartsDataset"))
        with pytest.raises(DatasetError, match=r"churn-source/none\.parquet does not exist"):
            ingest("churn_kedro.datasets.RawTablePartsDataset", filepath="s3://churn-source/none.parquet")


def test_a_table_in_s3_is_replaced_as_a_whole_or_not_at_all(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = json.loads(CUSTOMERS.to_json(orient="records"))
    with (
        object_store("churn-data") as environment,
        paged_api(rows, 50, lambda part, *_: {"data": {"items": part, "total": len(rows)}}) as api,
    ):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CHURN_DATA_ROOT", "s3://churn-data")
        source = {"url": api.url, "pages": "s3://churn-data/pages", "retries": 0, "credentials": None}
        api.faults = {2: (500, {}), 5: (404, {})}

        with pytest.raises(DatasetError, match="also after 0 repetitions"):
            ingest("churn_kedro.datasets.PagedApiDataset", **source)
        _is_bank_sample(ingest("churn_kedro.datasets.PagedApiDataset", **source))
        with pytest.raises(DatasetError, match="status 404"):
            ingest("churn_kedro.datasets.PagedApiDataset", **source)

        _is_bank_sample(_read_stored())
        assert [query["page"] for query in api.asked] == ["1", "2", "3", "1", "3", "1"]


def test_a_folder_of_partitions_is_one_table(ingest: Ingest, tmp_path: Path) -> None:
    folder = tmp_path / "data/01_raw/bank/by_country"
    for country, part in CUSTOMERS.groupby("Geography"):
        (folder / str(country)).mkdir(parents=True)
        part.to_parquet(folder / str(country) / "part.parquet", index=False)

    table = ingest("partitions.PartitionedDataset")

    assert table["Geography"].drop_duplicates().tolist() == ["France", "Germany", "Spain"]
    _is_bank_sample(table.sort_values("RowNumber", ignore_index=True))
    part.rename(columns={"Age": "Years"}).to_parquet(folder / "Spain" / "part.parquet", index=False)
    with pytest.raises(DatasetError, match=r"The columns change after \d+ rows: without Age and with Years\."):
        ingest("partitions.PartitionedDataset")


def test_an_api_is_ingested_page_by_page(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = json.loads(CUSTOMERS.to_json(orient="records"))
    monkeypatch.setenv("CHURN_SOURCE_TOKEN", "t0ken-PLANTED")
    with paged_api(rows, 50, lambda part, *_: {"data": {"items": part, "total": len(rows)}}) as api:
        api.token = "Bearer t0ken-PLANTED"  # noqa: S105 - planted

        table = ingest("churn_kedro.datasets.PagedApiDataset", url=api.url)

    _is_bank_sample(table)
    assert api.asked[0] == {"page": "1", "per_page": "500"}
    assert secrets.hide_secrets("sent t0ken-PLANTED") == "sent ***"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (CUSTOMERS.head(0), "The source has no rows, at least one is expected"),
        (CUSTOMERS.rename(columns={"Geography": "Geograpy"}), "'Geography' \\(nearest in the file: 'Geograpy'\\)"),
    ],
)
def test_an_empty_source_and_one_without_a_declared_column_leave_the_former_table(
    ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, message: str
) -> None:
    address = f"sqlite:///{tmp_path / 'source.db'}"
    monkeypatch.setenv("CHURN_SOURCE_DATABASE", address)
    _fill(address)
    ingest("pandas.SQLQueryDataset")
    stored = (tmp_path / "data/01_raw/bank/customers.parquet").read_bytes()
    _fill(address, table)

    with pytest.raises(DatasetError, match=message):
        ingest("pandas.SQLQueryDataset")

    assert (tmp_path / "data/01_raw/bank/customers.parquet").read_bytes() == stored


def test_text_of_a_file_is_ingested_as_it_is(tmp_path: Path, ingest: Ingest) -> None:
    text = CUSTOMERS.astype("str").assign(Surname="007", Geography="NA", Age="41,5")
    text.to_csv(tmp_path / "customers.csv", index=False, sep=";")

    table = ingest("churn_kedro.datasets.RawTablePartsDataset", filepath="customers.csv", credentials=None)

    assert table[["Surname", "Geography", "Age"]].iloc[0].tolist() == ["007", "NA", "41,5"]


def test_whole_numbers_and_missing_ones_of_different_parts_are_one_column(
    declaration: CustomerDeclaration, raw_customers: pd.DataFrame
) -> None:
    parts = [raw_customers.assign(Age=40), raw_customers.assign(Age=float("nan"))]

    accepted = accept_source_customers(TableParts(lambda: parts), declaration)

    assert accepted.read()["Age"].count() == len(raw_customers)
    with pytest.raises(CustomerTableError, match="no rows"):
        accept_source_customers(TableParts(list), declaration).read()
