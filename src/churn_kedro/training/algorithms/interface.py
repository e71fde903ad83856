"""Interface of the algorithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from churn_kedro.customers import Task
from churn_kedro.models import Learning
from churn_kedro.training.folds import FoldInputs, Sample
from churn_kedro.training.parameters import AlgorithmName

Hyperparameters = Mapping[str, int | float | str | bool]
Device = Literal["cpu", "cuda"]
# Callback with the growth of a model (shrinkage times rounds) and its score on the validation fold; may raise.
Watch = Callable[[float, float], None]


@dataclass(frozen=True)
class Problem:
    """Learning problem and computing resources.

    Attributes:
        learning: Task and score.
        random_state: Seed.
        threads: Threads of one fit.
        device: Device on which trees are fitted.
        max_rounds: Maximum number of boosting rounds.
        early_stopping_rounds: Rounds without improvement after which boosting stops.
    """

    learning: Learning
    random_state: int
    threads: int = 1
    device: Device = "cpu"
    max_rounds: int = 3000
    early_stopping_rounds: int = 50


@dataclass(frozen=True)
class FoldFit:
    """A model fitted on the training rows of a fold.

    Attributes:
        prediction: Prediction for the validation rows after ``rounds``: shape (n,), or (n, n_classes) for several
            classes.
        rounds: Number of rounds kept; None for an algorithm without rounds.
        curve: Score on the validation rows after each round.
        learning_curve: Score on the training rows after each round, if requested.
        predict: Function that predicts the validation rows again, for timing.
    """

    prediction: np.ndarray
    rounds: int | None
    curve: list[float] = field(default_factory=list)
    learning_curve: list[float] = field(default_factory=list)
    predict: Callable[[], np.ndarray] = field(default=lambda: np.empty(0))


class Algorithm(Protocol):
    """Interface of an algorithm. Implementations are stateless."""

    name: AlgorithmName
    tasks: frozenset[Task]
    # Whether the algorithm fits in rounds, whose number early stopping determines.
    in_rounds: bool
    # Hyperparameters allowed in a search space.
    searchable: frozenset[str]
    # Supported constraints: monotone, interactions.
    keeps: frozenset[str]

    def prepare(self, fold: FoldInputs, problem: Problem) -> Any:
        """Convert a fold into the form that all trials share."""
        ...

    def fit_fold(
        self,
        prepared: Any,
        hyperparameters: Hyperparameters,
        problem: Problem,
        *,
        rounds: int | None = None,
        watch: Watch | None = None,
        with_learning_curve: bool = False,
    ) -> FoldFit:
        """Fit on the training rows of a fold and predict its validation rows.

        Args:
            prepared: Result of :meth:`prepare`.
            hyperparameters: Hyperparameters of the trial.
            problem: Learning problem.
            rounds: Number of rounds; None: until early stopping.
            watch: Callback after each round.
            with_learning_curve: Whether to compute the score on the training rows as well.
        """
        ...

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit a scikit-learn estimator on model inputs.

        Args:
            sample: Training rows.
            hyperparameters: Hyperparameters of the trial.
            problem: Learning problem.
            rounds: Number of rounds, if the algorithm has rounds.

        Returns:
            The fitted estimator; its ``predict_proba`` (or ``predict`` of numbers) takes inputs of shape (n, n_inputs).
        """
        ...

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Return the size of a fitted estimator: numbers of trees, leaves, coefficients."""
        ...


def answer(fitted: Any, values: np.ndarray, learning: Learning) -> np.ndarray:
    """Predict model inputs with a fitted estimator.

    Args:
        fitted: scikit-learn estimator.
        values: Inputs, shape (n, n_inputs).
        learning: Task.

    Returns:
        float64: probability of the positive class or number, shape (n,); for several classes, shape (n, n_classes).
    """
    if learning.task == "regression":
        return np.asarray(fitted.predict(values), dtype=np.float64)
    probability = np.asarray(fitted.predict_proba(values), dtype=np.float64)
    return probability[:, 1] if learning.task == "binary" else probability
