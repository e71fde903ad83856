"""Models whose probabilities stand in a column of the table."""

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from churn_estimators.cells import CellReader
from churn_estimators.model import CustomerModel


class _FirstInput:
    """A classifier whose probability of the second class is its first input."""

    def predict_proba(self, values: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - values[:, 0], values[:, 0]])


def column_model(column: str, threshold: float | None = 0.5, **changed: Any) -> CustomerModel:
    """A model of two classes that predicts what the table says.

    Args:
        column: Column with the probability of leaving.
        threshold: Decision threshold.
        changed: Further arguments of the model.
    """
    return CustomerModel(
        [CellReader(column, "number"), *changed.pop("further", [])],
        make_pipeline(FunctionTransformer(lambda table: table[[column]].to_numpy())),
        _FirstInput(),
        task="binary",
        classes=[0, 1],
        threshold=threshold,
        **changed,
    )
