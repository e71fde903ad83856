"""Drift of columns and predictions: no false alarms, and planted drifts found at the promised size."""

import numpy as np
import pandas as pd
import pytest

from churn_kedro.customers.display_names import DisplayNames
from churn_kedro.monitoring.counts import TableCounter, count_column
from churn_kedro.monitoring.drift import compare_columns, compare_predictions, count_tests
from churn_kedro.monitoring.parameters import DriftParameters
from churn_kedro.monitoring.profiles import ReferenceColumn, profile_column
from churn_kedro.monitoring.reference import measure_period_variation
from churn_kedro.monitoring.report import describe_findings, order_findings
from churn_kedro.monitoring.severity import worst
from churn_kedro.pipelines.fabrication.shapes.drift import Drift
from tests.monitoring import cases

LEVEL = cases.PARAMETERS.false_alarm_rate / count_tests(cases.reference().profile)


def _verdict(customers: pd.DataFrame, seed: int = 0) -> tuple[str, list[str]]:
    found = cases.examined(customers, seed)
    findings = describe_findings(
        found.drift, found.quality, found.estimated, None, [], DisplayNames.of(cases.declaration())
    )
    verdict, ordered = order_findings(findings)
    return verdict, [one.subject for one in ordered]


def _quick_verdict(customers: pd.DataFrame, seed: int) -> str:
    """Without the classifier, which takes most of the time."""
    current, profile = cases.count(customers, seed), cases.reference().profile
    columns = compare_columns(current.counter, profile, cases.PARAMETERS.drift, LEVEL, seed)
    assert current.predictions is not None
    predictions = compare_predictions(profile, current.predictions, None, {}, None, cases.PARAMETERS.drift, LEVEL, seed)
    assert predictions is not None
    return worst([*(one.severity for one in columns), predictions.severity])


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "samples"), [(1_000, 200), (10_000, 200), (100_000, 200)])
def test_undrifted_samples_give_no_more_alarms_than_declared(rows: int, samples: int) -> None:
    # Samples are rows of one large population, drawn with replacement, since fabricating 20 million takes minutes.
    population = cases.bank(300_000, seed=77)
    random = np.random.default_rng(5)
    verdicts = [
        _quick_verdict(population.take(random.integers(0, len(population), rows)).reset_index(drop=True), seed)
        for seed in range(samples)
    ]

    alarms = sum(verdict != "ok" for verdict in verdicts)

    # At most 5 %, that is 10 of 200.
    assert alarms <= cases.PARAMETERS.false_alarm_rate * samples


@pytest.mark.slow
def test_the_whole_report_raises_no_false_alarm_more_often_than_declared() -> None:
    verdicts = [_verdict(cases.bank(1_000, seed=300 + seed), seed)[0] for seed in range(40)]

    assert sum(verdict == "alarm" for verdict in verdicts) <= 2


# The sizes that docs/monitoring.md promises.
PLANTED = [
    (Drift(kind="mean_shift", column="Age", size=0.4), 1_000, "Age", "alarm"),
    (Drift(kind="mean_shift", column="Age", size=0.3), 10_000, "Age", "alarm"),
    (Drift(kind="mean_shift", column="EstimatedSalary", size=0.5), 1_000, "EstimatedSalary", "alarm"),
    (Drift(kind="new_category", column="Geography", size=0.05), 1_000, "Geography", "alarm"),
    (Drift(kind="new_category", column="Geography", size=0.03), 10_000, "Geography", "alarm"),
    (Drift(kind="missing_values", column="Balance", size=0.05), 1_000, "Balance", "alarm"),
    (Drift(kind="missing_values", column="Age", size=0.03), 10_000, "Age", "alarm"),
    (Drift(kind="swapped_unit", column="Balance", size=0.001), 1_000, "Balance", "alarm"),
    (Drift(kind="swapped_unit", column="CreditScore", size=10), 1_000, "CreditScore", "alarm"),
    (Drift(kind="subgroup", column="CreditScore", size=1.0, within="Geography"), 10_000, "CreditScore", "alarm"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("drift", "rows", "culprit", "verdict"), PLANTED)
def test_a_planted_drift_is_found_and_its_column_is_named_first(
    drift: Drift, rows: int, culprit: str, verdict: str
) -> None:
    found = [_verdict(cases.bank(rows, seed=900 + seed, drift=drift), seed) for seed in range(5)]

    assert [one for one, _ in found] == [verdict] * 5
    assert [subjects[0] for _, subjects in found] == [culprit] * 5


@pytest.mark.slow
def test_a_changed_subgroup_that_no_column_shows_is_found_by_all_columns_together() -> None:
    # Among Germans, age and credit score are exchanged against those of others, so that each column stays as it is.
    customers = cases.bank(10_000, seed=31)
    order = customers.assign(german=customers["Geography"] == "Germany").sort_values(["german", "Age"])
    customers["Age"] = np.where(customers["Geography"] == "Germany", np.nan, customers["Age"])
    germans = customers["Geography"] == "Germany"
    others = np.sort(order.loc[~order["german"], "Age"].to_numpy())
    chosen = np.linspace(len(others) // 2, len(others) - 1, int(germans.sum())).astype(int)
    customers.loc[germans, "Age"] = others[chosen]

    found = cases.examined(customers)

    assert found.drift.joint is not None
    assert found.drift.joint.auc >= found.drift.joint.limit
    assert set(list(found.drift.joint.columns)[:2]) == {"Age", "Geography"}


def test_a_column_that_the_model_hardly_uses_is_a_warning_only() -> None:
    customers = cases.bank(4_000, seed=12, drift=Drift(kind="mean_shift", column="Tenure", size=0.6))
    counter = TableCounter(cases.reference().profile, cases.declaration())
    counter.add(customers)

    found = compare_columns(counter, cases.reference().profile, DriftParameters(), LEVEL)

    assert [(one.name, one.severity, one.problems) for one in found if one.severity != "ok"] == [
        ("Tenure", "warning", ["distribution"])
    ]


def test_an_absent_column_is_an_alarm_and_named() -> None:
    counter = TableCounter(cases.reference().profile, cases.declaration())
    counter.add(cases.bank(500, seed=13).drop(columns="Age"))

    first = compare_columns(counter, cases.reference().profile, DriftParameters(), LEVEL)[0]

    assert (first.name, first.severity, first.problems) == ("Age", "alarm", ["absent"])


def test_a_column_whose_cells_are_all_missing_is_named_with_its_share() -> None:
    counter = TableCounter(cases.reference().profile, cases.declaration())
    counter.add(cases.bank(500, seed=14).assign(Balance=np.nan))

    first = compare_columns(counter, cases.reference().profile, DriftParameters(), LEVEL)[0]

    assert (first.name, first.severity) == ("Balance", "alarm")
    assert "missing" in first.problems
    assert first.missing.current == 1.0


def test_ten_customers_are_compared_and_give_no_alarm() -> None:
    verdict, _ = _verdict(cases.bank(10, seed=15))

    assert verdict == "ok"


def test_no_customers_give_no_alarm() -> None:
    counter = TableCounter(cases.reference().profile, cases.declaration())

    found = compare_columns(counter, cases.reference().profile, DriftParameters(), LEVEL)

    assert {one.severity for one in found} == {"ok"}


def test_p_values_are_given_for_few_rows_and_corrected_for_the_number_of_columns() -> None:
    profile = cases.reference().profile
    few, many = (TableCounter(profile, cases.declaration()) for _ in range(2))
    few.add(cases.bank(1_000, seed=16))
    many.add(cases.bank(6_000, seed=16))

    found = compare_columns(few, profile, DriftParameters(), LEVEL)

    assert all(one.p_value is not None and one.p_value <= 1 for one in found)
    assert min(one.p_value or 0 for one in found) > 0.05
    assert all(one.p_value is None for one in compare_columns(many, profile, DriftParameters(), LEVEL))


def test_what_varies_between_the_periods_of_the_reference_is_no_drift() -> None:
    random = np.random.default_rng(8)
    # Each of ten months has another mean.
    months = np.repeat(np.arange(10), 800)
    cells = pd.Series(random.normal(0.6 * (months % 3), 1.0))
    column = profile_column(cells, "season", "number", importance=1.0)
    varied = column.model_copy(
        update={"period_variation": measure_period_variation(column, cells, np.arange(len(cells)))}
    )
    june = pd.Series(random.normal(1.2, 1.0, 800))

    without, with_periods = (_compare_one(one, june) for one in (column, varied))

    assert "distribution" in without
    assert with_periods == []


def _compare_one(column: ReferenceColumn, cells: pd.Series) -> list[str]:
    profile = cases.reference().profile.model_copy(update={"columns": [column]})
    counter = TableCounter(profile, cases.declaration())
    counter.rows, counter.columns = len(cells), {column.name: count_column(cells, column)}
    (found,) = compare_columns(counter, profile, DriftParameters(), 0.001)
    return list(found.problems)
