"""What every algorithm can do, and what it is told."""

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
# Told now and then how far a model has grown (shrinkage times rounds) and its score on the judged rows; may raise.
Watch = Callable[[float, float], None]


@dataclass(frozen=True)
class Problem:
    """What is to be learned, and with which means.

    Attributes:
        learning: Task and score.
        random_state: Seed.
        threads: Threads of one fit.
        device: Where trees grow.
        max_rounds: Most rounds of an algorithm that grows in rounds.
        early_stopping_rounds: Rounds without a better score after which growing stops.
    """

    learning: Learning
    random_state: int
    threads: int = 1
    device: Device = "cpu"
    max_rounds: int = 3000
    early_stopping_rounds: int = 50


@dataclass(frozen=True)
class FoldFit:
    """A model fitted on a fold's learning rows.

    Attributes:
        prediction: Its answer for the judged rows, at ``rounds``: shape (n,), or (n, n_classes) for several classes.
        rounds: Rounds it keeps; None for an algorithm without rounds.
        curve: Score on the judged rows after each round.
        learning_curve: Score on the learning rows after each round, where it was asked for.
        predict: Answers for the judged rows once more, to be timed.
    """

    prediction: np.ndarray
    rounds: int | None
    curve: list[float] = field(default_factory=list)
    learning_curve: list[float] = field(default_factory=list)
    predict: Callable[[], np.ndarray] = field(default=lambda: np.empty(0))


class Algorithm(Protocol):
    """A way to learn from model inputs. Implementations are stateless."""

    name: AlgorithmName
    tasks: frozenset[Task]
    # Whether it grows in rounds, of which early stopping finds the number.
    in_rounds: bool
    # Hyperparameters that a search space may name.
    searchable: frozenset[str]
    # Of monotone and interactions, the constraints that it can keep.
    keeps: frozenset[str]

    def prepare(self, fold: FoldInputs, problem: Problem) -> Any:
        """Bring a fold into the form that all trials share."""
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
        """Fit on a fold's learning rows and answer for its judged rows.

        Args:
            prepared: What :meth:`prepare` gave.
            hyperparameters: As searched.
            problem: What is to be learned.
            rounds: Rounds to grow; None: until early stopping.
            watch: Looks on while it grows.
            with_learning_curve: Whether the score on the learning rows is wanted, too.
        """
        ...

    def fit(self, sample: Sample, hyperparameters: Hyperparameters, problem: Problem, rounds: int | None) -> Any:
        """Fit a scikit-learn estimator on model inputs.

        Args:
            sample: What to learn from.
            hyperparameters: As searched.
            problem: What is to be learned.
            rounds: Rounds to grow, for an algorithm that does.

        Returns:
            The fitted estimator; its ``predict_proba`` (or ``predict`` of numbers) takes inputs of shape (n, n_inputs).
        """
        ...

    def complexity(self, fitted: Any) -> dict[str, int]:
        """Counts that say how large a fitted estimator is: trees, leaves, coefficients."""
        ...


def answer(fitted: Any, values: np.ndarray, learning: Learning) -> np.ndarray:
    """What a fitted estimator says of model inputs.

    Args:
        fitted: scikit-learn estimator.
        values: Inputs, shape (n, n_inputs).
        learning: Task.

    Returns:
        float64: probability of the positive class or a number, shape (n,); of several classes, shape (n, n_classes).
    """
    if learning.task == "regression":
        return np.asarray(fitted.predict(values), dtype=np.float64)
    probability = np.asarray(fitted.predict_proba(values), dtype=np.float64)
    return probability[:, 1] if learning.task == "binary" else probability
