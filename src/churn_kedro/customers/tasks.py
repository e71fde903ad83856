"""Tasks: binary and multiclass classification, and regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Task = Literal["binary", "multiclass", "regression"]
# Method of an estimator that returns the predictions of a task.
PredictMethod = Literal["predict_proba", "predict"]
# scikit-learn's name of the score that a search minimises.
Score = Literal["log_loss", "rmse"]


@dataclass(frozen=True)
class TaskDefinition:
    """The properties of a task.

    Attributes:
        name: Name in the declaration.
        has_classes: Whether the target is a class instead of a number.
        predict_method: Method of an estimator that returns the predictions.
        score: Score that a search minimises.
        step: Name of the model's step in a scikit-learn pipeline.
        linear_model: Linear algorithm for the task.
        association: Measure of the association of a column with the target, as named in texts.
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
