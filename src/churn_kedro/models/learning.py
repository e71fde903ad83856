"""What a task means to a learner: what it minimises, and how searched hyperparameters are to be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers import TASKS, CustomerDeclaration, CustomerTableError, Score, Task

# How people write a score.
SCORE_NAMES: Mapping[Score, str] = {"log_loss": "log loss", "rmse": "RMSE"}
# Below, a probability counts as this: one customer must not cost an infinite loss.
_SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Learning:
    """What is to be learned.

    Attributes:
        task: What is predicted.
        score: Name of the score that is minimised, under scikit-learn.
        n_classes: Number of classes; 0 for numbers.
        unit: Standard deviation of a target that is a number; 1 for classes.
    """

    task: Task
    score: Score
    n_classes: int = 0
    unit: float = 1.0

    def measure(self, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None) -> float:
        """Score predictions.

        Args:
            target: Class codes or numbers, shape (n,).
            prediction: Probability of the positive class, shape (n,); probability of each class, shape (n, n_classes);
                or predicted numbers, shape (n,).
            weight: How much each row counts, shape (n,).

        Returns:
            Mean log loss in nats, or root mean squared error; lower is better.
        """
        mean = float(np.average(self.losses(target, prediction), weights=weight))
        return math.sqrt(mean) if self.score == "rmse" else mean

    def losses(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Loss of each row.

        Args:
            target: As for :meth:`measure`.
            prediction: As for :meth:`measure`.

        Returns:
            Log loss in nats, or squared error; shape (n,).
        """
        if self.score == "rmse":
            return np.asarray((prediction - target) ** 2)
        codes = target.astype(np.intp)
        chosen = (
            np.where(codes == 1, prediction, 1 - prediction)
            if prediction.ndim == 1
            else prediction[np.arange(len(codes)), codes]
        )
        return np.asarray(-np.log(np.clip(chosen, _SMALLEST_PROBABILITY, 1)))

    def measure_constant(self, sample_target: np.ndarray, target: np.ndarray) -> float:
        """Score of predicting the same of everyone: the mean or the shares of other customers.

        Args:
            sample_target: Target of the customers that the constant is taken from.
            target: Target of the customers to score.

        Returns:
            The score.
        """
        if self.task == "regression":
            return self.measure(target, np.full(len(target), sample_target.mean()))
        shares = np.bincount(sample_target.astype(np.intp), minlength=self.n_classes) / len(sample_target)
        constant = np.full(len(target), shares[1]) if self.task == "binary" else np.tile(shares, (len(target), 1))
        return self.measure(target, constant)


def describe_learning(customers: pd.DataFrame, declaration: CustomerDeclaration) -> Learning:
    """Say what is to be learned of the declared target.

    Args:
        customers: Customers to learn from.
        declaration: The table's declaration.

    Returns:
        Task, score and unit.

    Raises:
        CustomerTableError: A declared class has no customer.
    """
    target = customers[declaration.target]
    if declaration.task == "regression":
        return Learning("regression", TASKS["regression"].score, unit=float(np.std(target.to_numpy(dtype=np.float64))))
    absent = absent_classes(customers, declaration)
    if absent:
        labels = ", ".join(repr(declaration.classes[code]) for code in absent)
        raise CustomerTableError(
            f"None of the {len(customers)} training customers has {declaration.target} = {labels}: a model cannot "
            "learn what it never saw. Bring more customers, split them differently, or take the label out of "
            "parameters/customers.yml."
        )
    return Learning(declaration.task, TASKS[declaration.task].score, n_classes=len(declaration.classes))


def absent_classes(customers: pd.DataFrame, declaration: CustomerDeclaration) -> list[int]:
    """Codes of declared classes that no customer has.

    Args:
        customers: Customers with their target.
        declaration: The table's declaration.

    Returns:
        Codes in order; none for a regression.
    """
    found = set(customers[declaration.target].unique())
    return [code for code in range(len(declaration.classes)) if code not in found]
