"""Figures of a model and a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from churn_kedro.evaluation import (
    METRICS,
    ComparedCustomers,
    ModelComparison,
    group_by_probability,
)
from churn_kedro.models import ScoredCustomers
from churn_kedro.reporting.figures.style import (
    MAIN,
    MUTED,
    SECOND,
    SMALL,
    Figure,
    group_thousands,
    label_axes,
    new_figure,
    new_row_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST_LABEL = 48
_GROUPS = 10


def draw_comparison(scores: ScoredCustomers, compared: ComparedCustomers) -> dict[str, Figure]:
    """Draw the comparison of a version with a baseline.

    Args:
        scores: Target and prediction of each customer.
        compared: Scores of the baseline, and the comparison.

    Returns:
        Figures by file name: overlaid curves, and differences with intervals.
    """
    return {"comparison_differences.png": draw_differences(compared.comparison), **draw_curves(scores, compared)}


def draw_differences(comparison: ModelComparison) -> Figure:
    """Draw the paired difference of each metric, standardised and oriented so that right is better.

    Metrics have different units, so each difference is scaled by the half-width of its interval.

    Args:
        comparison: Comparison of the two models.

    Returns:
        The figure.
    """
    names = [name for name in comparison.differences if METRICS[name].ordered]
    title = f"Differences to {_shorten(comparison.baseline)}"
    figure, axes = new_row_figure(title, [METRICS[name].title for name in names], 1.6)
    for place, name in enumerate(names):
        one = comparison.differences[name]
        sign = -1.0 if METRICS[name].lower_is_better else 1.0
        low, high = sorted((sign * one.low, sign * one.high))
        half = (high - low) / 2
        if not np.isfinite(half) or half <= 0:
            axes.plot(0, place, "o", color=MUTED)
            continue
        color = MAIN if low > 0 else SECOND if high < 0 else MUTED
        axes.plot([low / half, high / half], [place, place], color=color, linewidth=2)
        axes.plot(sign * one.value / half, place, "o", color=color)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_xlabel(
        "\N{LEFTWARDS ARROW} worse    better \N{RIGHTWARDS ARROW}\nin half widths of the interval", fontsize=SMALL
    )
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(lambda tick, _: f"{abs(tick):g}")
    return figure


def draw_curves(scores: ScoredCustomers, compared: ComparedCustomers) -> dict[str, Figure]:
    """Draw overlaid curves of both models.

    Args:
        scores: Target and prediction of each customer.
        compared: Scores of the baseline.

    Returns:
        Figures by file name. Binary: ROC, precision-recall and calibration curve; multiclass: calibration of the
        predicted class, and distribution of the probability of the observed class; regression: distribution of the
        errors, and mean error by prediction.
    """
    panels = {
        "roc": ("ROC", _draw_roc),
        "precision_recall": ("Precision and recall", _draw_precision_recall),
        "calibration": ("Calibration", _draw_calibration),
    }
    if scores.task == "multiclass":
        panels = {
            "calibration": ("Calibration", _draw_calibration),
            "confidence": ("Probability of the true class", _draw_confidence),
        }
    if scores.task == "regression":
        panels = {
            "error_sizes": ("Errors by size", _draw_error_sizes),
            "mean_errors": ("Mean error", _draw_mean_errors),
        }
    label = _shorten(compared.baseline.label)
    figures = {}
    for name, (title, draw) in panels.items():
        figure, axes = new_figure(title)
        draw(axes, compared.scores, SECOND, label)
        draw(axes, scores, MAIN, "this version")
        group_thousands(axes.xaxis)
        group_thousands(axes.yaxis)
        axes.locator_params(axis="x", nbins=5)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", frameon=False, fontsize=SMALL)
        figures[f"comparison_{name}.png"] = figure
    return figures


def _shorten(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def _draw_roc(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(scores.target, scores.prediction)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
    axes.plot(false_positive, true_positive, color=color, linewidth=2, label=label)
    label_axes(axes, "False positive rate", "True positive rate")


def _draw_precision_recall(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(scores.target, scores.prediction)
    axes.plot(recall, precision, color=color, linewidth=2, label=label)
    axes.set_ylim(0, 1.02)
    label_axes(axes, "Recall", "Precision")


def _draw_calibration(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    if scores.prediction.ndim == 2:
        predicted = scores.prediction.max(axis=1)
        observed = (scores.prediction.argmax(axis=1) == scores.target).astype(np.float64)
    else:
        predicted, observed = scores.prediction, (scores.target == 1).astype(np.float64)
    groups = group_by_probability(predicted, _GROUPS)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
    axes.plot(
        [predicted[group].mean() for group in groups],
        [observed[group].mean() for group in groups],
        color=color,
        marker="o",
        linewidth=2,
        label=label,
    )
    label_axes(axes, "Predicted, tenths of the customers", "Observed")


def _draw_confidence(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    predicted = scores.prediction[np.arange(len(scores.target)), scores.target]
    axes.plot(np.sort(predicted), np.linspace(0, 1, len(predicted)), color=color, linewidth=2, label=label)
    label_axes(axes, "Probability", "Share of the customers below")


def _draw_error_sizes(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    errors = np.sort(np.abs(scores.prediction - scores.target))
    axes.plot(errors, np.linspace(0, 1, len(errors)), color=color, linewidth=2, label=label)
    label_axes(axes, "Absolute error", "Share of the customers below")


def _draw_mean_errors(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    order = np.argsort(scores.prediction, kind="stable")
    groups = [group for group in np.array_split(order, _GROUPS) if len(group)]
    residual = scores.prediction - scores.target
    axes.axhline(0, color=MUTED, linestyle="--", linewidth=1)
    axes.plot(
        [scores.prediction[group].mean() for group in groups],
        [residual[group].mean() for group in groups],
        color=color,
        marker="o",
        linewidth=2,
        label=label,
    )
    label_axes(axes, "Predicted, tenths of the customers", "Predicted minus actual")
