"""Ensembles of fitted models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from churn_estimators.calibration import log_odds


class BlendClassifier(ClassifierMixin, BaseEstimator):
    """Average or stack fitted classifiers.

    scikit-learn's ensembles refit their members.

    Args:
        members: Fitted classifiers on the same inputs, with the same classes.
        last: Fitted classifier on the concatenated log-odds of the members; None: mean of the probabilities.
    """

    def __init__(self, members: Sequence[Any], last: Any = None) -> None:
        self.members = members
        self.last = last

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the members."""
        return np.asarray(self.members[0].classes_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing: the members are already fitted."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the combined probabilities, shape (n_samples, n_classes)."""
        probabilities = [np.asarray(member.predict_proba(X), dtype=np.float64) for member in self.members]
        if self.last is None:
            return np.asarray(np.mean(probabilities, axis=0))
        return np.asarray(self.last.predict_proba(np.column_stack([log_odds(each) for each in probabilities])))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class, shape (n_samples,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: there is nothing to fit."""
        return True


class BlendRegressor(RegressorMixin, BaseEstimator):
    """Average or stack fitted regressors.

    Args:
        members: Fitted regressors on the same inputs.
        last: Fitted regressor on the concatenated predictions of the members; None: their mean.
    """

    def __init__(self, members: Sequence[Any], last: Any = None) -> None:
        self.members = members
        self.last = last

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing: the members are already fitted."""
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the combined predictions, shape (n_samples,)."""
        predictions = np.column_stack([np.asarray(member.predict(X), dtype=np.float64) for member in self.members])
        return predictions.mean(axis=1) if self.last is None else np.asarray(self.last.predict(predictions))

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: there is nothing to fit."""
        return True
