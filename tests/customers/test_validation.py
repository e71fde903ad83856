"""Claims about rows that break the declaration and their report."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_estimators.cells import UNREADABLE_COLUMNS
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.validation import CustomerTableValidator, list_rejected, set_aside_invalid

Declare = Callable[..., CustomerDeclaration]


def set_aside(raw: pd.DataFrame, declaration: CustomerDeclaration) -> tuple[pd.DataFrame, pd.DataFrame]:
    normalised = normalise(raw, declaration, with_target=True)
    return set_aside_invalid(normalised.table, normalised.unreadable, declaration, with_target=True)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("Age", "17.5", "Age: 17.5 is below 18"),
        ("Age", "100.25", "Age: 100.25 is above 100"),
        ("Age", "1234567.5", "Age: 1234567.5 is above 100"),
        ("Age", "", "Age: is missing"),
        ("Age", "old", "Age: 'old' is not a number"),
        ("Charges", "-0.5", "Charges: -0.5 is below 0"),
        ("Country", "Italy", "Country: 'Italy' is not one of: France, Spain"),
        ("Country", "france", "Country: 'france' is not one of: France, Spain"),
        ("Country", "", "Country: is missing"),
        ("Contract", "week", "Contract: 'week' is not one of: month, year"),
        ("Tier", "4", "Tier: 4 is not one of: 2, 1, 3"),
        ("Card", "2", "Card: 2 is not one of: 0, 1"),
        ("Id", "", "Id: is missing"),
        ("Left", "", "Left: is missing"),
        ("Left", "2", "Left: '2' is neither 0 nor 1"),
    ],
)
def test_a_row_that_breaks_a_rule_is_set_aside_with_the_reason(
    column: str, cell: str, reason: str, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[3, column] = cell

    valid, broken = set_aside(raw_customers, declaration)

    assert broken.to_dict("records") == [{"row": 3, "column": column, "reason": reason}]
    assert valid.index.tolist() == [row for row in raw_customers.index if row != 3]


@pytest.mark.parametrize(
    ("column", "cell"),
    [("Age", "18"), ("Age", "100"), ("Charges", "0"), ("Charges", "1e9"), ("Charges", ""), ("City", ""), ("City", "X")],
)
def test_bounds_missing_nullables_and_unlisted_levels_are_valid(
    column: str, cell: str, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[3, column] = cell

    valid, broken = set_aside(raw_customers, declaration)

    assert broken.empty
    assert len(valid) == len(raw_customers)


def test_every_broken_rule_of_a_row_is_named(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    raw_customers.loc[[0, 5], "Age"] = ["3", "x"]
    raw_customers.loc[5, ["Country", "Left"]] = ["Italy", ""]

    valid, broken = set_aside(raw_customers, declaration)

    found = {(int(case["row"]), str(case["reason"])) for case in broken.to_dict("records")}
    assert found == {
        (0, "Age: 3 is below 18"),
        (5, "Age: 'x' is not a number"),
        (5, "Country: 'Italy' is not one of: France, Spain"),
        (5, "Left: is missing"),
    }
    assert len(broken) == 4
    assert len(valid) == len(raw_customers) - 2


def test_an_unreadable_cell_is_reported_once(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    raw_customers["Age"] = "old"

    valid, broken = set_aside(raw_customers, declaration)

    assert len(valid) == 0
    assert broken["row"].tolist() == raw_customers.index.tolist()
    assert broken["reason"].unique().tolist() == ["Age: 'old' is not a number"]


def test_valid_rows_are_unchanged(
    customers: pd.DataFrame, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[[1, 8], "Age"] = "1"

    valid, _ = set_aside(raw_customers, declaration)

    pd.testing.assert_frame_equal(valid, customers.drop(index=[1, 8]))
    assert valid["Left"].dtype == "int64"


def test_new_customers_need_no_target(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    raw = raw_customers.drop(columns="Left")
    raw.loc[2, "Age"] = "1"
    normalised = normalise(raw, declaration, with_target=False)

    valid, broken = set_aside_invalid(normalised.table, normalised.unreadable, declaration, with_target=False)

    assert broken["row"].tolist() == [2]
    assert "Left" not in valid


def test_rejected_rows_show_their_raw_cells_and_line_numbers_from_one(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[[0, 5], "Age"] = [" 3 ", "x"]
    raw_customers.loc[5, "Country"] = "Italy"

    rejected = list_rejected(raw_customers, set_aside(raw_customers, declaration)[1])

    assert rejected["row"].tolist() == [1, 6]
    assert rejected.loc[0, "reasons"] == "Age: 3 is below 18"
    assert set(str(rejected.loc[1, "reasons"]).split("; ")) == {
        "Age: 'x' is not a number",
        "Country: 'Italy' is not one of: France, Spain",
    }
    cells = raw_customers.loc[[0, 5]].reset_index(drop=True)
    pd.testing.assert_frame_equal(rejected.drop(columns=["row", "reasons"]), cells)


def test_row_numbers_count_positions_not_labels(raw_customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    raw = raw_customers.set_axis(raw_customers.index[::-1])
    raw["Age"] = [age if position != 2 else "1" for position, age in enumerate(raw["Age"])]

    assert list_rejected(raw, set_aside(raw, declaration)[1])["row"].tolist() == [3]


def test_a_raw_table_with_columns_named_like_those_of_the_report_is_listed(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw = raw_customers.assign(row="r", reasons="s")
    raw.loc[0, "Age"] = "1"

    rejected = list_rejected(raw, set_aside(raw, declaration)[1])

    assert rejected.iloc[0, :2].tolist() == [1, "Age: 1 is below 18"]
    assert rejected.iloc[0, -2:].tolist() == ["r", "s"]


def test_nothing_rejected_gives_a_report_without_rows(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    rejected = list_rejected(raw_customers, set_aside(raw_customers, declaration)[1])

    assert list(rejected) == ["row", "reasons", *raw_customers]
    assert len(rejected) == 0


@pytest.fixture
def validator(declaration: CustomerDeclaration) -> CustomerTableValidator:
    return CustomerTableValidator(declaration.model_dump())


def test_the_validator_returns_a_valid_table_unchanged(
    customers: pd.DataFrame, validator: CustomerTableValidator
) -> None:
    pd.testing.assert_frame_equal(validator.validate(customers), customers)


def test_the_validator_restores_types_a_file_has_lost(
    customers: pd.DataFrame, validator: CustomerTableValidator
) -> None:
    lost = customers.astype({"Card": "int64", "Age": "int64", "Left": "float64"})

    pd.testing.assert_frame_equal(validator.validate(lost), customers)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("Age", 3.0, "is below 18"),
        ("Age", np.nan, "not_nullable"),
        ("Country", "Italy", "is not one of: France, Spain"),
        ("Left", 2, "is not 0 or 1"),
    ],
)
def test_the_validator_refuses_a_bad_cell(
    column: str, cell: Any, message: str, customers: pd.DataFrame, validator: CustomerTableValidator
) -> None:
    customers.loc[0, column] = cell

    with pytest.raises(CustomerTableError) as caught:
        validator.validate(customers)

    assert "in 1 places" in str(caught.value)
    assert message in str(caught.value)
    assert "Run `kedro run --pipelines data_processing` again" in str(caught.value)


def test_the_validator_refuses_absent_and_undeclared_columns(
    customers: pd.DataFrame, validator: CustomerTableValidator
) -> None:
    with pytest.raises(CustomerTableError, match="Age"):
        validator.validate(customers.drop(columns="Age"))
    with pytest.raises(CustomerTableError, match="Surname"):
        validator.validate(customers.assign(Surname="x"))


def test_the_validator_accepts_tables_without_target(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    unlabelled = CustomerTableValidator(declaration.model_dump(), with_target=False)

    pd.testing.assert_frame_equal(unlabelled.validate(customers.drop(columns="Left")), customers.drop(columns="Left"))
    with pytest.raises(CustomerTableError, match="Left"):
        unlabelled.validate(customers)


def test_the_validator_refuses_an_inconsistent_declaration(declaration: CustomerDeclaration) -> None:
    with pytest.raises(ValueError, match="no column has role feature"):
        CustomerTableValidator(
            declaration.model_dump() | {"columns": [{"name": "y", "role": "target", "description": "A column"}]}
        )


def test_dates_keep_their_type_through_the_validator(declare: Declare) -> None:
    declaration = declare(
        {"name": "Since", "kind": "date", "nullable": True},
        {"name": "Day", "role": "time"},
        {"name": "Left", "role": "target"},
    )
    day = pd.to_datetime(pd.Series(["2026-01-31", "2026-02-01"])).astype("datetime64[us]")
    table = pd.DataFrame({"Since": day.where(day.index == 0), "Day": day, "Left": [0, 1]})

    validated = CustomerTableValidator(declaration.model_dump()).validate(table)

    pd.testing.assert_frame_equal(validated, table)


def test_a_fraction_breaks_a_column_of_whole_numbers(declare: Declare) -> None:
    declaration = declare({"name": "Visits", "kind": "numeric", "whole": True}, {"name": "Left", "role": "target"})
    table = pd.DataFrame({"Visits": [1.0, 1.5, 3.0], "Left": [0.0, 1.0, 1.0]})

    valid, broken = set_aside_invalid(table, pd.DataFrame(columns=UNREADABLE_COLUMNS), declaration, with_target=True)

    assert valid.index.tolist() == [0, 2]
    assert broken["reason"].tolist() == ["Visits: 1.5 is not a whole number"]
