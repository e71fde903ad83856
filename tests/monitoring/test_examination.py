"""Customers of any source, and all tasks, compared with the reference."""

import numpy as np
import pandas as pd
import pytest

from churn_kedro.campaigns.parameters import BandParameters
from churn_kedro.monitoring.counts import TableCounter, count_column
from churn_kedro.monitoring.drift import count_tests
from churn_kedro.monitoring.examination import CurrentCustomers, examine
from churn_kedro.monitoring.outcomes import MaturedPredictions, OutcomeCounts
from churn_kedro.monitoring.parameters import PerformanceParameters
from churn_kedro.monitoring.profiles import ReferenceProfile, profile_column
from churn_kedro.monitoring.realised import measure_realised
from churn_kedro.monitoring.reference import Reference
from tests.monitoring import cases


def test_bands_and_decisions_are_compared_with_those_of_the_training() -> None:
    customers = cases.bank(4000, seed=41)

    found = cases.examined(customers).drift.predictions

    assert found is not None
    now, before = cases.score(customers), cases.score(cases.bank(8000, seed=1))
    for name, low, high in (("low", 0.0, 0.2), ("medium", 0.2, 0.5), ("high", 0.5, 1.01)):
        assert found.bands[name].current == pytest.approx(((now >= low) & (now < high)).mean(), abs=1e-9)
        assert found.bands[name].reference == pytest.approx(((before >= low) & (before < high)).mean(), abs=1e-9)
    assert found.decisions is not None
    assert found.decisions.current == pytest.approx((now >= cases.THRESHOLD).mean())
    assert found.mean is not None
    assert found.mean.current == pytest.approx(now.mean())


def _classes(rows: int, seed: int, sharp: float) -> tuple[pd.Series, np.ndarray]:
    """Predicted classes and their probabilities."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(3, sharp), rows)
    labels = pd.Series(np.array(["red", "green", "blue"], dtype=object)[probabilities.argmax(axis=1)])
    return labels, probabilities.max(axis=1)


def test_classes_have_an_estimated_accuracy_from_their_probabilities() -> None:
    labels, probability = _classes(6000, seed=1, sharp=0.2)
    profile = ReferenceProfile(
        task="multiclass",
        rows=6000,
        columns=[],
        prediction=profile_column(labels, "prediction", "level"),
        errors={"accuracy": float(probability.mean())},
    )
    unsure, probability_now = _classes(3000, seed=2, sharp=2.0)
    assert profile.prediction is not None
    current = CurrentCustomers(profile, TableCounter(profile, cases.declaration()), "a table")
    current.counter.rows = 3000
    current.predictions = count_column(unsure, profile.prediction)
    current.total = float(probability_now.sum())
    found = examine(
        current, Reference(profile, pd.DataFrame()), cases.PARAMETERS,
        BandParameters(medium=0.2, high=0.5),
    ).estimated  # fmt: skip

    assert found is not None
    assert found.metrics["accuracy"].value == pytest.approx(probability_now.mean())
    assert (found.severity, found.falls) == ("alarm", ["accuracy"])


def _matured(target: np.ndarray, score: np.ndarray, **columns: object) -> MaturedPredictions:
    rows = len(target)
    table = pd.DataFrame(
        {
            "predicted_at": pd.Timestamp("2026-01-01", tz="UTC"),
            "target": target,
            "score": score,
            "decision": "",
            "label": "",
            **columns,
        }
    )
    return MaturedPredictions(table, pd.DataFrame(index=table.index), OutcomeCounts(outcomes=rows, matched=rows))


def test_errors_of_numbers_are_measured_and_a_rise_is_an_alarm() -> None:
    random = np.random.default_rng(3)
    target = random.normal(100, 20, 2000)
    profile = ReferenceProfile(task="regression", rows=2000, columns=[], errors={"rmse": 5.0, "mae": 4.0})
    level = 0.05 / count_tests(profile)

    good = measure_realised(
        _matured(target, target + random.normal(0, 5, 2000)), profile, PerformanceParameters(), level, 0, 30
    )
    bad = measure_realised(
        _matured(target, target + random.normal(0, 9, 2000)), profile, PerformanceParameters(), level, 0, 30
    )

    assert good.severity == "ok"
    assert good.metrics["rmse"].low < 5.0 < good.metrics["rmse"].high
    assert (bad.severity, bad.falls) == ("alarm", ["rmse"])
    assert bad.metrics["rmse"].value == pytest.approx(9.0, rel=0.05)


def test_the_accuracy_of_classes_is_measured_and_a_fall_is_an_alarm() -> None:
    random = np.random.default_rng(4)
    labels = np.array(["red", "green"])[random.integers(0, 2, 2000)]
    wrong = random.random(2000) < 0.3
    decisions = np.where(wrong, "blue", labels)
    profile = ReferenceProfile(task="multiclass", rows=2000, columns=[], errors={"accuracy": 0.9})

    found = measure_realised(
        _matured(np.zeros(2000), np.full(2000, 0.9), label=labels, decision=decisions),
        profile, PerformanceParameters(), 0.001, 0, 30,
    )  # fmt: skip

    assert found.metrics["accuracy"].value == pytest.approx((~wrong).mean())
    assert (found.severity, found.falls) == ("alarm", ["accuracy"])
