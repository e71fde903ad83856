"""Figures of ranking, decisions, campaigns, groups of customers and fairness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.campaigns import Alternative, CampaignReport, Lever, PolicyName
from churn_kedro.customers import shorten_name
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
from churn_kedro.reporting.figures.style import MAIN, MUTED, SECOND, Figure, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Maximum number of points of a curve.
_POINTS = 2000
# Maximum number of groups in a figure (the worst ones), and maximum length of a name.
_MOST_SLICES, _LONGEST = 25, 60
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
    figure, axes = new_figure("Leavers found among the highest scores", 7, 5.6)
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
    axes.set_xlabel("Share of the customers, highest scores first")
    axes.set_ylabel("Share of all leavers among them")
    # The curves may be anywhere in the axes.
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
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
    figure, axes = new_figure("Separation of leavers and stayers (KS)", 6.4, 5.2)
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
    axes.set_xlabel("Probability of leaving")
    axes.set_ylabel("Share with at least this probability")
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    return figure


def draw_metrics_over_thresholds(metrics: pd.DataFrame, threshold: float) -> Figure:
    """Draw decision metrics over the threshold, with intervals as bands.

    Args:
        metrics: Result of :func:`churn_kedro.evaluation.metrics.metrics_over_thresholds`.
        threshold: Decision threshold, marked.

    Returns:
        The figure, in two panels: metrics, and share flagged.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    panels = (
        ("Flagged, found", ("precision", "recall", "flagged_share")),
        ("Quality of the decisions", ("f1", "balanced_accuracy", "accuracy", "mcc")),
    )
    titles = {**{name: metric.title for name, metric in METRICS.items()}, "flagged_share": "share flagged"}
    for axes, (title, names) in zip(figure.subplots(1, 2), panels, strict=True):
        axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
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
        axes.set_xlabel("Decision threshold")
        # The curves may be anywhere in the axes.
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, frameon=False, fontsize=9)
    return figure


def draw_profit_over_threshold(report: CampaignReport) -> Figure:
    """Draw the expected profit over the threshold.

    Args:
        report: The campaign on the test customers.

    Returns:
        The figure.
    """
    figure, axes = new_figure("Expected profit over the decision threshold", 7, 5)
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
        label=f"best on these customers (optimistic): {report.best.profit_per_customer:,.2f} at "
        f"{report.best.threshold:.3f}",
    )
    _mark_chosen(axes, report, report.chosen.threshold)
    axes.set_xlim(0, 1)
    axes.set_xlabel("Decision threshold")
    axes.set_ylabel("Expected profit per customer of the table")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9)
    return figure


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
        label=f"model: {profit.value:,.2f} ({profit.low:,.2f} to {profit.high:,.2f}) at {report.chosen.threshold:.3f}",
    )


def draw_profit_over_share(report: CampaignReport) -> Figure:
    """Draw the expected profit over the share contacted, by the model and by the alternatives.

    Args:
        report: The campaign on the test customers.

    Returns:
        The figure.
    """
    by_name = {alternative.policy: alternative for alternative in report.alternatives}
    figure, axes = new_figure("Expected profit over the share contacted", 7, 5.4)
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
            label=_say_alternative(alternative),
        )
    _mark_chosen(axes, report, report.chosen.contacted_share)
    axes.set_xlim(-0.01, 1.01)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("Share of the customers that is contacted")
    axes.set_ylabel("Expected profit per customer of the table")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure


def _say_alternative(alternative: Alternative) -> str:
    return f"{alternative.title.lower()}: {alternative.profit_per_customer.value:,.2f}"


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
    levers = sorted(by_lever, key=lambda lever: np.ptp([profit for _, profit, _ in by_lever[lever]]))
    figure, axes = new_figure("Sensitivity of the profit", 7.6, 2.2 + 0.6 * max(len(levers), 1))
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
                fontsize=8,
            )
    axes.axvline(base, color="black", linewidth=1, label=f"as given: {base:,.2f}")
    axes.plot([], [], "|", color=SECOND, markersize=12, markeredgewidth=2, label="with the threshold that is best then")
    axes.set_yticks(range(len(levers)), [_LEVER_TITLES[lever] for lever in levers])
    axes.set_ylim(-0.6, max(len(levers), 1) - 0.4)
    axes.margins(x=0.14)
    axes.set_xlabel("Expected profit per customer of the table, at the present threshold")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure


def draw_slices(report: SliceReport) -> Figure:
    """Draw metric and calibration of groups of customers.

    Args:
        report: The groups.

    Returns:
        The figure, worst groups on top, at most twenty-five.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    shown = [group for group in report.slices if group.metric is not None][:_MOST_SLICES][::-1]
    figure = Figure(figsize=(13, 2.2 + 0.3 * max(len(shown), 2)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 2]})
    places = np.arange(len(shown))
    title = METRICS[report.metric].title
    for axes, text in ((left, f"{title[0].upper()}{title[1:]} by group"), (right, "Calibration")):
        axes.set_title(text, loc="left", fontsize=12, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=MUTED, alpha=0.2)
    if report.whole is not None:
        left.axvline(report.whole.value, color=MUTED, linestyle="--", linewidth=1, label="all customers")
    for place, group in enumerate(shown):
        color = SECOND if group.worse else MAIN
        _draw_estimate(left, place, group.metric, group, color, hollow=group.by_nature)
        if group.by_nature and group.expected is not None:
            left.plot(group.expected, place, "|", color="black", markersize=11)
        calibration = group.calibration
        if calibration is not None:
            color = SECOND if calibration.miscalibrated else MAIN
            _draw_estimate(right, place, calibration.difference, group, color)
    right.axvline(0, color=MUTED, linestyle="--", linewidth=1)
    left.set_yticks(places, [f"{_shorten_slice(group)}  ({group.rows:,})" for group in shown])
    left.set_ylim(-0.7, max(len(shown), 1) - 0.3)
    left.set_xlabel(f"{title}{' (lower is better)' if report.lower_is_better else ''}")
    right.set_xlabel("Observed minus predicted")
    for marker, color, name in (
        ("o", MAIN, "declared group"),
        ("D", MAIN, "found group"),
        ("o", SECOND, "significantly worse, or miscalibrated"),
    ):
        left.plot([], [], marker, color=color, label=name)
    if any(group.by_nature for group in shown):
        left.plot([], [], "|", color="black", markersize=11, label="expected with correct probabilities")
        left.plot([], [], "o", color=SECOND, markerfacecolor="white", label="worse, but as expected")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=3)
    return figure


def _shorten_slice(group: Slice) -> str:
    """Shorten each condition of the name of a group."""
    parts = group.name.split(" and ")
    if len(parts) == 1 or len(parts) != len(group.conditions) or len(group.name) <= _LONGEST:
        return shorten_name(group.name, _LONGEST)
    return " and ".join(shorten_name(part, (_LONGEST - 5) // 2) for part in parts)


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


def draw_fairness(report: FairnessReport) -> Figure:
    """Draw the rates of each group of each protected column.

    Args:
        report: The groups.

    Returns:
        The figure, one block of rows per column; groups with too few customers are pale.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    labels: list[str] = []
    rows: list[tuple[int, dict[str, Estimate | None], bool]] = []
    headers: list[int] = []
    for column in report.columns:
        headers.append(len(labels))
        labels.append(shorten_name(column.column))
        for group in column.groups:
            rates = {
                "selection_rate": group.selection_rate,
                "true_positive_rate": group.true_positive_rate,
                "false_positive_rate": group.false_positive_rate,
            }
            rows.append((len(labels), rates, group.group in column.left_out))
            labels.append(f"{shorten_name(group.group, 30)}  ({group.rows:,})")
    figure = Figure(figsize=(12, 2.0 + 0.3 * max(len(labels), 3)), layout="constrained")
    titles = {
        "selection_rate": "Customers flagged",
        "true_positive_rate": "Leavers flagged",
        "false_positive_rate": "Stayers flagged",
    }
    panels = _panels(figure)
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color=MUTED, alpha=0.3)
        for place, rates, left_out in rows:
            estimate = rates[name]
            if estimate is not None:
                axes.errorbar(
                    estimate.value,
                    -place,
                    xerr=_reach(estimate),
                    color=MUTED if left_out else MAIN,
                    marker="o",
                    markersize=5,
                    capsize=2,
                    linestyle="none",
                )
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set_ylim(-len(labels) + 0.3, 0.7)
    # The panels share their rows.
    panels[0].set_yticks(-np.arange(len(labels)), labels)
    for header in headers:
        panels[0].get_yticklabels()[header].set_fontweight("bold")
    figure.supxlabel(
        f"Decisions at the threshold of {report.threshold:.3f}; grey: too few customers for a comparison", fontsize=9
    )
    return figure


def _panels(figure: Figure) -> Sequence[Axes]:
    return list(figure.subplots(1, 3, sharey=True))


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
        "metrics_over_thresholds.png": draw_metrics_over_thresholds(over_thresholds, evaluation.threshold),
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
