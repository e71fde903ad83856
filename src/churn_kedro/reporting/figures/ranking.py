"""Figures of ranking, decisions, campaigns, groups of customers and fairness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.campaigns import CampaignReport, Lever, PolicyName
from churn_kedro.customers import FILE_NAMES, DisplayNames
from churn_kedro.evaluation import (
    METRICS,
    TOP_PERCENTS,
    Estimate,
    Evaluation,
    FairnessReport,
    Slice,
    SliceReport,
    metrics_over_thresholds,
)
from churn_kedro.models import ScoredCustomers
from churn_kedro.reporting.figures.style import (
    MAIN,
    MUTED,
    SECOND,
    SMALL,
    Figure,
    label_axes,
    new_figure,
    new_row_figure,
    wrap,
)
from churn_kedro.reporting.wording import name_group, write_money

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Maximum number of points of a curve.
_POINTS = 2000
# Maximum number of groups in a figure, the worst ones.
_MOST_SLICES = 25
_LEVER_TITLES: dict[Lever, str] = {
    "contact_cost": "Cost of a contact",
    "offer_cost": "Cost of the offer",
    "save_probability": "Probability of saving",
    "value": "Value of a customer",
}


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _thinned(length: int) -> np.ndarray:
    """Return the indices of the drawn points of a long curve, both ends included."""
    return np.unique(np.linspace(0, length - 1, min(length, _POINTS)).round().astype(np.int64))


def _gains(scores: ScoredCustomers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct scores in decreasing order, with the share of customers and of leavers at or above each."""
    order = np.argsort(-scores.prediction, kind="stable")
    ranked, left = scores.prediction[order], scores.target[order] == 1
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return ranked[ends], (ends + 1) / len(ranked), np.cumsum(left)[ends] / max(left.sum(), 1)


def draw_gain_curve(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw the cumulative gain curve, with the lift at the top.

    Args:
        scores: Target and probability of each customer, task binary.
        evaluation: Metrics with their intervals.

    Returns:
        The figure.
    """
    _, listed, gained = _gains(scores)
    rate = float((scores.target == 1).mean())
    figure, axes = new_figure("Leavers found among the highest scores", height=5.0)
    shown = _thinned(len(listed))
    axes.plot([0, rate, 1], [0, 1, 1], color=MUTED, linewidth=1, label="perfect order")
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="chance")
    axes.plot([0, *listed[shown]], [0, *gained[shown]], color=MAIN, linewidth=2, label="model")
    for percent in TOP_PERCENTS:
        gain, lift = evaluation.metrics[f"gain_{percent}"], evaluation.metrics[f"lift_{percent}"]
        text = f"top {percent} %: {gain.value:.1%} of the leavers, lift {lift.value:.2f}"
        axes.errorbar(
            percent / 100,
            gain.value,
            yerr=[[max(gain.value - gain.low, 0)], [max(gain.high - gain.value, 0)]],
            color=SECOND,
            marker="o",
            capsize=3,
            linestyle="none",
        )
        axes.plot([], [], "o", color=SECOND, label=f"{text} ({lift.low:.2f} to {lift.high:.2f})")
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    label_axes(axes, "Share of the customers, highest scores first", "Share of all leavers among them")
    # The curves may be anywhere in the axes.
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def draw_ks_curve(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw the shares of leavers and stayers above each probability, and their largest distance (KS).

    Args:
        scores: Target and probability of each customer, task binary.
        evaluation: Metrics with their intervals.

    Returns:
        The figure.
    """
    ranked, listed, hits = _gains(scores)
    rate = float((scores.target == 1).mean())
    passed = (listed - rate * hits) / max(1 - rate, 1e-12)
    farthest = int(np.abs(hits - passed).argmax())
    shown = np.unique(np.append(_thinned(len(ranked)), farthest))
    figure, axes = new_figure("Separation of leavers and stayers (KS)", height=4.8)
    for share, color, name in ((hits, SECOND, "customers who left"), (passed, MAIN, "customers who stayed")):
        axes.plot([1, *ranked[shown], 0], [0, *share[shown], 1], color=color, linewidth=2, label=name)
    axes.vlines(
        ranked[farthest],
        min(hits[farthest], passed[farthest]),
        max(hits[farthest], passed[farthest]),
        color="black",
        linewidth=1,
        label=f"largest distance {_with_interval(evaluation.metrics['ks'])}, at {ranked[farthest]:.3f}",
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter("{x:.0%}")
    label_axes(axes, "Probability of leaving", "Share with at least this probability")
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def draw_metrics_over_thresholds(metrics: pd.DataFrame, threshold: float) -> dict[str, Figure]:
    """Draw decision metrics over the threshold, with intervals as bands.

    Args:
        metrics: Result of :func:`churn_kedro.evaluation.metrics.metrics_over_thresholds`.
        threshold: Decision threshold, marked.

    Returns:
        Figures by file name: share flagged with precision and recall, and summary metrics.
    """
    panels = {
        "metrics_over_thresholds.png": ("Flagged and found by threshold", ("precision", "recall", "flagged_share")),
        "quality_over_thresholds.png": (
            "Quality of the decisions by threshold",
            ("f1", "balanced_accuracy", "accuracy", "mcc"),
        ),
    }
    titles = {**{name: metric.title for name, metric in METRICS.items()}, "flagged_share": "share flagged"}
    figures = {}
    for file, (title, names) in panels.items():
        figure, axes = new_figure(title, height=4.4)
        for name, color in zip(names, (MAIN, SECOND, MUTED, "#5b8c5a"), strict=False):
            axes.fill_between(
                metrics["threshold"],
                metrics[f"{name}_low"],
                metrics[f"{name}_high"],
                color=color,
                alpha=0.2,
                linewidth=0,
            )
            axes.plot(metrics["threshold"], metrics[name], color=color, linewidth=2, label=titles[name])
        axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold {threshold:.3f}")
        axes.set_xlim(0, 1)
        lowest = float(np.nanmin([metrics[f"{name}_low"].min() for name in names]))
        axes.set_ylim(min(0.0, lowest) - 0.02, 1.02)
        axes.set_xlabel("Decision threshold", fontsize=SMALL)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=SMALL)
        figures[file] = figure
    return figures


def draw_profit_over_threshold(report: CampaignReport) -> Figure:
    """Draw the expected profit over the threshold.

    Args:
        report: The campaign on the test customers.

    Returns:
        The figure.
    """
    figure, axes = new_figure("Expected profit over the decision threshold", height=4.8)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.plot(
        [point.threshold for point in report.curve],
        [point.profit_per_customer for point in report.curve],
        color=MAIN,
        linewidth=2,
    )
    if report.break_even is not None:
        axes.axvline(
            report.break_even, color=MUTED, linestyle="--", linewidth=1, label=f"break-even at {report.break_even:.3f}"
        )
    axes.plot(
        report.best.threshold,
        report.best.profit_per_customer,
        "o",
        color=MAIN,
        markerfacecolor="white",
        markersize=8,
        label=f"best on these customers (optimistic): "
        f"{write_money(report.best.profit_per_customer, report.economics.currency)} at {report.best.threshold:.3f}",
    )
    _mark_chosen(axes, report, report.chosen.threshold)
    axes.set_xlim(0, 1)
    label_axes(axes, "Decision threshold", _profit_label(report, "Expected profit per customer of the table"))
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def _profit_label(report: CampaignReport, label: str) -> str:
    return label if report.economics.currency is None else f"{label}, {report.economics.currency}"


def _mark_chosen(axes: Axes, report: CampaignReport, place: float) -> None:
    profit = report.chosen.profit_per_customer
    axes.errorbar(
        place,
        profit.value,
        yerr=[[max(profit.value - profit.low, 0)], [max(profit.high - profit.value, 0)]],
        color=SECOND,
        marker="o",
        capsize=3,
        linestyle="none",
        label=f"model: {write_money(profit.value, report.economics.currency)} ({write_money(profit.low)} to "
        f"{write_money(profit.high)}) at {report.chosen.threshold:.3f}",
    )


def draw_profit_over_share(report: CampaignReport) -> Figure:
    """Draw the expected profit over the share contacted, by the model and by the alternatives.

    Args:
        report: The campaign on the test customers.

    Returns:
        The figure.
    """
    by_name = {alternative.policy: alternative for alternative in report.alternatives}
    figure, axes = new_figure("Expected profit over the share contacted", height=5.6)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.plot(
        [point.contacted_share for point in report.curve],
        [point.profit_per_customer for point in report.curve],
        color=MAIN,
        linewidth=2,
        label="highest scores first",
    )
    everybody = by_name["everybody"]
    axes.plot(
        [0, everybody.contacted_share],
        [0, everybody.profit_per_customer.value],
        color=MUTED,
        linestyle="--",
        linewidth=1,
        label="by chance, from none to all",
    )
    if report.economics.capacity is not None:
        axes.axvline(report.economics.capacity, color="black", linestyle=":", linewidth=1, label="capacity")
    markers: dict[PolicyName, str] = {"random": "v", "rule": "s", "perfect": "*", "everybody": "D"}
    for name, marker in markers.items():
        alternative = by_name[name]
        axes.plot(
            alternative.contacted_share,
            alternative.profit_per_customer.value,
            marker,
            color=MAIN if name == "perfect" else "#5b6b7a",
            markersize=11 if name == "perfect" else 7,
            label=f"{alternative.title.lower()}: {write_money(alternative.profit_per_customer.value)}",
        )
    _mark_chosen(axes, report, report.chosen.contacted_share)
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter("{x:.0%}")
    label_axes(
        axes,
        "Share of the customers that is contacted",
        _profit_label(report, "Expected profit per customer of the table"),
    )
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def draw_sensitivity(report: CampaignReport) -> Figure:
    """Draw the profit at the present threshold if one number of the economics is halved or doubled.

    Args:
        report: The campaign on the test customers.

    Returns:
        The figure, the most influential number on top.
    """
    base = report.chosen.profit_per_customer.value
    by_lever: dict[Lever, list[tuple[float, float, float]]] = {}
    for point in report.sensitivity:
        by_lever.setdefault(point.lever, []).append((point.factor, point.profit_at_threshold, point.best_profit))
    levers = sorted(by_lever, key=lambda lever: -np.ptp([profit for _, profit, _ in by_lever[lever]]))
    labels = [_LEVER_TITLES[lever] for lever in levers]
    figure, axes = new_row_figure("Sensitivity of the profit", labels, 2.0 + 0.2 * len(levers))
    for place, lever in enumerate(levers):
        points = sorted(by_lever[lever])
        for (factor, profit, best), color in ((points[0], MUTED), (points[-1], MAIN)):
            axes.barh(place, profit - base, left=base, color=color, height=0.55)
            axes.plot(best, place, "|", color=SECOND, markersize=18, markeredgewidth=2)
            right = profit >= base
            axes.annotate(
                f"\N{MULTIPLICATION SIGN} {factor:g}",
                (max(profit, best) if right else min(profit, best), place),
                xytext=(7 if right else -7, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                fontsize=SMALL,
            )
    as_given = write_money(base, report.economics.currency)
    axes.axvline(base, color="black", linewidth=1, label=f"as given: {as_given}")
    axes.plot([], [], "|", color=SECOND, markersize=12, markeredgewidth=2, label="with the threshold that is best then")
    axes.margins(x=0.18)
    label = "Expected profit per customer of the table, at the present threshold"
    axes.set_xlabel(wrap(_profit_label(report, label), 40), fontsize=SMALL)
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def draw_slices(report: SliceReport, names: DisplayNames = FILE_NAMES) -> dict[str, Figure]:
    """Draw metric and calibration of groups of customers.

    Args:
        report: The groups.
        names: Names of columns and levels.

    Returns:
        Figures by file name, worst groups on top, at most twenty-five; empty without groups.
    """
    shown = [group for group in report.slices if group.metric is not None][:_MOST_SLICES]
    if not shown:
        return {}
    labels = [f"{name_group(group, names)} ({group.rows:,})" for group in shown]
    title = METRICS[report.metric].title
    return {
        "slices.png": _draw_slice_metric(report, shown, labels, title),
        "slices_calibration.png": _draw_slice_calibration(shown, labels),
    }


def _draw_slice_metric(report: SliceReport, shown: Sequence[Slice], labels: Sequence[str], title: str) -> Figure:
    figure, axes = new_row_figure(f"{title[0].upper()}{title[1:]} by group", labels, 2.4, most_lines=4, characters=28)
    axes.grid(axis="y", color=MUTED, alpha=0.2)
    if report.whole is not None:
        axes.axvline(report.whole.value, color=MUTED, linestyle="--", linewidth=1, label="all customers")
    for place, group in enumerate(shown):
        color = SECOND if group.worse else MAIN
        _draw_estimate(axes, place, group.metric, group, color, hollow=group.by_nature)
        if group.by_nature and group.expected is not None:
            axes.plot(group.expected, place, "|", color="black", markersize=11)
    axes.set_xlabel(f"{title}{' (lower is better)' if report.lower_is_better else ''}", fontsize=SMALL)
    _label_groups(axes, shown, "significantly worse", worse=any(group.worse for group in shown))
    if any(group.by_nature for group in shown):
        axes.plot([], [], "|", color="black", markersize=11, label="expected with correct probabilities")
        axes.plot([], [], "o", color=SECOND, markerfacecolor="white", label="worse, but as expected")
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def _draw_slice_calibration(shown: Sequence[Slice], labels: Sequence[str]) -> Figure:
    figure, axes = new_row_figure("Calibration by group", labels, 2.0, most_lines=4, characters=28)
    axes.grid(axis="y", color=MUTED, alpha=0.2)
    odd = False
    for place, group in enumerate(shown):
        if group.calibration is not None:
            odd |= group.calibration.miscalibrated
            color = SECOND if group.calibration.miscalibrated else MAIN
            _draw_estimate(axes, place, group.calibration.difference, group, color)
    axes.axvline(0, color=MUTED, linestyle="--", linewidth=1)
    axes.set_xlabel("Observed minus predicted", fontsize=SMALL)
    _label_groups(axes, shown, "miscalibrated", worse=odd)
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def _label_groups(axes: Axes, shown: Sequence[Slice], finding: str, *, worse: bool) -> None:
    axes.plot([], [], "o", color=MAIN, label="declared group")
    if not all(group.declared for group in shown):
        axes.plot([], [], "D", color=MAIN, label="found group")
    if worse:
        axes.plot([], [], "o", color=SECOND, label=finding)


def _draw_estimate(
    axes: Axes, place: int, estimate: Estimate | None, group: Slice, color: str, *, hollow: bool = False
) -> None:
    if estimate is None:
        return
    axes.errorbar(
        estimate.value,
        place,
        xerr=_reach(estimate),
        color=color,
        marker="o" if group.declared else "D",
        markerfacecolor="white" if hollow else color,
        markersize=5,
        capsize=2,
        linestyle="none",
    )


def _reach(estimate: Estimate) -> list[list[float]]:
    """Return the lengths of the interval on both sides; 0 if it is unknown."""
    return [
        [float(np.nan_to_num(max(estimate.value - estimate.low, 0)))],
        [float(np.nan_to_num(max(estimate.high - estimate.value, 0)))],
    ]


def draw_fairness(report: FairnessReport, names: DisplayNames = FILE_NAMES) -> dict[str, Figure]:
    """Draw the rates of each group of each protected column.

    Args:
        report: The groups.
        names: Names of columns and levels.

    Returns:
        Figures by file name, one per column; groups with too few customers are pale.
    """
    rates = {
        "of all customers": ("o", MAIN, "selection_rate"),
        "of those who left": ("^", SECOND, "true_positive_rate"),
        "of those who stayed": ("s", "#5b8c5a", "false_positive_rate"),
    }
    figures = {}
    for number, column in enumerate(report.columns, start=1):
        labels = [f"{names.level(column.column, group.group)} ({group.rows:,})" for group in column.groups]
        title = f"{names.column(column.column)}: share that is contacted"
        figure, axes = new_row_figure(title, labels, 1.7 + 0.15 * len(labels))
        axes.grid(axis="x", color=MUTED, alpha=0.3)
        for place, group in enumerate(column.groups):
            for shift, (marker, color, name) in zip((-0.22, 0.0, 0.22), rates.values(), strict=True):
                estimate = getattr(group, name)
                if estimate is not None:
                    axes.errorbar(
                        estimate.value,
                        place + shift,
                        xerr=_reach(estimate),
                        color=color,
                        alpha=0.35 if group.group in column.left_out else 1.0,
                        marker=marker,
                        markersize=5,
                        capsize=2,
                        linestyle="none",
                    )
        for label, (marker, color, _) in rates.items():
            axes.plot([], [], marker, color=color, label=label)
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter("{x:.0%}")
        note = "; pale: too few customers for a comparison" if column.left_out else ""
        axes.set_xlabel(wrap(f"Contacted at the threshold of {report.threshold:.3f}{note}", 40), fontsize=SMALL)
        figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL, ncols=1)
        figures[f"fairness_{number}.png"] = figure
    return figures


def draw_ranking(scores: ScoredCustomers, evaluation: Evaluation) -> dict[str, Figure]:
    """Draw the figures of ranking and decisions.

    Args:
        scores: Target and prediction of each customer, task binary.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        Figures by file name.
    """
    if evaluation.threshold is None:
        raise ValueError("a binary evaluation without decision threshold cannot be drawn")
    over_thresholds = metrics_over_thresholds(scores, evaluation.bootstrap)
    return {
        "gain_curve.png": draw_gain_curve(scores, evaluation),
        "ks_curve.png": draw_ks_curve(scores, evaluation),
        **draw_metrics_over_thresholds(over_thresholds, evaluation.threshold),
    }


def draw_campaign(report: CampaignReport) -> dict[str, Figure]:
    """Draw the figures of a campaign.

    Args:
        report: The campaign.

    Returns:
        Figures by file name.
    """
    return {
        "profit_over_threshold.png": draw_profit_over_threshold(report),
        "profit_over_share.png": draw_profit_over_share(report),
        "profit_sensitivity.png": draw_sensitivity(report),
    }
