"""Probability calibration: the map is chosen and fitted on out-of-fold predictions."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from churn_kedro.base import ParameterError, Record
from churn_kedro.evaluation import bin_probabilities
from churn_kedro.models import Learning
from churn_kedro.training.parameters import CalibrationParameters

if TYPE_CHECKING:
    from churn_estimators.calibration import CalibrationMap

logger = logging.getLogger(__name__)

Method = Literal["none", "temperature", "sigmoid", "isotonic"]
# From the simplest to the most flexible; ties go to the first.
_METHODS: tuple[Method, ...] = ("none", "temperature", "sigmoid", "isotonic")
_BINS = 10


class Calibration(Record):
    """The chosen calibration map and its evaluation."""

    method: Method = Field(description="The map.")
    log_loss: dict[str, float] = Field(description="Cross-validated log loss of each map tried.")
    ece_before: float = Field(description="Expected calibration error of the uncalibrated scores.")
    ece_after: float = Field(description="Expected calibration error of the cross-validated probabilities.")


def expected_calibration_error(
    target: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None, n_bins: int = _BINS
) -> float:
    """Compute the expected calibration error over bins of about equal size.

    The absolute difference between the mean predicted probability and the observed frequency, averaged over the bins by
    weight (Naeini, Cooper and Hauskrecht, AAAI 2015); for several classes, that of the most probable class (Guo et al.,
    ICML 2017).

    Args:
        target: Class codes, shape (n,).
        probability: Probability of the positive class, shape (n,), or of each class, shape (n, n_classes).
        weight: Sample weights, shape (n,); None: equal weights.
        n_bins: Number of bins.

    Returns:
        Error between 0 and 1.

    Examples:
        >>> import numpy as np
        >>> probability = np.array([0.1, 0.1, 0.9, 0.9])
        >>> round(expected_calibration_error(np.array([0, 0, 1, 0]), probability, n_bins=2), 3)
        0.25
    """
    if probability.ndim == 2:
        observed = (probability.argmax(axis=1) == target).astype(np.float64)
        predicted = probability.max(axis=1)
    else:
        observed, predicted = (target == 1).astype(np.float64), probability
    weight = np.ones(len(predicted)) if weight is None else weight
    distances = np.bincount(bin_probabilities(predicted, n_bins), weights=weight * (observed - predicted))
    return float(np.abs(distances).sum() / weight.sum())


def choose_calibration(
    target: np.ndarray,
    prediction: np.ndarray,
    fold: np.ndarray,
    learning: Learning,
    parameters: CalibrationParameters,
    weight: np.ndarray | None = None,
    *,
    weighted_classes: bool = False,
) -> tuple[Calibration, np.ndarray]:
    """Choose the calibration map by cross-validated log loss.

    Args:
        target: Class codes, shape (n,).
        prediction: Out-of-fold probability of the positive class, shape (n,), or of each class, shape (n, n_classes).
        fold: Index of the validation fold of each row, shape (n,).
        learning: Task.
        parameters: Calibration method.
        weight: Sample weights, shape (n,).
        weighted_classes: Whether the model was trained with class weights, so that its scores are not probabilities.

    Returns:
        The choice, and the calibrated out-of-fold probabilities of the chosen map.

    Raises:
        ParameterError: Method ``none`` is combined with class weights.
    """
    if weighted_classes and parameters.method == "none":
        raise ParameterError(
            "training.class_weight is balanced and training.calibration.method is none: such scores are not "
            "probabilities, which profit and risk bands need. Set the method to auto, or class_weight to null."
        )
    wanted = _METHODS if parameters.method == "auto" else (parameters.method,)
    if weighted_classes:
        wanted = tuple(method for method in wanted if method != "none")
        logger.info("Class weights distort probabilities; they are calibrated (%s).", ", ".join(wanted))
    calibrated = {method: _cross_calibrate(target, prediction, fold, method, weight) for method in wanted}
    losses = {method: learning.measure(target, values, weight) for method, values in calibrated.items()}
    method = min(wanted, key=lambda name: losses[name])
    chosen = calibrated[method]
    return (
        Calibration(
            method=method,
            log_loss=losses,
            ece_before=expected_calibration_error(target, prediction, weight),
            ece_after=expected_calibration_error(target, chosen, weight),
        ),
        chosen,
    )


def fit_calibration(
    method: Method, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None
) -> CalibrationMap | None:
    """Fit a calibration map.

    Args:
        method: The map.
        target: Class codes, shape (n,).
        prediction: Out-of-fold probabilities, on which the map is fitted.
        weight: Sample weights, shape (n,).

    Returns:
        The map of probabilities of each class, shape (n, n_classes); None for method ``none``.
    """
    return None if method == "none" else _fit_map(target, _by_class(prediction), method, weight)


def _by_class(prediction: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - prediction, prediction]) if prediction.ndim == 1 else prediction


def _cross_calibrate(
    target: np.ndarray, prediction: np.ndarray, fold: np.ndarray, method: Method, weight: np.ndarray | None
) -> np.ndarray:
    """Return the probabilities of each fold under the map fitted on the other folds."""
    if method == "none":
        return prediction
    probability = _by_class(prediction)
    calibrated = np.empty_like(probability)
    for number in np.unique(fold):
        here, elsewhere = fold == number, fold != number
        fitted = _fit_map(
            target[elsewhere],
            probability[elsewhere],
            method,
            None if weight is None else weight[elsewhere],
        )
        calibrated[here] = fitted.predict_proba(probability[here])
    return calibrated[:, 1] if prediction.ndim == 1 else calibrated


def _fit_map(target: np.ndarray, probability: np.ndarray, method: Method, weight: np.ndarray | None) -> CalibrationMap:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    from churn_estimators.calibration import CalibrationMap
    from churn_kedro.training.probability_input import ProbabilityInput

    scores = ProbabilityInput(probability.shape[1])
    rows = np.arange(len(target))
    # The predictions are out of fold, so no further cross-validation is needed.
    calibrated = CalibratedClassifierCV(FrozenEstimator(scores), method=method, cv=[(rows, rows)])
    with warnings.catch_warnings():
        # The weights apply to the map only.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear to accept sample_weight")
        fitted = calibrated.fit(probability, target, sample_weight=weight)
    return CalibrationMap(fitted.calibrated_classifiers_[0].calibrators, joint=method == "temperature")
