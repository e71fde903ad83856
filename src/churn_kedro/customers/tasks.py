"""Tasks: what a target asks a model to predict, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Task = Literal["binary", "multiclass", "regression"]
# Method of an estimator that gives the predictions of a task.
PredictMethod = Literal["predict_proba", "predict"]
# What a search minimises, under scikit-learn's name.
Score = Literal["log_loss", "rmse"]


@dataclass(frozen=True)
class TaskDefinition:
    """A task, and what follows from it for every package.

    Attributes:
        name: Name in the declaration.
        has_classes: Whether the target is a class; otherwise it is a number.
        predict_method: Method of an estimator that gives the predictions.
        score: What a search minimises.
        step: Name of the model's step in a scikit-learn pipeline.
        linear_model: The linear algorithm that learns it.
        association: How well a column predicts the target is measured by this, for people.
    """

    name: Task
    has_classes: bool
    predict_method: PredictMethod
    score: Score
    step: Literal["classifier", "regressor"]
    linear_model: Literal["logistic_regression", "ridge"]
    association: str


TASKS: Mapping[Task, TaskDefinition] = {
    "binary": TaskDefinition(
        "binary", True, "predict_proba", "log_loss", "classifier", "logistic_regression", "ROC-AUC"
    ),
    "multiclass": TaskDefinition(
        "multiclass", True, "predict_proba", "log_loss", "classifier", "logistic_regression", "ROC-AUC"
    ),
    "regression": TaskDefinition(
        "regression", False, "predict", "rmse", "regressor", "ridge", "R² of the target's ranks"
    ),
}
