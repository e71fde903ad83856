"""Fabricated customers of a bank, a reference profile of some, and predictions by their true probabilities."""

from functools import cache

import numpy as np
import pandas as pd
import yaml

from churn_kedro.campaigns.parameters import BandParameters
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.monitoring.counts import TableCounter, code_customers, count_column
from churn_kedro.monitoring.drift import count_tests
from churn_kedro.monitoring.examination import CurrentCustomers, Examination, examine
from churn_kedro.monitoring.outcomes import MaturedPredictions, OutcomeCounts
from churn_kedro.monitoring.parameters import MonitoringParameters
from churn_kedro.monitoring.performance import ScoreCounts
from churn_kedro.monitoring.realised import RealisedPerformance, measure_realised
from churn_kedro.monitoring.reference import Reference, build_reference
from churn_kedro.pipelines.fabrication.shapes import FabricationParameters, fabricate
from churn_kedro.pipelines.fabrication.shapes.bank import bank_effects_on_log_odds
from churn_kedro.pipelines.fabrication.shapes.churn import churn_probability, solve_intercept
from churn_kedro.pipelines.fabrication.shapes.drift import Drift
from churn_kedro.training.recipe import ValidatedPredictions
from tests import ROOT

PARAMETERS = MonitoringParameters()
THRESHOLD = 0.25
# Importance of the columns in a model of this table.
IMPORTANCE = {
    "Age": 0.4, "NumOfProducts": 0.3, "IsActiveMember": 0.1, "Geography": 0.06, "Balance": 0.04, "CreditScore": 0.03,
    "Gender": 0.03, "EstimatedSalary": 0.03, "Tenure": 0.01, "HasCrCard": 0.0,
}  # fmt: skip


@cache
def declaration() -> CustomerDeclaration:
    path = ROOT / "conf" / "base" / "parameters" / "customers.yml"
    return CustomerDeclaration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))["customers"])


def bank(rows: int, seed: int, drift: Drift | None = None) -> pd.DataFrame:
    """Typed customers with their target."""
    made = fabricate(FabricationParameters(shape="bank", rows=rows, new_rows=0, seed=seed, drift=drift))
    return normalise(made.labelled, declaration(), with_target=True).table


@cache
def _intercept() -> float:
    made = fabricate(FabricationParameters(shape="bank", rows=20_000, new_rows=0, seed=0))
    return solve_intercept(bank_effects_on_log_odds(made.labelled), 0.204)


def score(customers: pd.DataFrame) -> np.ndarray:
    """The probability that a perfect model of the undrifted bank predicts from the recorded columns."""
    readable = customers.assign(
        Age=customers["Age"].fillna(38.0),
        NumOfProducts=customers["NumOfProducts"].fillna(1.0).clip(1, 4),
        Balance=customers["Balance"].fillna(0.0),
        CreditScore=customers["CreditScore"].fillna(650.0),
    )
    return churn_probability(bank_effects_on_log_odds(readable), _intercept())


@cache
def reference(rows: int = 8000) -> Reference:
    customers = bank(rows, seed=1)
    probability = score(customers)
    predictions = ValidatedPredictions(
        np.arange(rows),
        customers["Exited"].to_numpy(),
        probability,
        contacted=probability >= THRESHOLD,
        profit=100 * probability - 20,
        importance=IMPORTANCE,
    )
    return build_reference(customers, customers, predictions, declaration())


def count(customers: pd.DataFrame, seed: int = 0) -> CurrentCustomers:
    """Count customers as monitoring does."""
    probability, profile = score(customers), reference().profile
    current = CurrentCustomers(profile, TableCounter(profile, declaration(), seed), "a table")
    current.counter.add(customers)
    assert profile.prediction is not None
    current.predictions = count_column(pd.Series(probability), profile.prediction)
    current.scores = ScoreCounts()
    current.scores.add(probability, probability >= THRESHOLD, 100 * probability - 20)
    current.total = float(probability.sum())
    return current


def examined(customers: pd.DataFrame, seed: int = 0) -> Examination:
    return examine(count(customers, seed), reference(), PARAMETERS, BandParameters(medium=0.2, high=0.5))


def matured(customers: pd.DataFrame) -> MaturedPredictions:
    """Predictions of customers whose outcome is known, nobody contacted."""
    probability = score(customers)
    rows = len(customers)
    table = pd.DataFrame(
        {
            "predicted_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(rows) % 28, unit="D"),
            "target": customers["Exited"].to_numpy(dtype=float),
            "score": probability,
            "contacted": probability >= THRESHOLD,
            "treated": False,
            "holdout": False,
        }
    )
    codes = code_customers(customers, reference().profile)
    return MaturedPredictions(table, codes, OutcomeCounts(outcomes=rows, predictions=rows, matched=rows))


def realised(customers: pd.DataFrame, seed: int = 0) -> RealisedPerformance:
    profile = reference().profile
    level = PARAMETERS.false_alarm_rate / count_tests(profile)
    return measure_realised(matured(customers), profile, PARAMETERS.performance, level, seed, window_days=30)
