"""Linear models with a penalty."""

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
    # Without interactions, there is none to forbid.
    keeps = frozenset({"interactions"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """The unfitted pipeline."""
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
        """The unfitted pipeline."""
        ridge = Ridge(random_state=problem.random_state, **hyperparameters)
        return Pipeline([("standardise", standardise(sample)), ("regressor", ridge)])

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Coefficients."""
        return {"coefficients": int(fitted[-1].coef_.size)}


def scaled_target(regressor: Any) -> Any:
    """A regressor that learns a target of standard deviation 1.

    Args:
        regressor: Unfitted.

    Returns:
        One that predicts in the target's own unit.
    """
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
