"""Tables are read as they stand, written whole, and explained when they cannot be read."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError

from churn_kedro.customers.parts import TableParts
from churn_kedro.datasets.tables import RawTableDataset, TableDataset

TABLE = pd.DataFrame({"id": ["001", "002"], "balance": [1.5, None], "city": ["Łódź", "NA"]})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_comes_back_as_it_was_saved(tmp_path: Path, suffix: str) -> None:
    dataset = TableDataset(filepath=(tmp_path / f"folder/table{suffix}").as_posix())
    table = pd.DataFrame({"name": ["a", "b"], "balance": [1.5, 2.25], "age": [30, 40]})

    dataset.save(table)

    pd.testing.assert_frame_equal(dataset.load(), table)


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


def test_a_list_for_people_has_no_formula_and_unchanged_numbers(tmp_path: Path) -> None:
    text = ["=cmd()", "+34 600", "-a", "@SUM(A1)", "\t=1", "\r=1", "-5", "+1,5", "-1e-3", "-", "--", "a=b", "", "'=x"]
    table = pd.DataFrame({"=id": text, "amount": range(-7, 7)}).assign(typed=lambda rows: rows["=id"].astype("str"))

    people, program = (
        TableDataset(filepath=(tmp_path / f"{name}.csv").as_posix(), escape_formulas=name == "people")
        for name in ("people", "program")
    )
    people.save(table)
    program.save(table)

    read = pd.read_csv(tmp_path / "people.csv", keep_default_na=False, dtype={"amount": int})
    assert list(read.columns) == ["'=id", "amount", "typed"]
    assert read["amount"].tolist() == list(range(-7, 7))
    assert read["typed"].tolist() == read["'=id"].tolist()
    assert read["typed"].tolist() == [f"'{one}" if place < 6 else one for place, one in enumerate(text)]
    assert pd.read_csv(tmp_path / "program.csv", keep_default_na=False)["=id"].tolist() == text


def test_a_list_for_people_may_repeat_names_and_lack_rows(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=(tmp_path / "list.csv").as_posix(), escape_formulas=True)

    dataset.save(pd.DataFrame([["=1", None, True]], columns=["row", "row", "@"]))
    assert (tmp_path / "list.csv").read_text() == "row,row,'@\n'=1,,True\n"
    dataset.save(pd.DataFrame({"a": pd.Series(dtype="str")}))
    assert (tmp_path / "list.csv").read_text() == "a\n"


def test_an_absent_file_is_an_error_with_its_description(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    dataset = TableDataset(filepath=path.as_posix(), expected="Put the customers there.")

    with pytest.raises(DatasetError, match=rf"File {path} does not exist\. Put the customers there\."):
        dataset.load()


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()

    for dataset in (TableDataset(filepath=path.as_posix()), RawTableDataset(filepath=path.as_posix())):
        with pytest.raises(DatasetError, match="is empty, without header"):
            dataset.load()


def test_a_csv_file_named_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("a,b\n1,2\n", encoding="utf-8")

    with pytest.raises(DatasetError, match="cannot be read in the format of its suffix"):
        TableDataset(filepath=path.as_posix()).load()


@pytest.mark.parametrize("damage", [b"", b"PAR1 no table PAR1"], ids=["empty", "garbage"])
@pytest.mark.parametrize("is_halved", [True, False])
def test_a_damaged_table_names_the_pipeline_that_makes_it_again(tmp_path: Path, damage: bytes, is_halved: bool) -> None:
    path = tmp_path / "train.parquet"
    dataset = TableDataset(filepath=path.as_posix(), made_by="data_processing")
    dataset.save(TABLE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if is_halved else damage)

    with pytest.raises(DatasetError, match=rf"{path} .*`kedro run --pipelines data_processing`"):
        dataset.load()


def test_another_ending_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"name that ends in \.csv or \.parquet"):
        TableDataset(filepath="customers.xlsx")


def test_the_preview_shows_missing_cells_as_nothing(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=(tmp_path / "table.parquet").as_posix())
    dataset.save(TABLE)

    preview = dataset.preview(nrows=2)

    assert preview["columns"] == ["id", "balance", "city"]
    assert preview["data"] == [["001", 1.5, "Łódź"], ["002", None, "NA"]]


def test_a_saved_table_is_copied_to_the_run_where_asked(tmp_path: Path, tracking: str) -> None:
    dataset = TableDataset(filepath=(tmp_path / "table.parquet").as_posix(), artifact_path="data")

    with mlflow.start_run() as run:
        dataset.save(TABLE)

    copy = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="data/table.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(copy), TABLE)


def test_an_excel_sheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    expected = pd.DataFrame({"id": [7, 8], "name": ["Peña", "b"], "paid": [1.5, None]})
    with pd.ExcelWriter(path) as book:
        expected.to_excel(book, sheet_name="customers", index=False)
        pd.DataFrame({"note": ["x"]}).to_excel(book, sheet_name="notes", index=False)

    table = RawTableDataset(filepath=path.as_posix()).load()

    pd.testing.assert_frame_equal(table, expected)
    assert RawTableDataset(filepath=path.as_posix(), sheet="notes", header_only=True).load() == ["note"]
    assert table.attrs["reading"]["format"] == "excel"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_header_alone_can_be_read_and_may_be_absent(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    TableDataset(filepath=path.as_posix()).save(TABLE)

    assert RawTableDataset(filepath=path.as_posix(), header_only=True).load() == list(TABLE.columns)
    assert RawTableDataset(filepath=(tmp_path / f"none{suffix}").as_posix(), header_only=True).load() is None


def test_raw_tables_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="read-only"):
        RawTableDataset(filepath=(tmp_path / "a.csv").as_posix()).save(TABLE)


def test_a_defect_is_reported_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,2\n3,4,5\n", encoding="utf-8")

    with pytest.raises(DatasetError, match=r"ragged\.csv: 1 record has another number of cells .* on line 3, has 3"):
        RawTableDataset(filepath=path.as_posix()).load()


def test_a_table_in_parts_is_written_with_one_type_for_each_column(tmp_path: Path) -> None:
    parts = [
        pd.DataFrame({"Id": pd.array([2**60 + 1], "Int64"), "Age": [40], "Note": [None]}),
        pd.DataFrame({"Id": pd.array([None], "Int64"), "Age": [40.5], "Note": ["x"]}),
    ]

    TableDataset(filepath=str(tmp_path / "a.parquet")).save(TableParts(lambda: parts))

    stored = pq.read_table(tmp_path / "a.parquet")
    assert stored.to_pylist() == [{"Id": 2**60 + 1, "Age": 40.0, "Note": None}, {"Id": None, "Age": 40.5, "Note": "x"}]


def test_a_table_in_parts_that_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=str(tmp_path / "a.parquet"))
    dataset.save(pd.DataFrame({"Id": [1]}))

    def fail() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"Id": [2]})
        raise OSError("gone")

    with pytest.raises(DatasetError, match="gone"):
        dataset.save(TableParts(fail))
    with pytest.raises(DatasetError, match=r"Id.* incompatible types: int64 vs"):
        dataset.save(TableParts(lambda: [pd.DataFrame({"Id": [2]}), pd.DataFrame({"Id": ["x"]})]))
    with pytest.raises(DatasetError, match=r"a table in parts is written as \.parquet only"):
        TableDataset(filepath=str(tmp_path / "a.csv")).save(TableParts(fail))

    assert dataset.load()["Id"].tolist() == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]
