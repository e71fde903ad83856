"""Metrics with bootstrap intervals.

The resamples are drawn as counts per customer, and every metric is computed from counts. One sort of the scores then
serves all resamples, and two models scored on the same customers share the resamples, which makes their differences
paired (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 16).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.customers import CustomerTableError, Task
from churn_kedro.evaluation.probability_bins import bin_probabilities
from churn_kedro.models import ScoredCustomers

# Under scikit-learn's names where it has them. Averages over several classes count each class alike (macro).
METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "gini",
        "pr_auc",
        "ks",
        "log_loss",
        "brier",
        "ece",
        "lift_5",
        "lift_10",
        "lift_20",
        "gain_5",
        "gain_10",
        "gain_20",
        "accuracy",
        "balanced_accuracy",
        "precision",
        "recall",
        "f1",
        "mcc",
    ),
    "multiclass": (
        "roc_auc",
        "pr_auc",
        "log_loss",
        "brier",
        "ece",
        "accuracy",
        "balanced_accuracy",
        "f1_macro",
        "mcc",
    ),
    "regression": ("r2", "rmse", "mae", "median_ae", "wape", "bias"),
}
# As people write them.
METRIC_TITLES: Mapping[str, str] = {
    "roc_auc": "ROC-AUC",
    "gini": "Gini coefficient",
    "pr_auc": "PR-AUC",
    "ks": "Kolmogorov-Smirnov statistic",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "lift_5": "lift in the top 5 %",
    "lift_10": "lift in the top 10 %",
    "lift_20": "lift in the top 20 %",
    "gain_5": "share of the leavers in the top 5 %",
    "gain_10": "share of the leavers in the top 10 %",
    "gain_20": "share of the leavers in the top 20 %",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "f1_macro": "F1, mean over the classes",
    "mcc": "Matthews correlation coefficient",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "mean absolute error",
    "median_ae": "median absolute error",
    "wape": "absolute error as a share of the total",
    "bias": "mean of predicted minus actual",
}
# The two that tell most.
HEADLINES: Mapping[Task, Mapping[str, str]] = {
    "binary": {name: METRIC_TITLES[name] for name in ("roc_auc", "pr_auc")},
    "multiclass": {name: METRIC_TITLES[name] for name in ("roc_auc", "balanced_accuracy")},
    "regression": {name: METRIC_TITLES[name] for name in ("r2", "rmse")},
}
# What more than scores tells: the economics, and the protected columns (the worst of them counts). Under fairlearn's
# names where it has them.
EXTENDED_METRICS: Mapping[Task, tuple[str, ...]] = {
    "binary": (
        "profit_per_customer",
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equalized_odds_ratio",
    ),
    "multiclass": (),
    "regression": (),
}
LOWER_IS_BETTER = frozenset(
    {
        "log_loss",
        "brier",
        "ece",
        "rmse",
        "mae",
        "median_ae",
        "wape",
        "demographic_parity_difference",
        "equalized_odds_difference",
    }
)
# Best at 0, bad on either side: of two values, neither the larger nor the smaller is the better one.
UNORDERED = frozenset({"bias"})
# Shares of the customers, in percent, that lift and gain look at.
TOP_PERCENTS = (5, 10, 20)
# Bins of the expected calibration error, as in churn_kedro.training.calibration.
_ECE_BINS = 10
# Thresholds at which the metrics of decisions are looked at, with both ends.
_THRESHOLDS = 101
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
    metrics: dict[str, Estimate] = Field(description="Estimate of each of the task's metrics.")
    extended: dict[str, Estimate] = Field(
        default_factory=dict, description="Estimate of each of EXTENDED_METRICS that can be told."
    )
    scoring_seconds: float | None = Field(None, description="Seconds to score 1,000 customers; null: not measured.")
    training_row_share: float = Field(
        0.0, description="Share of the test customers that the version has learned from; they were let in by force."
    )

    def flat(self) -> dict[str, float]:
        """Metrics as ``name``, ``name_low`` and ``name_high``."""
        values: dict[str, float] = {}
        for name, estimate in (self.metrics | self.extended).items():
            values |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return values


@dataclass(frozen=True)
class ScoringMeasurement:
    """How test customers were scored.

    Attributes:
        test_digest: Content digest of the test table.
        training_row_share: Share of the test customers that the version was trained on, 0 to 1.
        scoring_seconds: Seconds to score 1,000 customers.
    """

    test_digest: str
    training_row_share: float
    scoring_seconds: float


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


class _Ranked:
    """How many customers, and how many of a class, weighted resamples have among the first of a ranking.

    Args:
        ranking: The ranking.
        counts: How often each customer counts, shape (n_resamples, n).
    """

    def __init__(self, ranking: _Ranking, counts: np.ndarray) -> None:
        self._ranking = ranking
        ranked = counts[:, ranking.order]
        # The first place is that before the first customer.
        self._listed = _running_sums(ranked)
        self._hits = _running_sums(ranked[:, ranking.positive_places])

    @property
    def total(self) -> np.ndarray:
        """Customers, shape (n_resamples,)."""
        total: np.ndarray = self._listed[:, -1].astype(np.float64)
        return total

    @property
    def positives(self) -> np.ndarray:
        """Customers of the class, shape (n_resamples,)."""
        positives: np.ndarray = self._hits[:, -1].astype(np.float64)
        return positives

    def before(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Customers, and those of the class, among the first of the ranking, each of shape (n_resamples,)."""
        return self._listed[:, place].astype(np.float64), self._hits[:, self._ranking.positives_before[place]].astype(
            np.float64
        )

    def curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Area under the ROC curve, average precision, Kolmogorov-Smirnov statistic; each of shape (n_resamples,).

        Each of them is a sum over, or an extreme at, those steps of the curve in which there is any customer of the
        class: all others gain nothing, and the distance between the two rates only falls along them.
        """
        ranking, total, positives = self._ranking, self.total, self.positives
        negatives = total - positives
        ends, starts = ranking.hit_step_ends, ranking.hit_step_starts
        hits, hits_before = (self._hits[:, ranking.positives_before[places]] for places in (ends, starts))
        listed, listed_before = self._listed[:, ends], self._listed[:, starts]
        gained = (hits - hits_before).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Pairs in order: those below, and half of those in the same step.
            below = negatives[:, np.newaxis] - ((listed - hits) + (listed_before - hits_before)) / 2
            area = np.einsum("ij,ij->i", gained, below) / (positives * negatives)
            precision = hits / np.maximum(listed, 1)
            average_precision = np.einsum("ij,ij->i", gained, precision) / positives
            # Both rates are sums over their class, so that their distance is one of hits and customers listed.
            unit = (1 / positives + 1 / negatives)[:, np.newaxis]
            apart = (hits * unit - listed / negatives[:, np.newaxis]).max(axis=1, initial=0.0)
            behind = (hits_before * unit - listed_before / negatives[:, np.newaxis]).min(axis=1, initial=0.0)
        return area, average_precision, np.maximum(apart, -behind)

    def gains(self, percents: tuple[int, ...]) -> np.ndarray:
        """Share of the class among so many percent of the customers, shape (n_resamples, number of percents).

        Of customers with the same score, those listed are a part that has as large a share of the class as all of
        them.
        """
        rows = np.arange(len(self._listed))[:, np.newaxis]
        wanted = self.total[:, np.newaxis] * np.array(percents) / 100
        place = _first_reaching(self._listed, wanted) - 1
        start, end = self._ranking.step_start[place], self._ranking.step_end[place]
        listed_before, listed = self._listed[rows, start], self._listed[rows, end]
        before = self._ranking.positives_before
        hits_before, hits = self._hits[rows, before[start]], self._hits[rows, before[end]]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (wanted - listed_before) / (listed - listed_before)
            gains: np.ndarray = (hits_before + part * (hits - hits_before)) / self.positives[:, np.newaxis]
        return gains


class _Ranking:
    """The order in which scores put customers, for all that depends on the order alone.

    Args:
        positive: Whether a customer is of the class, shape (n,).
        score: Probability of the class, shape (n,).

    Attributes:
        order: Positions of the customers, the highest score first, shape (n,).
        positive_places: Places of the class in that order.
        positives_before: Customers of the class before each place, shape (n + 1,).
        step_start: First place of the customers that share the score of a place, shape (n,).
        step_end: First place after them, shape (n,).
        hit_step_starts: Of the scores that any customer of the class has, the first place.
        hit_step_ends: The first place after them.
    """

    def __init__(self, positive: np.ndarray, score: np.ndarray) -> None:
        self.order = np.argsort(-score, kind="stable")
        ranked_positive, ranked = positive[self.order], score[self.order]
        self.positive_places = np.flatnonzero(ranked_positive)
        self.positives_before = np.append(0, np.cumsum(ranked_positive.astype(np.int64)))
        # Customers with the same score are one step of the curve.
        changes = np.flatnonzero(ranked[1:] != ranked[:-1]) + 1
        starts, ends = np.append(0, changes), np.append(changes, len(ranked))
        self.step_start, self.step_end = (np.repeat(places, ends - starts) for places in (starts, ends))
        hit = self.positives_before[ends] > self.positives_before[starts]
        self.hit_step_starts, self.hit_step_ends = starts[hit], ends[hit]


def _running_sums(counts: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, … counts of each row, shape (n_resamples, n + 1)."""
    sums = np.zeros((len(counts), counts.shape[1] + 1), dtype=np.int32)
    np.cumsum(counts, axis=1, out=sums[:, 1:])
    return sums


def _first_reaching(rising: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """First place in each row whose value is at least the wanted one: a binary search in all rows at once.

    Args:
        rising: Values that never fall along a row, shape (n_rows, n).
        wanted: Values that the last one of the row reaches, shape (n_rows, n_wanted).

    Returns:
        Places, shape (n_rows, n_wanted).
    """
    rows = np.arange(len(rising))[:, np.newaxis]
    low = np.zeros(wanted.shape, dtype=np.int64)
    high = np.full(wanted.shape, rising.shape[1] - 1)
    while (low < high).any():
        middle = (low + high) // 2
        reached = rising[rows, middle] >= wanted
        high, low = np.where(reached, middle, high), np.where(reached, low, np.minimum(middle + 1, high))
    return low


def _calibration_bins(happened: np.ndarray, said: np.ndarray) -> np.ndarray:
    """What each customer adds to the distance in its bin, shape (n, n_bins).

    The bins are those of :func:`churn_kedro.training.calibration.expected_calibration_error`.
    """
    distances = np.zeros((len(said), _ECE_BINS))
    distances[np.arange(len(said)), bin_probabilities(said, _ECE_BINS)] = happened - said
    return distances


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
        self._flagged = int(np.count_nonzero(probability >= threshold))
        self._ranking = _Ranking(target == 1, probability)
        losses = np.stack([log_loss, (probability - positive) ** 2], axis=1)
        self._sums = np.concatenate([losses, _calibration_bins(positive, probability)], axis=1)

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        sums = counts @ self._sums
        ranked = _Ranked(self._ranking, counts)
        total, positives = ranked.total, ranked.positives
        area, average_precision, apart = ranked.curves()
        gains = ranked.gains(TOP_PERCENTS)
        decisions = _decision_metrics(*ranked.before(self._flagged), positives, total)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = [area, 2 * area - 1, average_precision, apart]
            columns += [sums[:, 0] / total, sums[:, 1] / total, np.abs(sums[:, 2:]).sum(axis=1) / total]
            columns += [gains[:, place] / (percent / 100) for place, percent in enumerate(TOP_PERCENTS)]
        values = np.stack([*columns, *gains.T, *(decisions[name] for name in _DECISION_METRICS)], axis=1)
        values[(positives == 0) | (positives == total)] = np.nan
        return values


# Metrics that depend on who is flagged alone, in the order of METRICS.
_DECISION_METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc")


def _decision_metrics(
    flagged: np.ndarray, true_positive: np.ndarray, positives: np.ndarray, total: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics of decisions from counts; the precision of nobody is 0, as in scikit-learn."""
    negatives = total - positives
    false_positive = flagged - true_positive
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, passed = true_positive / positives, 1 - false_positive / negatives
        covariance = true_positive * total - flagged * positives
        spread = np.sqrt(positives * negatives * flagged * (total - flagged))
        return {
            "accuracy": (total - positives - flagged + 2 * true_positive) / total,
            "balanced_accuracy": (recall + passed) / 2,
            "precision": np.where(flagged > 0, true_positive / flagged, 0.0),
            "recall": recall,
            "f1": 2 * true_positive / (flagged + positives),
            "mcc": np.where(spread > 0, covariance / spread, 0.0),
        }


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
        right = (actual * predicted).sum(axis=1)
        self._rankings = [_Ranking(target == code, probability[:, code]) for code in codes]
        self._losses = np.stack([log_loss, brier, right], axis=1)
        self._distances = _calibration_bins(right, probability.max(axis=1))
        self._codes, self._actual, self._predicted = codes, actual[:, codes], predicted

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        counts_as_numbers = counts.astype(np.float64)
        log_loss, brier, correct = (counts_as_numbers @ self._losses).T
        distances = np.abs(counts_as_numbers @ self._distances).sum(axis=1)
        sizes, all_claimed = counts_as_numbers @ self._actual, counts_as_numbers @ self._predicted
        claimed = all_claimed[:, self._codes]
        true_positive = counts_as_numbers @ (self._actual * self._predicted[:, self._codes])
        areas = np.mean([_Ranked(ranking, counts).curves()[:2] for ranking in self._rankings], axis=0)
        # Gorodkin, Computational Biology and Chemistry 28 (2004): the correlation of several classes.
        covariance = correct * total - (sizes * claimed).sum(axis=1)
        spread = np.sqrt((total**2 - (all_claimed**2).sum(axis=1)) * (total**2 - (sizes**2).sum(axis=1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            recall = (true_positive / sizes).mean(axis=1)
            f1 = (2 * true_positive / (sizes + claimed)).mean(axis=1)
            mcc = np.where(spread > 0, covariance / spread, 0.0)
            losses = [log_loss / total, brier / total, distances / total]
            values = np.stack([areas[0], areas[1], *losses, correct / total, recall, f1, mcc], axis=1)
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
        sums = [error, error**2, centered, centered**2, np.abs(target), prediction - target]
        self._sums = np.stack(sums, axis=1)
        self._order = np.argsort(error, kind="stable")
        self._ranked = error[self._order]

    def metrics(self, counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        absolute, squared, centered, square, size, signed = (counts @ self._sums).T
        spread = square - centered**2 / total
        # A spread of rounding errors is none.
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(spread > 1e-12 * square, 1 - squared / spread, np.nan)
            share = np.where(size > 0, absolute / size, np.nan)
        median = self._median(counts, total)
        return np.stack([r2, np.sqrt(squared / total), absolute / total, median, share, signed / total], axis=1)

    def _median(self, counts: np.ndarray, total: np.ndarray) -> np.ndarray:
        listed = _running_sums(counts[:, self._order])
        # The one in the middle, or the two around it.
        middle = _first_reaching(listed, np.stack([(total + 1) // 2, total // 2 + 1], axis=1)) - 1
        median: np.ndarray = self._ranked[middle].mean(axis=1)
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


def resample_counts(n_rows: int, parameters: BootstrapParameters) -> Iterator[np.ndarray]:
    """Draw bootstrap resamples of customers.

    Args:
        n_rows: Customers.
        parameters: Number of resamples and seed, on which alone the resamples depend.

    Yields:
        How often each customer counts, int32, shape (some of the resamples, n_rows).
    """
    generator = np.random.default_rng(parameters.random_state)
    block = max(1, _CELLS_AT_ONCE // n_rows)
    for start in range(0, parameters.n_resamples, block):
        size = min(block, parameters.n_resamples - start)
        counts = np.empty((size, n_rows), dtype=np.int32)
        for row in counts:
            row[:] = np.bincount(generator.integers(0, n_rows, n_rows), minlength=n_rows)
        yield counts


def measure(scores: ScoredCustomers) -> dict[str, float]:
    """Metrics of scored customers.

    Args:
        scores: Target and prediction of each customer.

    Returns:
        Value of each of the task's :data:`METRICS`. ``pr_auc`` is scikit-learn's average precision; with several
        classes, ``roc_auc`` and ``pr_auc`` set each class that is there against the others, and their mean counts.
        ``gini`` is 2 ROC-AUC - 1. ``ks`` is the largest distance between the distributions of the scores of leavers and
        stayers. ``gain_k`` is the share of all leavers among the k % of the customers with the highest scores, where
        customers with the same score count pro rata, and ``lift_k`` is that gain divided by k %. ``ece`` is the
        expected calibration error in ten bins (several classes: of the predicted one), ``wape`` the sum of absolute
        errors divided by the sum of absolute numbers (NaN if all are 0), ``bias`` the mean of predicted minus actual.

    Raises:
        CustomerTableError: All customers have the same target.
    """
    _require_different_targets(scores)
    values = _sample(scores).metrics(np.ones((1, len(scores.target)), dtype=np.int32))
    return dict(zip(METRICS[scores.task], values[0].tolist(), strict=True))


def _require_different_targets(scores: ScoredCustomers) -> None:
    if len(np.unique(scores.target)) < 2:
        what, others = ("number", "numbers") if scores.task == "regression" else ("label", "classes")
        raise CustomerTableError(
            f"All {len(scores.target)} test customers have the same {what}: no metric can be computed. "
            f"Run data_processing on a table with different {others}."
        )


def measure_counted(scores: ScoredCustomers, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of scored customers of whom each counts several times, or not at all.

    Args:
        scores: Target and prediction of each customer.
        counts: How often each counts, whole numbers, shape (n_resamples, n).

    Returns:
        An array of shape (n_resamples,) for each of the task's :data:`METRICS`; NaN where it is undefined, as with one
        class only or without any customer.
    """
    values = np.full((len(counts), len(METRICS[scores.task])), np.nan)
    sample, some = _sample(scores), np.flatnonzero(counts.any(axis=1))
    block = max(1, _CELLS_AT_ONCE // counts.shape[1])
    for start in range(0, len(some), block):
        rows = some[start : start + block]
        values[rows] = sample.metrics(counts[rows])
    return dict(zip(METRICS[scores.task], values.T, strict=True))


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
    values = np.concatenate([sample.metrics(counts) for counts in resample_counts(len(scores.target), parameters)])
    return dict(zip(METRICS[scores.task], values.T, strict=True))


def shifted_interval(value: float, resampled: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentile interval of a quantity that resamples overstate or understate, moved so that its middle is the value.

    A distance such as the expected calibration error, or the largest of several differences, comes out larger on
    resamples than on the customers themselves, since the resampling adds noise of its own. The bounds are moved by the
    difference between the median of the resamples and the value, so the value lies between them.

    Args:
        value: The quantity on the customers themselves.
        resampled: The same on each resample; NaN is left out.
        confidence: Coverage of the two-sided interval.

    Returns:
        Lower and upper bound; the value twice where no resample has one.
    """
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return value, value
    tail = (1 - confidence) / 2
    low, middle, high = np.quantile(known, [tail, 0.5, 1 - tail])
    return float(low - middle + value), float(high - middle + value)


def measure_with_intervals(
    scores: ScoredCustomers, parameters: BootstrapParameters, resampled: Mapping[str, np.ndarray] | None = None
) -> dict[str, Estimate]:
    """Metrics with percentile intervals.

    The expected calibration error of a resample is larger than that of the customers, since its bins hold noise twice.
    Its interval is moved by the median of that excess, see :func:`shifted_interval`, and does not go below 0.

    Args:
        scores: Target and prediction of each customer.
        parameters: Resamples, coverage and seed.
        resampled: What :func:`bootstrap` gave, where that is known already.

    Returns:
        An estimate for each of the task's :data:`METRICS`.

    Raises:
        CustomerTableError: All customers have the same target.
    """
    values = measure(scores)
    return {
        name: estimate_metric(name, values[name], values_resampled, parameters.confidence)
        for name, values_resampled in (bootstrap(scores, parameters) if resampled is None else resampled).items()
    }


def estimate_metric(name: str, value: float, resampled: np.ndarray, confidence: float) -> Estimate:
    """A metric with its interval, as :func:`measure_with_intervals` makes it.

    Args:
        name: Name of the metric.
        value: The metric on the customers themselves.
        resampled: The same on each resample; NaN is left out.
        confidence: Coverage of the two-sided interval.

    Returns:
        The estimate.
    """
    if name == "ece":
        low, high = shifted_interval(value, resampled, confidence)
        return Estimate(value=value, low=max(low, 0.0), high=high)
    tail = (1 - confidence) / 2
    low, high = _quantiles(resampled, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def _quantiles(values: np.ndarray, shares: list[float]) -> np.ndarray:
    """Quantiles along the first axis of what is known; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice encountered")
        return np.asarray(np.nanquantile(values, shares, axis=0))


def paired_differences(
    first: ScoredCustomers,
    second: ScoredCustomers,
    parameters: BootstrapParameters,
    first_resampled: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Estimate]:
    """Metrics of one model minus those of another, on the same customers.

    Both are measured on the same resamples, so what the customers have in common cancels out, and the interval is that
    of the difference (Efron and Tibshirani, chapter 16).

    Args:
        first: Scored by one model.
        second: The same customers in the same order, scored by another one.
        parameters: Resamples, coverage and seed.
        first_resampled: What :func:`bootstrap` gave of the first, where that is known already.

    Returns:
        Difference and percentile interval for each of the task's :data:`METRICS`; where a smaller value is better,
        see :data:`LOWER_IS_BETTER`, a negative difference speaks for the first.

    Raises:
        ValueError: The two are not of the same customers, or not of the same task.
        CustomerTableError: All customers have the same target.
    """
    if first.task != second.task or not np.array_equal(first.target, second.target):
        raise ValueError(
            f"only models that scored the same customers can be compared: found {len(first.target)} customers of task "
            f"{first.task} and {len(second.target)} of task {second.task}, whose targets differ; score both on one "
            "table, rows in the same order"
        )
    values, other_values = measure(first), measure(second)
    resampled = bootstrap(first, parameters) if first_resampled is None else first_resampled
    other_resampled = bootstrap(second, parameters)
    tail = (1 - parameters.confidence) / 2
    differences = {}
    for name in METRICS[first.task]:
        low, high = _quantiles(resampled[name] - other_resampled[name], [tail, 1 - tail])
        differences[name] = Estimate(value=values[name] - other_values[name], low=float(low), high=float(high))
    return differences


def metrics_over_thresholds(scores: ScoredCustomers, parameters: BootstrapParameters) -> pd.DataFrame:
    """Metrics of decisions as the threshold goes from 0 to 1.

    Between two neighbouring thresholds, customers of one class are all decided alike. So not customers are resampled
    but the numbers of customers in each such cell: drawn from the multinomial distribution, they are distributed
    exactly as if customers had been.

    Args:
        scores: Target and prediction of each customer, of task binary with a decision threshold.
        parameters: Resamples, coverage and seed.

    Returns:
        A row for each of at most 101 rising thresholds, the decision threshold among them: ``threshold``,
        ``flagged_share``, ``precision`` (NaN where nobody is flagged), ``recall``, ``f1``, ``accuracy``,
        ``balanced_accuracy`` and ``mcc``; each but the first also with ``_low`` and ``_high``, the percentile interval.

    Raises:
        ValueError: The task is another one, or there is no threshold.
        CustomerTableError: All customers have the same target.
    """
    if scores.task != "binary" or scores.threshold is None:
        raise ValueError(
            f"thresholds are for task binary with a decision threshold, found task {scores.task} and threshold "
            f"{scores.threshold}"
        )
    _require_different_targets(scores)
    thresholds = np.linspace(0, 1, _THRESHOLDS).round(6)
    # Of the evenly spaced ones, the nearest gives way to the threshold that decides; the ends stay if they can.
    inner = slice(1, -1) if scores.threshold < 1 else slice(1, None)
    nearest = int(np.abs(thresholds[inner] - scores.threshold).argmin()) + 1
    if scores.threshold > 0:
        thresholds[nearest] = scores.threshold
    n_rows = len(scores.target)
    # Flagged at as many of the thresholds, from the lowest on.
    passed = np.searchsorted(thresholds, scores.prediction, side="right")
    cells = np.bincount(2 * passed + (scores.target == 1), minlength=2 * (len(thresholds) + 1))
    generator = np.random.default_rng(parameters.random_state)
    drawn = generator.multinomial(n_rows, cells / n_rows, size=parameters.n_resamples)
    resampled = _measure_cells(drawn)
    tail = (1 - parameters.confidence) / 2
    columns = {"threshold": thresholds}
    for name, values in _measure_cells(cells[np.newaxis]).items():
        low, high = _quantiles(resampled[name], [tail, 1 - tail])
        columns |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns)


def _measure_cells(cells: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics at each threshold, each of shape (n_resamples, n_thresholds).

    Args:
        cells: Customers who stayed and who left, below the lowest threshold, then between each two, then at or above
            the highest, shape (n_resamples, 2 * (n_thresholds + 1)).
    """
    classes = cells.reshape(len(cells), -1, 2).astype(np.float64)
    above = classes[:, ::-1].cumsum(axis=1)[:, ::-1]
    flagged, true_positive = above[:, 1:].sum(axis=2), above[:, 1:, 1]
    total, positives = above[:, :1].sum(axis=2), above[:, :1, 1]
    metrics = _decision_metrics(flagged, true_positive, positives, total)
    metrics["precision"] = np.where(flagged > 0, metrics["precision"], np.nan)
    one_class = (positives == 0) | (positives == total)
    wanted = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "mcc")
    return {
        "flagged_share": flagged / total,
        **{name: np.where(one_class, np.nan, metrics[name]) for name in wanted},
    }
