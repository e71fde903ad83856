"""Calibration of probabilities by a fitted map of their log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

# Probabilities are clipped by this, since 0 and 1 have infinite log-odds.
_EPSILON = 1e-12


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Compute the scores that are calibrated: log-odds, or logarithms of several probabilities.

    Args:
        probability: Probability of each class, shape (n, n_classes).

    Returns:
        Two classes: log-odds of the second, shape (n,). More: logarithms, shape (n, n_classes).

    Examples:
        >>> log_odds(np.array([[0.5, 0.5], [0.2, 0.8]])).round(3).tolist()
        [0.0, 1.386]
    """
    clipped = np.clip(probability, _EPSILON, 1 - _EPSILON)
    if clipped.shape[1] == 2:
        return np.asarray(np.log(clipped[:, 1]) - np.log1p(-clipped[:, 1]))
    return np.asarray(np.log(clipped))


class CalibrationMap(BaseEstimator):
    """Calibrated probabilities from those of a model.

    The maps are those that ``CalibratedClassifierCV`` fits, applied as it applies them, without its checks at every
    call.

    Args:
        maps: Fitted maps of log-odds with ``predict``. Two classes: one, of the positive class, or of both with
            ``joint``. More classes: one for each class, normalised to a sum of 1, or one of all with ``joint``.
        joint: Whether the map returns the probabilities of all classes, as temperature scaling does.
    """

    def __init__(self, maps: Sequence[Any], *, joint: bool = False) -> None:
        self.maps = maps
        self.joint = joint

    def predict_proba(self, probability: np.ndarray) -> np.ndarray:
        """Calibrate probabilities.

        Args:
            probability: Probability of each class, shape (n, n_classes).

        Returns:
            Calibrated probability of each class, float64, shape (n, n_classes).
        """
        scores = log_odds(np.asarray(probability, dtype=np.float64))
        if self.joint:
            return _limit(np.asarray(self.maps[0].predict(scores.reshape(len(scores), -1))))
        if scores.ndim == 1:
            positive = np.asarray(self.maps[0].predict(scores), dtype=np.float64)
            return _limit(np.column_stack([1.0 - positive, positive]))
        each = np.column_stack([one.predict(scores[:, code]) for code, one in enumerate(self.maps)])
        total = each.sum(axis=1)[:, np.newaxis]
        # All maps of a row can be 0, then the classes are equally probable.
        return _limit(np.divide(each, total, out=np.full_like(each, 1 / each.shape[1]), where=total != 0))


def _limit(probability: np.ndarray) -> np.ndarray:
    """Correct sums that exceed 1 by rounding."""
    return np.asarray(np.minimum(probability, 1.0))
