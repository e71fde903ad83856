"""The loss of each task, and the facts of the target that training needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers import TASKS, CustomerDeclaration, CustomerTableError, Score, Task

# Names of scores in texts.
SCORE_NAMES: Mapping[Score, str] = {"log_loss": "log loss", "rmse": "RMSE"}
# Probabilities are clipped at this, so that the loss of one customer stays finite.
_SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Learning:
    """The learning problem: task, score and facts of the target.

    Attributes:
        task: What is predicted.
        score: scikit-learn's name of the score that is minimised.
        n_classes: Number of classes; 0 for a regression.
        unit: Standard deviation of the target of a regression; 1 for classes.
    """

    task: Task
    score: Score
    n_classes: int = 0
    unit: float = 1.0

    def measure(self, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None) -> float:
        """Compute the score of predictions.

        Args:
            target: Class codes or numbers, shape (n,).
            prediction: Probability of the positive class, shape (n,); probability of each class, shape (n, n_classes);
                or predicted numbers, shape (n,).
            weight: Sample weights, shape (n,).

        Returns:
            Mean log loss in nats, or root mean squared error; lower is better.
        """
        mean = float(np.average(self.losses(target, prediction), weights=weight))
        return math.sqrt(mean) if self.score == "rmse" else mean

    def losses(self, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Compute the loss of each row.

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
        """Compute the score of a constant prediction: the mean or the class shares of other customers.

        Args:
            sample_target: Target of the customers that the constant is computed from.
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
    """Describe the learning problem of the declared target.

    Args:
        customers: Training customers.
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
            f"None of the {len(customers)} training customers has {declaration.target} = {labels}; every class needs "
            "training rows. Provide more customers, change data_processing.split, or remove the label from "
            "parameters/customers.yml."
        )
    return Learning(declaration.task, TASKS[declaration.task].score, n_classes=len(declaration.classes))


def absent_classes(customers: pd.DataFrame, declaration: CustomerDeclaration) -> list[int]:
    """Return the codes of declared classes that no customer has.

    Args:
        customers: Customers with their target.
        declaration: The table's declaration.

    Returns:
        Codes in order; none for a regression.
    """
    present = set(customers[declaration.target].unique())
    return [code for code in range(len(declaration.classes)) if code not in present]
