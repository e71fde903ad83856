"""The service compares the customers whom it answers with those of the training."""

import logging
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.models.interface import TrainedModel
from churn_kedro.monitoring.parameters import MonitoringParameters
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.reference import build_reference
from churn_kedro.serving.drift_watch import DriftWatch
from churn_kedro.serving.log_writer import AnsweredRequest
from churn_kedro.serving.metrics import ServiceMetrics
from churn_kedro.serving.scoring import Answer
from churn_kedro.training.recipe import ValidatedPredictions
from tests.serving.conftest import CUSTOMER

WINDOW = 400


class _Served:
    """A served version: what the watch reads of it."""

    def __init__(self, trained: TrainedModel, profile: ReferenceProfile | None, version: int) -> None:
        self.version = version
        self.profile = profile
        self.registered = trained


def _customers(rows: int, seed: int, age: float = 40.0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    ages, charges = random.normal(age, 8, rows).clip(18, 100), random.gamma(2, 10, rows)
    usual = CUSTOMER | {"Tier": 2.0, "Card": 1.0}
    return [
        usual | {"Id": float(place), "Age": float(years), "Charges": float(money)}
        for place, (years, money) in enumerate(zip(ages, charges, strict=True))
    ]


def _profile(trained: TrainedModel, declaration: CustomerDeclaration) -> ReferenceProfile:
    customers = trained.estimator.read(pd.DataFrame(_customers(2000, seed=1), dtype=object)).table
    target = np.zeros(len(customers))
    target[::4] = 1
    predictions = ValidatedPredictions(
        np.arange(len(customers)), target, np.full(len(customers), 0.25),
        contacted=np.zeros(len(customers), dtype=bool), importance={"Age": 0.9},
    )  # fmt: skip
    return build_reference(customers, customers, predictions, declaration).profile


def _request(rows: list[dict[str, Any]], version: int = 1) -> AnsweredRequest:
    answers = [Answer({}, 0.25) for _ in rows]
    ids = [str(place) for place in range(len(rows))]
    return AnsweredRequest("r", "bank_churn", version, rows, answers, ids, datetime(2026, 1, 31, tzinfo=UTC), 1.0)


def _watch(declaration: CustomerDeclaration, served: Any, metrics: ServiceMetrics) -> DriftWatch:
    return DriftWatch("bank", declaration, MonitoringParameters(), served, metrics, WINDOW)


def _values(metrics: ServiceMetrics) -> dict[str, float]:
    found = {}
    for line in metrics.render()[0].decode().splitlines():
        if line.startswith("churn_served_"):
            name, value = line.rsplit(" ", 1)
            found[name.split("{")[0]] = float(value)
    return found


@pytest.mark.slow
def test_other_customers_are_a_metric_and_one_warning_until_they_are_the_usual_ones_again(
    trained: TrainedModel, declaration: CustomerDeclaration, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    metrics, served = ServiceMetrics(), _Served(trained, _profile(trained, declaration), 1)
    watch = _watch(declaration, lambda: served, metrics)

    watch.add([_request(_customers(WINDOW // 2, seed=2))])
    assert "churn_served_drift_score" not in _values(metrics)
    watch.add([_request(_customers(WINDOW // 2, seed=3))])
    usual = _values(metrics)
    for seed in (4, 5):
        watch.add([_request(_customers(WINDOW, seed=seed, age=60.0))])
    other = _values(metrics)
    watch.add([_request(_customers(WINDOW, seed=6))])

    assert usual["churn_served_columns_drifted"] == 0
    assert other["churn_served_columns_drifted"] == 1
    assert other["churn_served_drift_score"] > 5 * usual["churn_served_drift_score"]
    messages = [record.message for record in caplog.records if "customers" in record.message]
    assert len(messages) == 2
    assert "of the last 400 customers: These customers are not those that the version knows: Age" in messages[0]
    assert "are those that the version knows" in messages[1]


@pytest.mark.slow
def test_a_version_without_a_profile_and_customers_of_another_version_are_not_compared(
    trained: TrainedModel, declaration: CustomerDeclaration
) -> None:
    metrics, served = ServiceMetrics(), _Served(trained, None, 1)
    current = [served]
    watch = _watch(declaration, lambda: current[0], metrics)

    watch.add([_request(_customers(WINDOW, seed=2))])
    current[0] = _Served(trained, _profile(trained, declaration), 2)
    watch.add([_request(_customers(WINDOW, seed=3), version=1)])
    assert _values(metrics) == {}
    watch.add([_request(_customers(WINDOW, seed=3), version=2)])

    assert _values(metrics)["churn_served_columns_drifted"] == 0


@pytest.mark.slow
def test_customers_that_cannot_be_compared_are_named_and_do_not_hinder_the_log(
    trained: TrainedModel, declaration: CustomerDeclaration, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, served = ServiceMetrics(), _Served(trained, _profile(trained, declaration), 1)
    watch = _watch(declaration, lambda: served, metrics)
    # No cells by column, so that the model cannot read them.
    odd: Any = [None] * WINDOW

    watch.add([_request(odd)])
    watch.add([_request(_customers(WINDOW, seed=3))])

    assert "bank: the last 400 customers could not be compared." in caplog.text
    assert _values(metrics)["churn_served_columns_drifted"] == 0
