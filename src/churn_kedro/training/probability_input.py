"""The classifier that calibration is fitted on."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from churn_estimators.calibration import log_odds


class ProbabilityInput(ClassifierMixin, BaseEstimator):
    """A classifier whose inputs are probabilities, so that scikit-learn calibrates log-odds, not probabilities.

    Args:
        n_classes: Number of classes.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    @property
    def classes_(self) -> np.ndarray:
        """Codes of the classes."""
        return np.arange(self.n_classes)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing: there is nothing to fit."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the inputs, shape (n_samples, n_classes)."""
        return np.asarray(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return :func:`log_odds` of the inputs, shape (n_samples,) or (n_samples, n_classes)."""
        return log_odds(np.asarray(X, dtype=np.float64))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class, shape (n_samples,)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: there is nothing to fit."""
        return True
