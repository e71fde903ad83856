"""Statistics of weighted, scored customers, from which metrics are computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from churn_kedro.evaluation.metrics.ranking import RankedCounts, Ranking, first_reaching, running_sums
from churn_kedro.evaluation.probability_bins import bin_probabilities
from churn_kedro.models import ScoredCustomers

# Bins of the expected calibration error, as in churn_kedro.training.calibration.
_ECE_BINS = 10
# Shares of the customers, in percent, at which lift and gain are computed.
TOP_PERCENTS = (5, 10, 20)


def _calibration_bins(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the contribution of each customer to the calibration error of its bin, shape (n, n_bins).

    The bins are those of :func:`churn_kedro.training.calibration.expected_calibration_error`.
    """
    distances = np.zeros((len(predicted), _ECE_BINS))
    distances[np.arange(len(predicted)), bin_probabilities(predicted, _ECE_BINS)] = observed - predicted
    return distances


def _clipped(probability: np.ndarray) -> np.ndarray:
    """Clip probabilities for a logarithm as scikit-learn does: to the precision of the type."""
    precision = np.finfo(np.float64).eps
    clipped: np.ndarray = np.clip(probability, precision, 1 - precision)
    return clipped


def decision_metrics(
    flagged: np.ndarray, true_positive: np.ndarray, positives: np.ndarray, total: np.ndarray
) -> dict[str, np.ndarray]:
    """Compute decision metrics from counts; the precision without flagged customers is 0, as in scikit-learn."""
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


@dataclass(frozen=True)
class BinarySample:
    """Customers of two classes, with all quantities that do not depend on the weights.

    Attributes:
        ranking: Their ranking by probability.
        decisions: Whether each customer is flagged, and whether it is flagged and left, as 0 or 1, shape (n, 2).
        terms: Log loss, squared error and distance in each calibration bin of each customer, shape (n, 2 + n_bins).
    """

    ranking: Ranking
    decisions: np.ndarray
    terms: np.ndarray

    @classmethod
    def of(cls, target: np.ndarray, probability: np.ndarray, decision: np.ndarray) -> BinarySample:
        """Prepare customers.

        Args:
            target: 1 or 0 per customer, shape (n,).
            probability: Probability of 1, shape (n,).
            decision: Whether each customer is flagged, shape (n,).

        Returns:
            The sample.
        """
        positive = target.astype(np.float64)
        clipped = _clipped(probability)
        log_loss = -(positive * np.log(clipped) + (1 - positive) * np.log1p(-clipped))
        losses = np.stack([log_loss, (probability - positive) ** 2], axis=1)
        terms = np.concatenate([losses, _calibration_bins(positive, probability)], axis=1)
        decisions = np.stack([decision, decision & (target == 1)], axis=1).astype(np.float64)
        return cls(Ranking(target == 1, probability), decisions, terms)

    def count(self, counts: np.ndarray) -> BinaryStatistics:
        """Compute the statistics for weights ``counts`` of shape (n_resamples, n)."""
        return BinaryStatistics(self, counts)


class BinaryStatistics:
    """Statistics of weighted customers of two classes, each of shape (n_resamples,).

    Args:
        sample: The customers.
        counts: Weight of each customer, shape (n_resamples, n).
    """

    def __init__(self, sample: BinarySample, counts: np.ndarray) -> None:
        self._ranked = RankedCounts(sample.ranking, counts)
        self._decided: np.ndarray = counts @ sample.decisions
        self._sums: np.ndarray = counts @ sample.terms
        self._total: np.ndarray = self._ranked.total

    @cached_property
    def _curves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._ranked.curves()

    @cached_property
    def _gains(self) -> np.ndarray:
        return self._ranked.gains(TOP_PERCENTS)

    @cached_property
    def _decisions(self) -> dict[str, np.ndarray]:
        return decision_metrics(self._decided[:, 0], self._decided[:, 1], self._ranked.positives, self._total)

    @property
    def area(self) -> np.ndarray:
        """Area under the ROC curve."""
        return self._curves[0]

    @property
    def average_precision(self) -> np.ndarray:
        """Average precision."""
        return self._curves[1]

    @property
    def largest_distance(self) -> np.ndarray:
        """Kolmogorov-Smirnov statistic."""
        return self._curves[2]

    @property
    def log_loss(self) -> np.ndarray:
        """Mean log loss in nats."""
        return np.asarray(self._sums[:, 0] / self._total)

    @property
    def squared_error(self) -> np.ndarray:
        """Mean squared error of the probabilities."""
        return np.asarray(self._sums[:, 1] / self._total)

    @property
    def calibration_error(self) -> np.ndarray:
        """Expected calibration error."""
        return np.asarray(np.abs(self._sums[:, 2:]).sum(axis=1) / self._total)

    def gain(self, percent: int) -> np.ndarray:
        """Share of the positives in the top percents of the ranking."""
        return self._gains[:, TOP_PERCENTS.index(percent)]

    def decision(self, name: str) -> np.ndarray:
        """Decision metric, see :func:`decision_metrics`."""
        return self._decisions[name]

    @property
    def undefined(self) -> np.ndarray:
        """Resamples in which one class is absent."""
        positives = self._ranked.positives
        return np.asarray((positives == 0) | (positives == self._total))


@dataclass(frozen=True)
class MulticlassSample:
    """Customers of several classes. Classes without customers are excluded from averages.

    Attributes:
        rankings: Ranking by the probability of each class that has customers.
        losses: Log loss, squared error and correctness of each customer, shape (n, 3).
        distances: Contribution to each calibration bin, shape (n, n_bins).
        codes: Classes that have customers.
        actual: Indicator of each of these classes, shape (n, n_codes).
        predicted: Indicator of each predicted class, shape (n, n_classes).
    """

    rankings: list[Ranking]
    losses: np.ndarray
    distances: np.ndarray
    codes: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray

    @classmethod
    def of(cls, target: np.ndarray, probability: np.ndarray) -> MulticlassSample:
        """Prepare customers.

        Args:
            target: Code of the class per customer, shape (n,).
            probability: Probability of each class, shape (n, n_classes).

        Returns:
            The sample.
        """
        codes = np.unique(target)
        actual = np.eye(probability.shape[1])[target]
        predicted = np.eye(probability.shape[1])[probability.argmax(axis=1)]
        log_loss = -np.log(_clipped(probability)[np.arange(len(target)), target])
        brier = ((probability - actual) ** 2).sum(axis=1)
        right = (actual * predicted).sum(axis=1)
        return cls(
            rankings=[Ranking(target == code, probability[:, code]) for code in codes],
            losses=np.stack([log_loss, brier, right], axis=1),
            distances=_calibration_bins(right, probability.max(axis=1)),
            codes=codes,
            actual=actual[:, codes],
            predicted=predicted,
        )

    def count(self, counts: np.ndarray) -> MulticlassStatistics:
        """Compute the statistics for weights ``counts`` of shape (n_resamples, n)."""
        return MulticlassStatistics(self, counts)


class MulticlassStatistics:
    """Statistics of weighted customers of several classes, each of shape (n_resamples,).

    Args:
        sample: The customers.
        counts: Weight of each customer, shape (n_resamples, n).
    """

    def __init__(self, sample: MulticlassSample, counts: np.ndarray) -> None:
        numbers = counts.astype(np.float64)
        self._total = counts.sum(axis=1)
        self._log_loss, self._squared, self._correct = (numbers @ sample.losses).T
        self._distances = np.abs(numbers @ sample.distances).sum(axis=1)
        self._sizes, self._all_claimed = numbers @ sample.actual, numbers @ sample.predicted
        self._claimed = self._all_claimed[:, sample.codes]
        self._true_positive = numbers @ (sample.actual * sample.predicted[:, sample.codes])
        self._rankings, self._counts = sample.rankings, counts

    @cached_property
    def _curves(self) -> np.ndarray:
        curves = [RankedCounts(ranking, self._counts).curves()[:2] for ranking in self._rankings]
        return np.asarray(np.mean(curves, axis=0))

    @property
    def area(self) -> np.ndarray:
        """ROC-AUC, one-vs-rest, mean over the classes."""
        area: np.ndarray = self._curves[0]
        return area

    @property
    def average_precision(self) -> np.ndarray:
        """Average precision, one-vs-rest, mean over the classes."""
        average: np.ndarray = self._curves[1]
        return average

    @property
    def log_loss(self) -> np.ndarray:
        """Mean log loss in nats."""
        return np.asarray(self._log_loss / self._total)

    @property
    def squared_error(self) -> np.ndarray:
        """Mean squared error of the probabilities, summed over the classes."""
        return np.asarray(self._squared / self._total)

    @property
    def calibration_error(self) -> np.ndarray:
        """Expected calibration error of the predicted class."""
        return np.asarray(self._distances / self._total)

    @property
    def accuracy(self) -> np.ndarray:
        """Accuracy."""
        return np.asarray(self._correct / self._total)

    @property
    def recall(self) -> np.ndarray:
        """Recall, mean over the classes."""
        recall: np.ndarray = (self._true_positive / self._sizes).mean(axis=1)
        return recall

    @property
    def f1(self) -> np.ndarray:
        """F1, mean over the classes."""
        f1: np.ndarray = (2 * self._true_positive / (self._sizes + self._claimed)).mean(axis=1)
        return f1

    @property
    def correlation(self) -> np.ndarray:
        """Matthews correlation of several classes (Gorodkin, Computational Biology and Chemistry 28, 2004)."""
        covariance = self._correct * self._total - (self._sizes * self._claimed).sum(axis=1)
        spread = np.sqrt(
            (self._total**2 - (self._all_claimed**2).sum(axis=1)) * (self._total**2 - (self._sizes**2).sum(axis=1))
        )
        return np.where(spread > 0, covariance / spread, 0.0)

    @property
    def undefined(self) -> np.ndarray:
        """Resamples in which a class is absent."""
        undefined: np.ndarray = (self._sizes == 0).any(axis=1)
        return undefined


@dataclass(frozen=True)
class NumberSample:
    """Customers with an observed and a predicted number.

    Attributes:
        terms: Absolute and squared error, centred number and its square, absolute number and signed error of each
            customer, shape (n, 6).
        order: Customers by absolute error, shape (n,).
        ranked: Absolute errors in that order.
    """

    terms: np.ndarray
    order: np.ndarray
    ranked: np.ndarray

    @classmethod
    def of(cls, target: np.ndarray, prediction: np.ndarray) -> NumberSample:
        """Prepare customers.

        Args:
            target: The number, shape (n,).
            prediction: The number predicted, shape (n,).

        Returns:
            The sample.
        """
        error = np.abs(target - prediction)
        # Centring avoids cancellation in the difference of sums of squares.
        centered = target - target.mean()
        terms = np.stack([error, error**2, centered, centered**2, np.abs(target), prediction - target], axis=1)
        order = np.argsort(error, kind="stable")
        return cls(terms, order, error[order])

    def count(self, counts: np.ndarray) -> NumberStatistics:
        """Compute the statistics for weights ``counts`` of shape (n_resamples, n)."""
        return NumberStatistics(self, counts)


class NumberStatistics:
    """Statistics of weighted customers of task regression, each of shape (n_resamples,).

    Args:
        sample: The customers.
        counts: Weight of each customer, shape (n_resamples, n).
    """

    def __init__(self, sample: NumberSample, counts: np.ndarray) -> None:
        self._sample, self._counts = sample, counts
        self._total = counts.sum(axis=1)
        self._absolute, self._squared, self._centered, self._square, self._size, self._signed = (
            counts @ sample.terms
        ).T

    @property
    def explained(self) -> np.ndarray:
        """Coefficient of determination; NaN where all numbers are equal."""
        spread = self._square - self._centered**2 / self._total
        # A variance at the level of rounding errors counts as 0.
        return np.where(spread > 1e-12 * self._square, 1 - self._squared / spread, np.nan)

    @property
    def squared_error(self) -> np.ndarray:
        """Mean squared error."""
        return np.asarray(self._squared / self._total)

    @property
    def absolute_error(self) -> np.ndarray:
        """Mean absolute error."""
        return np.asarray(self._absolute / self._total)

    @property
    def median_error(self) -> np.ndarray:
        """Median absolute error."""
        listed = running_sums(self._counts[:, self._sample.order])
        # The median is the middle error, or the mean of the two around the middle.
        middle = first_reaching(listed, np.stack([(self._total + 1) // 2, self._total // 2 + 1], axis=1)) - 1
        median: np.ndarray = self._sample.ranked[middle].mean(axis=1)
        return median

    @property
    def error_share(self) -> np.ndarray:
        """Sum of absolute errors divided by the sum of absolute numbers; NaN if all are 0."""
        return np.where(self._size > 0, self._absolute / self._size, np.nan)

    @property
    def signed_error(self) -> np.ndarray:
        """Mean of predicted minus actual."""
        return np.asarray(self._signed / self._total)

    @property
    def undefined(self) -> np.ndarray:
        """Nowhere."""
        return np.zeros(len(self._total), dtype=bool)


def sample_of(scores: ScoredCustomers) -> BinarySample | MulticlassSample | NumberSample:
    """Prepare scored customers for the metrics of their task.

    Args:
        scores: Target and prediction of each customer.

    Returns:
        The sample, whose ``count`` gives statistics.
    """
    match scores.task:
        case "binary":
            return BinarySample.of(scores.target, scores.prediction, scores.decision)
        case "multiclass":
            return MulticlassSample.of(scores.target, scores.prediction)
        case "regression":
            return NumberSample.of(scores.target, scores.prediction)
