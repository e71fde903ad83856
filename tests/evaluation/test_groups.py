"""Claims about the groups of customers that a column makes."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_kedro.customers.declaration import Column
from churn_kedro.evaluation.groups import Groups, group_customers


def column(**fields: Any) -> Column:
    return Column.model_validate({"name": "c", "description": "x", "segment": True} | fields)


def sizes(groups: Groups) -> dict[str, int]:
    return {label: int((groups.codes == code).sum()) for code, label in enumerate(groups.labels)}


def test_a_value_at_a_cut_belongs_to_the_range_above_it() -> None:
    cells = pd.Series([29.9, 30.0, 44.0, 45.0, 60.0, 99.0, np.nan])

    groups = group_customers(cells, column(kind="numeric", bands=[30, 45, 60]))

    assert sizes(groups) == {"below 30": 1, "30 to 45": 2, "45 to 60": 1, "from 60": 2, "missing": 1}
    assert [groups.describe(code) for code in (0, 1, 4)] == ["c below 30", "c 30 to 45", "c missing"]


def test_ranges_without_customers_are_no_groups() -> None:
    groups = group_customers(pd.Series([50.0, 51.0]), column(kind="numeric", bands=[30, 45, 60]))

    assert sizes(groups) == {"45 to 60": 2}


def test_numbers_without_bands_are_cut_at_quartiles() -> None:
    groups = group_customers(pd.Series(np.arange(1.0, 101.0)), column(kind="numeric"))

    assert list(sizes(groups)) == ["below 26", "26 to 51", "51 to 76", "from 76"]
    assert set(sizes(groups).values()) == {25}


def test_numbers_most_of_which_are_one_still_make_groups() -> None:
    # Three of four quartiles are 0: below them there is nobody.
    groups = group_customers(pd.Series([0.0] * 70 + list(range(1, 31))), column(kind="numeric"))

    assert sum(sizes(groups).values()) == 100
    assert len(groups.labels) == 2


def test_few_distinct_numbers_are_levels() -> None:
    groups = group_customers(pd.Series([1.0, 2.0, 2.0, np.nan]), column(kind="numeric"))

    assert sizes(groups) == {"1": 1, "2": 2, "missing": 1}
    assert groups.describe(1) == "c = 2"


def test_levels_are_in_declared_order_or_by_frequency() -> None:
    cells = pd.Series(["b", "c", "c", "a"], dtype="str")

    assert list(sizes(group_customers(cells, column(kind="ordinal", domain=["a", "b", "c", "d"])))) == ["a", "b", "c"]
    assert next(iter(sizes(group_customers(cells, column(kind="categorical"))))) == "c"
    numbers = group_customers(pd.Series([1.0, 0.0, 1.0]), column(kind="binary", domain=[0, 1]))
    assert sizes(numbers) == {"0": 1, "1": 2}
    # The text of a level is the key of its label.
    codes = group_customers(pd.Series([1001.0, 2000001.0]), column(kind="categorical", domain=[1001, 2000001]))
    assert sizes(codes) == {"1001": 1, "2000001": 1}


def test_rare_levels_are_put_together_unless_there_is_only_one() -> None:
    cells = pd.Series(["a"] * 5 + ["b", "d", np.nan], dtype="str")

    assert sizes(group_customers(cells, column(kind="categorical"), 2)) == {"a": 5, "other": 2, "missing": 1}
    assert sizes(group_customers(cells[:6], column(kind="categorical"), 2)) == {"a": 5, "b": 1}


def test_dates_are_cut_at_quarters_of_a_year() -> None:
    days = pd.Series(pd.date_range("2024-01-01", "2024-12-31", freq="D").astype("datetime64[us]"))
    days.iloc[0] = pd.NaT

    groups = group_customers(days, column(kind="date"))

    assert list(sizes(groups)) == [
        "below 2024 Q2",
        "2024 Q2 to 2024 Q3",
        "2024 Q3 to 2024 Q4",
        "from 2024 Q4",
        "missing",
    ]
    assert sizes(groups)["from 2024 Q4"] == 92
    assert list(sizes(group_customers(days[1:20], column(kind="date")))) == ["2024 Q1"]


@pytest.mark.parametrize("fields", [{"kind": "numeric"}, {"kind": "categorical"}, {"kind": "date"}])
def test_a_column_of_nothing_is_one_group(fields: dict[str, Any]) -> None:
    types = {"numeric": "float64", "categorical": "str", "date": "datetime64[us]"}

    groups = group_customers(pd.Series([None, None], dtype=types[fields["kind"]]), column(**fields))

    assert sizes(groups) == {"missing": 2}
