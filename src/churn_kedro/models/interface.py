"""The interface of models: estimators on raw customer columns, registered versions and predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, PredictMethod, SignatureType, Task

# Tag of a version whose decisions depend on what each customer is worth: economics as JSON.
CAMPAIGN_TAG = "campaign"


class Estimator(Protocol):
    """A fitted scikit-learn estimator on raw customer columns, of any task."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return decisions, codes of classes or numbers, shape (n_samples,)."""
        ...


class Classifier(Estimator, Protocol):
    """An estimator of task binary or multiclass."""

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return calibrated probabilities, shape (n_samples, n_classes), classes in declared order."""
        ...


class ChurnEstimator(Classifier, Protocol):
    """An estimator of task binary: class 1 is leaving, and ``predict`` applies the decision threshold."""

    threshold: float


@dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator with the facts that are registered with it.

    Attributes:
        estimator: The estimator.
        inputs: Signature type of each raw column it reads, in order.
        example: A few raw rows, logged as the input example.
        predict_method: Method that returns the predictions.
        facts: Tags of the version: task, data digest, decision threshold and others.
        libraries: Distributions needed to load it, in addition to those of every model.
    """

    estimator: Estimator
    inputs: Mapping[str, SignatureType]
    example: pd.DataFrame
    predict_method: PredictMethod = "predict_proba"
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
        estimator: The loaded estimator.
        inputs: Raw columns that it reads; empty where it has no signature.
        training_rows: Digests of the rows it was trained on, see :mod:`churn_kedro.models.training_rows`; None where
            they were not recorded or not loaded.
        created: Time of registration, ISO 8601.
    """

    name: str
    version: int
    model_id: str
    run_id: str
    tags: Mapping[str, str]
    estimator: Estimator
    inputs: tuple[str, ...] = ()
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
    """

    task: Task
    target: np.ndarray
    prediction: np.ndarray
    threshold: float | None = None
    classes: tuple[str, ...] = ()

    def of(self, members: np.ndarray) -> ScoredCustomers:
        """Select customers.

        Args:
            members: Boolean mask of shape (n,), or positions.

        Returns:
            Target and prediction of the selected customers.
        """
        return replace(self, target=self.target[members], prediction=self.prediction[members])


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
    # Versions without the tag are older than the other tasks.
    task = model.tags.get("task", "binary")
    if task != declaration.task:
        return f"version {model.version} was trained for task {task}, the declaration says {declaration.task}"
    classes, declared = model.tags.get("classes"), task_facts(declaration).get("classes")
    if classes != declared and "task" in model.tags:
        return f"version {model.version} was trained for classes {classes}, the declaration says {declared}"
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
    absent = [name for name in model.inputs if name not in declared]
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


def churn_probability(estimator: Estimator, customers: pd.DataFrame) -> np.ndarray:
    """Predict the probability that each customer leaves.

    Args:
        estimator: A fitted estimator of task binary.
        customers: Raw customer columns, shape (n_samples, n_columns); columns the model does not use are ignored.

    Returns:
        float64 array of shape (n_samples,), values in [0, 1].
    """
    return np.asarray(cast(Classifier, estimator).predict_proba(customers)[:, 1], dtype=np.float64)


def decision_threshold(estimator: Estimator) -> float | None:
    """Return the decision threshold on the probability of leaving.

    Args:
        estimator: A fitted estimator.

    Returns:
        The threshold, or None for an estimator of another task than binary.
    """
    threshold = getattr(estimator, "threshold", None)
    return None if threshold is None else float(threshold)


def predict(estimator: Estimator, customers: pd.DataFrame, task: Task) -> np.ndarray:
    """Predict each customer.

    Args:
        estimator: A fitted estimator of the task.
        customers: Raw customer columns, shape (n_samples, n_columns); columns the model does not use are ignored.
        task: What is predicted.

    Returns:
        float64 array: probability of leaving, shape (n_samples,); probability of each class, shape (n_samples,
        n_classes); or the predicted number, shape (n_samples,).
    """
    match task:
        case "binary":
            return churn_probability(estimator, customers)
        case "multiclass":
            return np.asarray(cast(Classifier, estimator).predict_proba(customers), dtype=np.float64)
        case "regression":
            return np.asarray(estimator.predict(customers), dtype=np.float64)


def score_labelled(estimator: Estimator, customers: pd.DataFrame, declaration: CustomerDeclaration) -> ScoredCustomers:
    """Score customers whose target is known.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Customers with their target.
        declaration: The table's declaration.

    Returns:
        Target and prediction of each customer.
    """
    return ScoredCustomers(
        task=declaration.task,
        target=customers[declaration.target].to_numpy(),
        prediction=predict(estimator, customers, declaration.task),
        threshold=decision_threshold(estimator),
        classes=tuple(str(label) for label in declaration.classes),
    )


def unwrap(estimator: Any) -> tuple[Any, Any]:
    """Return feature transformer and model from within calibration and threshold.

    Args:
        estimator: As training builds it: threshold (task binary) around calibration (tasks with classes, unless it is
            none) around the pipeline. Each layer, frozen ones included, has the next one as its parameter
            ``estimator``.

    Returns:
        The fitted feature transformer, and the fitted model on its outputs: ``XGBClassifier`` or ``XGBRegressor`` by
        default.
    """
    pipeline = estimator
    while hasattr(pipeline, "estimator"):
        pipeline = pipeline.estimator
    return pipeline["features"], pipeline[-1]
