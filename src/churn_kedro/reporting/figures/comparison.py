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
from churn_kedro.reporting.figures.style import MAIN, MUTED, SECOND, Figure, new_figure

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
    return {
        "comparison_curves.png": draw_curves(scores, compared),
        "comparison_differences.png": draw_differences(compared.comparison),
    }


def draw_differences(comparison: ModelComparison) -> Figure:
    """Draw the paired difference of each metric, standardised and oriented so that right is better.

    Metrics have different units, so each difference is scaled by the half-width of its interval; its values are written
    beside it.

    Args:
        comparison: Comparison of the two models.

    Returns:
        The figure.
    """
    names = [name for name in comparison.differences if METRICS[name].ordered][::-1]
    figure, axes = new_figure(f"Differences to {_shorten(comparison.baseline)}", 8.4, 1.6 + 0.3 * max(len(names), 1))
    texts = []
    for place, name in enumerate(names):
        one = comparison.differences[name]
        sign = -1.0 if METRICS[name].lower_is_better else 1.0
        low, high = sorted((sign * one.low, sign * one.high))
        texts.append(f"{one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f})")
        half = (high - low) / 2
        if not np.isfinite(half) or half <= 0:
            axes.plot(0, place, "o", color=MUTED)
            continue
        color = MAIN if low > 0 else SECOND if high < 0 else MUTED
        axes.plot([low / half, high / half], [place, place], color=color, linewidth=2)
        axes.plot(sign * one.value / half, place, "o", color=color)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(names)), [METRICS[name].title for name in names])
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(names)), texts)
    right.tick_params(length=0, labelsize=8)
    right.spines["right"].set_visible(False)
    axes.set_xlabel("Worse   \N{LEFTWARDS ARROW}   in half widths of the interval   \N{RIGHTWARDS ARROW}   better")
    axes.set_xticks(axes.get_xticks(), [f"{abs(tick):g}" for tick in axes.get_xticks()])
    axes.set_ylim(-0.6, max(len(names), 1) - 0.4)
    return figure


def draw_curves(scores: ScoredCustomers, compared: ComparedCustomers) -> Figure:
    """Draw overlaid curves of both models.

    Args:
        scores: Target and prediction of each customer.
        compared: Scores of the baseline.

    Returns:
        The figure. Binary: ROC, precision-recall and calibration curve; multiclass: calibration of the predicted class,
        and distribution of the probability of the observed class; regression: distribution of the errors, and mean
        error by prediction.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    panels = [_draw_roc, _draw_precision_recall, _draw_calibration]
    if scores.task == "multiclass":
        panels = [_draw_calibration, _draw_confidence]
    if scores.task == "regression":
        panels = [_draw_error_sizes, _draw_mean_errors]
    figure = Figure(figsize=(4.6 * len(panels), 4.6), layout="constrained")
    label = _shorten(compared.baseline.label)
    for place, draw in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes, compared.scores, SECOND, label)
        draw(axes, scores, MAIN, "this version")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside lower center", frameon=False, ncols=len(handles))
    return figure


def _shorten(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def _title(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _draw_roc(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(scores.target, scores.prediction)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
    axes.plot(false_positive, true_positive, color=color, linewidth=2, label=label)
    _title(axes, "ROC", "False positive rate", "True positive rate")


def _draw_precision_recall(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(scores.target, scores.prediction)
    axes.plot(recall, precision, color=color, linewidth=2, label=label)
    axes.set_ylim(0, 1.02)
    _title(axes, "Precision and recall", "Recall", "Precision")


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
    _title(axes, "Calibration", "Predicted, tenths of the customers", "Observed")


def _draw_confidence(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    predicted = scores.prediction[np.arange(len(scores.target)), scores.target]
    axes.plot(np.sort(predicted), np.linspace(0, 1, len(predicted)), color=color, linewidth=2, label=label)
    _title(axes, "Probability of the true class", "Probability", "Share of the customers below")


def _draw_error_sizes(axes: Axes, scores: ScoredCustomers, color: str, label: str) -> None:
    errors = np.sort(np.abs(scores.prediction - scores.target))
    axes.plot(errors, np.linspace(0, 1, len(errors)), color=color, linewidth=2, label=label)
    _title(axes, "Errors by size", "Absolute error", "Share of the customers below")


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
    _title(axes, "Mean error", "Predicted, tenths of the customers", "Predicted minus actual")
