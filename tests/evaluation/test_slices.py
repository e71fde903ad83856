"""Claims about groups of customers: what is declared, what is found, and what may be called worse."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.slices import (
    Slice,
    SliceMetrics,
    SliceParameters,
    SliceReport,
    adjust_by_holm,
    measure_slices,
)
from churn_kedro.models.interface import ScoredCustomers

QUICK = SliceParameters(n_resamples=100, random_state=1)


def declare(task: Task = "binary", /, **columns: dict[str, Any]) -> CustomerDeclaration:
    """Columns of a test, and those that are always there: a number and a few words."""
    labels: dict[Task, dict[str, Any]] = {
        "binary": {"labels": {"negative": 0, "positive": 1}},
        "multiclass": {"labels": {"classes": ["a", "b", "c"]}},
        "regression": {},
    }
    given: dict[str, dict[str, Any]] = {
        "age": {"kind": "numeric"},
        "town": {"kind": "categorical"},
        "plan": {"kind": "categorical"},
        "left": {"role": "target"},
    }
    listed = [{"name": name, "description": "x", **fields} for name, fields in (given | columns).items()]
    return CustomerDeclaration.model_validate({"description": "Test", "task": task, **labels[task], "columns": listed})


def customers(seed: int, n_rows: int = 4000) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers, and probabilities of leaving that have nothing to do with their columns."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": random.integers(18, 80, n_rows).astype(float),
            "town": random.choice(["Lyon", "Nice", "Paris", "Tours"], n_rows),
            "plan": random.choice(["basic", "plus", "premium"], n_rows),
        }
    ).astype({"town": "str", "plan": "str"})
    return table, 1 / (1 + np.exp(1.2 - 1.3 * random.normal(size=n_rows)))


def score(target: np.ndarray, probability: np.ndarray) -> ScoredCustomers:
    return ScoredCustomers("binary", target, probability, 0.4, ("0", "1"))


def outcomes(probability: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(probability)) < probability).astype(np.int64)


def of(report: SliceReport, name: str) -> Slice:
    return next(found_slice for found_slice in report.slices if found_slice.name == name)


def test_a_group_on_which_the_model_fails_is_found_and_called_worse() -> None:
    table, probability = customers(0)
    failing = ((table["town"] == "Nice") & (table["plan"] == "plus")).to_numpy()
    true = probability.copy()
    true[failing] = np.random.default_rng(1).permutation(true[failing])

    report = measure_slices(score(outcomes(true, 2), probability), table, declare(), QUICK)

    worst = report.slices[0]
    assert worst.name == "town = Nice and plan = plus"
    assert [(condition.column, condition.text) for condition in worst.conditions] == [
        ("town", "Nice"),
        ("plan", "plus"),
    ]
    assert worst.worse
    assert not worst.declared
    assert not worst.by_nature
    assert worst.metric is not None
    assert worst.whole is not None
    assert worst.metric.high < worst.whole
    assert worst in report.worse


@pytest.mark.slow
def test_where_nothing_is_wrong_hardly_any_report_finds_a_worse_group() -> None:
    worse = miscalibrated = 0
    for seed in range(20):
        table, probability = customers(seed, 2000)
        declaration = declare(town={"kind": "categorical", "segment": True}, age={"kind": "numeric", "protected": True})
        report = measure_slices(score(outcomes(probability, seed + 100), probability), table, declaration, QUICK)
        worse += bool(report.worse)
        miscalibrated += bool(report.miscalibrated)

    # One in twenty of each is to be expected.
    assert worse <= 3
    assert miscalibrated <= 3


def test_a_group_with_too_low_predictions_is_miscalibrated_but_not_worse() -> None:
    table, probability = customers(3)
    nice = (table["town"] == "Nice").to_numpy()
    said = probability.copy()
    said[nice] /= 2
    declaration = declare(town={"kind": "categorical", "segment": True})

    target = outcomes(probability, 4)
    report = measure_slices(score(target, said), table, declaration, QUICK)

    found = of(report, "town = Nice")
    assert found.calibration is not None
    assert found.calibration.miscalibrated
    assert found.calibration.difference.value == pytest.approx(target[nice].mean() - said[nice].mean())
    assert found.calibration.ratio == pytest.approx(target[nice].mean() / said[nice].mean())
    # By hand: the sum of independent Bernoulli variables.
    z = (target[nice] - said[nice]).sum() / np.sqrt((said[nice] * (1 - said[nice])).sum())
    assert z > 5
    half = (found.calibration.difference.high - found.calibration.difference.low) / 2
    assert found.calibration.difference.value / half == pytest.approx(z / 1.959964)
    assert not found.worse
    others = [
        found_slice for found_slice in report.slices if found_slice.declared and found_slice.name != "town = Nice"
    ]
    assert not any(
        found_slice.calibration is not None and found_slice.calibration.miscalibrated for found_slice in others
    )


def test_every_group_of_a_declared_column_is_measured_as_it_is() -> None:
    table, probability = customers(5)
    table.loc[table.index[:200], "age"] = np.nan
    declaration = declare(
        town={"kind": "categorical", "segment": True},
        age={"kind": "numeric", "protected": True, "bands": [30, 45, 60], "nullable": True},
    )
    target = outcomes(probability, 6)

    report = measure_slices(score(target, probability), table, declaration, QUICK)

    names = {found_slice.name for found_slice in report.slices if found_slice.declared}
    towns = {f"town = {town}" for town in ("Lyon", "Nice", "Paris", "Tours")}
    assert names == towns | {"age below 30", "age 30 to 45", "age 45 to 60", "age from 60", "age missing"}
    middle = table["age"].between(30, 44.9).to_numpy()
    found = of(report, "age 30 to 45")
    assert found.metric is not None
    assert found.metric.value == pytest.approx(roc_auc_score(target[middle], probability[middle]))
    assert found.rows == middle.sum()
    assert found.share == pytest.approx(middle.mean())
    assert found.rate == pytest.approx(target[middle].mean())
    assert found.mean_prediction == pytest.approx(probability[middle].mean())
    assert found.whole == pytest.approx(roc_auc_score(target, probability))


def test_rare_levels_are_put_together() -> None:
    table, probability = customers(7)
    table["town"] = table["town"].where(table.index >= 60, [f"village {number % 20}" for number in table.index])
    declaration = declare(town={"kind": "categorical", "segment": True})

    report = measure_slices(score(outcomes(probability, 8), probability), table, declaration, QUICK)

    assert of(report, "town = other").rows == 60
    assert not any("village" in found_slice.name for found_slice in report.slices)


def test_a_column_that_the_model_does_not_use_can_be_a_segment() -> None:
    table, probability = customers(9)
    table["branch"] = np.where(table.index % 3 == 0, "north", "south")
    declaration = declare(branch={"role": "segment"})

    report = measure_slices(score(outcomes(probability, 10), probability), table, declaration, QUICK)

    assert {"branch = north", "branch = south"} <= {found_slice.name for found_slice in report.slices}
    assert not any("branch" in found_slice.name for found_slice in report.slices if not found_slice.declared)


def test_groups_without_leavers_or_with_few_customers_are_not_tested() -> None:
    table, probability = customers(11)
    target = outcomes(probability, 12)
    nice, lyon = ((table["town"] == town).to_numpy() for town in ("Nice", "Lyon"))
    target[nice] = 0
    target[lyon] = 0
    target[np.flatnonzero(lyon)[:3]] = 1
    declaration = declare(
        town={"kind": "categorical", "segment": True}, age={"kind": "numeric", "segment": True, "bands": [79]}
    )

    report = measure_slices(score(target, probability), table, declaration, QUICK.model_copy(update={"min_rows": 100}))

    without, few, small = (of(report, name) for name in ("town = Nice", "town = Lyon", "age from 79"))
    assert without.metric is None
    assert without.note == "Nobody left: the metric is undefined."
    assert without.calibration is not None
    assert without.calibration.miscalibrated
    assert few.metric is not None
    assert few.p_value is None
    assert few.note == "Only 3 customers who left: too few to test (fewer than 10)."
    assert small.note == f"Only {small.rows} customers: too few to test (fewer than 100)."
    assert small.metric is None
    assert not small.worse
    # Those that cannot be tested come last.
    assert {found_slice.name for found_slice in report.slices[-3:]} == {"town = Nice", "town = Lyon", "age from 79"}


def test_customers_of_one_class_have_no_metric_but_a_report() -> None:
    table, probability = customers(13, 400)
    declaration = declare(town={"kind": "categorical", "segment": True})

    report = measure_slices(score(np.zeros(400, dtype=np.int64), probability), table, declaration, QUICK)

    assert report.whole is None
    assert report.tested == 0
    assert not report.worse
    assert all(found_slice.metric is None for found_slice in report.slices)


def test_a_group_of_like_customers_is_worse_by_nature_alone() -> None:
    # The probability is right everywhere, and depends on the town alone but for a little.
    random = np.random.default_rng(14)
    table, _ = customers(14, 6000)
    rate = table["town"].map({"Lyon": 0.1, "Nice": 0.3, "Paris": 0.6, "Tours": 0.8}).to_numpy(dtype=float)
    probability = np.clip(rate + random.normal(0, 0.05, 6000), 0.01, 0.99)
    declaration = declare(town={"kind": "categorical", "segment": True})

    report = measure_slices(score(outcomes(probability, 15), probability), table, declaration, QUICK)

    towns = [found_slice for found_slice in report.slices if found_slice.declared]
    assert len(towns) == 4
    for found_slice in towns:
        assert found_slice.worse
        assert found_slice.by_nature
        assert found_slice.expected is not None
        assert found_slice.metric is not None
        assert found_slice.metric.value == pytest.approx(found_slice.expected, abs=0.06)
        assert found_slice.note is not None
        assert f"{found_slice.expected:.3f}" in found_slice.note


@pytest.mark.slow
def test_what_is_to_be_expected_is_the_mean_over_outcomes_with_the_predicted_probabilities() -> None:
    table, probability = customers(16, 300)
    probability = probability.round(2)
    report = measure_slices(
        score(outcomes(probability, 1), probability),
        table.assign(town=np.where(table.index < 150, "Lyon", "Nice")).astype({"town": "str"}),
        declare(town={"kind": "categorical", "segment": True}),
        QUICK.model_copy(update={"max_found": 0}),
    )
    half = probability[:150]

    areas = [roc_auc_score(outcomes(half, seed), half) for seed in range(800)]

    assert of(report, "town = Lyon").expected == pytest.approx(np.mean(areas), abs=0.005)


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_failing_groups_of_other_tasks_are_found(task: Task) -> None:
    random = np.random.default_rng(17)
    table, _ = customers(17)
    failing = (table["town"] == "Nice").to_numpy()
    if task == "regression":
        prediction = random.normal(100, 20, 4000)
        target = prediction + random.normal(0, np.where(failing, 15, 5))
        target += np.where((table["plan"] == "plus").to_numpy(), 3, 0)
        scores = ScoredCustomers("regression", target, prediction)
    else:
        prediction = random.dirichlet([0.5, 0.5, 0.5], 4000)
        codes = np.array([random.choice(3, p=row) for row in prediction])
        codes[failing] = random.permutation(codes[failing])
        scores = ScoredCustomers("multiclass", codes, prediction, None, ("a", "b", "c"))

    report = measure_slices(scores, table, declare(task), QUICK)

    assert report.metric == ("rmse" if task == "regression" else "balanced_accuracy")
    assert report.slices[0].name == "town = Nice"
    assert report.slices[0].worse
    assert {found_slice.name for found_slice in report.worse} == {"town = Nice"}
    if task == "regression":
        declared = measure_slices(scores, table, declare(task, plan={"kind": "categorical", "segment": True}), QUICK)
        calibration = of(declared, "plan = plus").calibration
        assert calibration is not None
        assert calibration.miscalibrated
        # A third of all are three too high, which the whole is in part as well.
        assert calibration.difference.value == pytest.approx(2, abs=0.6)


def test_found_groups_are_neither_each_other_nor_declared_ones() -> None:
    table, probability = customers(18)
    failing = (table["town"] == "Nice").to_numpy()
    true = probability.copy()
    true[failing] = np.random.default_rng(1).permutation(true[failing])
    # The same town by another name, but for a few.
    table["plan"] = table["town"].where(np.random.default_rng(2).random(4000) < 0.97, "basic")
    scores = score(outcomes(true, 2), probability)

    twice = measure_slices(scores, table, declare(), QUICK)
    declared = measure_slices(scores, table, declare(town={"kind": "categorical", "segment": True}), QUICK)

    assert len({"town = Nice", "plan = Nice"} & {found_slice.name for found_slice in twice.slices}) == 1
    assert "plan = Nice" not in {found_slice.name for found_slice in declared.slices}
    assert of(declared, "town = Nice").declared
    assert of(declared, "town = Nice").worse


def test_more_customers_than_wanted_are_sampled_and_the_seed_decides() -> None:
    table, probability = customers(19)
    scores = score(outcomes(probability, 20), probability)
    capped = QUICK.model_copy(update={"max_rows": 1000})
    declaration = declare(town={"kind": "categorical", "segment": True})

    first, again = (measure_slices(scores, table, declaration, capped) for _ in range(2))
    other = measure_slices(scores, table, declaration, capped.model_copy(update={"random_state": 2}))

    assert (first.rows, first.rows_looked_at) == (4000, 1000)
    assert "a seeded sample of 1,000 of the 4,000 customers" in first.how
    assert first == again
    assert first != other
    assert sum(found_slice.rows for found_slice in first.slices if found_slice.declared) == 1000


def test_found_groups_are_judged_on_the_half_that_was_not_searched() -> None:
    table, probability = customers(21)
    scores = score(outcomes(probability, 22), probability)

    report = measure_slices(scores, table, declare(), QUICK)

    found = [found_slice for found_slice in report.slices if not found_slice.declared]
    assert found
    assert all(found_slice.rows < 0.6 * 4000 for found_slice in found)
    # The search takes the worst of its half; on the other half they are as good as any.
    values = [
        found_slice.metric.value - found_slice.whole
        for found_slice in found
        if found_slice.metric and found_slice.whole
    ]
    assert abs(np.mean(values)) < 0.03


def test_nothing_is_looked_for_where_nothing_is_wanted() -> None:
    table, probability = customers(23, 500)

    report = measure_slices(
        score(outcomes(probability, 1), probability), table, declare(), QUICK.model_copy(update={"max_found": 0})
    )

    assert report.slices == []
    assert report.searched == 0


def test_holms_correction_worked_out_by_hand() -> None:
    # The smallest counts four times; the next 3 * 0.013 = 0.039 and 2 * 0.014 = 0.028 must not be smaller than it.
    assert adjust_by_holm([0.01, 0.013, 0.014, 0.19]) == pytest.approx([0.04, 0.04, 0.04, 0.19])
    assert adjust_by_holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert adjust_by_holm([0.9, 0.8]) == [1.0, 1.0]
    assert adjust_by_holm([]) == []


def test_the_adjusted_values_of_a_report_are_holms() -> None:
    table, probability = customers(24)
    declaration = declare(town={"kind": "categorical", "segment": True})
    report = measure_slices(score(outcomes(probability, 25), probability), table, declaration, QUICK)
    tested = [found_slice for found_slice in report.slices if found_slice.p_value is not None]

    assert report.tested == len(tested)
    assert [found_slice.adjusted_p_value for found_slice in tested] == pytest.approx(
        adjust_by_holm([found_slice.p_value or 0 for found_slice in tested])
    )


def test_a_metric_without_a_better_side_compares_nothing() -> None:
    with pytest.raises(ValidationError, match="'bias' cannot compare groups in task regression"):
        SliceMetrics(regression="bias")
    with pytest.raises(ValidationError, match="'rmse' cannot compare groups in task binary; choose one of roc_auc"):
        SliceMetrics(binary="rmse")


def test_the_table_must_be_the_one_that_was_scored() -> None:
    table, probability = customers(26, 500)

    with pytest.raises(ValueError, match="found 500 scores and 499 customers"):
        measure_slices(score(outcomes(probability, 1), probability), table.iloc[1:], declare(), QUICK)


@pytest.mark.slow
def test_a_hundred_thousand_customers_take_seconds() -> None:
    random = np.random.default_rng(27)
    table, probability = customers(27, 100_000)
    for number in range(17):
        table[f"n{number}"] = random.normal(size=100_000)
    more: dict[str, dict[str, Any]] = {f"n{number}": {"kind": "numeric", "segment": number < 3} for number in range(17)}
    scores = score(outcomes(probability, 28), probability)

    start = time.perf_counter()
    measure_slices(scores, table, declare(**more))

    assert time.perf_counter() - start < 6
