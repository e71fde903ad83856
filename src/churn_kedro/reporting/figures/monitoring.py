"""Figures of monitoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_kedro.customers import DisplayNames
from churn_kedro.evaluation import Estimate
from churn_kedro.monitoring import ColumnDrift, MonitoringReport, RealisedPerformance, Severity
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: dict[Severity, str] = {"ok": "#1a7f37", "warning": "#9a6700", "alarm": "#b3261e"}
_MOST_COLUMNS, _MOST_DRIFTED = 15, 6


def draw_monitoring(
    report: MonitoringReport, earlier: Sequence[MonitoringReport], names: DisplayNames
) -> dict[str, Figure]:
    """Draw the figures of a report.

    Args:
        report: The report.
        earlier: Reports before it, by time.
        names: Names of columns and levels.

    Returns:
        Figures by file name, those that exist: drift and quality over time, distance of each column, distributions of
        the drifted columns and of the predictions before and after, realised quality by period, calibration.
    """
    figures: dict[str, Figure] = {}
    reports = [*earlier, report]
    if len(reports) > 1:
        figures["drift_over_time.png"] = draw_drift_over_time(reports)
        if any(_quality(one) is not None for one in reports):
            figures["quality_over_time.png"] = draw_quality_over_time(reports)
    if report.rows:
        figures["columns.png"] = draw_columns(report, names)
    for place, column in enumerate([one for one in report.drift.drifted if one.groups][:_MOST_DRIFTED]):
        figures[f"column_{place + 1}.png"] = draw_before_after(column, names)
    predictions = report.drift.predictions
    if predictions is not None and predictions.distribution.groups:
        figures["predictions.png"] = draw_before_after(predictions.distribution, names, "Predictions")
    if report.realised is not None:
        if any(one.realised is not None for one in report.realised.periods):
            figures["realised.png"] = draw_realised(report.realised)
        if report.realised.calibration:
            figures["calibration.png"] = draw_calibration(report.realised)
    return figures


def _times(reports: Sequence[MonitoringReport]) -> Any:
    return np.array([np.datetime64(one.as_of[:19]) for one in reports])


def _mark(axes: Axes, times: Any, values: Any, reports: Sequence[MonitoringReport]) -> None:
    """Mark each report in the colour of its verdict."""
    for severity, colour in _COLOURS.items():
        chosen = np.array([one.verdict == severity for one in reports])
        if chosen.any():
            axes.plot(times[chosen], values[chosen], "o", color=colour, markersize=4, label=f"verdict {severity}")


def _mark_versions(axes: Axes, reports: Sequence[MonitoringReport]) -> None:
    """Draw a line where another version is monitored."""
    times = _times(reports)
    for place in range(1, len(reports)):
        if reports[place].model_version != reports[place - 1].model_version:
            axes.axvline(times[place], color=MUTED, linewidth=1, linestyle=":")
            axes.annotate(
                f"version {reports[place].model_version}",
                (times[place], 1.0),
                xycoords=("data", "axes fraction"),
                fontsize=SMALL - 1,
                color=MUTED,
                rotation=90,
                va="top",
                ha="right",
            )


def _format_dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def draw_drift_over_time(reports: Sequence[MonitoringReport]) -> Figure:
    """Draw the drift of columns and predictions over time.

    Args:
        reports: Reports by time.

    Returns:
        The figure; each report has a mark in the colour of its verdict.
    """
    figure, axes = new_figure("Drift over time")
    times = _times(reports)
    drift = np.array([one.drift.score for one in reports])
    predictions = np.array(
        [np.nan if one.drift.predictions is None else one.drift.predictions.distribution.distance for one in reports]
    )
    axes.plot(times, drift, color=MAIN, linewidth=1.2, label="columns, weighted by importance")
    axes.plot(times, predictions, color=SECOND, linewidth=1.2, label="predictions")
    _mark(axes, times, drift, reports)
    _mark_versions(axes, reports)
    axes.set_ylim(0, None)
    _format_dates(axes)
    label_axes(axes, "", "Jensen-Shannon distance from training")
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL, ncols=2)
    return figure


def _quality(report: MonitoringReport) -> Estimate | None:
    return None if report.estimated is None else report.estimated.metrics.get("roc_auc")


def draw_quality_over_time(reports: Sequence[MonitoringReport]) -> Figure:
    """Draw estimated and realised ROC-AUC over time.

    Args:
        reports: Reports by time.

    Returns:
        The figure. Realised values belong to predictions that were mature at the time of the report.
    """
    figure, axes = new_figure("Quality over time (ROC-AUC)")
    times = _times(reports)
    estimated = [_quality(one) for one in reports]
    realised = [None if one.realised is None else one.realised.metrics.get("roc_auc") for one in reports]
    for values, colour, label in (
        (estimated, MAIN, "estimated from the probabilities"),
        (realised, SECOND, "realised, of matured outcomes"),
    ):
        known = np.array([one is not None for one in values])
        if not known.any():
            continue
        found = [one for one in values if one is not None]
        middle, low, high = (np.array([getattr(one, part) for one in found]) for part in ("value", "low", "high"))
        axes.plot(times[known], middle, color=colour, linewidth=1.2, marker="o", markersize=3, label=label)
        axes.fill_between(times[known], low, high, color=colour, alpha=0.15, linewidth=0)
    reference = next((one.estimated.reference.get("roc_auc") for one in reversed(reports) if one.estimated), None)
    if reference is not None:
        axes.axhline(reference, color="black", linewidth=0.8, linestyle="--", label="in training")
    _mark_versions(axes, reports)
    _format_dates(axes)
    label_axes(axes, "", "ROC-AUC")
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL, ncols=2)
    return figure


def draw_columns(report: MonitoringReport, names: DisplayNames) -> Figure:
    """Draw the distance of each column from its reference, and the distance that is usual.

    Args:
        report: The report.
        names: Names of columns.

    Returns:
        The figure; the most important columns on top, in the colour of their severity.
    """
    shown = sorted(report.drift.columns, key=lambda one: (-one.importance, one.name))[:_MOST_COLUMNS]
    figure, axes = new_row_figure("Distance of each column from training", [names.column(one.name) for one in shown])
    for place, one in enumerate(shown):
        distance = 1.0 if "absent" in one.problems else one.distance
        axes.barh(place, distance, color=_COLOURS[one.severity] if one.severity != "ok" else MAIN, height=0.6)
        axes.plot([one.limit, one.limit], [place - 0.38, place + 0.38], color="black", linewidth=1.4)
        note = ", ".join([f"{one.importance:.0%}", *(problem for problem in one.problems if problem != "distribution")])
        axes.text(max(distance, one.limit if one.limit < 1 else 0), place, f"  {note}", va="center", fontsize=SMALL)
    largest = max([one.distance for one in shown] + [one.limit for one in shown if one.limit < 1] + [0.2])
    axes.set_xlim(0, min(1.35, largest * 1.35))
    label_axes(axes, "Jensen-Shannon distance; line: usual up to here; percent: importance", "")
    return figure


def draw_before_after(column: ColumnDrift, names: DisplayNames, title: str | None = None) -> Figure:
    """Draw the distribution of a column in training and now.

    Args:
        column: The column.
        names: Names of columns and levels.
        title: Title; None: the name of the column.

    Returns:
        The figure.
    """
    labels = [names.level(column.name, group) for group in column.groups]
    used = [
        place
        for place, (before, after) in enumerate(zip(column.reference_shares, column.current_shares, strict=True))
        if before > 0 or after > 0
    ]
    figure, axes = new_row_figure(title or names.column(column.name), [labels[place] for place in used], most_lines=1)
    for offset, values, colour, label in (
        (-0.2, column.reference_shares, MUTED, "training"),
        (0.2, column.current_shares, SECOND, "now"),
    ):
        axes.barh(
            [place + offset for place in range(len(used))],
            [values[one] for one in used],
            0.38,
            color=colour,
            label=label,
        )
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    label_axes(axes, "share of customers", "")
    axes.legend(frameon=False, fontsize=SMALL)
    return figure


def draw_realised(realised: RealisedPerformance) -> Figure:
    """Draw realised and estimated ROC-AUC by period.

    Args:
        realised: Quality from outcomes.

    Returns:
        The figure.
    """
    periods = [one for one in realised.periods if one.realised is not None]
    figure, axes = new_figure("Realised quality by time of prediction (ROC-AUC)")
    places = np.arange(len(periods))
    for offset, attribute, colour, label in (
        (-0.1, "estimated", MAIN, "estimated from the probabilities"),
        (0.1, "realised", SECOND, "realised"),
    ):
        found = [(place, getattr(one, attribute)) for place, one in zip(places, periods, strict=True)]
        known = [(place, one) for place, one in found if one is not None]
        axes.errorbar(
            [place + offset for place, _ in known],
            [one.value for _, one in known],
            yerr=[
                [max(0.0, one.value - one.low) for _, one in known],
                [max(0.0, one.high - one.value) for _, one in known],
            ],
            fmt="o",
            color=colour,
            markersize=4,
            capsize=2,
            label=label,
        )
    if "roc_auc" in realised.reference:
        axes.axhline(realised.reference["roc_auc"], color="black", linewidth=0.8, linestyle="--", label="in training")
    axes.set_xticks(places, [one.start for one in periods], fontsize=SMALL - 1, rotation=45, ha="right")
    label_axes(axes, "begin of the period of 30 days", "ROC-AUC")
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL, ncols=3)
    return figure


def draw_calibration(realised: RealisedPerformance) -> Figure:
    """Draw observed against predicted shares in groups of the probability.

    Args:
        realised: Quality from outcomes.

    Returns:
        The figure, with the observed shares of the training customers.
    """
    points = realised.calibration
    figure, axes = new_figure("Observed and predicted shares of leavers")
    predicted = [one.predicted for one in points]
    top = max([one.observed.high for one in points] + predicted)
    axes.plot([0, top], [0, top], color="black", linewidth=0.8, linestyle="--", label="as predicted")
    known = [(one.predicted, one.reference) for one in points if one.reference is not None]
    axes.plot(
        [place for place, _ in known],
        [share for _, share in known],
        "s",
        color=MUTED,
        markersize=4,
        label="training, out of fold",
    )
    axes.errorbar(
        predicted,
        [one.observed.value for one in points],
        yerr=[
            [max(0.0, one.observed.value - one.observed.low) for one in points],
            [max(0.0, one.observed.high - one.observed.value) for one in points],
        ],
        fmt="o",
        color=SECOND,
        markersize=4,
        capsize=2,
        label="matured outcomes",
    )
    label_axes(axes, "mean predicted probability", wrap("share who left"))
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL, ncols=3)
    return figure
