"""scikit-learn's histogram-based gradient boosting."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from churn_kedro.training.algorithms.interface import FoldFit, Hyperparameters, Problem
from churn_kedro.training.algorithms.scikit import ScikitAlgorithm
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName

_FIXED = frozenset(
    {
        "categorical_features",
        "class_weight",
        "early_stopping",
        "interaction_cst",
        "loss",
        "max_bins",
        "max_iter",
        "monotonic_cst",
        "n_iter_no_change",
        "quantile",
        "random_state",
        "scoring",
        "tol",
        "validation_fraction",
        "verbose",
        "warm_start",
    }
)
_MOST_CATEGORIES = 255


class HistGradientBoosting(ScikitAlgorithm):
    """Gradient boosted trees with native categories and missing values."""

    name: AlgorithmName = "hist_gradient_boosting"
    in_rounds = True
    searchable = frozenset(HistGradientBoostingClassifier().get_params()) - _FIXED
    keeps = frozenset({"monotone", "interactions"})

    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted trees."""
        regression = problem.learning.task == "regression"
        monotone, interactions = sample.constraints.monotone, sample.constraints.interactions
        return (HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier)(
            monotonic_cst=list(monotone) if any(monotone) else None,
            interaction_cst=None if interactions is None else [set(group) for group in interactions],
            early_stopping=False,
            random_state=problem.random_state,
            **hyperparameters,
        )

    def stop_early(self, prepared: FoldInputs, hyperparameters: Hyperparameters, problem: Problem) -> FoldFit:
        """Add trees until early stopping on the validation fold."""
        growing = self.build(hyperparameters, problem, prepared.train).set_params(
            max_iter=problem.max_rounds,
            early_stopping=True,
            n_iter_no_change=problem.early_stopping_rounds,
            tol=0.0,
            categorical_features=_categories(prepared.train),
        )
        weights = {} if prepared.train.weight is None else {"sample_weight": prepared.train.weight}
        if prepared.validation.weight is not None:
            weights["sample_weight_val"] = prepared.validation.weight
        growing.fit(
            prepared.train.values,
            prepared.train.target,
            X_val=prepared.validation.values,
            y_val=prepared.validation.target,
            **weights,
        )
        # The first score is that of the model without trees.
        curve = [-float(score) for score in growing.validation_score_[1:]]
        kept = int(np.argmin(curve)) + 1
        fit = super().fit_fold(prepared, hyperparameters, problem, rounds=kept)
        return FoldFit(fit.prediction, kept, curve, predict=fit.predict)

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        trees = self.build(hyperparameters, problem, sample).set_params(
            max_iter=rounds or problem.max_rounds, categorical_features=_categories(sample)
        )
        return trees.fit(sample.values, sample.target, sample_weight=sample.weight)

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the numbers of trees and leaves."""
        trees = [tree for rounds in fitted._predictors for tree in rounds]
        return {"trees": len(trees), "leaves": sum(tree.get_n_leaf_nodes() for tree in trees)}


def _categories(sample: Sample) -> list[int] | None:
    """Return the inputs that scikit-learn supports as categories; those with more levels are passed as quantities."""
    few = [
        position
        for position in sample.categories
        if np.nanmax(sample.values[:, position], initial=0.0) < _MOST_CATEGORIES
    ]
    return few or None
