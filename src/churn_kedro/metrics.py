"""Classification metrics with bootstrap intervals.

The resamples are drawn as counts per customer, and every metric is computed from counts. One sort of the scores then
serves all resamples, and two models scored on the same customers share the resamples, which makes their differences
paired (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 16).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from churn_kedro.customers import CustomerTableError, Parameters

METRICS = ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1")
LOWER_IS_BETTER = frozenset({"log_loss", "brier"})
# Resamples held in memory at once: the counts and a few arrays of their shape.
_CELLS_AT_ONCE = 2_000_000


class BootstrapParameters(Parameters):
    """How uncertainty is measured."""

    n_resamples: int = Field(ge=100, description="Bootstrap resamples of the test customers.")
    confidence: float = Field(gt=0, lt=1, description="Coverage of the two-sided percentile interval.")
    random_state: int = Field(ge=0, description="Seed of the resamples.")


class Estimate(Parameters):
    """A metric on the test customers with its percentile interval."""

    value: float
    low: float
    high: float


class Evaluation(Parameters):
    """What one model version reached on the test customers; the registry reads it."""

    model_name: str = Field(description="Registered model.")
    model_version: int = Field(description="Version evaluated.")
    model_id: str = Field(description="MLflow's id of the model.")
    test_digest: str = Field(description="Content digest of the test table.")
    test_rows: int = Field(description="Test customers.")
    test_positives: int = Field(description="Test customers of the positive class.")
    threshold: float = Field(description="Decision threshold on the probability.")
    bootstrap: BootstrapParameters = Field(description="How the intervals were made.")
    metrics: dict[str, Estimate] = Field(description="Estimates under scikit-learn's names.")

    def flat(self) -> dict[str, float]:
        """Metrics as ``name``, ``name_low`` and ``name_high``."""
        values: dict[str, float] = {}
        for name, estimate in self.metrics.items():
            values |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return values


@dataclass(frozen=True)
class RunMetrics:
    """Metrics for the tracking server.

    Attributes:
        values: Metric by name.
        model_id: MLflow's id of the model they are of, if they are a model's.
    """

    values: Mapping[str, float]
    model_id: str | None = None


class _Ranking:
    """Everything about scored customers that does not depend on how often each is counted.

    Args:
        target: 1 or 0 per customer, shape (n,).
        probability: Probability of 1, shape (n,).
        threshold: Decision threshold.
    """

    def __init__(self, target: np.ndarray, probability: np.ndarray, threshold: float) -> None:
        order = np.argsort(-probability, kind="stable")
        self._order = order
        self._positive = target[order].astype(np.float64)
        ranked = probability[order]
        # Customers with the same score are one step of the curve.
        self._step_ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        # Log loss clips as scikit-learn does: to the precision of the type.
        clipped = np.clip(ranked, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
        log_loss = -(self._positive * np.log(clipped) + (1 - self._positive) * np.log1p(-clipped))
        brier = (ranked - self._positive) ** 2
        flagged = (ranked >= threshold).astype(np.float64)
        self._sums = np.stack([log_loss, brier, flagged * self._positive, flagged], axis=1)

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        """Metrics of weighted customers.

        Args:
            counts: How often each customer counts, shape (n_resamples, n), customers in their original order.

        Returns:
            Shape (n_resamples, len(METRICS)); NaN where a resample holds one class only.
        """
        weights = counts[:, self._order].astype(np.float64)
        total = weights.sum(axis=1)
        log_loss, brier, true_positive, flagged = (weights @ self._sums).T
        hits = np.cumsum(weights * self._positive, axis=1)[:, self._step_ends]
        positives = hits[:, -1]
        negatives = total - positives
        listed = np.cumsum(weights, axis=1)[:, self._step_ends]
        misses = listed - hits
        gained = np.diff(hits, axis=1, prepend=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            passed = np.diff(misses, axis=1, prepend=0.0)
            area = (passed * (hits - gained / 2)).sum(axis=1) / (positives * negatives)
            average_precision = (gained * np.nan_to_num(hits / listed)).sum(axis=1) / positives
            precision = np.where(flagged > 0, true_positive / flagged, 0.0)
            recall = true_positive / positives
            f1 = 2 * true_positive / (flagged + positives)
            correct = total - flagged - positives + 2 * true_positive
            values = np.stack(
                [area, average_precision, log_loss / total, brier / total, correct / total, precision, recall, f1],
                axis=1,
            )
        values[(positives == 0) | (negatives == 0)] = np.nan
        return values


def _resample_counts(n_rows: int, parameters: BootstrapParameters) -> Iterator[np.ndarray]:
    """Counts per customer, shape (at most a block of resamples, n_rows)."""
    generator = np.random.default_rng(parameters.random_state)
    block = max(1, _CELLS_AT_ONCE // n_rows)
    for start in range(0, parameters.n_resamples, block):
        size = min(block, parameters.n_resamples - start)
        yield np.stack([np.bincount(generator.integers(0, n_rows, n_rows), minlength=n_rows) for _ in range(size)])


def measure(target: np.ndarray, probability: np.ndarray, threshold: float) -> dict[str, float]:
    """Metrics of scored customers.

    Args:
        target: 1 or 0 per customer, shape (n,).
        probability: Probability of 1, shape (n,).
        threshold: Decision threshold.

    Returns:
        Value of each of :data:`METRICS`. ``pr_auc`` is scikit-learn's average precision.

    Raises:
        CustomerTableError: Only one class is there.
    """
    if len(np.unique(target)) < 2:
        raise CustomerTableError(
            f"All {len(target)} test customers have the same label: no metric can be computed. "
            "Run data_processing on a table with both classes."
        )
    values = _Ranking(target, probability, threshold).metrics(np.ones((1, len(target))))
    return dict(zip(METRICS, values[0].tolist(), strict=True))


def bootstrap(
    target: np.ndarray, probability: np.ndarray, threshold: float, parameters: BootstrapParameters
) -> dict[str, np.ndarray]:
    """Metrics on bootstrap resamples.

    The same seed and number of customers give the same resamples, so two models' arrays may be subtracted.

    Args:
        target: 1 or 0 per customer, shape (n,).
        probability: Probability of 1, shape (n,).
        threshold: Decision threshold.
        parameters: Number of resamples and seed.

    Returns:
        An array of shape (n_resamples,) for each of :data:`METRICS`; NaN where a resample holds one class only.
    """
    ranking = _Ranking(target, probability, threshold)
    values = np.concatenate([ranking.metrics(counts) for counts in _resample_counts(len(target), parameters)])
    return dict(zip(METRICS, values.T, strict=True))


def measure_with_intervals(
    target: np.ndarray, probability: np.ndarray, threshold: float, parameters: BootstrapParameters
) -> dict[str, Estimate]:
    """Metrics with percentile intervals.

    Args:
        target: 1 or 0 per customer, shape (n,).
        probability: Probability of 1, shape (n,).
        threshold: Decision threshold.
        parameters: Resamples, coverage and seed.

    Returns:
        An estimate for each of :data:`METRICS`.

    Raises:
        CustomerTableError: Only one class is there.
    """
    values = measure(target, probability, threshold)
    tail = (1 - parameters.confidence) / 2
    estimates = {}
    for name, resampled in bootstrap(target, probability, threshold, parameters).items():
        low, high = np.nanquantile(resampled, [tail, 1 - tail])
        estimates[name] = Estimate(value=values[name], low=float(low), high=float(high))
    return estimates
