"""Histograms of the reference, and counts of current customers in their bins."""

import numpy as np
import pandas as pd
import pytest

from churn_kedro.monitoring.counts import MISSING_CODE, TableCounter, code_column, count_column
from churn_kedro.monitoring.profiles import ReferenceColumn, profile_column
from tests.monitoring import cases


def test_counts_of_the_reference_itself_are_its_histogram() -> None:
    customers = cases.bank(8000, seed=1)
    counter = TableCounter(cases.reference().profile, cases.declaration())

    counter.add(customers)

    for column in cases.reference().profile.columns:
        assert counter.columns[column.name].counts.tolist() == column.counts
        assert counter.columns[column.name].missing == column.missing


def test_parts_are_counted_as_the_whole() -> None:
    customers, profile = cases.bank(5000, seed=2), cases.reference().profile
    whole, parts = TableCounter(profile, cases.declaration()), TableCounter(profile, cases.declaration())

    whole.add(customers)
    for begin in range(0, 5000, 700):
        parts.add(customers.iloc[begin : begin + 700])

    assert parts.rows == whole.rows == 5000
    for name, counted in whole.columns.items():
        assert parts.columns[name].counts.tolist() == counted.counts.tolist()
        assert parts.columns[name].beyond == pytest.approx(counted.beyond)


def test_the_sample_has_rows_of_all_parts_alike_and_at_most_as_many_as_wanted() -> None:
    customers, profile = cases.bank(6000, seed=3), cases.reference().profile
    customers["Tenure"] = np.repeat([0.0, 10.0], 3000)
    counter = TableCounter(profile, cases.declaration(), seed=4, sample_rows=1000)

    for begin in range(0, 6000, 1000):
        counter.add(customers.iloc[begin : begin + 1000])

    assert len(counter.sample) == 1000
    # Half of the rows have the value of the first three parts: 500, with a standard deviation of 14.
    first = counter.sample["Tenure"] == counter.sample["Tenure"].min()
    assert abs(int(first.sum()) - 500) < 60


def test_missing_unknown_and_distant_cells_have_places_of_their_own() -> None:
    numbers = profile_column(pd.Series([0.0] * 50 + list(range(1, 51))), "n", "number")
    levels = profile_column(pd.Series(["a"] * 6 + ["b"] * 3 + [None]), "l", "level")

    far = count_column(pd.Series([-2.0, 60.0, np.nan, np.inf]), numbers)
    new = count_column(pd.Series(["a", "c", "c", None]), levels)

    assert (int(far.counts[0]), int(far.counts[-1]), far.missing) == (1, 1, 2)
    assert far.beyond == pytest.approx(12.0)
    assert (new.counts.tolist(), new.missing, dict(new.new_levels)) == ([1, 0, 2], 1, {"c": 2})
    assert code_column(pd.Series(["b", "c", None]), levels).tolist() == [1, 2, MISSING_CODE]
    assert code_column(pd.Series([0.0, 50.0, np.nan]), numbers).tolist() == [1, 51, MISSING_CODE]


def test_many_equal_numbers_are_a_group_of_their_own() -> None:
    column = profile_column(pd.Series([0.0] * 4000 + list(np.linspace(1, 100, 6000))), "balance", "number")

    zeros = column.groups[column.edges.index(0.0)]

    assert column.group_counts(np.array(column.counts, dtype=float), 0)[zeros] == 4000
    assert column.group_names()[zeros] == "up to 0"
    assert 10 <= column.n_groups <= 20


def test_levels_that_occur_once_make_new_ones_expected() -> None:
    many = profile_column(pd.Series([f"name {number}" for number in range(300)] + ["x"] * 700), "name", "level")
    few = profile_column(pd.Series(["a"] * 500 + ["b"] * 500), "kind", "level")

    # Good and Turing: 300 of 1,000 customers have a level that occurs once; the shares are scaled to 1.
    assert many.population()[many.groups[-1]] == pytest.approx(300 / 1300)
    assert few.population()[few.groups[-1]] == 0.0


def test_numbers_as_levels_are_written_as_in_the_declaration() -> None:
    column = profile_column(pd.Series([1.0, 0.0, 1.0, np.nan]), "active", "level")

    assert column.levels == ["1", "0"]
    assert count_column(pd.Series([0.0, 2.0]), column).counts.tolist() == [0, 1, 1]


def test_dates_are_binned_by_day() -> None:
    dates = pd.Series(pd.date_range("2026-01-01", periods=40, freq="D"))
    column = profile_column(dates, "since", "date")

    counted = count_column(pd.Series(["2026-01-05", "2030-01-01", None], dtype="datetime64[us]"), column)

    assert counted.counts.sum() == 2
    assert counted.counts[-1] == 1
    assert counted.missing == 1
    assert any("2026-01" in name for name in column.group_names())


@pytest.mark.parametrize("cells", [[], [None, None], [np.nan] * 5])
def test_a_column_without_a_cell_has_a_profile(cells: list[float | None]) -> None:
    column = profile_column(pd.Series(cells, dtype=float), "empty", "number")

    assert isinstance(column, ReferenceColumn)
    assert count_column(pd.Series([1.0, np.nan]), column).rows == 2


def test_the_profile_holds_no_cell_of_a_customer_and_is_small() -> None:
    profile = cases.reference().profile

    text = profile.model_dump_json()

    assert len(text) < 100_000
    assert not any(name in text for name in ("Surname", "CustomerId"))
