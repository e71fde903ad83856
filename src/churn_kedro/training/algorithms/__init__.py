"""Algorithms that can be trained on model inputs: XGBoost by default, and others for comparison."""

from __future__ import annotations

import importlib
from typing import cast

from churn_kedro.base import ParameterError
from churn_kedro.training.algorithms.interface import (
    Algorithm,
    Device,
    FoldFit,
    Hyperparameters,
    Problem,
    Watch,
    answer,
)
from churn_kedro.training.parameters import AlgorithmName

__all__ = [
    "Algorithm",
    "AlgorithmName",
    "Device",
    "FoldFit",
    "Hyperparameters",
    "Problem",
    "Watch",
    "answer",
    "load_algorithm",
]

# Module and class; a library is imported on first use.
_PLACES: dict[AlgorithmName, tuple[str, str]] = {
    "xgboost": ("xgboost_trees", "XGBoost"),
    "logistic_regression": ("linear", "LinearLogistic"),
    "ridge": ("linear", "LinearRidge"),
    "random_forest": ("forest", "RandomForest"),
    "hist_gradient_boosting": ("histogram", "HistGradientBoosting"),
    "neural_network": ("network", "NeuralNetwork"),
    "catboost": ("catboost_trees", "CatBoost"),
    "lightgbm": ("lightgbm_trees", "LightGBM"),
}


def load_algorithm(name: AlgorithmName) -> Algorithm:
    """Import an algorithm.

    Args:
        name: Its name in the configuration.

    Returns:
        The algorithm.

    Raises:
        ParameterError: Its library is not installed.
    """
    module, class_name = _PLACES[name]
    try:
        found = importlib.import_module(f"churn_kedro.training.algorithms.{module}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("churn_kedro"):
            raise
        raise ParameterError(
            f"training.algorithms contains {name}, but {error.name} is not installed. Install the extra `boosters`: "
            '`pip install -e ".[boosters]"` in the project, or remove it from the list.'
        ) from error
    return cast(Algorithm, getattr(found, class_name)())
