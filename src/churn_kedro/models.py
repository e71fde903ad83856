"""What a model is to the rest of the project: an estimator on raw customer columns, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from churn_kedro.customers import SignatureType


class ChurnEstimator(Protocol):
    """A fitted scikit-learn classifier on raw customer columns with its decision threshold."""

    threshold: float

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Decisions, shape (n_samples,): 1 where the probability reaches the threshold."""
        ...

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Calibrated probabilities, shape (n_samples, 2): stays, leaves."""
        ...


@dataclass(frozen=True)
class TrainedModel:
    """A fitted estimator with what the model registry should know of it.

    Attributes:
        estimator: The estimator.
        inputs: Signature type of each raw column it reads, in order.
        example: A few raw rows, logged as the input example.
        facts: Short facts for tags: data digest, decision threshold and their like.
    """

    estimator: ChurnEstimator
    inputs: Mapping[str, SignatureType]
    example: pd.DataFrame
    facts: Mapping[str, str] = field(default_factory=dict)


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
    """

    name: str
    version: int
    model_id: str
    run_id: str
    tags: Mapping[str, str]
    estimator: ChurnEstimator


def churn_probability(estimator: ChurnEstimator, customers: pd.DataFrame) -> np.ndarray:
    """Probability that each customer leaves.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns, shape (n_samples, n_columns); columns the model does not use are ignored.

    Returns:
        float64 array of shape (n_samples,), values in [0, 1].
    """
    return np.asarray(estimator.predict_proba(customers)[:, 1], dtype=np.float64)


def boosted_trees(estimator: Any) -> tuple[Any, Any]:
    """The two parts that explain a prediction, out of the wrapped estimator.

    Args:
        estimator: Decision threshold around calibration around the pipeline, as training builds it.

    Returns:
        The fitted feature transformer and the fitted ``XGBClassifier``.
    """
    pipeline = estimator.estimator_.estimator.calibrated_classifiers_[0].estimator.estimator
    return pipeline["features"], pipeline["classifier"]
