"""Ceiling: metrics of the true probabilities, the expected upper limit of any model."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from churn_kedro.base import Record


class SampleReport(Record):
    """A sample with unknown true probabilities."""

    rows: int = Field(gt=0, description="Number of labelled customers.")


class Ceiling(SampleReport):
    """Metrics of the true churn probabilities on a set of customers."""

    churn_rate: float = Field(ge=0, le=1, description="Share of the customers that churned.")
    roc_auc: float = Field(ge=0, le=1, description="Area under the ROC curve of the true probabilities.")
    pr_auc: float = Field(ge=0, le=1, description="Average precision of the true probabilities.")
    log_loss: float = Field(ge=0, description="Mean log loss of the true probabilities, in nats.")
    brier: float = Field(ge=0, le=1, description="Mean squared error of the true probabilities.")


class ValueCeiling(SampleReport):
    """Metrics of the true expected values on a set of rows.

    Absolute errors are not included, since the expected value is optimal for the squared error only.
    """

    target_mean: float = Field(description="Mean of the target.")
    r2: float = Field(le=1, description="Share of the target's variance that the true expected values explain.")
    rmse: float = Field(ge=0, description="Root mean squared error of the true expected values.")


def describe_ceiling(labels: ArrayLike, probabilities: ArrayLike) -> Ceiling:
    """Score the true probabilities against the labels drawn from them.

    Args:
        labels: Shape (n,); 1 or True for a customer that churned, 0 or False otherwise. Both must occur.
        probabilities: Shape (n,); each customer's true probability of churn in [0, 1].

    Returns:
        Expected upper limit of the metrics on these customers.

    Raises:
        ValueError: If the shapes differ, a label is neither 0 nor 1, only one label occurs, or a probability
            lies outside [0, 1].
    """
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    churned = np.asarray(labels)
    probability = np.asarray(probabilities, dtype=np.float64)
    if churned.ndim != 1 or churned.shape != probability.shape:
        msg = f"labels {churned.shape} and probabilities {probability.shape} must be arrays of one length"
        raise ValueError(msg)
    if not np.array_equal(np.unique(churned), [0, 1]):
        msg = "labels must contain 0 and 1, both of them and no other value"
        raise ValueError(msg)
    if not np.all((probability >= 0) & (probability <= 1)):
        msg = "probabilities must lie in [0, 1]"
        raise ValueError(msg)
    churned = churned.astype(np.int64)
    return Ceiling(
        rows=len(churned),
        churn_rate=float(churned.mean()),
        roc_auc=float(roc_auc_score(churned, probability)),
        pr_auc=float(average_precision_score(churned, probability)),
        log_loss=float(log_loss(churned, probability)),
        brier=float(brier_score_loss(churned, probability)),
    )


def describe_value_ceiling(values: ArrayLike, expected: ArrayLike) -> ValueCeiling:
    """Score the true expected values against the values drawn around them.

    Args:
        values: Shape (n,); the target, at least two different finite numbers.
        expected: Shape (n,); each row's true expected value.

    Returns:
        Expected upper limit of the metrics on these rows.

    Raises:
        ValueError: If the shapes differ, a number is not finite, or all values are the same.
    """
    value = np.asarray(values, dtype=np.float64)
    prediction = np.asarray(expected, dtype=np.float64)
    if value.ndim != 1 or value.shape != prediction.shape:
        msg = f"values {value.shape} and expected values {prediction.shape} must be arrays of one length"
        raise ValueError(msg)
    if not (np.isfinite(value).all() and np.isfinite(prediction).all()):
        msg = "values and expected values must be finite"
        raise ValueError(msg)
    if len(np.unique(value)) < 2:
        msg = "values must differ: found a single value, for which R² is undefined"
        raise ValueError(msg)
    squared_error = float(np.mean((value - prediction) ** 2))
    return ValueCeiling(
        rows=len(value),
        target_mean=float(value.mean()),
        r2=1 - squared_error / float(value.var()),
        rmse=float(np.sqrt(squared_error)),
    )
