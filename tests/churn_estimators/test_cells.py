"""Claims about the reading of raw cells."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st

from churn_estimators.cells import CellReader, CellType, is_number, read_dates, read_levels, read_numbers, read_table

NAN = float("nan")


def numbers(cells: Any, decimal: str = ".") -> list[float]:
    found: list[float] = read_numbers(pd.Series(cells), [], decimal)[0].tolist()
    return found


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", " 2.5 ", "-3e2"], [1.0, 2.5, -300.0]),
        (["", " ", None], [NAN, NAN, NAN]),
        ([1, "2", None], [1.0, 2.0, NAN]),
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([1.5, None, 2.0], [1.5, NAN, 2.0]),
        (pd.array([1, None, 3], dtype="Int64"), [1.0, NAN, 3.0]),
        (pd.array([1.5, None, 3], dtype="Float32"), [1.5, NAN, 3.0]),
        (pd.Categorical(["1", "2", None]), [1.0, 2.0, NAN]),
        (pd.Categorical([7, None, 8]), [7.0, NAN, 8.0]),
        ([None, None, None], [NAN, NAN, NAN]),
    ],
)
def test_numbers_are_read_from_any_kind_of_column(cells: Any, expected: list[float]) -> None:
    values, unreadable = read_numbers(pd.Series(cells))

    np.testing.assert_array_equal(values, expected)
    assert not unreadable.any()


@pytest.mark.parametrize("cell", ["1,5", "one", "0x1", "1_000", "inf", "nan", "\u0661", True, math.inf, -math.inf])
def test_what_is_no_finite_number_is_unreadable(cell: Any) -> None:
    values, unreadable = read_numbers(pd.Series([cell, "7"], dtype=object))

    np.testing.assert_array_equal(values, [NAN, 7.0])
    assert unreadable.tolist() == [True, False]


@pytest.mark.parametrize(
    ("remove", "thousands", "cells", "expected"),
    [
        (["$", "USD"], ",", ["$1,200.50", "-$5", "$-5", "($1,000)", "5 usd", "1e3"], [1200.5, -5, -5, -1000, 5, 1000]),
        (["$"], ",", ["(5", "1,2", "$", "--5", "€5", "5$5", "1,2345"], [NAN] * 7),
        ([], ",", ["12,34,567", "1,234,567.8"], [1234567, 1234567.8]),
        (["€"], ".", ["1.234,56 €", "1.234", "-2,5", "1.5"], [1234.56, 1234, -2.5, NAN]),
        ([], " ", ["1 234,5", "1\u00a0234.5", "1\u202f234", "12 34"], [1234.5, 1234.5, 1234, NAN]),
        ([], "'", ["1'234.5", "1\u2019234"], [1234.5, 1234]),
        (["%"], "", ["12.5%", "7 %", ".5%", "5.%", 3, 2.5, None, "?"], [12.5, 7, 0.5, 5, 3, 2.5, NAN, NAN]),
        (["km", "kilometres"], "", ["3 km", "4kilometres", "5 KM", "6 miles"], [3, 4, 5, NAN]),
    ],
)
def test_amounts_are_read_without_their_units_and_separators(
    remove: list[str], thousands: str, cells: list[Any], expected: list[float]
) -> None:
    reader = CellReader("c", "number", ["?"], remove=remove, thousands=thousands)

    read = reader.read(pd.Series(cells, dtype=object))

    np.testing.assert_allclose(read.values, expected)
    few, unreadable = reader.read_few(cells)
    np.testing.assert_array_equal(few, read.values)
    np.testing.assert_array_equal(unreadable if unreadable is not None else [False] * len(cells), read.unreadable)
    blank = [cell in (None, "?") for cell in cells]
    assert read.unreadable is not None
    assert read.unreadable.tolist() == (read.values.isna() & ~np.array(blank)).tolist()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "-2", " 3,25 "], [1.5, -2.0, 3.25]),
        (["1.5", "1.000,5", "1,000.5"], [1.5, NAN, NAN]),
        ([1.5, 2, 3], [1.5, 2.0, 3.0]),
        (pd.Series([1.5, "2,5", None], dtype=object), [1.5, 2.5, NAN]),
    ],
)
def test_a_decimal_comma_is_read_in_text_and_typed_numbers_are_unchanged(cells: Any, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers(cells, ","), expected)


@given(cells=st.lists(st.floats(allow_infinity=False, allow_nan=False), min_size=1, max_size=8))
def test_numbers_survive_being_written_as_text(cells: list[float]) -> None:
    np.testing.assert_array_equal(numbers([repr(number) for number in cells]), cells)
    np.testing.assert_array_equal(numbers(cells), cells)


@example(text="0\x1f")
@given(text=st.text(max_size=6))
def test_a_text_is_a_number_exactly_if_it_is_read_as_one(text: str) -> None:
    values, _ = read_numbers(pd.Series([text], dtype="str"))

    assert is_number(text) == bool(np.isfinite(values[0]))


def test_markers_are_missing_however_the_number_is_written() -> None:
    for cells in (["-1", "-1.0", "?", "3"], [-1.0, -1, None, 3]):
        values, unreadable = read_numbers(pd.Series(cells, dtype=object), ["-1", "?"])

        np.testing.assert_array_equal(values, [NAN, NAN, NAN, 3.0])
        assert not unreadable.any()


@pytest.mark.parametrize(
    ("cell", "date_format", "expected"),
    [
        ("2025-12-31", None, "2025-12-31"),
        ("31.12.2025", "%d.%m.%Y", "2025-12-31"),
        ("2025-12-31", "%d.%m.%Y", "2025-12-31"),
        ("2025-12-31 10:00", "%d.%m.%Y", "2025-12-31 10:00"),
        (pd.Timestamp("2025-12-31"), "%d.%m.%Y", "2025-12-31"),
        (pd.Timestamp("2025-12-31T23:30", tz="Europe/Paris"), None, "2025-12-31 22:30"),
        ("12/31/2025", "%d/%m/%Y", None),
        ("soon", None, None),
    ],
)
def test_a_date_is_read_by_its_format_or_as_iso_8601(cell: Any, date_format: str | None, expected: str | None) -> None:
    for cells in (pd.Series([cell]), pd.Series([cell], dtype=object)):
        dates, unreadable = read_dates(cells, [], date_format)

        assert unreadable.tolist() == [expected is None]
        assert expected is None or dates[0] == pd.Timestamp(expected)


def test_levels_are_text_without_blanks_and_without_the_point_of_whole_numbers() -> None:
    cells = pd.Series([1.0, 2.5, " gold ", True, None, "n/a", ""], dtype=object)

    assert read_levels(cells, ["n/a"]).fillna("missing").tolist() == [
        "1",
        "2.5",
        "gold",
        "True",
        "missing",
        "missing",
        "missing",
    ]


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["", " ", "?", "-1", "-1.0", " 1.5 ", "1,5", "1e400", "1e3", "+2", ".5", "5.", "NaN", "inf"]),
)
COLUMNS = st.one_of(
    st.lists(CELLS, min_size=1, max_size=6).map(lambda cells: pd.Series(cells, dtype=object)),
    st.lists(st.floats(), min_size=1, max_size=6).map(lambda cells: pd.Series(cells, dtype="float64")),
    st.lists(st.booleans(), min_size=1, max_size=6).map(lambda cells: pd.Series(cells, dtype=bool)),
    st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=6).map(lambda cells: pd.Series(cells, dtype="int64")),
    st.lists(st.text(max_size=4), min_size=1, max_size=6).map(lambda cells: pd.Series(cells, dtype="str")),
)
KINDS: list[CellType] = ["number", "text"]


@given(cells=COLUMNS, kind=st.sampled_from(KINDS), decimal=st.sampled_from([".", ","]))
def test_few_rows_are_read_as_many_are(cells: pd.Series, kind: CellType, decimal: str) -> None:
    reader = CellReader("c", kind, missing=["?", "-1"], decimal=decimal)
    many = pd.concat([cells] * 60, ignore_index=True)

    few = read_table(cells.to_frame("c"), [reader])
    expected = read_table(many.to_frame("c"), [reader])

    pd.testing.assert_series_equal(few.table["c"], expected.table["c"].head(len(cells)))
    of_few = expected.unreadable[expected.unreadable["row"] < len(cells)]
    assert few.unreadable.to_numpy().tolist() == of_few.to_numpy().tolist()


@given(cells=COLUMNS, kind=st.sampled_from([*KINDS, "date"]))
def test_typed_columns_are_read_again_without_change(cells: pd.Series, kind: CellType) -> None:
    reader = CellReader("c", kind, missing=["?", "-1"])
    once = read_table(cells.to_frame("c"), [reader]).table

    again = read_table(once, [reader])

    pd.testing.assert_frame_equal(again.table, once)
    assert again.unreadable.empty


def test_an_absent_column_is_an_error_or_missing_in_every_row() -> None:
    table = pd.DataFrame({"a": [1, 2]})

    with pytest.raises(ValueError, match="the table lacks the columns 'b'; it has 'a'"):
        read_table(table, [CellReader("a", "number"), CellReader("b", "number")])
    assert read_table(table, [CellReader("b", "number", required=False)]).table["b"].isna().all()


def test_reading_does_not_modify_the_table() -> None:
    table = pd.DataFrame({"a": ["1", "x"]})
    before = table.copy()

    read_table(table, [CellReader("a", "number")])

    pd.testing.assert_frame_equal(table, before)
