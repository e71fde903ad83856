"""From scores to probabilities that can be believed: the map is chosen and fitted on out-of-fold predictions."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from churn_kedro.base import ParameterError, Record
from churn_kedro.evaluation import bin_probabilities
from churn_kedro.models import Learning
from churn_kedro.training.parameters import CalibrationParameters

if TYPE_CHECKING:
    from sklearn.calibration import CalibratedClassifierCV

    from churn_estimators.transformers import LogOddsClassifier

logger = logging.getLogger(__name__)

Method = Literal["none", "temperature", "sigmoid", "isotonic"]
# From the simplest to the most flexible: of equals, the first is taken.
_METHODS: tuple[Method, ...] = ("none", "temperature", "sigmoid", "isotonic")
_BINS = 10


class Calibration(Record):
    """The map that was chosen, and why."""

    method: Method = Field(description="The map.")
    log_loss: dict[str, float] = Field(description="Cross-validated log loss of each map that was tried.")
    ece_before: float = Field(description="Expected calibration error of the scores as they are.")
    ece_after: float = Field(description="The same of the cross-validated probabilities.")


def expected_calibration_error(
    target: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None, n_bins: int = _BINS
) -> float:
    """Mean distance between what was said and what happened, over bins of about equally many customers.

    Naeini, Cooper and Hauskrecht, AAAI 2015; for several classes, of the most probable one (Guo et al., ICML 2017).

    Args:
        target: Class codes, shape (n,).
        probability: Of the positive class, shape (n,), or of each class, shape (n, n_classes).
        weight: How much each row counts, shape (n,).
        n_bins: Bins.

    Returns:
        A share, 0 to 1.
    """
    if probability.ndim == 2:
        happened = (probability.argmax(axis=1) == target).astype(np.float64)
        said = probability.max(axis=1)
    else:
        happened, said = (target == 1).astype(np.float64), probability
    weight = np.ones(len(said)) if weight is None else weight
    distances = np.bincount(bin_probabilities(said, n_bins), weights=weight * (happened - said))
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
    """Choose the map by cross-validated log loss.

    Args:
        target: Class codes, shape (n,).
        prediction: Out-of-fold probability of the positive class, shape (n,), or of each class, shape (n, n_classes).
        fold: Number of the fold in which each row was judged, shape (n,).
        learning: Task.
        parameters: Which maps are wanted.
        weight: How much each row counts, shape (n,).
        weighted_classes: Whether the model was taught with weighted classes; its scores are no probabilities.

    Returns:
        The choice, and the probabilities that the chosen map gives each row when fitted on the other folds.

    Raises:
        ParameterError: No map is wanted of a model with weighted classes.
    """
    if weighted_classes and parameters.method == "none":
        raise ParameterError(
            "training.class_weight is balanced and training.calibration.method is none: such scores are no "
            "probabilities, and neither profit nor risk bands can be read from them. Set the method to auto, or "
            "class_weight to null."
        )
    wanted = _METHODS if parameters.method == "auto" else (parameters.method,)
    if weighted_classes:
        wanted = tuple(method for method in wanted if method != "none")
        logger.info("Weighted classes distort probabilities: they are calibrated (%s).", ", ".join(wanted))
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


def calibrate(
    pipeline: Any, method: Method, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None
) -> Any:
    """Put the map behind a fitted pipeline.

    Args:
        pipeline: Fitted classifier on raw columns.
        method: The map.
        target: Class codes, shape (n,).
        prediction: Out-of-fold probabilities, from which the map is learned.
        weight: How much each row counts, shape (n,).

    Returns:
        A classifier on raw columns.
    """
    if method == "none":
        return pipeline
    from churn_estimators.transformers import LogOddsClassifier

    scores = LogOddsClassifier(_Given(_by_class(prediction).shape[1]))
    calibrated = _fit_map(scores, target, _by_class(prediction), method, weight)
    # Frozen, the scores were not copied: the map, learned from out-of-fold predictions, now reads the pipeline's.
    scores.set_params(estimator=pipeline)
    # The rows of the split are of no use to a loaded model.
    return calibrated.set_params(cv=None)


def _by_class(prediction: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - prediction, prediction]) if prediction.ndim == 1 else prediction


def _cross_calibrate(
    target: np.ndarray, prediction: np.ndarray, fold: np.ndarray, method: Method, weight: np.ndarray | None
) -> np.ndarray:
    """Probabilities of each fold under the map that was fitted on the others."""
    if method == "none":
        return prediction
    from churn_estimators.transformers import LogOddsClassifier

    probability = _by_class(prediction)
    calibrated = np.empty_like(probability)
    for number in np.unique(fold):
        here, elsewhere = fold == number, fold != number
        fitted = _fit_map(
            LogOddsClassifier(_Given(probability.shape[1])),
            target[elsewhere],
            probability[elsewhere],
            method,
            None if weight is None else weight[elsewhere],
        )
        calibrated[here] = fitted.predict_proba(probability[here])
    return calibrated[:, 1] if prediction.ndim == 1 else calibrated


class _Given:
    """A classifier whose inputs are its probabilities already."""

    def __init__(self, n_classes: int) -> None:
        self.classes_ = np.arange(n_classes)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X


def _fit_map(
    scores: LogOddsClassifier, target: np.ndarray, probability: np.ndarray, method: Method, weight: np.ndarray | None
) -> CalibratedClassifierCV:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    rows = np.arange(len(target))
    # Nothing is left to cross-validate: the predictions are out of fold.
    calibrated = CalibratedClassifierCV(FrozenEstimator(scores), method=method, cv=[(rows, rows)])
    with warnings.catch_warnings():
        # The weights are meant for the map alone.
        warnings.filterwarnings("ignore", message="Since FrozenEstimator does not appear to accept sample_weight")
        return calibrated.fit(probability, target, sample_weight=weight)
