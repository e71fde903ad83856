"""Tasks: binary and multiclass classification, and regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Task = Literal["binary", "multiclass", "regression"]
# scikit-learn's name of the score that a search minimises.
Score = Literal["log_loss", "rmse"]


@dataclass(frozen=True)
class TaskDefinition:
    """The properties of a task.

    Attributes:
        name: Name in the declaration.
        has_classes: Whether the target is a class instead of a number.
        score: Score that a search minimises.
        linear_model: Linear algorithm for the task.
        association: Measure of the association of a column with the target, as named in texts.
    """

    name: Task
    has_classes: bool
    score: Score
    linear_model: Literal["logistic_regression", "ridge"]
    association: str


TASKS: Mapping[Task, TaskDefinition] = {
    "binary": TaskDefinition("binary", True, "log_loss", "logistic_regression", "ROC-AUC"),
    "multiclass": TaskDefinition("multiclass", True, "log_loss", "logistic_regression", "ROC-AUC"),
    "regression": TaskDefinition("regression", False, "rmse", "ridge", "R² of the target's ranks"),
}
