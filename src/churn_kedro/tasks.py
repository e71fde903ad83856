"""What a task means to XGBoost: objective, score, and how searched hyperparameters are to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, CustomerTableError

# What the search minimises, under scikit-learn's name, and how people say it.
Score = Literal["log_loss", "rmse"]
SCORE_NAMES: Mapping[Score, str] = {"log_loss": "log loss", "rmse": "RMSE"}
# Hyperparameters in the unit of the loss or of its gradient: the power of the target's unit that they carry.
_POWERS_OF_THE_TARGET = {"gamma": 2, "reg_alpha": 1, "max_delta_step": 1}


@dataclass(frozen=True)
class Learning:
    """How XGBoost is to learn a target.

    Attributes:
        objective: XGBoost's objective.
        eval_metric: XGBoost's name of the score that early stopping and the search minimise.
        score: The score's name under scikit-learn.
        unit: Standard deviation of a target that is a number; 1 for classes.
        settings: Further XGBoost parameters of the objective.
    """

    objective: str
    eval_metric: str
    score: Score
    unit: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def scale(self, hyperparameters: Mapping[str, int | float]) -> dict[str, int | float]:
        """Hyperparameters as XGBoost takes them.

        The least gain of a split and its like are in the unit of the loss. For classes that is the same for every
        table; for numbers it is the square of the target's unit, so that without scaling no search space would fit
        both euros and cents.

        Args:
            hyperparameters: XGBoost parameters as they were searched, for a target with standard deviation 1.

        Returns:
            The same parameters for this target.
        """
        return {
            name: value * self.unit ** _POWERS_OF_THE_TARGET[name] if name in _POWERS_OF_THE_TARGET else value
            for name, value in hyperparameters.items()
        }


def describe_learning(train: pd.DataFrame, declaration: CustomerDeclaration) -> Learning:
    """Say how XGBoost is to learn the declared target.

    Args:
        train: Training customers.
        declaration: The table's declaration.

    Returns:
        Objective, score and unit.

    Raises:
        CustomerTableError: A declared class has no training customer.
    """
    target = train[declaration.target]
    match declaration.task:
        case "regression":
            return Learning("reg:squarederror", "rmse", "rmse", unit=float(np.std(target.to_numpy(dtype=np.float64))))
        case "binary":
            learning = Learning("binary:logistic", "logloss", "log_loss")
        case "multiclass":
            settings = {"num_class": len(declaration.classes)}
            learning = Learning("multi:softprob", "mlogloss", "log_loss", settings=settings)
    absent = absent_classes(train, declaration)
    if absent:
        labels = ", ".join(repr(declaration.classes[code]) for code in absent)
        raise CustomerTableError(
            f"None of the {len(train)} training customers has {declaration.target} = {labels}: a model cannot learn "
            "what it never saw. Bring more customers, split them differently, or take the label out of "
            "parameters/customers.yml."
        )
    return learning


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
