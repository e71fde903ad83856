"""What the algorithms of scikit-learn have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from churn_kedro.customers import Task
from churn_kedro.training.algorithms.interface import FoldFit, Hyperparameters, Problem, Watch, answer
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName


class ScikitAlgorithm(ABC):
    """An algorithm that is a scikit-learn estimator, or a pipeline that ends in one, in rounds or not."""

    name: AlgorithmName
    tasks: frozenset[Task] = frozenset({"binary", "multiclass", "regression"})
    in_rounds = False
    searchable: frozenset[str]
    keeps: frozenset[str] = frozenset()

    @abstractmethod
    def build(self, hyperparameters: Hyperparameters, problem: Problem, sample: Sample) -> Any:
        """Make the unfitted estimator for a sample's inputs."""

    def prepare(self, fold: FoldInputs, problem: Problem) -> FoldInputs:
        """Nothing to prepare."""
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
        """Grow until the judged rows gain no more; for an algorithm that grows in rounds.

        Args:
            prepared: The fold.
            hyperparameters: As searched.
            problem: What is to be learned.

        Returns:
            The model at its best round.
        """
        raise NotImplementedError(f"{self.name} does not grow in rounds")

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit; see :class:`~churn_kedro.training.algorithms.interface.Algorithm`."""
        estimator = self.build(hyperparameters, problem, sample)
        return estimator.fit(sample.values, sample.target, **weights_of(estimator, sample))

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Nothing to count."""
        return {}


def weights_of(estimator: Any, sample: Sample) -> dict[str, Any]:
    """The argument with which an estimator takes sample weights.

    Args:
        estimator: A scikit-learn estimator or pipeline.
        sample: What it is fitted on.

    Returns:
        Keyword argument for ``fit``; empty where all rows count alike.
    """
    if sample.weight is None:
        return {}
    prefix = f"{estimator.steps[-1][0]}__" if hasattr(estimator, "steps") else ""
    return {f"{prefix}sample_weight": sample.weight}


def standardise(sample: Sample) -> Any:
    """Inputs for an algorithm that knows neither categories nor missing values nor units.

    Args:
        sample: Types of the inputs.

    Returns:
        Transformer: quantities with the median for what is missing, flags of it, and standard deviation 1; a column for
        each category, a missing one being a category of its own.
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
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("quantities", numbers, quantities), ("categories", levels, categories)])
