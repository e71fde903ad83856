"""Preparation of tables larger than memory: the partition functions, without a cluster."""

import pandas as pd
import pytest

from churn_kedro.base import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.large_tables import (
    PART,
    REASONS,
    describe_large_table,
    prepare_large_table,
    prepare_partition,
    read_customers,
)
from churn_kedro.customers.splits import SplitParameters, split_customers

SPLIT = SplitParameters(method="hash", test_size=0.25, validation_size=0.25, random_state=3)


def test_a_customer_has_the_part_that_it_has_in_memory(
    raw_customers: pd.DataFrame, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    parts = split_customers(customers, declaration, SPLIT)

    prepared = pd.concat(
        prepare_partition(raw_customers[begin : begin + 90], declaration, SPLIT) for begin in range(0, 400, 90)
    )

    for name, expected in zip(("train", "validation", "test"), parts, strict=True):
        found = read_customers(prepared[prepared[PART] == name], declaration).reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


def test_rejected_rows_and_duplicates_are_kept_with_their_reasons(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    raw_customers.loc[1, ["Age", "Country"]] = ["7", "Norway"]
    raw_customers.loc[2, "Left"] = "perhaps"
    raw_customers.loc[4] = raw_customers.loc[3]

    prepared = prepare_partition(raw_customers, declaration, SPLIT)

    assert prepared[PART].value_counts()[["rejected", "duplicate"]].tolist() == [2, 1]
    assert prepared[REASONS].isna().sum() == 398
    assert "Age: 7 is below 18" in prepared[REASONS][1]
    assert "Country: 'Norway' is not one of: France, Spain" in prepared[REASONS][1]
    assert prepared[REASONS][2] == "Left: 'perhaps' is neither 0 nor 1"


@pytest.mark.parametrize("method", ["random", "time", "group", "copies"])
def test_a_split_that_depends_on_other_rows_is_refused(method: str, declaration: CustomerDeclaration) -> None:
    split = SplitParameters.model_validate(SPLIT.model_dump() | {"method": method})

    with pytest.raises(ParameterError, match=r"--params data_processing.split.method=hash"):
        prepare_large_table({"raw": object()}, declaration, split)


def test_without_identifier_equal_rows_have_one_part(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    alone = declaration.model_copy(update={"columns": [c for c in declaration.columns if c.role != "id"]})
    anonymous = raw_customers.drop(columns="Id")

    prepared = prepare_partition(pd.concat([anonymous, anonymous]), alone, SPLIT)

    parts = prepared[PART].to_numpy()
    assert (parts[:400] == parts[400:]).all()
    # Binomial with 400 rows: a standard deviation of 9.
    assert abs(int((parts[:400] == "test").sum()) - 100) < 36


def test_without_a_large_table_nothing_is_prepared_and_described(declaration: CustomerDeclaration) -> None:
    by_chance = SPLIT.model_copy(update={"method": "random"})

    assert prepare_large_table({}, declaration, by_chance) == {}
    assert describe_large_table({}, declaration, 0.0) is None
