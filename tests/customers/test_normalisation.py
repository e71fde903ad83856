"""Claims about reading raw cells into typed columns."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import NormalisedCustomers, normalise

Declare = Callable[..., CustomerDeclaration]

TWO_CUSTOMERS: dict[str, list[Any]] = {
    "Id": ["007", "8"],
    "City": ["Lyon", ""],
    "Age": ["20", "30.5"],
    "Country": ["France", "Spain"],
    "Charges": ["1e2", "NA"],
    "Tier": ["2", "none"],
    "Contract": ["month", "year"],
    "Card": ["0", "1"],
    "Note": ["", ""],
    "Left": ["0", "1"],
}


def read(declaration: CustomerDeclaration, **changed: Any) -> NormalisedCustomers:
    return normalise(pd.DataFrame({**TWO_CUSTOMERS, **changed}), declaration, with_target=True)


def reasons(normalised: NormalisedCustomers) -> list[tuple[Any, str, str]]:
    return [tuple(cell) for cell in normalised.unreadable[["row", "column", "reason"]].to_numpy().tolist()]


def test_text_cells_become_the_declared_types(declaration: CustomerDeclaration) -> None:
    normalised = read(declaration)

    expected = pd.DataFrame(
        {
            "Id": pd.Series(["007", "8"], dtype="str"),
            "City": pd.Series(["Lyon", None], dtype="str"),
            "Age": [20.0, 30.5],
            "Country": pd.Series(["France", "Spain"], dtype="str"),
            "Charges": [100.0, np.nan],
            "Tier": [2.0, np.nan],
            "Contract": pd.Series(["month", "year"], dtype="str"),
            "Card": [0.0, 1.0],
            "Left": [0.0, 1.0],
        }
    )
    pd.testing.assert_frame_equal(normalised.table, expected)
    assert normalised.unreadable.empty
    assert normalised.named.renamed == {}
    assert normalised.named.undeclared == []


@pytest.mark.parametrize("blank", ["", " ", "\t", None, np.nan])
def test_blank_cells_are_missing_in_every_column(blank: Any, declaration: CustomerDeclaration) -> None:
    cells = {name: [blank, *values[1:]] for name, values in TWO_CUSTOMERS.items()}

    normalised = normalise(pd.DataFrame(cells), declaration, with_target=True)

    assert normalised.table.iloc[0].isna().all()
    assert normalised.unreadable.empty


def test_markers_are_missing_in_their_own_column_only(declaration: CustomerDeclaration) -> None:
    normalised = read(declaration, Charges=["NA", " NA "], Age=["NA", "20"], City=["NA", "x"])

    assert normalised.table["Charges"].isna().all()
    assert normalised.table["City"].tolist() == ["NA", "x"]
    assert reasons(normalised) == [(0, "Age", "Age: 'NA' is not a number")]


@pytest.mark.parametrize("cells", [["-1", "5"], [-1, 5], [-1.0, 5.0]])
def test_a_marker_that_is_a_number_works_in_text_and_in_number_columns(
    cells: list[Any], declaration: CustomerDeclaration
) -> None:
    charges = read(declaration, Charges=cells).table["Charges"]

    assert charges.isna().tolist() == [True, False]
    assert charges[1] == 5.0


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e999", "twelve", "1,000", "0x1", "1 2", "--"])
def test_text_in_a_number_column_is_unreadable_with_its_reason(cell: str, declaration: CustomerDeclaration) -> None:
    normalised = read(declaration, Age=["20", cell])

    assert normalised.table["Age"].isna().tolist() == [False, True]
    assert reasons(normalised) == [(1, "Age", f"Age: {cell!r} is not a number")]


def test_an_infinite_float_is_unreadable(declaration: CustomerDeclaration) -> None:
    normalised = read(declaration, Age=[20.0, np.inf])

    assert normalised.table["Age"].isna().tolist() == [False, True]
    assert reasons(normalised) == [(1, "Age", "Age: inf is not a number")]


@pytest.mark.parametrize(
    ("positive", "negative", "cells"),
    [
        ("Yes", "No", ["Yes", "No"]),
        ("Yes", "No", [" Yes", "No "]),
        (1, 0, ["1", "0"]),
        (1, 0, ["1.0", "0.0"]),
        (1, 0, [1, 0]),
        (1, 0, [1.0, 0.0]),
        (1, 0, pd.array([1, 0], dtype="Int64")),
        (1, 0, pd.Categorical([1, 0])),
        (1.0, 0.0, ["1", "0"]),
        (0, 1, ["0", "1"]),
        (2, 1, [2, 1]),
        ("True", "False", [True, False]),
    ],
)
def test_the_target_is_one_for_the_positive_label_and_zero_for_the_negative(
    positive: Any, negative: Any, cells: Any, declare: Declare
) -> None:
    labelled = declare(
        {"name": "a", "kind": "numeric"}, {"name": "y", "role": "target"}, positive=positive, negative=negative
    )

    normalised = normalise(pd.DataFrame({"a": [1, 2], "y": cells}), labelled, with_target=True)

    assert normalised.table["y"].tolist() == [1.0, 0.0]
    assert normalised.unreadable.empty


def test_an_unknown_label_is_unreadable_with_the_labels_in_its_reason(declare: Declare) -> None:
    churn = declare(
        {"name": "a", "kind": "numeric"}, {"name": "Churn", "role": "target"}, positive="Yes", negative="No"
    )

    normalised = normalise(pd.DataFrame({"a": [1, 2], "Churn": ["yep", "No"]}), churn, with_target=True)

    assert np.isnan(normalised.table["Churn"][0])
    assert reasons(normalised) == [(0, "Churn", "Churn: 'yep' is neither 'No' nor 'Yes'")]


def test_a_missing_label_is_missing_and_not_unreadable(declaration: CustomerDeclaration) -> None:
    normalised = read(declaration, Left=["1", ""])

    assert normalised.table["Left"].isna().tolist() == [False, True]
    assert normalised.unreadable.empty


def test_the_target_is_left_out_where_it_is_not_known(declaration: CustomerDeclaration) -> None:
    normalised = normalise(pd.DataFrame(TWO_CUSTOMERS), declaration, with_target=False)

    assert "Left" not in normalised.table
    assert "Left" not in normalised.named.undeclared


def test_categorical_columns_are_read_like_their_values(declaration: CustomerDeclaration) -> None:
    categorical = {name: pd.Categorical(values) for name, values in TWO_CUSTOMERS.items()}

    pd.testing.assert_frame_equal(read(declaration, **categorical).table, read(declaration).table)


def test_categories_that_are_numbers_are_read_as_numbers(declaration: CustomerDeclaration) -> None:
    normalised = read(declaration, Age=pd.Categorical([20, 30]), Card=pd.Categorical([1, None]))

    assert normalised.table["Age"].tolist() == [20.0, 30.0]
    assert normalised.table["Card"].isna().tolist() == [False, True]


def test_boolean_cells_are_the_words_true_and_false(declare: Declare, declaration: CustomerDeclaration) -> None:
    flags = declare({"name": "flag", "kind": "binary", "domain": ["False", "True"]}, {"name": "y", "role": "target"})

    from_parquet = normalise(pd.DataFrame({"flag": [True, False]}), flags, with_target=False)
    from_csv = normalise(pd.DataFrame({"flag": ["True", "False"]}), flags, with_target=False)
    as_number = read(declaration, Card=[True, False])

    assert from_parquet.table["flag"].tolist() == ["True", "False"]
    pd.testing.assert_frame_equal(from_parquet.table, from_csv.table)
    assert reasons(as_number) == [(0, "Card", "Card: True is not a number"), (1, "Card", "Card: False is not a number")]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([15634602, 15634603], ["15634602", "15634603"]),
        ([15634602.0, np.nan], ["15634602", None]),
        (pd.array([15634602, None], dtype="Int64"), ["15634602", None]),
        (pd.array([15634602.0, None], dtype="Float64"), ["15634602", None]),
        ([2.5, -3.0], ["2.5", "-3"]),
        (["007", " 8 "], ["007", "8"]),
    ],
)
def test_ids_are_text_without_a_decimal_point_of_their_own(
    cells: Any, expected: list[str | None], declaration: CustomerDeclaration
) -> None:
    ids = read(declaration, Id=cells).table["Id"]

    assert ids.astype(object).where(ids.notna(), None).tolist() == expected


@pytest.mark.slow
@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_id_is_read_as_a_whole_number(number: float, declaration: CustomerDeclaration) -> None:
    assert float(read(declaration, Id=[number, 1.0]).table["Id"].iloc[0]) == number


def test_a_parquet_file_with_numbers_gives_the_same_table_as_a_csv_file(
    customers: pd.DataFrame, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    typed = customers.astype({"Id": "int64", "Card": "int32", "Left": "int8"}).assign(Note="-")
    file = io.BytesIO()
    typed.to_parquet(file, index=False)

    from_parquet = normalise(pd.read_parquet(file), declaration, with_target=True)
    from_csv = normalise(raw_customers, declaration, with_target=True)

    pd.testing.assert_frame_equal(from_parquet.table, from_csv.table)


@pytest.mark.parametrize("name", ["\ufeffAge", " Age ", '"Age"', '\ufeff"Age"'])
def test_a_byte_order_mark_and_blanks_are_stripped_from_names(name: str, declaration: CustomerDeclaration) -> None:
    raw = pd.DataFrame(TWO_CUSTOMERS).rename(columns={"Age": name})

    normalised = normalise(raw, declaration, with_target=True)

    assert normalised.table["Age"].tolist() == [20.0, 30.5]
    assert normalised.named.renamed == {}


def test_the_name_in_the_file_is_reported_where_it_differs(declaration: CustomerDeclaration) -> None:
    raw = pd.DataFrame(TWO_CUSTOMERS).rename(columns={"Age": "_AGE"})

    assert normalise(raw, declaration, with_target=True).named.renamed == {"Age": "_AGE"}


def test_undeclared_columns_are_listed_and_left_out(declaration: CustomerDeclaration) -> None:
    normalised = read(declaration, Surname=["a", "b"], Phone=["1", "2"])

    assert normalised.named.undeclared == ["Surname", "Phone"]
    assert list(normalised.table) == [name for name in TWO_CUSTOMERS if name != "Note"]


def test_the_same_column_with_and_without_a_blank_before_it_is_refused(declaration: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match="more than one column named 'Age'"):
        read(declaration, **{" Age": ["1", "2"]})


def test_the_index_of_the_raw_table_is_kept(declaration: CustomerDeclaration) -> None:
    raw = pd.DataFrame({**TWO_CUSTOMERS, "Age": ["20", "x"]}, index=[41, 7])

    normalised = normalise(raw, declaration, with_target=True)

    assert normalised.table.index.tolist() == [41, 7]
    assert normalised.table["Left"].to_dict() == {41: 0.0, 7: 1.0}
    assert reasons(normalised) == [(7, "Age", "Age: 'x' is not a number")]


def test_the_raw_table_is_not_modified(declaration: CustomerDeclaration) -> None:
    raw = pd.DataFrame(TWO_CUSTOMERS).rename(columns={"Age": " Age"})
    before = raw.copy()

    normalise(raw, declaration, with_target=True)

    pd.testing.assert_frame_equal(raw, before)


def test_a_table_without_rows_gives_a_typed_table_without_rows(declaration: CustomerDeclaration) -> None:
    normalised = normalise(pd.DataFrame(TWO_CUSTOMERS).head(0), declaration, with_target=True)

    assert len(normalised.table) == 0
    assert normalised.table["Age"].dtype == "float64"


CELLS = st.one_of(
    st.sampled_from(["1", "0", "20", "NA", "none", "", " ", "inf", "France", "month"]), st.text(max_size=4)
)


@pytest.mark.slow
@given(rows=st.lists(st.lists(CELLS, min_size=9, max_size=9), max_size=5))
def test_each_cell_of_a_number_column_is_read_missing_or_reported(
    rows: list[list[str]], declaration: CustomerDeclaration
) -> None:
    names = [name for name in TWO_CUSTOMERS if name != "Note"]
    raw = pd.DataFrame(rows, columns=names, dtype="str")

    normalised = normalise(raw, declaration, with_target=True)

    assert normalised.table.index.equals(raw.index)
    assert list(normalised.table) == names
    assert np.isfinite(normalised.table["Age"].dropna()).all()
    reported = set(zip(normalised.unreadable["row"], normalised.unreadable["column"], strict=True))
    unread = [cell.strip() == "" or (row, "Age") in reported for row, cell in enumerate(raw["Age"])]
    assert normalised.table["Age"].isna().tolist() == unread


def test_rows_that_repeat_the_header_are_left_out_and_counted(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    header = pd.DataFrame([list(raw_customers.columns)], columns=raw_customers.columns, dtype="str")
    raw = pd.concat([raw_customers.head(3), header, raw_customers.tail(2), header], ignore_index=True)

    normalised = normalise(raw, declaration, with_target=True)

    assert normalised.named.header_rows == [3, 6]
    assert normalised.table.index.tolist() == [0, 1, 2, 4, 5]
    assert normalised.unreadable.empty


def test_an_unnamed_column_is_left_out_only_if_it_is_empty(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    empty = raw_customers.assign(**{"": " "})
    filled = raw_customers.assign(**{"": "x"})

    assert normalise(empty, declaration, with_target=True).named.empty_unnamed_columns == 1
    assert normalise(empty, declaration, with_target=True).named.undeclared == []
    assert normalise(filled, declaration, with_target=True).named.empty_unnamed_columns == 0
    assert normalise(filled, declaration, with_target=True).named.undeclared == [""]


def test_undeclared_words_for_missing_are_counted_and_stay_levels(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[:2, "City"] = ["Unknown", "?", "unknown"]

    normalised = normalise(raw_customers, declaration, with_target=True)

    assert normalised.suspected_missing == {"City": {"Unknown": 1, "?": 1, "unknown": 1}}
    assert normalised.table["City"].head(3).tolist() == ["Unknown", "?", "unknown"]


@pytest.mark.parametrize(
    ("date_format", "cell", "expected"),
    [
        (None, "2026-01-31", "2026-01-31"),
        (None, " 2026-01-31T09:30:00Z ", "2026-01-31 09:30"),
        (None, "2026-01-31 09:30:00+02:00", "2026-01-31 07:30"),
        ("%d/%m/%Y", "31/01/2026", "2026-01-31"),
    ],
)
def test_dates_are_read_as_declared(declare: Declare, date_format: str | None, cell: str, expected: str) -> None:
    declaration = declare(
        {"name": "Since", "kind": "date", "date_format": date_format, "nullable": True, "missing": ["never"]},
        {"name": "Left", "role": "target"},
    )
    raw = pd.DataFrame({"Since": [cell, "never", "", "31.31.2026"], "Left": ["1", "0", "0", "1"]}, dtype="str")

    normalised = normalise(raw, declaration, with_target=True)

    assert normalised.table["Since"].tolist()[0] == pd.Timestamp(expected)
    assert normalised.table["Since"].isna().tolist() == [False, True, True, True]
    assert normalised.unreadable["row"].tolist() == [3]
    assert "is not a date of the form" in normalised.unreadable["reason"][0]


def test_typed_dates_are_taken_as_they_are(declare: Declare) -> None:
    declaration = declare({"name": "Since", "kind": "date"}, {"name": "Left", "role": "target"})
    raw = pd.DataFrame({"Since": pd.to_datetime(["2026-01-31", "2026-02-01"]), "Left": [1, 0]})

    table = normalise(raw, declaration, with_target=True).table

    assert table["Since"].tolist() == raw["Since"].tolist()
    assert str(table["Since"].dtype) == "datetime64[us]"


def test_decimal_commas_are_read_where_they_are_declared(declare: Declare) -> None:
    declaration = declare({"name": "Paid", "kind": "numeric"}, {"name": "Left", "role": "target"})
    raw = pd.DataFrame({"Paid": ["1,5", "-2,25", "3"], "Left": ["1", "0", "0"]}, dtype="str")
    comma = CustomerDeclaration.model_validate(declaration.model_dump() | {"decimal": ","})

    assert normalise(raw, comma, with_target=True).table["Paid"].tolist() == [1.5, -2.25, 3]
    assert normalise(raw, declaration, with_target=True).unreadable["row"].tolist() == [0, 1]


def test_classes_become_their_positions_and_a_numeric_target_stays_a_number(declare: Declare) -> None:
    binary = declare({"name": "Size", "kind": "numeric"}, {"name": "Kind", "role": "target"})
    several = CustomerDeclaration.model_validate(
        binary.model_dump() | {"task": "multiclass", "labels": {"classes": ["b", "a", "c"]}}
    )
    number = CustomerDeclaration.model_validate(binary.model_dump() | {"task": "regression", "labels": None})
    words = pd.DataFrame({"Size": [1, 2, 3, 4], "Kind": ["a", "c", "x", ""]})
    numbers = pd.DataFrame({"Size": [1, 2, 3], "Kind": ["1.5", "-2", "x"]})

    by_class = normalise(words, several, with_target=True)
    by_number = normalise(numbers, number, with_target=True)

    assert by_class.table["Kind"].tolist()[:2] == [1, 2]
    assert by_class.unreadable["reason"].tolist() == ["Kind: 'x' is none of 'b', 'a', 'c'"]
    assert by_number.table["Kind"].tolist()[:2] == [1.5, -2]
    assert by_number.unreadable["reason"].tolist() == ["Kind: 'x' is not a number"]
