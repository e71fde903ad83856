"""Random forest."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from churn_kedro.customers import Task
from churn_kedro.training.algorithms.interface import Hyperparameters, Problem
from churn_kedro.training.algorithms.scikit import ScikitAlgorithm
from churn_kedro.training.folds import Sample
from churn_kedro.training.parameters import AlgorithmName

_FIXED = frozenset({"n_jobs", "random_state", "warm_start", "verbose", "oob_score", "class_weight", "monotonic_cst"})


class RandomForest(ScikitAlgorithm):
    """Random forest; supports missing values, and categories as integer codes."""

    name: AlgorithmName = "random_forest"
    searchable = frozenset(RandomForestClassifier().get_params()) - _FIXED
    keeps = frozenset({"monotone"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted forest."""
        task: Task = problem.learning.task
        kind = RandomForestRegressor if task == "regression" else RandomForestClassifier
        monotone = sample.constraints.monotone
        return kind(
            random_state=problem.random_state,
            n_jobs=problem.threads,
            monotonic_cst=list(monotone) if any(monotone) else None,
            **hyperparameters,
        )

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit, and limit prediction to one thread."""
        return super().fit(sample, hyperparameters, problem, rounds).set_params(n_jobs=None)

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the numbers of trees and leaves."""
        return {"trees": len(fitted.estimators_), "leaves": sum(tree.get_n_leaves() for tree in fitted.estimators_)}
