"""Every metric, defined once: gate, report, model card, tables and tracking server read it here."""

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
    """A metric. Names are scikit-learn's, and fairlearn's, where they have one.

    Attributes:
        name: Name in configuration, files and the tracking server.
        title: Name for people.
        meaning: One line for people who do not know it.
        functions: How it is computed from the statistics of a task; none where it is no metric of scores alone.
        better: Whether higher or lower values are better; neither: best at 0, bad on either side.
        headline: Tasks of whose metrics it is one of the two that summaries show.
        shifted: Whether resamples overstate it, so that its interval is moved, see
            :func:`churn_kedro.evaluation.metrics.estimates.shifted_interval`.
        extends: Tasks in which it is measured beside the scores, from the campaign or the protected columns.
        class_meaning: The meaning where there are several classes, if it is another.
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
        """Whether one of two different values is the better one."""
        return self.better != "neither"

    def explain(self, task: Task) -> str:
        """The meaning in a task.

        Args:
            task: What is predicted.

        Returns:
            One line for people who do not know the metric.
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
        "The same on a scale from 0 (chance) to 1",
        {"binary": lambda one: 2 * one.area - 1},
    ),
    Metric(
        "pr_auc",
        "PR-AUC",
        "Precision over all lengths of the list; chance is the share that leaves",
        {"binary": lambda one: one.average_precision, "multiclass": lambda one: one.average_precision},
        headline=("binary",),
        class_meaning="Precision over all lengths of a class's list, mean over the classes",
    ),
    Metric(
        "ks",
        "Kolmogorov-Smirnov statistic",
        "Largest distance between the scores of those who leave and those who stay",
        {"binary": lambda one: one.largest_distance},
    ),
    Metric(
        "log_loss",
        "log loss",
        "Mean negative logarithm of the probability that was given to the actual outcome",
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
        "Share of correct decisions",
        {"binary": _decision("accuracy"), "multiclass": lambda one: one.accuracy},
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        "Mean over the classes of the share recognised",
        {"binary": _decision("balanced_accuracy"), "multiclass": lambda one: one.recall},
        headline=("multiclass",),
    ),
    Metric("precision", "precision", "Share of those contacted who leave", {"binary": _decision("precision")}),
    Metric("recall", "recall", "Share of those who leave that is contacted", {"binary": _decision("recall")}),
    Metric("f1", "F1", "Harmonic mean of precision and recall", {"binary": _decision("f1")}),
    Metric(
        "f1_macro",
        "F1, mean over the classes",
        "Harmonic mean of precision and recall, each class counted alike",
        {"multiclass": lambda one: one.f1},
    ),
    Metric(
        "mcc",
        "Matthews correlation coefficient",
        "Correlation of decision and outcome; 0 is chance, 1 is perfect",
        {"binary": _decision("mcc"), "multiclass": lambda one: one.correlation},
    ),
    Metric(
        "r2",
        "R²",
        "Share of the variation that is explained; 0 is no better than the mean",
        {"regression": lambda one: one.explained},
        headline=("regression",),
    ),
    Metric(
        "rmse",
        "RMSE",
        "Root of the mean squared error; large errors count most",
        {"regression": lambda one: np.sqrt(one.squared_error)},
        better="lower",
        headline=("regression",),
    ),
    Metric(
        "mae",
        "mean absolute error",
        "Mean size of an error",
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
        "Sum of all errors as a share of the total",
        {"regression": lambda one: one.error_share},
        better="lower",
    ),
    Metric(
        "bias",
        "mean of predicted minus actual",
        "Whether predictions are too high (above 0) or too low on the whole",
        {"regression": lambda one: one.signed_error},
        better="neither",
    ),
    Metric(
        "profit_per_customer",
        "profit per customer",
        "Expected profit of a campaign by the model, per customer of the table",
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
    """Metrics of scores.

    Args:
        task: What is predicted.

    Returns:
        Names in the order in which people see them.
    """
    return tuple(name for name, metric in METRICS.items() if task in metric.functions)


def extended_metrics(task: Task) -> tuple[str, ...]:
    """Metrics of what is measured beside the scores: the campaign, and the worst of the protected columns.

    Args:
        task: What is predicted.

    Returns:
        Names.
    """
    return tuple(name for name, metric in METRICS.items() if task in metric.extends)


def headlines(task: Task) -> dict[str, str]:
    """The two metrics that summaries show.

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
        statistics: Statistics of the task's customers.

    Returns:
        An array of shape (n_resamples,) for each of :func:`task_metrics`; NaN where it is undefined.
    """
    undefined = statistics.undefined
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: np.where(undefined, np.nan, METRICS[name].functions[task](statistics)) for name in task_metrics(task)
        }
