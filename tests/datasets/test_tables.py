"""Tables are read as they stand, written whole, and explained when they cannot be read."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from churn_kedro.datasets.tables import TableDataset

TABLE = pd.DataFrame({"id": ["001", "002"], "balance": [1.5, None], "city": ["Łódź", "NA"]})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_comes_back_as_it_was_saved(tmp_path: Path, suffix: str) -> None:
    dataset = TableDataset(filepath=(tmp_path / f"folder/table{suffix}").as_posix())
    table = pd.DataFrame({"name": ["a", "b"], "balance": [1.5, 2.25], "age": [30, 40]})

    dataset.save(table)

    pd.testing.assert_frame_equal(dataset.load(), table)


def test_text_mode_keeps_every_cell_as_the_file_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes('\ufeffid,balance,city\r\n001,1.50,NA\r\n002,,"a, b"\r\n'.encode())

    table = TableDataset(filepath=path.as_posix(), as_text=True).load()

    assert table.columns.tolist() == ["id", "balance", "city"]
    assert table.to_numpy().tolist() == [["001", "1.50", "NA"], ["002", "", "a, b"]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_save_that_fails_half_way_leaves_the_former_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    dataset = TableDataset(filepath=path.as_posix())
    dataset.save(pd.DataFrame({"a": [1, 2]}))

    class Unwritable:
        def __str__(self) -> str:
            raise RuntimeError("the power went")

    with pytest.raises(DatasetError):
        dataset.save(pd.DataFrame({"a": [3, Unwritable()]}, dtype=object))

    assert dataset.load()["a"].tolist() == [1, 2]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_absent_file_says_what_should_be_there(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    dataset = TableDataset(filepath=path.as_posix(), expected="Put the customers there.")

    with pytest.raises(DatasetError, match=rf"There is no file {path}\. Put the customers there\."):
        dataset.load()


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()

    with pytest.raises(DatasetError, match="is empty: not even a header"):
        TableDataset(filepath=path.as_posix(), as_text=True).load()


def test_a_row_with_too_many_cells_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,2\n3,4,5\n", encoding="utf-8")

    with pytest.raises(DatasetError, match=r"cannot be read as csv: .*line 3, saw 3"):
        TableDataset(filepath=path.as_posix(), as_text=True).load()


def test_text_that_is_not_utf_8_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "windows.csv"
    path.write_bytes("name\nMüller\n".encode("cp1252"))

    with pytest.raises(DatasetError, match="is not UTF-8 text"):
        TableDataset(filepath=path.as_posix(), as_text=True).load()


def test_a_csv_file_named_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("a,b\n1,2\n", encoding="utf-8")

    with pytest.raises(DatasetError, match="cannot be read as parquet"):
        TableDataset(filepath=path.as_posix()).load()


def test_another_ending_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"must end in \.csv or \.parquet"):
        TableDataset(filepath="customers.xlsx")


def test_the_preview_shows_missing_cells_as_nothing(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=(tmp_path / "table.parquet").as_posix())
    dataset.save(TABLE)

    preview = dataset.preview(nrows=2)

    assert preview["columns"] == ["id", "balance", "city"]
    assert preview["data"] == [["001", 1.5, "Łódź"], ["002", None, "NA"]]
