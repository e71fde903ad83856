"""Claims about the counts of data quality."""

from collections.abc import Callable

import pandas as pd
import pytest

from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import NamedCustomers, NormalisedCustomers
from churn_kedro.customers.quality import DataQuality, describe_quality, drop_duplicates, require_few_rejections

Declare = Callable[..., CustomerDeclaration]

VIOLATIONS = pd.DataFrame(
    [
        (0, "Age", "Age: 3 is below 18"),
        (4, "Age", "Age: 'x' is not a number"),
        (4, "Country", "Country: is missing"),
        (7, "Age", "Age: 4 is below 18"),
    ],
    columns=["row", "column", "reason"],
)


def describe(
    kept: pd.DataFrame, declaration: CustomerDeclaration, rows_read: int, violations: pd.DataFrame = VIOLATIONS
) -> DataQuality:
    normalised = NormalisedCustomers(
        named=NamedCustomers(
            raw=pd.DataFrame(index=range(rows_read)),
            cells=pd.DataFrame(index=range(rows_read)),
            renamed={"Age": "AGE"},
            undeclared=["Surname"],
            empty_unnamed_columns=0,
            header_rows=[],
        ),
        table=kept,
        unreadable=violations.head(0),
        suspected_missing={},
    )
    return describe_quality(normalised=normalised, violations=violations, kept=kept, declaration=declaration)


def test_rows_read_are_the_rejected_the_duplicates_and_the_kept(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    quality = describe(customers.head(10), declaration, rows_read=15)

    assert quality.rows_rejected == 3
    assert quality.duplicates_dropped == 2
    assert quality.rows_kept == 10
    assert quality.rejected_share == pytest.approx(3 / 15)


def test_a_row_counts_once_for_each_column_at_fault(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    twice = pd.concat([VIOLATIONS, VIOLATIONS.head(1)])

    quality = describe(customers.head(10), declaration, rows_read=13, violations=twice)

    assert quality.rejection_reasons == {"Age": 3, "Country": 1}


def test_the_first_rejections_are_quoted_with_row_numbers_from_one(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    assert describe(customers, declaration, rows_read=403).rejection_examples == [
        "row 1: Age: 3 is below 18",
        "row 5: Age: 'x' is not a number",
        "row 5: Country: is missing",
    ]


def test_churners_and_missing_cells_are_counted_among_the_rows_kept(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    kept = customers.head(4).assign(
        Left=[1, 0, 0, 0],
        City=pd.Series([None, "a", None, "b"], dtype="str"),
        Charges=[1.0, 2.0, float("nan"), 3.0],
        Tier=1.0,
    )

    quality = describe(kept, declaration, rows_read=7)

    assert quality.classes == {"0": 3, "1": 1}
    assert quality.missing_cells == {"City": 2, "Charges": 1}
    assert quality.renamed_columns == {"Age": "AGE"}
    assert quality.undeclared_columns == ["Surname"]


def test_a_table_without_rejections_has_none_to_report(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    quality = describe(customers, declaration, rows_read=400, violations=VIOLATIONS.head(0))

    assert (quality.rows_rejected, quality.rejected_share, quality.duplicates_dropped) == (0, 0.0, 0)
    assert quality.rejection_reasons == {}
    assert quality.rejection_examples == []
    require_few_rejections(quality, max_rejected_share=0.0)


def test_a_share_of_rejections_at_the_limit_is_accepted(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    require_few_rejections(describe(customers.head(9), declaration, rows_read=12), max_rejected_share=0.25)


def test_a_share_of_rejections_above_the_limit_is_refused_with_the_columns_at_fault(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    with pytest.raises(CustomerTableError) as caught:
        require_few_rejections(describe(customers.head(9), declaration, rows_read=12), max_rejected_share=0.249)

    assert "3 of 12 rows (25.0%)" in str(caught.value)
    assert "at most 24.9% are accepted" in str(caught.value)
    assert "Age (3 rows), Country (1 rows)" in str(caught.value)
    assert "row 5: Country: is missing" in str(caught.value)


def test_a_table_without_valid_rows_is_refused_at_any_limit(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    with pytest.raises(CustomerTableError, match="3 of 3 rows"):
        require_few_rejections(describe(customers.head(0), declaration, rows_read=3), max_rejected_share=1.0)


def test_a_table_without_rows_is_refused(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    empty = describe(customers.head(0), declaration, rows_read=0, violations=VIOLATIONS.head(0))

    with pytest.raises(CustomerTableError, match="no rows"):
        require_few_rejections(empty, max_rejected_share=1.0)


def test_equal_rows_are_kept_without_an_identifier(declare: Declare) -> None:
    anonymous = declare({"name": "Plan", "kind": "categorical"}, {"name": "Left", "role": "target"})
    known = declare(
        {"name": "Id", "role": "id"}, {"name": "Plan", "kind": "categorical"}, {"name": "Left", "role": "target"}
    )
    table = pd.DataFrame({"Id": ["1", "2", "2", "2"], "Plan": ["a", "a", "a", "b"], "Left": [1, 1, 1, 1]})

    assert len(drop_duplicates(table[["Plan", "Left"]], anonymous)) == 4
    assert drop_duplicates(table, known).index.tolist() == [0, 1, 3]
    assert describe(table[["Plan", "Left"]], anonymous, 4, VIOLATIONS.head(0)).identical_rows == 2
    assert describe(table.iloc[[0, 1, 3]], known, 4, VIOLATIONS.head(0)).repeated_ids == 1
