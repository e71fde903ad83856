"""Definitions of all metrics, shared by gate, report, model card, tables and tracking server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from churn_kedro.customers import Task
from churn_kedro.evaluation.metrics.statistics import (
    TOP_PERCENTS,
    BinaryStatistics,
    MulticlassStatistics,
    NumberStatistics,
)

Statistics = BinaryStatistics | MulticlassStatistics | NumberStatistics


@dataclass(frozen=True)
class Metric:
    """A metric, named as in scikit-learn or fairlearn where these have it.

    Attributes:
        name: Name in configuration, files and on the tracking server.
        title: Name in reports.
        meaning: One-line explanation.
        functions: Function of the statistics for each task; empty for a metric that needs more than scores.
        better: Whether higher or lower values are better; neither: 0 is best.
        headline: Tasks for which it is one of the two metrics of summaries.
        shifted: Whether the bootstrap is biased upwards, so that its interval is shifted, see
            :func:`churn_kedro.evaluation.metrics.estimates.shifted_interval`.
        extends: Tasks in which it is computed from the campaign or the protected columns.
        class_meaning: Explanation for several classes, if it differs.
    """

    name: str
    title: str
    meaning: str
    functions: Mapping[Task, Callable[[Any], np.ndarray]] = field(default_factory=dict)
    better: Literal["higher", "lower", "neither"] = "higher"
    headline: tuple[Task, ...] = ()
    shifted: bool = False
    extends: tuple[Task, ...] = ()
    class_meaning: str | None = None

    @property
    def lower_is_better(self) -> bool:
        """Whether lower values are better."""
        return self.better == "lower"

    @property
    def ordered(self) -> bool:
        """Whether the direction of improvement is defined."""
        return self.better != "neither"

    def explain(self, task: Task) -> str:
        """Return the explanation for a task.

        Args:
            task: What is predicted.

        Returns:
            One-line explanation.
        """
        return self.class_meaning if task == "multiclass" and self.class_meaning else self.meaning


def _decision(name: str) -> Callable[[BinaryStatistics], np.ndarray]:
    return lambda one: one.decision(name)


def _gain(percent: int) -> Callable[[BinaryStatistics], np.ndarray]:
    return lambda one: one.gain(percent)


def _lift(percent: int) -> Callable[[BinaryStatistics], np.ndarray]:
    return lambda one: one.gain(percent) / (percent / 100)


_DEFINED = (
    Metric(
        "roc_auc",
        "ROC-AUC",
        "How often a customer who leaves is ranked above one who stays; 0.5 is chance, 1 is perfect",
        {"binary": lambda one: one.area, "multiclass": lambda one: one.area},
        headline=("binary", "multiclass"),
        class_meaning="How often a customer of a class is ranked above one of another, mean over the classes",
    ),
    Metric(
        "gini",
        "Gini coefficient",
        "2 ROC-AUC - 1: 0 is chance, 1 is perfect",
        {"binary": lambda one: 2 * one.area - 1},
    ),
    Metric(
        "pr_auc",
        "PR-AUC",
        "Average precision over all lengths of the list; chance is the share that leaves",
        {"binary": lambda one: one.average_precision, "multiclass": lambda one: one.average_precision},
        headline=("binary",),
        class_meaning="Average precision of each class, mean over the classes",
    ),
    Metric(
        "ks",
        "Kolmogorov-Smirnov statistic",
        "Largest distance between the score distributions of leavers and stayers",
        {"binary": lambda one: one.largest_distance},
    ),
    Metric(
        "log_loss",
        "log loss",
        "Mean negative logarithm of the predicted probability of the observed outcome",
        {"binary": lambda one: one.log_loss, "multiclass": lambda one: one.log_loss},
        better="lower",
    ),
    Metric(
        "brier",
        "Brier score",
        "Mean squared error of the probabilities",
        {"binary": lambda one: one.squared_error, "multiclass": lambda one: one.squared_error},
        better="lower",
    ),
    Metric(
        "ece",
        "expected calibration error",
        "Mean distance between probabilities and observed frequencies, over ten bins",
        {"binary": lambda one: one.calibration_error, "multiclass": lambda one: one.calibration_error},
        better="lower",
        shifted=True,
    ),
    *(
        Metric(
            f"lift_{percent}",
            f"lift in the top {percent} %",
            f"How many times more leavers among the first {percent} % of the list than by chance",
            {"binary": _lift(percent)},
        )
        for percent in TOP_PERCENTS
    ),
    *(
        Metric(
            f"gain_{percent}",
            f"share of the leavers in the top {percent} %",
            f"Share of all leavers among the first {percent} % of the list",
            {"binary": _gain(percent)},
        )
        for percent in TOP_PERCENTS
    ),
    Metric(
        "accuracy",
        "accuracy",
        "Share of correct predictions",
        {"binary": _decision("accuracy"), "multiclass": lambda one: one.accuracy},
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "Recall, mean over the classes",
        {"binary": _decision("balanced_accuracy"), "multiclass": lambda one: one.recall},
        headline=("multiclass",),
    ),
    Metric("precision", "precision", "Share of those contacted who leave", {"binary": _decision("precision")}),
    Metric("recall", "recall", "Share of those who leave that is contacted", {"binary": _decision("recall")}),
    Metric("f1", "F1", "Harmonic mean of precision and recall", {"binary": _decision("f1")}),
    Metric(
        "f1_macro",
        "F1, mean over the classes",
        "Harmonic mean of precision and recall, each class with the same weight",
        {"multiclass": lambda one: one.f1},
    ),
    Metric(
        "mcc",
        "Matthews correlation coefficient",
        "Correlation of prediction and outcome; 0 is chance, 1 is perfect",
        {"binary": _decision("mcc"), "multiclass": lambda one: one.correlation},
    ),
    Metric(
        "r2",
        "R²",
        "Share of the variance explained; 0 is no better than the mean",
        {"regression": lambda one: one.explained},
        headline=("regression",),
    ),
    Metric(
        "rmse",
        "RMSE",
        "Root of the mean squared error; large errors weigh most",
        {"regression": lambda one: np.sqrt(one.squared_error)},
        better="lower",
        headline=("regression",),
    ),
    Metric(
        "mae",
        "mean absolute error",
        "Mean absolute error",
        {"regression": lambda one: one.absolute_error},
        better="lower",
    ),
    Metric(
        "median_ae",
        "median absolute error",
        "Half of the errors are smaller",
        {"regression": lambda one: one.median_error},
        better="lower",
    ),
    Metric(
        "wape",
        "absolute error as a share of the total",
        "Sum of absolute errors divided by the sum of absolute numbers",
        {"regression": lambda one: one.error_share},
        better="lower",
    ),
    Metric(
        "bias",
        "mean of predicted minus actual",
        "Whether predictions are on average too high (above 0) or too low",
        {"regression": lambda one: one.signed_error},
        better="neither",
    ),
    Metric(
        "profit_per_customer",
        "profit per customer",
        "Expected profit of a campaign with the model, per customer of the table",
        extends=("binary",),
    ),
    Metric(
        "demographic_parity_difference",
        "demographic parity difference",
        "Largest difference in the share flagged, between groups of a protected column",
        better="lower",
        extends=("binary",),
    ),
    Metric(
        "demographic_parity_ratio",
        "demographic parity ratio",
        "Smallest share flagged divided by the largest, between groups",
        extends=("binary",),
    ),
    Metric(
        "equalized_odds_difference",
        "equalized odds difference",
        "Largest difference in true or false positive rates between groups",
        better="lower",
        extends=("binary",),
    ),
    Metric(
        "equalized_odds_ratio",
        "equalized odds ratio",
        "Smallest ratio of true or false positive rates between groups",
        extends=("binary",),
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _DEFINED}


def task_metrics(task: Task) -> tuple[str, ...]:
    """List the metrics of a task that need only scores.

    Args:
        task: What is predicted.

    Returns:
        Names in display order.
    """
    return tuple(name for name, metric in METRICS.items() if task in metric.functions)


def extended_metrics(task: Task) -> tuple[str, ...]:
    """List the metrics of a task that need the campaign or the protected columns (the worst of these counts).

    Args:
        task: What is predicted.

    Returns:
        Names.
    """
    return tuple(name for name, metric in METRICS.items() if task in metric.extends)


def headlines(task: Task) -> dict[str, str]:
    """Return the two metrics of summaries.

    Args:
        task: What is predicted.

    Returns:
        Title by name.
    """
    return {name: metric.title for name, metric in METRICS.items() if task in metric.headline}


def compute(task: Task, statistics: Statistics) -> dict[str, np.ndarray]:
    """Compute the metrics of a task.

    Args:
        task: What is predicted.
        statistics: Statistics of the scored customers.

    Returns:
        An array of shape (n_resamples,) for each of :func:`task_metrics`; NaN where it is undefined.
    """
    undefined = statistics.undefined
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: np.where(undefined, np.nan, METRICS[name].functions[task](statistics)) for name in task_metrics(task)
        }
