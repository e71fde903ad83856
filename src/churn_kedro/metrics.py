"""Metrics with bootstrap intervals.

The resamples are drawn as counts per customer, and every metric is computed from counts. One sort of the scores then
serves all resamples, and two models scored on the same customers share the resamples, which makes their differences
paired (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 16).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from pydantic import Field

from churn_kedro.customers import CustomerTableError, Task
from churn_kedro.models import ScoredCustomers
from churn_kedro.parameters import Parameters

# Under scikit-learn's names. Those of several classes that are averages count each class alike (macro).
METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1"),
    "multiclass": (
        "roc_auc",
        "pr_auc",
        "log_loss",
        "brier",
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
    ),
    "regression": ("r2", "rmse", "mae", "median_ae"),
}
# The two that tell most, as people write them.
HEADLINES: Mapping[Task, Mapping[str, str]] = {
    "binary": {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC"},
    "multiclass": {"roc_auc": "ROC-AUC", "balanced_accuracy": "balanced accuracy"},
    "regression": {"r2": "R²", "rmse": "RMSE"},
}
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "median_ae"})
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
    task: Task = Field(description="What is predicted.")
    test_rows: int = Field(description="Test customers.")
    test_classes: dict[str, int] = Field(description="Test customers of each class, by label; none for a regression.")
    threshold: float | None = Field(description="Decision threshold on the probability; null where there is none.")
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


class _Sample(Protocol):
    """Everything about scored customers that does not depend on how often each is counted."""

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        """Metrics of weighted customers.

        Args:
            counts: How often each customer counts, shape (n_resamples, n), customers in their original order.

        Returns:
            Shape (n_resamples, number of the task's metrics); NaN where a resample allows none.
        """
        ...


class _Ranking:
    """The order in which scores put customers, for all that depends on the order alone.

    Args:
        positive: Whether a customer is of the class, shape (n,).
        score: Probability of the class, shape (n,).
    """

    def __init__(self, positive: np.ndarray, score: np.ndarray) -> None:
        self._order = np.argsort(-score, kind="stable")
        self._positive = positive[self._order].astype(np.float64)
        ranked = score[self._order]
        # Customers with the same score are one step of the curve.
        self._step_ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def areas(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Area under the ROC curve and average precision, each of shape (n_resamples,)."""
        weights = counts[:, self._order].astype(np.float64)
        hits = np.cumsum(weights * self._positive, axis=1)[:, self._step_ends]
        positives = hits[:, -1]
        listed = np.cumsum(weights, axis=1)[:, self._step_ends]
        misses = listed - hits
        gained = np.diff(hits, axis=1, prepend=0.0)
        passed = np.diff(misses, axis=1, prepend=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            area = (passed * (hits - gained / 2)).sum(axis=1) / (positives * misses[:, -1])
            average_precision = (gained * np.nan_to_num(hits / listed)).sum(axis=1) / positives
        return area, average_precision


def _clipped(probability: np.ndarray) -> np.ndarray:
    """Probabilities for a logarithm, clipped as scikit-learn does: to the precision of the type."""
    precision = np.finfo(np.float64).eps
    clipped: np.ndarray = np.clip(probability, precision, 1 - precision)
    return clipped


class _BinarySample:
    """Customers of two classes, with the probability of the second one.

    Args:
        target: 1 or 0 per customer, shape (n,).
        probability: Probability of 1, shape (n,).
        threshold: Decision threshold.
    """

    def __init__(self, target: np.ndarray, probability: np.ndarray, threshold: float) -> None:
        positive = target.astype(np.float64)
        clipped = _clipped(probability)
        log_loss = -(positive * np.log(clipped) + (1 - positive) * np.log1p(-clipped))
        flagged = (probability >= threshold).astype(np.float64)
        self._ranking = _Ranking(target == 1, probability)
        self._sums = np.stack([log_loss, (probability - positive) ** 2, flagged * positive, flagged, positive], axis=1)

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        log_loss, brier, true_positive, flagged, positives = (counts @ self._sums).T
        area, average_precision = self._ranking.areas(counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(flagged > 0, true_positive / flagged, 0.0)
            recall = true_positive / positives
            f1 = 2 * true_positive / (flagged + positives)
            correct = total - flagged - positives + 2 * true_positive
            values = np.stack(
                [area, average_precision, log_loss / total, brier / total, correct / total, precision, recall, f1],
                axis=1,
            )
        values[(positives == 0) | (positives == total)] = np.nan
        return values


class _MulticlassSample:
    """Customers of several classes, with a probability for each.

    A class without any customer has no rate of its own; averages run over the classes that are there.

    Args:
        target: Code of the class per customer, shape (n,).
        probability: Probability of each class, shape (n, n_classes).
    """

    def __init__(self, target: np.ndarray, probability: np.ndarray) -> None:
        codes = np.unique(target)
        actual = np.eye(probability.shape[1])[target]
        predicted = np.eye(probability.shape[1])[probability.argmax(axis=1)]
        log_loss = -np.log(_clipped(probability)[np.arange(len(target)), target])
        brier = ((probability - actual) ** 2).sum(axis=1)
        self._rankings = [_Ranking(target == code, probability[:, code]) for code in codes]
        self._losses = np.stack([log_loss, brier, (actual * predicted).sum(axis=1)], axis=1)
        self._actual, self._predicted = actual[:, codes], predicted[:, codes]

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        log_loss, brier, correct = (counts @ self._losses).T
        sizes, claimed = counts @ self._actual, counts @ self._predicted
        true_positive = counts @ (self._actual * self._predicted)
        areas = np.mean([ranking.areas(counts) for ranking in self._rankings], axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = (true_positive / sizes).mean(axis=1)
            f1 = (2 * true_positive / (sizes + claimed)).mean(axis=1)
            values = np.stack(
                [areas[0], areas[1], log_loss / total, brier / total, correct / total, recall, f1], axis=1
            )
        values[(sizes == 0).any(axis=1)] = np.nan
        return values


class _NumberSample:
    """Customers with a number, and the number predicted.

    Args:
        target: The number, shape (n,).
        prediction: The number predicted, shape (n,).
    """

    def __init__(self, target: np.ndarray, prediction: np.ndarray) -> None:
        error = np.abs(target - prediction)
        # The spread is a difference of sums of squares, which needs small numbers.
        centered = target - target.mean()
        self._sums = np.stack([error, error**2, centered, centered**2], axis=1)
        self._order = np.argsort(error, kind="stable")
        self._ranked = error[self._order]

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        absolute, squared, centered, square = (counts @ self._sums).T
        spread = square - centered**2 / total
        # A spread of rounding errors is none.
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(spread > 1e-12 * square, 1 - squared / spread, np.nan)
        return np.stack([r2, np.sqrt(squared / total), absolute / total, self._median(counts, total)], axis=1)

    def _median(self, counts: np.ndarray, total: np.ndarray) -> np.ndarray:
        listed = np.cumsum(counts[:, self._order], axis=1)
        # The one in the middle, or the two around it.
        middle = [(listed > place[:, np.newaxis]).argmax(axis=1) for place in ((total - 1) // 2, total // 2)]
        median: np.ndarray = self._ranked[middle].mean(axis=0)
        return median


def _sample(scores: ScoredCustomers) -> _Sample:
    match scores.task:
        case "binary":
            if scores.threshold is None:
                raise ValueError("a binary model without decision threshold cannot be measured")
            return _BinarySample(scores.target, scores.prediction, scores.threshold)
        case "multiclass":
            return _MulticlassSample(scores.target, scores.prediction)
        case "regression":
            return _NumberSample(scores.target, scores.prediction)


def _resample_counts(n_rows: int, parameters: BootstrapParameters) -> Iterator[np.ndarray]:
    """Counts per customer, shape (at most a block of resamples, n_rows)."""
    generator = np.random.default_rng(parameters.random_state)
    block = max(1, _CELLS_AT_ONCE // n_rows)
    for start in range(0, parameters.n_resamples, block):
        size = min(block, parameters.n_resamples - start)
        yield np.stack([np.bincount(generator.integers(0, n_rows, n_rows), minlength=n_rows) for _ in range(size)])


def measure(scores: ScoredCustomers) -> dict[str, float]:
    """Metrics of scored customers.

    Args:
        scores: Target and prediction of each customer.

    Returns:
        Value of each of the task's :data:`METRICS`. ``pr_auc`` is scikit-learn's average precision; with several
        classes, ``roc_auc`` and ``pr_auc`` set each class that is there against the others, and their mean counts.

    Raises:
        CustomerTableError: All customers have the same target.
    """
    if len(np.unique(scores.target)) < 2:
        what, others = ("number", "numbers") if scores.task == "regression" else ("label", "classes")
        raise CustomerTableError(
            f"All {len(scores.target)} test customers have the same {what}: no metric can be computed. "
            f"Run data_processing on a table with different {others}."
        )
    values = _sample(scores).metrics(np.ones((1, len(scores.target)), dtype=np.int64))
    return dict(zip(METRICS[scores.task], values[0].tolist(), strict=True))


def bootstrap(scores: ScoredCustomers, parameters: BootstrapParameters) -> dict[str, np.ndarray]:
    """Metrics on bootstrap resamples.

    The same seed and number of customers give the same resamples, so two models' arrays may be subtracted.

    Args:
        scores: Target and prediction of each customer.
        parameters: Number of resamples and seed.

    Returns:
        An array of shape (n_resamples,) for each of the task's :data:`METRICS`; NaN where a resample lacks a class, and
        for ``r2`` where it holds one number only.
    """
    sample = _sample(scores)
    values = np.concatenate([sample.metrics(counts) for counts in _resample_counts(len(scores.target), parameters)])
    return dict(zip(METRICS[scores.task], values.T, strict=True))


def measure_with_intervals(scores: ScoredCustomers, parameters: BootstrapParameters) -> dict[str, Estimate]:
    """Metrics with percentile intervals.

    Args:
        scores: Target and prediction of each customer.
        parameters: Resamples, coverage and seed.

    Returns:
        An estimate for each of the task's :data:`METRICS`.

    Raises:
        CustomerTableError: All customers have the same target.
    """
    values = measure(scores)
    tail = (1 - parameters.confidence) / 2
    estimates = {}
    for name, resampled in bootstrap(scores, parameters).items():
        low, high = np.nanquantile(resampled, [tail, 1 - tail])
        estimates[name] = Estimate(value=values[name], low=float(low), high=float(high))
    return estimates
