"""Claims about reading delimited text files; each defect is built here."""

from typing import Any

import pandas as pd
import pytest

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.reading import read_delimited, read_header

TABLE = [["001", "1.50", "Peña"], ["002", "", "NA"]]
NAMES = ["id", "balance", "city"]
TEXT = "id,balance,city\n001,1.50,Peña\n002,,NA\n"


def read(content: bytes, **arguments: Any) -> tuple[list[str], list[list[str]], dict[str, Any]]:
    table = read_delimited(content, **arguments)
    return list(table.columns), table.to_numpy().tolist(), table.attrs["reading"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (TEXT.encode(), {"encoding": "utf-8", "delimiter": "comma", "line_endings": "LF", "byte_order_mark": False}),
        (TEXT.replace(",", ";").encode(), {"delimiter": "semicolon"}),
        (TEXT.replace(",", "\t").encode(), {"delimiter": "tab"}),
        (TEXT.replace(",", "|").encode(), {"delimiter": "vertical bar"}),
        (b"\xef\xbb\xbf" + TEXT.encode(), {"encoding": "utf-8", "byte_order_mark": True}),
        (TEXT.encode("utf-16"), {"encoding": "utf-16-le", "byte_order_mark": True}),
        (TEXT.replace("\n", "\r\n").encode(), {"line_endings": "CRLF"}),
        (TEXT.replace("\n", "\r").encode(), {"line_endings": "CR"}),
        (TEXT.encode("cp1252"), {"encoding": "cp1252"}),
        (TEXT.rstrip().encode(), {"line_endings": "LF"}),
        (b"\n\n" + TEXT.encode() + b"\n\n", {"line_endings": "LF"}),
        ('"id","balance","city"\n"001","1.50","Peña"\n"002","","NA"\n'.encode(), {"quoted_line_breaks": 0}),
    ],
)
def test_delimiters_encodings_and_line_endings_are_detected_and_reported(content: bytes, told: dict[str, Any]) -> None:
    names, rows, reading = read(content)

    assert (names, rows) == (NAMES, TABLE)
    assert {key: reading[key] for key in told} == told


def test_cells_are_unchanged_text() -> None:
    assert read(b'a,b\n 007 ,"x, ""y"""\n1e3,?\n')[1] == [[" 007 ", 'x, "y"'], ["1e3", "?"]]


def test_line_breaks_within_quotation_marks_belong_to_the_cell() -> None:
    _, rows, reading = read(b'id,note\n1,"one\ntwo\nthree"\n2,four\n')

    assert rows == [["1", "one\ntwo\nthree"], ["2", "four"]]
    assert reading["quoted_line_breaks"] == 2


def test_an_encoding_can_be_named() -> None:
    assert read("Łódź,n\nPoznań,1\n".encode("cp1250"), encoding="cp1250")[0] == ["Łódź", "n"]


def test_a_delimiter_can_be_named() -> None:
    assert read(b"a:b\n1:2\n", delimiter=":")[1] == [["1", "2"]]


@pytest.mark.parametrize("content", [b"a,b,\n1,2,\n3,4,\n", b"a,b\n1,2,\n3,4,\n"])
def test_a_delimiter_at_the_end_of_every_line_makes_an_unnamed_column(content: bytes) -> None:
    names, rows, _ = read(content)

    assert names == ["a", "b", ""]
    assert rows == [["1", "2", ""], ["3", "4", ""]]


@pytest.mark.parametrize(("content", "names"), [(b"a,b\n", ["a", "b"]), (b"a", ["a"])])
def test_a_file_with_a_header_alone_has_no_rows(content: bytes, names: list[str]) -> None:
    assert read(content)[:2] == (names, [])


def test_a_single_column_needs_no_delimiter() -> None:
    assert read(b"a\n1\n2\n")[:2] == (["a"], [["1"], ["2"]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"a,b\n1,2\n3,4,5\n6\n",
            r"2 records have another number of cells .*; the first, on line 3",
        ),
        (b"Report of May\n\na,b,c\n1,2,3\n", r"remove a title above the header"),
        (b"a,b\n1,2\n<<<<<<< ours\n1,3\n=======\n1,4\n>>>>>>> theirs\n", "Line 3 of the file is a conflict marker"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "quotation mark on line 3 of the file is not closed"),
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"PAR1rest", "a Parquet file"),
        (b"\x1f\x8brest", "compressed with gzip"),
        (b"a,b\n1,\x00\n", "has zero bytes"),
        (b"a,b\n\x81\x8d,2\n", r"cannot be read as cp1252 \(line 2"),
        (b"\n \n", "blank lines only"),
    ],
)
def test_a_file_that_is_defective_as_a_whole_is_refused_with_the_line(content: bytes, message: str) -> None:
    with pytest.raises(CustomerTableError, match=message):
        read_delimited(content)


def test_less_than_signs_in_cells_are_not_conflict_markers() -> None:
    assert read(b"a,b\n<<<<<<<x,2\n3,>>>>>>>\n")[1] == [["<<<<<<<x", "2"], ["3", ">>>>>>>"]]


def test_a_cell_longer_than_a_block_is_read() -> None:
    long = "x" * 3_000_000

    assert read(f'a,b\n1,"{long}"\n2,y\n'.encode())[1] == [["1", long], ["2", "y"]]


@pytest.mark.slow
def test_many_rows_are_read_in_order() -> None:
    numbers = pd.Series(range(200_000)).astype("str")

    table = read_delimited(("n,m\n" + "\n".join(numbers + "," + numbers) + "\n").encode())

    assert table["n"].tolist() == table["m"].tolist() == numbers.tolist()


def test_the_header_is_read_from_the_start_of_a_file() -> None:
    assert read_header(b'"a b",c\n1,"2') == ["a b", "c"]
    assert read_header("é;b\n1;2".encode()[:-1]) == ["é", "b"]


def test_the_header_of_a_utf_16_file_is_read_from_its_first_bytes() -> None:
    content = ("a;ö\n" + "1;2\n" * 50).encode("utf-16")

    assert all(read_header(content[:size]) == ["a", "ö"] for size in range(14, 60))
