"""Metrics with bootstrap intervals.

Resamples are drawn as counts per customer, and each metric is computed from counts. The scores are therefore sorted
once for all resamples, and two models scored on the same customers share the resamples, so that their differences are
paired (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapters 13 and 16).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters, Record
from churn_kedro.customers import CustomerTableError, LeakageReport, Task
from churn_kedro.evaluation.metrics.definitions import METRICS, compute, task_metrics
from churn_kedro.evaluation.metrics.statistics import decision_metrics, sample_of
from churn_kedro.models import ScoredCustomers

# Number of thresholds of the decision metrics, both ends included.
_THRESHOLDS = 101
# Memory of one batch of resamples: the counts and a few arrays of their shape.
_CELLS_AT_ONCE = 2_000_000


class BootstrapParameters(Parameters):
    """Parameters of the bootstrap."""

    n_resamples: int = Field(ge=100, description="Bootstrap resamples of the test customers.")
    confidence: float = Field(gt=0, lt=1, description="Coverage of the two-sided percentile interval.")
    random_state: int = Field(ge=0, description="Seed of the resamples.")


class Estimate(Record):
    """A metric on the test set with its percentile interval."""

    value: float
    low: float
    high: float


class Evaluation(Record):
    """Metrics of one model version on the test set; input of the promotion gate."""

    model_name: str = Field(description="Registered model.")
    model_version: int = Field(description="Version evaluated.")
    model_id: str = Field(description="MLflow's id of the model.")
    test_digest: str = Field(description="Content digest of the test table.")
    task: Task = Field(description="What is predicted.")
    test_rows: int = Field(description="Test customers.")
    test_classes: dict[str, int] = Field(description="Test customers of each class, by label; none for a regression.")
    threshold: float | None = Field(description="Decision threshold on the probability; null where there is none.")
    bootstrap: BootstrapParameters = Field(description="Parameters of the intervals.")
    metrics: dict[str, Estimate] = Field(description="Estimate of each of the task's metrics.")
    extended: dict[str, Estimate] = Field(
        default_factory=dict, description="Estimate of each of extended_metrics that could be measured."
    )
    scoring_seconds: float | None = Field(None, description="Seconds to score 1,000 customers; null: not measured.")
    training_row_share: float = Field(
        0.0, description="Share of the test customers that the version was trained on; nonzero only if permitted."
    )

    def flat(self) -> dict[str, float]:
        """Metrics as ``name``, ``name_low`` and ``name_high``."""
        values: dict[str, float] = {}
        for name, estimate in (self.metrics | self.extended).items():
            values |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        return values


class Subject(Record):
    """What evidence is about: a version, and the tables of its evaluation."""

    model_name: str = Field(description="Registered model.")
    model_version: int = Field(description="Version.")
    model_id: str = Field(description="MLflow's id of the model.")
    tables: dict[str, str] = Field(description="Content digest of the train, validation and test table of the split.")


@dataclass(frozen=True)
class ScoringMeasurement:
    """Circumstances of the scoring of the test set.

    Attributes:
        subject: The version, and the tables of the split.
        leakage: Findings of the leakage checks of these tables.
        training_row_share: Share of the test customers that the version was trained on, 0 to 1.
        scoring_seconds: Seconds to score 1,000 customers.
    """

    subject: Subject
    leakage: LeakageReport
    training_row_share: float
    scoring_seconds: float


@dataclass(frozen=True)
class RunMetrics:
    """Metrics for the tracking server.

    Attributes:
        values: Metric by name.
        model_id: MLflow's id of the evaluated model, if any.
    """

    values: Mapping[str, float]
    model_id: str | None = None


def resample_counts(n_rows: int, parameters: BootstrapParameters) -> Iterator[np.ndarray]:
    """Draw bootstrap resamples of customers.

    Args:
        n_rows: Number of customers.
        parameters: Number of resamples and seed; together with ``n_rows`` they determine the resamples.

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
    """Compute the metrics of scored customers.

    Args:
        scores: Target and prediction of each customer.

    Returns:
        Value of each of the task's :func:`task_metrics`. ``pr_auc`` is scikit-learn's average precision; with several
        classes, ``roc_auc`` and ``pr_auc`` are one-vs-rest, averaged over the classes present. ``gini`` is 2 ROC-AUC -
        1. ``ks`` is the largest distance between the distributions of the scores of leavers and stayers. ``gain_k`` is
        the share of all leavers among the k % of the customers with the highest scores, where ties count pro rata, and
        ``lift_k`` is that gain divided by k %. ``ece`` is the expected calibration error in ten bins (several classes:
        of the predicted one), ``wape`` the sum of absolute errors divided by the sum of absolute numbers (NaN if all
        are 0), ``bias`` the mean of predicted minus actual.

    Raises:
        CustomerTableError: All customers have the same target value.

    Examples:
        >>> import numpy as np
        >>> scores = ScoredCustomers("binary", np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]), threshold=0.5)
        >>> metrics = measure(scores)
        >>> [round(metrics[name], 3) for name in ("roc_auc", "gini", "ks", "precision", "recall")]
        [0.75, 0.5, 0.5, 1.0, 0.5]

        With half of the customers leaving, the top 20 % of a perfect list contain 40 % of the leavers, a lift of 2:

        >>> perfect = ScoredCustomers("binary", np.tile([0, 1], 50), np.tile([0.1, 0.9], 50), threshold=0.5)
        >>> [round(measure(perfect)[name], 3) for name in ("gain_20", "lift_20")]
        [0.4, 2.0]
    """
    _require_different_targets(scores)
    once = np.ones((1, len(scores.target)), dtype=np.int32)
    return {name: float(values[0]) for name, values in compute(scores.task, sample_of(scores).count(once)).items()}


def _require_different_targets(scores: ScoredCustomers) -> None:
    if len(np.unique(scores.target)) < 2:
        what, others = ("number", "numbers") if scores.task == "regression" else ("label", "classes")
        raise CustomerTableError(
            f"All {len(scores.target)} test customers have the same {what}: no metric can be computed. "
            f"Run data_processing on a table with different {others}."
        )


def measure_counted(scores: ScoredCustomers, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the metrics of weighted customers.

    Args:
        scores: Target and prediction of each customer.
        counts: Integer weight of each customer, shape (n_resamples, n).

    Returns:
        An array of shape (n_resamples,) for each of :func:`task_metrics`; NaN where undefined, as with a single class
        or without customers.
    """
    values = {name: np.full(len(counts), np.nan) for name in task_metrics(scores.task)}
    sample, some = sample_of(scores), np.flatnonzero(counts.any(axis=1))
    block = max(1, _CELLS_AT_ONCE // counts.shape[1])
    for start in range(0, len(some), block):
        rows = some[start : start + block]
        for name, found in compute(scores.task, sample.count(counts[rows])).items():
            values[name][rows] = found
    return values


def bootstrap(scores: ScoredCustomers, parameters: BootstrapParameters) -> dict[str, np.ndarray]:
    """Compute the metrics on bootstrap resamples.

    The same seed and number of customers give the same resamples, so the arrays of two models may be subtracted.

    Args:
        scores: Target and prediction of each customer.
        parameters: Number of resamples and seed.

    Returns:
        An array of shape (n_resamples,) for each of :func:`task_metrics`; NaN where a resample lacks a class, and for
        ``r2`` where it holds one number only.

    Examples:
        >>> import numpy as np
        >>> scores = ScoredCustomers("binary", np.tile([0, 1], 50), np.linspace(0, 1, 100), threshold=0.5)
        >>> parameters = BootstrapParameters(n_resamples=200, confidence=0.9, random_state=0)
        >>> resampled = bootstrap(scores, parameters)["roc_auc"]
        >>> resampled.shape, bool(np.array_equal(resampled, bootstrap(scores, parameters)["roc_auc"]))
        ((200,), True)
    """
    sample = sample_of(scores)
    blocks = [compute(scores.task, sample.count(counts)) for counts in resample_counts(len(scores.target), parameters)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in task_metrics(scores.task)}


def shifted_interval(value: float, resampled: np.ndarray, confidence: float) -> tuple[float, float]:
    """Compute the percentile interval of a quantity whose bootstrap distribution is biased, shifted to the estimate.

    A distance such as the expected calibration error, or the largest of several differences, is larger on resamples
    than on the customers themselves, since resampling adds noise. The bounds are shifted by the difference between the
    estimate and the median of the resamples, so the interval contains the estimate.

    Args:
        value: Estimate on the customers themselves.
        resampled: Value on each resample; NaN is ignored.
        confidence: Coverage of the two-sided interval.

    Returns:
        Lower and upper bound; both equal ``value`` if all resamples are NaN.

    Examples:
        >>> import numpy as np
        >>> resampled = np.linspace(0.1, 0.3, 101)  # the median is 0.2, the estimate 0.15
        >>> [round(bound, 3) for bound in shifted_interval(0.15, resampled, confidence=0.9)]
        [0.06, 0.24]
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
    """Compute metrics with percentile intervals.

    The bootstrap of the expected calibration error is biased upwards; its interval is shifted, see
    :func:`shifted_interval`, and clipped at 0.

    Args:
        scores: Target and prediction of each customer.
        parameters: Resamples, coverage and seed.
        resampled: Result of :func:`bootstrap`, if already computed.

    Returns:
        An estimate for each of the task's :func:`task_metrics`.

    Raises:
        CustomerTableError: All customers have the same target value.
    """
    values = measure(scores)
    return {
        name: estimate_metric(name, values[name], values_resampled, parameters.confidence)
        for name, values_resampled in (bootstrap(scores, parameters) if resampled is None else resampled).items()
    }


def estimate_metric(name: str, value: float, resampled: np.ndarray, confidence: float) -> Estimate:
    """Compute the interval of a metric as :func:`measure_with_intervals` does.

    Args:
        name: Name of the metric.
        value: Metric on the customers themselves.
        resampled: Metric on each resample; NaN is ignored.
        confidence: Coverage of the two-sided interval.

    Returns:
        The estimate.
    """
    if METRICS[name].shifted:
        low, high = shifted_interval(value, resampled, confidence)
        return Estimate(value=value, low=max(low, 0.0), high=high)
    tail = (1 - confidence) / 2
    low, high = _quantiles(resampled, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def _quantiles(values: np.ndarray, shares: list[float]) -> np.ndarray:
    """Compute quantiles along the first axis without NaN; NaN if all values are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice encountered")
        return np.asarray(np.nanquantile(values, shares, axis=0))


def paired_differences(
    first: ScoredCustomers,
    second: ScoredCustomers,
    parameters: BootstrapParameters,
    first_resampled: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Estimate]:
    """Compute the metrics of one model minus those of another on the same customers.

    Both are computed on the same resamples, so the interval is that of the paired difference (Efron and Tibshirani,
    chapter 16).

    Args:
        first: Scores of one model.
        second: Scores of another model on the same customers in the same order.
        parameters: Resamples, coverage and seed.
        first_resampled: Result of :func:`bootstrap` for the first, if already computed.

    Returns:
        Difference and percentile interval for each of the task's :func:`task_metrics`; if lower is better, see
        :data:`METRICS`, a negative difference favours the first model.

    Raises:
        ValueError: Customers or tasks differ.
        CustomerTableError: All customers have the same target value.

    Examples:
        >>> import numpy as np
        >>> target = np.tile([0, 1], 100)
        >>> good = ScoredCustomers("binary", target, np.where(target == 1, 0.8, 0.2), threshold=0.5)
        >>> poor = ScoredCustomers("binary", target, np.full(200, 0.5), threshold=0.5)
        >>> parameters = BootstrapParameters(n_resamples=200, confidence=0.95, random_state=0)
        >>> difference = paired_differences(good, poor, parameters)["roc_auc"]
        >>> round(difference.value, 3), round(difference.low, 3), round(difference.high, 3)
        (0.5, 0.5, 0.5)
    """
    if first.task != second.task or not np.array_equal(first.target, second.target):
        raise ValueError(
            f"paired differences need scores of the same customers: found {len(first.target)} customers of task "
            f"{first.task} and {len(second.target)} of task {second.task}, whose targets differ; score both on one "
            "table, rows in the same order"
        )
    values, other_values = measure(first), measure(second)
    resampled = bootstrap(first, parameters) if first_resampled is None else first_resampled
    other_resampled = bootstrap(second, parameters)
    tail = (1 - parameters.confidence) / 2
    differences = {}
    for name in task_metrics(first.task):
        low, high = _quantiles(resampled[name] - other_resampled[name], [tail, 1 - tail])
        differences[name] = Estimate(value=values[name] - other_values[name], low=float(low), high=float(high))
    return differences


def metrics_over_thresholds(scores: ScoredCustomers, parameters: BootstrapParameters) -> pd.DataFrame:
    """Compute decision metrics over thresholds from 0 to 1.

    The metrics depend only on the counts per class between neighbouring thresholds, so the bootstrap draws these counts
    from their multinomial distribution, which is equivalent to resampling customers.

    Args:
        scores: Target and prediction of each customer, of task binary with a decision threshold.
        parameters: Resamples, coverage and seed.

    Returns:
        One row for each of at most 101 increasing thresholds, including the decision threshold: ``threshold``,
        ``flagged_share``, ``precision`` (NaN if no customer is flagged), ``recall``, ``f1``, ``accuracy``,
        ``balanced_accuracy`` and ``mcc``; all but the first also with ``_low`` and ``_high``, the percentile interval.

    Raises:
        ValueError: The task is not binary, or there is no threshold.
        CustomerTableError: All customers have the same target value.
    """
    if scores.task != "binary" or scores.threshold is None:
        raise ValueError(
            f"expected task binary with a decision threshold, found task {scores.task} and threshold {scores.threshold}"
        )
    _require_different_targets(scores)
    thresholds = np.linspace(0, 1, _THRESHOLDS).round(6)
    # The decision threshold replaces the nearest grid point, an inner one if possible.
    inner = slice(1, -1) if scores.threshold < 1 else slice(1, None)
    nearest = int(np.abs(thresholds[inner] - scores.threshold).argmin()) + 1
    if scores.threshold > 0:
        thresholds[nearest] = scores.threshold
    n_rows = len(scores.target)
    # Number of thresholds at which each customer is flagged.
    passed = np.searchsorted(thresholds, scores.prediction, side="right")
    if scores.eligible is not None:
        passed = np.where(scores.eligible, passed, 0)
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
    """Compute the metrics at each threshold, each of shape (n_resamples, n_thresholds).

    Args:
        cells: Number of stayers and of leavers below the lowest threshold, between neighbours, and at or above the
            highest, shape (n_resamples, 2 * (n_thresholds + 1)).
    """
    classes = cells.reshape(len(cells), -1, 2).astype(np.float64)
    above = classes[:, ::-1].cumsum(axis=1)[:, ::-1]
    flagged, true_positive = above[:, 1:].sum(axis=2), above[:, 1:, 1]
    total, positives = above[:, :1].sum(axis=2), above[:, :1, 1]
    metrics = decision_metrics(flagged, true_positive, positives, total)
    metrics["precision"] = np.where(flagged > 0, metrics["precision"], np.nan)
    one_class = (positives == 0) | (positives == total)
    wanted = ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "mcc")
    return {
        "flagged_share": flagged / total,
        **{name: np.where(one_class, np.nan, metrics[name]) for name in wanted},
    }
