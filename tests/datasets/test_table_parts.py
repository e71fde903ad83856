"""Raw tables that are read part by part."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from kedro.io import DatasetError

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.reading import iterate_delimited, read_delimited
from churn_kedro.datasets.table_parts import RawTablePartsDataset
from churn_kedro.datasets.tables import RawTableDataset


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame({"Id": range(10), "Name": [f"n{number}\n, {number}" for number in range(10)]})


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_a_file_is_read_in_parts_of_the_given_size(suffix: str, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / f"customers{suffix}"
    if suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_excel(path, index=False)

    parts = list(RawTablePartsDataset(filepath=str(path), part_rows=4).load())

    assert [part.index.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    whole = pd.concat(parts)
    assert whole["Id"].astype(int).tolist() == list(range(10))
    assert whole["Name"].tolist() == table["Name"].tolist()


def test_a_folder_is_one_table_in_the_order_of_its_files(table: pd.DataFrame, tmp_path: Path) -> None:
    table[5:].to_csv(tmp_path / "b.csv", index=False)
    table[:5].to_parquet(tmp_path / "a.parquet", index=False)
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "readme.md").write_text("no table")

    loaded = RawTablePartsDataset(filepath=str(tmp_path)).load()

    assert pd.concat(list(loaded))["Id"].astype(int).tolist() == list(range(10))
    assert loaded.rows == 10


def test_the_header_of_a_folder_is_that_of_its_first_file(table: pd.DataFrame, tmp_path: Path) -> None:
    dataset = RawTablePartsDataset(filepath=str(tmp_path), header_only=True)
    table.to_csv(tmp_path / "b.csv", index=False)

    assert dataset.load() == ["Id", "Name"]
    assert RawTablePartsDataset(filepath=str(tmp_path / "none.csv"), header_only=True).load() is None


def test_the_first_rows_are_shown(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "a.csv", index=False)

    for dataset in (RawTablePartsDataset, RawTableDataset):
        preview = dataset(filepath=str(tmp_path / "a.csv")).preview(2)
        assert (preview["columns"], len(preview["data"])) == (["Id", "Name"], 2)


def test_files_with_different_columns_are_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "a.csv", index=False)
    table.rename(columns={"Name": "Surname"}).to_csv(tmp_path / "b.csv", index=False)

    expected = (
        r"b\.csv: The columns change in this file: without Name and with Surname\. .* need the columns Id, Name\."
    )
    with pytest.raises(DatasetError, match=expected):
        list(RawTablePartsDataset(filepath=str(tmp_path)).load())


def test_an_empty_folder_and_an_absent_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has no table \(\.csv"):
        RawTablePartsDataset(filepath=str(tmp_path)).load()
    with pytest.raises(DatasetError, match=r"does not exist\. Put it there"):
        RawTablePartsDataset(filepath=str(tmp_path / "new.csv"), expected="Put it there.").load()
    with pytest.raises(DatasetError, match="expected a file name that ends in"):
        RawTablePartsDataset(filepath=str(tmp_path / "new.json"))


def test_a_header_without_rows_is_one_empty_part(table: pd.DataFrame, tmp_path: Path) -> None:
    table.head(0).to_csv(tmp_path / "none.csv", index=False)
    table.head(0).to_parquet(tmp_path / "none.parquet", index=False)

    for name in ("none.csv", "none.parquet"):
        [part] = RawTablePartsDataset(filepath=str(tmp_path / name)).load()
        assert (list(part.columns), len(part)) == (["Id", "Name"], 0)


CELLS = st.text(st.sampled_from('a,"\nü;'), max_size=6)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), block=st.integers(8, 64))
def test_blocks_of_any_size_give_the_records_of_the_whole_file(rows: list[tuple[str, str]], block: int) -> None:
    content = pd.DataFrame(rows, columns=["one", "two"]).to_csv(index=False).encode()

    whole = read_delimited(content, delimiter=",")
    parts = pd.concat(iterate_delimited(io.BytesIO(content), None, ",", block), ignore_index=True)

    pd.testing.assert_frame_equal(parts, whole)


def test_a_broken_record_is_named_with_the_line_of_its_block() -> None:
    lines = ["id,plan", *(f"{number},basic" for number in range(100)), "7,basic,more", "8,basic"]

    with pytest.raises(CustomerTableError, match=r"another number of cells .*\(line numbers count from line \d+"):
        list(iterate_delimited(io.BytesIO("\n".join(lines).encode()), block_bytes=256))


def test_a_wide_encoding_is_read_whole() -> None:
    content = "id,name\n1,Zoë\n2,Ann\n".encode("utf-16")

    [part] = iterate_delimited(io.BytesIO(content), block_bytes=16)

    assert part["name"].tolist() == ["Zoë", "Ann"]


def test_large_tables_are_written_in_slices_with_the_same_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from churn_kedro.datasets import tables

    monkeypatch.setattr(tables, "_SLICE_ROWS", 3)
    table = pd.DataFrame(
        {"a": np.arange(8), "b": pd.Categorical(list("xyxyxyxy")), "c": ["t", None] * 4, "d": [None] * 7 + [1.5]}
    )

    tables.TableDataset(filepath=str(tmp_path / "t.parquet")).save(table)

    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table, check_dtype=False)
