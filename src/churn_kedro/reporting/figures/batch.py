"""Figures of a scored batch."""

from __future__ import annotations

import numpy as np

from churn_kedro.campaigns import BatchReport
from churn_kedro.customers import DisplayNames
from churn_kedro.reporting.figures.style import (
    MAIN,
    SECOND,
    SMALL,
    Figure,
    group_thousands,
    label_axes,
    new_figure,
    new_row_figure,
)

_MOST_REASONS = 10


def draw_batch(report: BatchReport, previous: BatchReport | None, names: DisplayNames) -> dict[str, Figure]:
    """Draw the figures of a batch.

    Args:
        report: The batch.
        previous: The batch before it; None: not drawn.
        names: Names of columns.

    Returns:
        Figures by file name: the distribution of the predictions, or the sizes of the classes; and the reasons of
        customers on the campaign list, if there are any.
    """
    figures = {"prediction_distribution.png": draw_distribution(report, previous, names)}
    if report.reasons:
        figures["campaign_reasons.png"] = draw_reasons(report, names)
    return figures


def draw_distribution(report: BatchReport, previous: BatchReport | None, names: DisplayNames) -> Figure:
    """Draw the histogram of the predictions, with the decision threshold and the batch before.

    Args:
        report: The batch.
        previous: The batch before it, scaled to the same number of customers; None: not drawn.
        names: Names of classes.

    Returns:
        The figure; task multiclass: customers by class.
    """
    found = report.distribution
    if found is None:
        labels = [names.outcome(label) for label in report.classes] or ["none"]
        figure, axes = new_row_figure("Customers by predicted class", labels)
        axes.barh(range(len(labels)), list(report.classes.values()) or [0], color=MAIN)
        label_axes(axes, "customers", "")
        group_thousands(axes.xaxis)
        return figure
    title = "Probabilities of leaving" if report.task == "binary" else "Predicted numbers"
    figure, axes = new_figure(f"{title} of {report.rows_scored:,} customers")
    edges = np.array(found.edges)
    axes.bar(edges[:-1], found.counts, np.diff(edges), align="edge", color=MAIN, edgecolor="white", linewidth=0.6)
    drawn = None if previous is None else previous.distribution
    if drawn is not None and drawn.edges == found.edges:
        scaled = np.array(drawn.counts) * (sum(found.counts) / max(1, sum(drawn.counts)))
        axes.stairs(scaled, edges, color="black", linewidth=1.2, label="the batch before, same number of customers")
    if report.task == "binary" and report.threshold is not None and report.threshold <= 1:
        axes.axvline(
            report.threshold, color=SECOND, linewidth=1.5, linestyle="--", label=f"threshold {report.threshold:.3f}"
        )
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    label_axes(axes, "probability of leaving" if report.task == "binary" else "prediction", "customers")
    group_thousands(axes.yaxis)
    return figure


def draw_reasons(report: BatchReport, names: DisplayNames) -> Figure:
    """Draw how many customers of the campaign list have each column among their reasons.

    Args:
        report: The batch.
        names: Names of columns.

    Returns:
        The figure, strongest column on top.
    """
    shown = report.reasons[:_MOST_REASONS]
    figure, axes = new_row_figure("Reasons of customers to contact", [names.column(one.column) for one in shown])
    counts = [one.customers for one in shown]
    axes.barh(range(len(shown)), counts, color=MAIN)
    for place, one in enumerate(shown):
        axes.text(one.customers, place, f" {one.mean_points:+.0f} points", va="center", fontsize=SMALL)
    axes.set_xlim(0, max(counts) * 1.3)
    label_axes(axes, "customers with this reason, and its mean points", "")
    group_thousands(axes.xaxis)
    return figure
