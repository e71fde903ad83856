"""Calibration maps in the form that is fastest for a single row."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from churn_estimators.calibration import CalibrationMap

Calibrate = Callable[[np.ndarray], np.ndarray]
# As in churn_estimators.calibration.
_EPSILON = 1e-12
_Map = Callable[[float], float]


def compile_calibration(calibration: Any) -> Calibrate:
    """Return the fastest way to calibrate the probabilities of a single row.

    scikit-learn's maps check their input at every call, which takes longer than the trees.

    Args:
        calibration: Calibration of a model.

    Returns:
        Its ``predict_proba``; a single row is computed without the checks if all maps are known.
    """
    calibrate: Calibrate = calibration.predict_proba
    if not isinstance(calibration, CalibrationMap):
        return calibrate
    calibrate_row = _compile_joint(calibration.maps[0]) if calibration.joint else _compile_separate(calibration.maps)
    if calibrate_row is None:
        return calibrate

    def calibrate_few(probability: np.ndarray) -> np.ndarray:
        if len(probability) != 1:
            return calibrate(probability)
        return np.minimum([calibrate_row(_log_odds(probability[0].tolist()))], 1.0)

    return calibrate_few


def _log_odds(probability: list[float]) -> list[float]:
    """Compute :func:`churn_estimators.calibration.log_odds` of a row."""
    clipped = [min(max(one, _EPSILON), 1 - _EPSILON) for one in probability]
    if len(clipped) == 2:
        return [math.log(clipped[1]) - math.log1p(-clipped[1])]
    return [math.log(one) for one in clipped]


def _compile_joint(fitted: Any) -> Callable[[list[float]], list[float]] | None:
    if type(fitted).__name__ != "_TemperatureScaling" or np.size(fitted.beta_) != 1:
        return None
    inverse = float(np.ravel(fitted.beta_)[0])

    def calibrate(scores: list[float]) -> list[float]:
        logits = [inverse * score for score in (scores if len(scores) > 1 else (-scores[0], scores[0]))]
        largest = max(logits)
        powers = [math.exp(logit - largest) for logit in logits]
        total = sum(powers)
        return [power / total for power in powers]

    return calibrate


def _compile_separate(maps: Any) -> Callable[[list[float]], list[float]] | None:
    compiled = [_compile_map(fitted) for fitted in maps]
    known = [one for one in compiled if one is not None]
    if len(known) < len(compiled):
        return None

    def calibrate(scores: list[float]) -> list[float]:
        if len(scores) == 1:
            positive = known[0](scores[0])
            return [1.0 - positive, positive]
        each = [one(score) for one, score in zip(known, scores, strict=True)]
        total = sum(each)
        return [one / total for one in each] if total else [1 / len(each)] * len(each)

    return calibrate


def _compile_map(fitted: Any) -> _Map | None:
    match type(fitted).__name__:
        case "_SigmoidCalibration":
            return _logistic(float(fitted.a_), float(fitted.b_))
        case "IsotonicRegression" if fitted.out_of_bounds == "clip":
            return _interpolation(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist())
    return None


def _logistic(slope: float, intercept: float) -> _Map:
    def calibrate(score: float) -> float:
        exponent = slope * score + intercept
        if exponent < 0:
            return 1.0 / (1.0 + math.exp(exponent))
        power = math.exp(-exponent)
        return power / (1.0 + power)

    return calibrate


def _interpolation(places: list[float], heights: list[float]) -> _Map:
    def calibrate(score: float) -> float:
        above = bisect_right(places, score)
        if above == 0:
            return heights[0]
        if above == len(places):
            return heights[-1]
        start, height = places[above - 1], heights[above - 1]
        return height + (heights[above] - height) / (places[above] - start) * (score - start)

    return calibrate
