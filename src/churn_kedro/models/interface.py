"""Trained and registered models, and the predictions of customers whose target is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_estimators.value import decide
from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Task

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel


@dataclass(frozen=True)
class TrainedModel:
    """A fitted model with the facts that are registered with it.

    Attributes:
        estimator: The model.
        example: A few raw rows, logged as the input example.
        facts: Tags of the version: task, data digest, decision threshold and others.
        libraries: Distributions needed to load it, in addition to those of every model.
    """

    estimator: CustomerModel
    example: pd.DataFrame
    facts: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegisteredModel:
    """One version of a registered model.

    Attributes:
        name: Registered name.
        version: Version number.
        model_id: MLflow's id of the logged model; metrics are linked to it.
        run_id: Run that trained it.
        tags: Tags of the version.
        estimator: The loaded model.
        training_rows: Digests of the rows it was trained on, see :mod:`churn_kedro.models.training_rows`; None where
            they were not recorded or not loaded.
        created: Time of registration, ISO 8601.
    """

    name: str
    version: int
    model_id: str
    run_id: str
    tags: Mapping[str, str]
    estimator: CustomerModel
    training_rows: pd.DataFrame | None = field(default=None, repr=False, compare=False)
    created: str = ""


@dataclass(frozen=True)
class ScoredCustomers:
    """Predictions for customers whose target is known.

    Attributes:
        task: What is predicted.
        target: Code of the class, or the number, per customer; shape (n,).
        prediction: Probability of leaving, shape (n,); probability of each class, shape (n, n_classes); or the
            predicted number, shape (n,).
        threshold: Decision threshold on the probability of leaving; None for other tasks.
        classes: Labels in the order of their codes; none for a regression.
        eligible: Whether each customer may be contacted at any threshold, shape (n,); None: all (task binary).
    """

    task: Task
    target: np.ndarray
    prediction: np.ndarray
    threshold: float | None = None
    classes: tuple[str, ...] = ()
    eligible: np.ndarray | None = None

    @property
    def decision(self) -> np.ndarray:
        """Whether each customer is contacted, boolean, shape (n,).

        Raises:
            ValueError: The task is not binary, or there is no threshold.
        """
        if self.task != "binary" or self.threshold is None:
            raise ValueError(
                f"expected task binary with a decision threshold, found task {self.task} and threshold {self.threshold}"
            )
        return decide(self.prediction, self.threshold, self.eligible)

    def of(self, members: np.ndarray) -> ScoredCustomers:
        """Select customers.

        Args:
            members: Boolean mask of shape (n,), or positions.

        Returns:
            Target and prediction of the selected customers.
        """
        eligible = None if self.eligible is None else self.eligible[members]
        return replace(self, target=self.target[members], prediction=self.prediction[members], eligible=eligible)


def task_facts(declaration: CustomerDeclaration) -> dict[str, str]:
    """Return the tags of a version that state what it predicts.

    Args:
        declaration: The table's declaration.

    Returns:
        ``task``, and ``classes`` in the order of the model's probabilities where there are classes.
    """
    classes = {"classes": json.dumps(declaration.classes)} if declaration.classes else {}
    return {"task": declaration.task, **classes}


def explain_task_mismatch(model: RegisteredModel, declaration: CustomerDeclaration) -> str | None:
    """Explain why the predictions of a version do not fit a declaration.

    Args:
        model: The version.
        declaration: The table's declaration.

    Returns:
        The reason, or None where the version was trained for this task and these classes in this order.
    """
    task, classes = model.estimator.task, list(model.estimator.classes)
    if task != declaration.task:
        return f"version {model.version} was trained for task {task}, the declaration says {declaration.task}"
    if classes != declaration.classes:
        return (
            f"version {model.version} was trained for classes {json.dumps(classes)}, the declaration says "
            f"{json.dumps(declaration.classes)}"
        )
    return None


def explain_table_mismatch(model: RegisteredModel, declaration: CustomerDeclaration) -> str | None:
    """Explain why a version cannot score the declared table. Declared columns that it does not read are allowed.

    Args:
        model: The version.
        declaration: The table's declaration.

    Returns:
        The reason: another task, other classes, or columns that are not declared; None where it can.
    """
    declared = {column.name for column in declaration.required_columns(with_target=True)}
    absent = [reader.column for reader in model.estimator.readers if reader.column not in declared]
    return explain_task_mismatch(model, declaration) or (
        f"version {model.version} reads columns that are not declared: {', '.join(absent)}" if absent else None
    )


def require_matching_table(model: RegisteredModel, declaration: CustomerDeclaration) -> None:
    """Check that a version can score the declared table.

    Args:
        model: The version.
        declaration: The table's declaration.

    Raises:
        CustomerTableError: It was trained for another task, for other classes or on columns that are not declared.
    """
    reason = explain_table_mismatch(model, declaration)
    if reason:
        raise CustomerTableError(
            f"{model.name}: {reason}. Train a version for this declaration (`kedro run --pipelines training`), "
            "or correct task, labels and columns in parameters/customers.yml."
        )


def score_labelled(model: CustomerModel, customers: pd.DataFrame, declaration: CustomerDeclaration) -> ScoredCustomers:
    """Score customers whose target is known.

    Args:
        model: A model of the declared task.
        customers: Customers with their target.
        declaration: The table's declaration.

    Returns:
        Target and prediction of each customer.
    """
    read = model.read(customers).table
    return ScoredCustomers(
        task=declaration.task,
        target=customers[declaration.target].to_numpy(),
        prediction=model.scores(read),
        threshold=model.threshold,
        classes=tuple(str(label) for label in declaration.classes),
        eligible=model.eligible(read),
    )
