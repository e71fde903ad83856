"""Penalised linear models."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from churn_kedro.customers import Task
from churn_kedro.training.algorithms.interface import Hyperparameters, Problem
from churn_kedro.training.algorithms.scikit import ScikitAlgorithm, standardise
from churn_kedro.training.folds import Sample
from churn_kedro.training.parameters import AlgorithmName

_PATIENCE = 2000


class LinearLogistic(ScikitAlgorithm):
    """Logistic regression on standardised quantities and one-hot categories."""

    name: AlgorithmName = "logistic_regression"
    tasks: frozenset[Task] = frozenset({"binary", "multiclass"})
    searchable = frozenset({"C"})
    # A linear model has no interactions, so it satisfies any interaction constraint.
    keeps = frozenset({"interactions"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted pipeline."""
        logistic = LogisticRegression(max_iter=_PATIENCE, random_state=problem.random_state, **hyperparameters)
        return Pipeline([("standardise", standardise(sample)), ("classifier", logistic)])

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Coefficients."""
        return {"coefficients": int(fitted[-1].coef_.size)}


class LinearRidge(ScikitAlgorithm):
    """Ridge regression on standardised quantities and one-hot categories."""

    name: AlgorithmName = "ridge"
    tasks: frozenset[Task] = frozenset({"regression"})
    searchable = frozenset({"alpha"})
    keeps = frozenset({"interactions"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted pipeline."""
        ridge = Ridge(random_state=problem.random_state, **hyperparameters)
        return Pipeline([("standardise", standardise(sample)), ("regressor", ridge)])

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Coefficients."""
        return {"coefficients": int(fitted[-1].coef_.size)}


def scaled_target(regressor: Any) -> Any:
    """Wrap a regressor so that it is fitted on a target with standard deviation 1.

    Args:
        regressor: Unfitted regressor.

    Returns:
        A regressor that predicts in the unit of the target.
    """
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
