"""Quality of the predictions: estimated from their probabilities, and measured from outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.evaluation import Estimate, decision_metrics
from churn_kedro.monitoring.parameters import PerformanceParameters
from churn_kedro.monitoring.profiles import ReferenceProfile, ScoreReference
from churn_kedro.monitoring.severity import Severity
from churn_kedro.monitoring.statistics import normal_quantile

# Bins of the probability, of equal width.
SCORE_BINS = 1_000
MetricName = Literal["roc_auc", "f1", "accuracy", "precision", "recall", "positive_rate", "profit", "rmse", "mae"]
# Metrics whose fall is an alarm, in order of preference.
DECISIVE = ("roc_auc", "accuracy")


class PerformanceEstimate(Record):
    """Quality that the probabilities promise if they are right."""

    customers: int
    metrics: dict[str, Estimate] = Field(description="Expected value of each metric, by name.")
    reference: dict[str, float] = Field(description="The same of the training customers, out of fold.")
    falls: list[str] = Field(default_factory=list, description="Metrics that have fallen more than accepted.")
    severity: Severity = "ok"


@dataclass
class ScoreCounts:
    """Customers by decision and bin of the probability.

    Attributes:
        customers: Customers (or their weights), shape (2, n_bins): not contacted, contacted.
        expected: Sum of the probabilities, of the same shape.
        profit: Sum of the expected profit of those worth a contact, in money.
        profit_squares: Sum of its squares.
        has_profit: Whether the profit is known.
    """

    customers: np.ndarray = field(default_factory=lambda: np.zeros((2, SCORE_BINS)))
    expected: np.ndarray = field(default_factory=lambda: np.zeros((2, SCORE_BINS)))
    profit: float = 0.0
    profit_squares: float = 0.0
    has_profit: bool = False

    def add(self, probability: np.ndarray, contacted: np.ndarray, profit: np.ndarray | None = None) -> None:
        """Count customers.

        Args:
            probability: Probability of leaving, shape (n,).
            contacted: Whether each is worth a contact, boolean, shape (n,).
            profit: Expected profit of a contact, in money, shape (n,); None: unknown.
        """
        self.customers += count_scores(probability, contacted)
        self.expected += count_scores(probability, contacted, probability)
        if profit is not None:
            self.profit += float(np.nansum(profit[contacted]))
            self.profit_squares += float(np.nansum(profit[contacted] ** 2))
            self.has_profit = True

    @property
    def total(self) -> float:
        """Number of customers."""
        return float(self.customers.sum())

    @property
    def profit_per_customer(self) -> float | None:
        """Expected profit per customer; None: unknown."""
        return self.profit / self.total if self.has_profit and self.total else None

    @property
    def profit_deviation(self) -> float:
        """Standard error of the expected profit per customer."""
        if not self.total:
            return 0.0
        mean = self.profit / self.total
        return float(np.sqrt(max(0.0, self.profit_squares / self.total - mean**2) / self.total))


def count_scores(probability: np.ndarray, contacted: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Sum weights by decision and bin of the probability.

    Args:
        probability: Probability of leaving, shape (n,).
        contacted: Whether each is worth a contact, shape (n,).
        weights: Weight of each customer, shape (n,); None: 1.

    Returns:
        Sums, float64 array of shape (2, SCORE_BINS).
    """
    bins = np.clip((probability * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
    places = bins + SCORE_BINS * contacted.astype(np.int64)
    return np.bincount(places, weights=weights, minlength=2 * SCORE_BINS).reshape(2, SCORE_BINS).astype(float)


def measure_counts(left: np.ndarray, stayed: np.ndarray) -> dict[str, np.ndarray]:
    """Compute metrics from counts.

    Within a bin of the probability, customers count as tied, so the ROC-AUC differs from that of single customers by
    less than the width of a bin.

    Args:
        left: Customers who left by decision and bin, shape (..., 2, n_bins).
        stayed: Customers who stayed, of the same shape.

    Returns:
        ROC-AUC, F1, accuracy, precision, recall and share who left, each of shape (...); NaN where undefined.
    """
    positives, negatives = left.sum(axis=-2), stayed.sum(axis=-2)
    n_positive, n_negative = positives.sum(axis=-1), negatives.sum(axis=-1)
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    true_positive, flagged = left[..., 1, :].sum(axis=-1), (left + stayed)[..., 1, :].sum(axis=-1)
    total = n_positive + n_negative
    with np.errstate(divide="ignore", invalid="ignore"):
        decided = decision_metrics(flagged, true_positive, n_positive, total)
        return {
            "roc_auc": (positives * below).sum(axis=-1) / (n_positive * n_negative),
            **{name: decided[name] for name in ("f1", "accuracy", "precision", "recall")},
            "positive_rate": n_positive / total,
        }


def resample(left: np.ndarray, stayed: np.ndarray, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Compute metrics of bootstrap samples, whose counts are Poisson variables.

    Args:
        left: Customers who left by decision and bin, shape (2, n_bins), or expected numbers of them.
        stayed: Customers who stayed.
        resamples: Number of samples.
        seed: Seed.

    Returns:
        Metrics by name, each of shape (resamples,).
    """
    random = np.random.default_rng(seed)
    used = (left + stayed).sum(axis=0) > 0
    if not used.any():
        used[0] = True
    shape = (resamples, 2, int(used.sum()))
    drawn_left = random.poisson(np.broadcast_to(left[:, used], shape))
    drawn_stayed = random.poisson(np.broadcast_to(stayed[:, used], shape))
    return measure_counts(drawn_left.astype(float), drawn_stayed.astype(float))


def estimate_performance(
    counts: ScoreCounts, reference: ScoreReference, parameters: PerformanceParameters, level: float, seed: int
) -> PerformanceEstimate:
    """Estimate the quality of predictions without outcomes, from calibrated probabilities.

    A customer with probability p counts as p of one who leaves and 1 - p of one who stays (confidence-based performance
    estimation, see Białek et al., arXiv 2407.08649). This holds as long as the probabilities are right: it sees a
    change of the customers, not of the relation between columns and outcome.

    Args:
        counts: Current predictions.
        reference: Predictions of the training customers.
        parameters: Accepted falls, confidence, number of resamples.
        level: Probability of a false alarm of each test.
        seed: Seed.

    Returns:
        Metrics with the interval in which those of outcomes would lie, and those of the reference, estimated alike.
    """
    left, stayed = counts.expected, counts.customers - counts.expected
    expected = {name: float(value) for name, value in measure_counts(left, stayed).items()}
    drawn = resample(left, np.maximum(stayed, 0), parameters.resamples, seed)
    metrics = {
        name: interval(expected[name], drawn[name], parameters.confidence)
        for name in expected
        if np.isfinite(expected[name])
    }
    before = np.asarray(reference.expected), np.asarray(reference.customers) - np.asarray(reference.expected)
    found = {name: float(value) for name, value in measure_counts(*before).items() if np.isfinite(value)}
    profit = counts.profit_per_customer
    if profit is not None and reference.profit is not None:
        half = normal_quantile((1 - parameters.confidence) / 2) * counts.profit_deviation
        metrics["profit"] = Estimate(value=profit, low=profit - half, high=profit + half)
        found["profit"] = reference.profit
    deviations = {name: float(np.nanstd(values)) for name, values in drawn.items()}
    deviations["profit"] = counts.profit_deviation
    falls = find_falls(metrics, found, deviations, parameters, level)
    return PerformanceEstimate(
        customers=round(counts.total),
        metrics=metrics,
        reference=found,
        falls=falls,
        severity="alarm" if "roc_auc" in falls else "warning" if falls else "ok",
    )


def interval(value: float, drawn: np.ndarray, confidence: float) -> Estimate:
    """Return a value with the percentile interval of its resamples."""
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return Estimate(value=value, low=value, high=value)
    tail = (1 - confidence) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def find_falls(
    metrics: Mapping[str, Estimate],
    reference: Mapping[str, float],
    deviations: Mapping[str, float],
    parameters: PerformanceParameters,
    level: float,
) -> list[str]:
    """Find metrics that are lower than accepted, by more than chance explains.

    Args:
        metrics: Current metrics.
        reference: Metrics of the reference.
        deviations: Standard deviation of the current metrics by chance; a metric without one has none.
        parameters: Accepted falls.
        level: Probability of a false alarm of each test.

    Returns:
        Names of the metrics: ROC-AUC, or else accuracy; and profit.
    """
    falls = []
    # The reference has an error of about the same size at most, since it has more customers as a rule.
    z = normal_quantile(level) * float(np.sqrt(2))
    name = next((one for one in DECISIVE if one in metrics and one in reference), None)
    if name is not None:
        fall = reference[name] - metrics[name].value
        if fall > max(parameters.largest_drop, z * deviations.get(name, 0.0)):
            falls.append(name)
    if "profit" in metrics and "profit" in reference:
        fall = reference["profit"] - metrics["profit"].value
        accepted = parameters.largest_profit_drop * abs(reference["profit"])
        if fall > max(accepted, z * deviations.get("profit", 0.0)):
            falls.append("profit")
    return falls


def reference_scores(
    target: np.ndarray, probability: np.ndarray, contacted: np.ndarray, profit: np.ndarray | None
) -> ScoreReference:
    """Describe out-of-fold predictions by counts.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        probability: Calibrated probability of leaving, out of fold, shape (n,).
        contacted: Whether each is worth a contact, shape (n,).
        profit: Expected profit of a contact, shape (n,); None: unknown.

    Returns:
        The counts.
    """
    counts = ScoreCounts()
    counts.add(probability, contacted, profit)
    return ScoreReference(
        customers=counts.customers.tolist(),
        left=count_scores(probability, contacted, target.astype(float)).tolist(),
        expected=counts.expected.tolist(),
        profit=counts.profit_per_customer,
    )


def estimate_reference(profile: ReferenceProfile) -> dict[str, float]:
    """Compute the metrics of the out-of-fold predictions of the training customers.

    Args:
        profile: The reference profile.

    Returns:
        Metrics by name; errors of a regression, accuracy of classes.
    """
    if profile.scores is None:
        return dict(profile.errors)
    left = np.asarray(profile.scores.left)
    found = measure_counts(left, np.asarray(profile.scores.customers) - left)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}
