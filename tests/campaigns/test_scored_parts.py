"""Claims about scoring in parts, and about unusual cells."""

from typing import Any

import pandas as pd
import pytest

from churn_kedro.campaigns.parameters import BandParameters, InferenceParameters
from churn_kedro.campaigns.scored_parts import ScoringCounts, count_unusual_cells, require_readable, unusual_cells
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.parts import TableParts, as_parts

REJECTED = pd.DataFrame({"row": [5], "reasons": ["Age: 'x' is not a number"]})


def allowing(share: float) -> InferenceParameters:
    return InferenceParameters(bands=BandParameters(medium=0.3, high=0.6), max_unscored_share=share)


@pytest.mark.parametrize(
    ("column", "cells", "unusual"),
    [
        ("Age", [17.9, 18.0, 100.0, 100.1], 2),
        ("Age", [None, 20.0, 20.0, None], 2),
        ("Charges", [None, -0.1, 0.0, 1e9], 1),
        ("Country", ["France", "Italy", None, "spain"], 3),
        ("Contract", ["month", "year", "week", "year"], 1),
        ("Tier", [1.0, 3.0, 4.0, None], 1),
        ("Card", [0.0, 1.0, 2.0, None], 2),
        ("City", ["Atlantis", None, "Lyon", "Nice"], 0),
    ],
)
def test_cells_outside_of_the_declaration_are_counted_per_column(
    column: str, cells: list[Any], unusual: int, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    four = customers.head(4).assign(**{column: pd.Series(cells, dtype=customers[column].dtype)})

    unseen, out_of_range, missing = count_unusual_cells(four, declaration)
    counts = ScoringCounts(unseen=unseen, out_of_range=out_of_range, missing=missing)

    expected = {column: unusual} if unusual else {}
    assert {name: count for name, count in unusual_cells(counts, declaration).items() if name == column} == expected
    assert missing.get(column, 0) == sum(cell is None for cell in cells)


def test_usual_customers_have_no_unusual_cell(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    unseen, out_of_range, missing = count_unusual_cells(customers, declaration)

    assert (unseen, out_of_range) == ({}, {})
    assert set(missing) <= {"City", "Charges", "Tier"}


def test_counts_add_up() -> None:
    one = ScoringCounts(rows_read=3, rows_scored=2, rows_rejected=1, unseen={"a": 1}, seconds=0.5)
    other = ScoringCounts(rows_read=1, rows_scored=1, unseen={"a": 2, "b": 1}, missing={"c": 4}, seconds=0.25)

    assert one.plus(other) == ScoringCounts(
        rows_read=4, rows_scored=3, rows_rejected=1, unseen={"a": 3, "b": 1}, missing={"c": 4}, seconds=0.75
    )


def test_as_many_unreadable_customers_as_allowed_are_left_out() -> None:
    require_readable(ScoringCounts(rows_read=4, rows_rejected=1), REJECTED, allowing(0.25))
    require_readable(ScoringCounts(rows_read=4), REJECTED.head(0), allowing(0.0))


def test_more_unreadable_customers_than_allowed_are_refused_with_examples() -> None:
    with pytest.raises(CustomerTableError) as caught:
        require_readable(ScoringCounts(rows_read=4, rows_rejected=1), REJECTED, allowing(0.2))

    assert "1 of 4 customers cannot be scored; at most 20.0%" in str(caught.value)
    assert "row 5, Age: 'x' is not a number" in str(caught.value)


def test_a_table_without_customers_raises() -> None:
    with pytest.raises(CustomerTableError, match="no customer to score"):
        require_readable(ScoringCounts(), REJECTED.head(0), allowing(1.0))


def test_a_table_in_parts_is_numbered_and_has_the_digest_of_the_whole() -> None:
    table = pd.DataFrame({"id": ["a", "b", "c"], "age": [1, 2, 3]})
    parts = TableParts(lambda: [table[:1], table[1:].astype({"age": float})])
    whole = as_parts(table)

    assert parts.digest == ""
    assert [part.index.tolist() for part in parts] == [[0], [1, 2]]
    assert [part.index.tolist() for part in whole] == [[0, 1, 2]]
    assert parts.digest == whole.digest != ""
    assert parts.rows == 3
    assert [part.index.tolist() for part in parts] == [[0], [1, 2]]
