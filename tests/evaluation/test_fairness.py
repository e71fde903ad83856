"""Claims about the comparison of protected groups, with numbers worked out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.evaluation.fairness import FairnessParameters, FairnessReport, ProtectedColumn, measure_fairness
from churn_kedro.models.interface import ScoredCustomers

# Leavers flagged and not, stayers flagged and not.
CELLS = {"Female": (40, 10, 20, 30), "Male": (30, 30, 10, 130)}
PARAMETERS = FairnessParameters(n_resamples=500, random_state=3)


def declare(**fields: Any) -> CustomerDeclaration:
    return CustomerDeclaration.model_validate(
        {
            "description": "Test",
            "task": "binary",
            "labels": {"negative": 0, "positive": 1},
            "columns": [
                {"name": "age", "kind": "numeric", "description": "x"},
                {"name": "gender", "description": "x", **({"kind": "categorical", "protected": True} | fields)},
                {"name": "left", "role": "target", "description": "x"},
            ],
        }
    )


def build(cells: dict[str, tuple[int, int, int, int]]) -> tuple[ScoredCustomers, pd.DataFrame]:
    groups, target, probability = [], [], []
    for group, counts in cells.items():
        for count, left, predicted in zip(counts, (1, 1, 0, 0), (0.9, 0.1, 0.9, 0.1), strict=True):
            groups += [group] * count
            target += [left] * count
            probability += [predicted] * count
    scores = ScoredCustomers("binary", np.array(target), np.array(probability), 0.5, ("0", "1"))
    return scores, pd.DataFrame({"gender": pd.Series(groups, dtype="str")})


def compare(cells: dict[str, tuple[int, int, int, int]], **changed: Any) -> ProtectedColumn:
    report = measure_fairness(*build(cells), declare(), PARAMETERS.model_copy(update=changed))
    assert isinstance(report, FairnessReport)
    return report.columns[0]


def test_rates_worked_out_by_hand() -> None:
    column = compare(CELLS)

    male, female = column.groups
    assert (male.group, male.rows, male.leavers) == ("Male", 200, 60)
    assert (female.group, female.rows, female.leavers) == ("Female", 100, 50)
    assert (female.base_rate.value, male.base_rate.value) == (0.5, 0.3)
    assert (female.selection_rate.value, male.selection_rate.value) == (0.6, 0.2)
    assert female.true_positive_rate is not None
    assert female.false_positive_rate is not None
    assert female.precision is not None
    assert female.true_positive_rate.value == pytest.approx(0.8)
    assert female.false_positive_rate.value == pytest.approx(0.4)
    assert female.precision.value == pytest.approx(40 / 60)


def test_differences_and_ratios_worked_out_by_hand() -> None:
    column = compare(CELLS)

    assert column.selection_rate is not None
    assert (column.selection_rate.lowest, column.selection_rate.highest) == ("Male", "Female")
    assert column.demographic_parity_difference is not None
    assert column.demographic_parity_ratio is not None
    assert column.equalized_odds_difference is not None
    assert column.equalized_odds_ratio is not None
    assert column.demographic_parity_difference.value == pytest.approx(0.4)
    assert column.demographic_parity_ratio.value == pytest.approx(1 / 3)
    # True positive rates 0.8 and 0.5, false positive rates 0.4 and 10 / 140.
    assert column.equalized_odds_difference.value == pytest.approx(0.4 - 10 / 140)
    assert column.equalized_odds_ratio.value == pytest.approx(10 / 140 / 0.4)
    assert column.left_out == []
    assert column.used_by_model


def test_intervals_are_as_wide_as_the_binomial_distribution_implies() -> None:
    column = compare(CELLS, n_resamples=4000)

    rate = column.groups[1].selection_rate
    assert (rate.high - rate.low) / 2 == pytest.approx(1.96 * np.sqrt(0.6 * 0.4 / 100), rel=0.08)
    gap = column.demographic_parity_difference
    assert gap is not None
    # Far from 0, the difference of two groups is as good as normal.
    error = np.sqrt(0.6 * 0.4 / 100 + 0.2 * 0.8 / 200)
    assert (gap.high - gap.low) / 2 == pytest.approx(1.96 * error, rel=0.08)
    assert gap.low < 0.4 < gap.high


def test_intervals_hold_their_value_and_stay_between_zero_and_one() -> None:
    alike = (20, 20, 20, 140)
    column = compare(dict.fromkeys(("a", "b", "c", "d"), alike))

    for estimate in (
        column.demographic_parity_difference,
        column.demographic_parity_ratio,
        column.equalized_odds_difference,
        column.equalized_odds_ratio,
    ):
        assert estimate is not None
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert column.demographic_parity_difference is not None
    assert column.demographic_parity_difference.value == 0


def test_groups_with_too_few_customers_are_shown_but_not_compared() -> None:
    # Level c has one customer fewer than it takes; it would have been the extreme.
    column = compare(CELLS | {"c": (49, 0, 0, 0), "d": (10, 3, 10, 20)})

    # Both are rare: together they are a group.
    assert [group.group for group in column.groups] == ["Male", "Female", "other"]
    alone = compare(CELLS | {"c": (49, 0, 0, 0)})
    assert alone.left_out == ["c"]
    assert alone.demographic_parity_difference is not None
    assert alone.demographic_parity_difference.value == pytest.approx(0.4)
    small = alone.groups[2]
    assert small.rows == 49
    assert small.false_positive_rate is None
    assert small.true_positive_rate is not None


def test_a_rate_among_leavers_takes_leavers() -> None:
    column = compare(CELLS | {"c": (2, 7, 30, 70)})

    assert column.selection_rate is not None
    assert column.true_positive_rate is not None
    assert column.false_positive_rate is not None
    # Nine leavers are too few: c counts for its stayers and for all.
    assert column.true_positive_rate.lowest == "Male"
    assert column.false_positive_rate.highest == "Female"
    assert column.false_positive_rate.difference.value == pytest.approx(0.4 - 10 / 140)


def test_without_flagged_customers_there_is_no_ratio() -> None:
    column = compare({"a": (0, 50, 0, 50), "b": (0, 50, 0, 100)})

    assert column.demographic_parity_difference is not None
    assert column.demographic_parity_difference.value == 0
    assert column.demographic_parity_ratio is None
    assert column.equalized_odds_ratio is None
    assert column.groups[0].precision is None


def test_a_single_group_is_not_compared() -> None:
    column = compare({"a": (20, 30, 20, 50)})

    assert column.selection_rate is None
    assert column.demographic_parity_difference is None
    assert column.equalized_odds_difference is None


def test_customers_without_a_value_are_a_group() -> None:
    scores, table = build(CELLS)
    table.loc[table.index[:60], "gender"] = np.nan

    report = measure_fairness(scores, table, declare(), PARAMETERS)

    assert report is not None
    assert [group.group for group in report.columns[0].groups] == ["Male", "Female", "missing"]
    assert report.columns[0].groups[2].rows == 60
    assert report.columns[0].left_out == ["Female"]


def test_a_protected_number_is_cut_at_its_bands() -> None:
    scores, table = build(CELLS)
    table["gender"] = np.arange(len(table), dtype=float)

    report = measure_fairness(scores, table, declare(kind="numeric", bands=[100, 200]), PARAMETERS)

    assert report is not None
    assert [(group.group, group.rows) for group in report.columns[0].groups] == [
        ("below 100", 100),
        ("100 to 200", 100),
        ("from 200", 100),
    ]


def test_a_column_that_the_model_does_not_read_can_be_protected() -> None:
    report = measure_fairness(*build(CELLS), declare(role="segment"), PARAMETERS)

    assert report is not None
    assert not report.columns[0].used_by_model


def test_other_tasks_and_tables_without_protected_columns_have_no_report() -> None:
    scores, table = build(CELLS)
    other = ScoredCustomers("regression", scores.target.astype(float), scores.prediction)

    assert measure_fairness(other, table, declare()) is None
    assert measure_fairness(scores, table, declare(protected=False)) is None


def test_the_seed_decides_and_the_table_must_be_the_one_that_was_scored() -> None:
    scores, table = build(CELLS)

    assert measure_fairness(scores, table, declare()) == measure_fairness(scores, table, declare())
    with pytest.raises(ValueError, match="found 300 scores and 299 customers"):
        measure_fairness(scores, table.iloc[1:], declare())


@pytest.mark.parametrize("seed", range(3))
def test_differences_and_ratios_are_those_of_fairlearn(seed: int) -> None:
    fairlearn = pytest.importorskip("fairlearn.metrics")
    generator = np.random.default_rng(seed)
    cells = {group: tuple(generator.integers(15, 60, 4).tolist()) for group in ("a", "b", "c")}

    column = compare(cells)

    scores, customers = build(cells)
    assert scores.threshold is not None
    for name in (
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equalized_odds_ratio",
    ):
        expected = getattr(fairlearn, name)(
            scores.target, scores.prediction >= scores.threshold, sensitive_features=customers["gender"]
        )
        assert getattr(column, name).value == pytest.approx(expected), name
