"""Estimated and realised quality."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

from churn_kedro.monitoring.outcomes import MaturedPredictions, OutcomeCounts
from churn_kedro.monitoring.parameters import PerformanceParameters
from churn_kedro.monitoring.performance import (
    ScoreCounts,
    count_scores,
    estimate_performance,
    measure_counts,
    reference_scores,
)
from churn_kedro.monitoring.realised import adjust_prior, measure_realised, share_interval
from churn_kedro.monitoring.shifts import estimate_prior, name_shifts
from churn_kedro.pipelines.fabrication.shapes.drift import Drift
from tests.monitoring import cases

PARAMETERS = PerformanceParameters()


def _draw(rows: int, seed: int, low: float = 0.4, high: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probability = random.beta(low, high, rows)
    return probability, (random.random(rows) < probability).astype(float)


def test_metrics_of_counts_are_those_of_scikit_learn() -> None:
    probability, target = _draw(20_000, seed=1)
    flagged = probability >= 0.3
    left = count_scores(probability, flagged, target)
    found = measure_counts(left, count_scores(probability, flagged) - left)

    assert float(found["roc_auc"]) == pytest.approx(roc_auc_score(target, probability), abs=2e-4)
    for name, function in (
        ("f1", f1_score), ("accuracy", accuracy_score), ("precision", precision_score), ("recall", recall_score)
    ):  # fmt: skip
        assert float(found[name]) == pytest.approx(function(target, flagged))


def test_an_estimate_without_outcomes_is_near_what_the_outcomes_turn_out_to_be() -> None:
    before, outcome = _draw(20_000, seed=2)
    reference = reference_scores(outcome, before, before >= 0.3, None)
    inside = 0
    for seed in range(20):
        # Other customers, for whom the probabilities still hold.
        probability, target = _draw(3_000, seed=100 + seed, low=0.8, high=3.0)
        counts = ScoreCounts()
        counts.add(probability, probability >= 0.3)
        found = estimate_performance(counts, reference, PARAMETERS, 0.001, seed)
        auc = roc_auc_score(target, probability)
        inside += found.metrics["roc_auc"].low <= auc <= found.metrics["roc_auc"].high
        assert found.metrics["roc_auc"].value == pytest.approx(auc, abs=0.05)
        assert found.metrics["f1"].value == pytest.approx(f1_score(target, probability >= 0.3), abs=0.08)

    # 95 % intervals: 19 of 20 are expected.
    assert inside >= 17


def test_confidence_based_estimates_are_those_of_their_definition() -> None:
    # Four customers, two contacted: expected true positives 0.9 + 0.6, false positives 0.1 + 0.4.
    probability = np.array([0.9, 0.6, 0.3, 0.1])
    counts = ScoreCounts()
    counts.add(probability, probability >= 0.5)
    reference = reference_scores(np.array([1.0, 0.0]), np.array([0.9, 0.1]), np.array([True, False]), None)

    found = estimate_performance(counts, reference, PARAMETERS, 0.001, 0).metrics

    assert found["accuracy"].value == pytest.approx((0.9 + 0.6 + 0.7 + 0.9) / 4)
    assert found["precision"].value == pytest.approx(1.5 / 2)
    assert found["recall"].value == pytest.approx(1.5 / 1.9)
    assert found["f1"].value == pytest.approx(2 * 1.5 / (2 + 1.9))
    pairs = sum(p * (1 - q) * (1.0 if p > q else 0.5 if p == q else 0.0) for p in probability for q in probability)
    assert found["roc_auc"].value == pytest.approx(pairs / (probability.sum() * (1 - probability).sum()))


def test_customers_whom_the_model_cannot_rank_are_an_alarm_without_outcomes() -> None:
    before, outcome = _draw(20_000, seed=3)
    reference = reference_scores(outcome, before, before >= 0.3, 100 * before - 20)
    flat = np.random.default_rng(4).uniform(0.15, 0.25, 3_000)
    counts = ScoreCounts()
    counts.add(flat, flat >= 0.3, 100 * flat - 20)

    found = estimate_performance(counts, reference, PARAMETERS, 0.001, 0)

    assert (found.severity, found.falls) == ("alarm", ["roc_auc", "profit"])
    assert found.metrics["profit"].value == 0.0


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I: 15 of 148 without continuity correction.
    found = share_interval(15, 148, 0.95)

    assert (round(found.low, 4), round(found.high, 4)) == (0.0624, 0.1605)


def test_adjusted_probabilities_have_the_odds_of_the_new_share() -> None:
    # Odds 1 to 4 times the ratio of the odds, (3/7) / (1/4).
    odds = 0.25 * (3 / 7) / 0.25
    assert adjust_prior(np.array([0.2]), 0.2, 0.3)[0] == pytest.approx(odds / (1 + odds))


def test_the_share_of_leavers_is_recovered_without_outcomes_if_only_it_has_changed() -> None:
    customers = cases.bank(40_000, seed=21)
    left = customers["Exited"] == 1
    resampled = pd.concat([customers[left].sample(8_000, replace=True, random_state=1), customers[~left].head(12_000)])
    probability = cases.score(resampled)
    counts = ScoreCounts()
    counts.add(probability, probability >= 0.3)

    # 8,000 of 20,000 left.
    assert estimate_prior(counts, 0.204) == pytest.approx(0.4, abs=0.02)


def _shifts(customers: pd.DataFrame) -> dict[str, bool | None]:
    examined, realised = cases.examined(customers), cases.realised(customers)
    found = name_shifts(
        examined.drift.columns,
        examined.drift.joint,
        cases.count(customers).scores,
        realised,
        cases.reference().profile,
    )
    return {one.name: one.found for one in found}


@pytest.mark.slow
def test_the_kinds_of_change_are_told_apart() -> None:
    customers = cases.bank(40_000, seed=22)
    left = customers["Exited"] == 1
    more = pd.concat([customers[left].sample(7_000, random_state=1), customers[~left].sample(9_000, random_state=1)])
    more = more.sample(frac=1, random_state=2).reset_index(drop=True)

    assert _shifts(cases.bank(10_000, seed=23)) == {
        "covariate shift": False, "label shift": False, "concept drift": False
    }  # fmt: skip
    assert _shifts(cases.bank(10_000, seed=24, drift=Drift(kind="mean_shift", column="Age", size=0.5))) == {
        "covariate shift": True, "label shift": False, "concept drift": False
    }  # fmt: skip
    found = _shifts(more)
    assert (found["label shift"], found["concept drift"]) == (True, False)
    changed = Drift(kind="changed_relation", column="Age", size=0.7)
    assert _shifts(cases.bank(10_000, seed=25, drift=changed)) == {
        "covariate shift": False, "label shift": False, "concept drift": True
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("column", "size"), [("Age", 0.7), ("Geography", 0.8), ("Gender", 0.8)])
def test_the_column_whose_relation_has_changed_is_named_first(column: str, size: float) -> None:
    for seed in range(3):
        drift = Drift(kind="changed_relation", column=column, size=size)
        found = cases.realised(cases.bank(10_000, seed=600 + seed, drift=drift), seed)

        assert found.relation is not None
        assert found.severity == "alarm"
        assert found.relation.found
        assert found.relation.columns[0].name == column


@pytest.mark.slow
def test_outcomes_of_an_unchanged_relation_raise_no_alarm() -> None:
    alarms = sum(cases.realised(cases.bank(4_000, seed=700 + seed), seed).severity == "alarm" for seed in range(60))

    # At most 5 % of 60.
    assert alarms <= 3


def test_the_holdout_stands_for_the_contacted() -> None:
    random = np.random.default_rng(9)
    probability = random.beta(0.5, 2.0, 60_000)
    target = (random.random(60_000) < probability).astype(float)
    worth = probability >= 0.3
    holdout = worth & (random.random(60_000) < 0.1)
    treated = worth & ~holdout
    # A contact keeps half of those who would leave.
    observed = np.where(treated & (random.random(60_000) < 0.5), 0.0, target)
    table = pd.DataFrame(
        {
            "predicted_at": pd.Timestamp("2026-01-01", tz="UTC"),
            "target": observed,
            "score": probability,
            "contacted": worth,
            "treated": treated,
            "holdout": holdout,
        }
    )
    matured = MaturedPredictions(table, pd.DataFrame(index=table.index), OutcomeCounts(outcomes=60_000, matched=60_000))

    found = measure_realised(matured, cases.reference().profile, PARAMETERS, 0.001, 0, window_days=30)
    naive = roc_auc_score(observed, probability)

    truth = roc_auc_score(target, probability)
    assert abs(naive - truth) > 0.03
    assert found.metrics["roc_auc"].value == pytest.approx(truth, abs=0.012)
    assert found.metrics["roc_auc"].low <= truth <= found.metrics["roc_auc"].high
    assert found.metrics["positive_rate"].value == pytest.approx(target.mean(), abs=0.01)
    assert found.holdout_rate is not None
    assert found.contacted_rate is not None
    assert found.holdout_rate.value > 1.7 * found.contacted_rate.value
    assert not found.uses_treated


def test_few_outcomes_are_counted_and_not_measured() -> None:
    found = cases.realised(cases.bank(60, seed=26))

    assert found.metrics == {}
    assert (found.severity, found.customers) == ("ok", 60)
