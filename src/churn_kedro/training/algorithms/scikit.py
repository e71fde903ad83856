"""Base class of the scikit-learn algorithms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from churn_kedro.customers import Task
from churn_kedro.training.algorithms.interface import FoldFit, Hyperparameters, Problem, Watch, answer
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName


class ScikitAlgorithm(ABC):
    """An algorithm given by a scikit-learn estimator or pipeline."""

    name: AlgorithmName
    tasks: frozenset[Task] = frozenset({"binary", "multiclass", "regression"})
    in_rounds = False
    searchable: frozenset[str]
    keeps: frozenset[str] = frozenset()

    @abstractmethod
    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Return the unfitted estimator for the inputs of a sample."""

    def prepare(self, fold: FoldInputs, problem: Problem) -> FoldInputs:
        """Return the fold unchanged."""
        return fold

    def fit_fold(
        self,
        prepared: FoldInputs,
        hyperparameters: Hyperparameters,
        problem: Problem,
        *,
        rounds: int | None = None,
        watch: Watch | None = None,
        with_learning_curve: bool = False,
    ) -> FoldFit:
        """Fit on a fold; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        if self.in_rounds and rounds is None:
            return self.stop_early(prepared, hyperparameters, problem)
        fitted = self.fit(prepared.train, hyperparameters, problem, rounds)

        def predict() -> np.ndarray:
            return answer(fitted, prepared.validation.values, problem.learning)

        return FoldFit(predict(), rounds, predict=predict)

    def stop_early(self, prepared: FoldInputs, hyperparameters: Hyperparameters, problem: Problem) -> FoldFit:
        """Fit with early stopping on the validation fold, if the algorithm has rounds.

        Args:
            prepared: The fold.
            hyperparameters: Hyperparameters of the trial.
            problem: Learning problem.

        Returns:
            The model at its best round.
        """
        raise NotImplementedError(f"{self.name} has no boosting rounds")

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        estimator = self.build(hyperparameters, problem, sample)
        return estimator.fit(sample.values, sample.target, **weights_of(estimator, sample))

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return no counts."""
        return {}


def weights_of(estimator: Any, sample: Sample) -> dict[str, Any]:
    """Return the keyword argument that passes sample weights to an estimator.

    Args:
        estimator: A scikit-learn estimator or pipeline.
        sample: Training rows.

    Returns:
        Keyword argument for ``fit``; empty without weights.
    """
    if sample.weight is None:
        return {}
    prefix = f"{estimator.steps[-1][0]}__" if hasattr(estimator, "steps") else ""
    return {f"{prefix}sample_weight": sample.weight}


def standardise(sample: Sample) -> Any:
    """Build the preprocessing for an algorithm without support for categories, missing values and scales.

    Args:
        sample: Types of the inputs.

    Returns:
        Transformer: quantities are imputed with the median, get missing indicators and are standardised; categories are
        one-hot encoded, with a separate category for missing values. The result is sparse where categories have many
        levels.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = sample.categories
    quantities = [position for position in range(len(sample.types)) if position not in categories]
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    levels = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("quantities", numbers, quantities), ("categories", levels, categories)])
