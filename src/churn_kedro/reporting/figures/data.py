"""Figures of a customer table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.customers import ColumnProfile, Histogram, TableProfile, shorten_name
from churn_kedro.reporting.figures.style import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS, _RATE, _MUTED = "#9db7d1", "#c8553d", "#5b6770"
_PER_ROW = 4
_LABEL_CHARACTERS = 14
_WRITTEN_COEFFICIENTS = 16
_MOST_TREATED = 24
_LEAST_ROWS = 10


def draw_distributions(profile: TableProfile) -> Figure:
    """Draw the distribution of each feature, with the mean target by value.

    Args:
        profile: Profile of the accepted customers.

    Returns:
        The figure.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    shown = [
        (column, column.histogram)
        for column in profile.columns
        if column.histogram is not None and column.histogram.rows
    ]
    rows = max(1, math.ceil(len(shown) / _PER_ROW))
    figure = Figure(figsize=(3.3 * _PER_ROW, 2.3 * rows + 0.6), layout="constrained")
    figure.suptitle(
        f"Customers by value (bars) and {profile.rate_name} (line)", x=0.01, ha="left", fontsize=12, fontweight="bold"
    )
    grid = figure.subplots(rows, _PER_ROW, squeeze=False)
    limits = _rate_limits([histogram for _, histogram in shown], profile.overall_rate)
    for axes, (column, histogram) in zip(grid.flat, shown, strict=False):
        _draw_column(axes, column, histogram, profile.overall_rate, limits)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    return figure


def _rate_limits(histograms: list[Histogram], overall: float) -> tuple[float, float]:
    rates = [rate for histogram in histograms for rate in histogram.rates if rate is not None]
    low, high = min([overall, *rates]), max([overall, *rates])
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_column(
    axes: Axes, column: ColumnProfile, histogram: Histogram, overall: float, limits: tuple[float, float]
) -> None:
    positions = np.arange(len(histogram.labels))
    axes.bar(positions, histogram.rows, width=0.95, color=_BARS)
    missing = f", {column.missing_share:.1%} missing" if column.missing else ""
    axes.set_title(f"{shorten_name(column.name, 26)}{missing}", fontsize=9, loc="left")
    step = max(1, math.ceil(len(positions) / 5))
    shown = [
        label[: _LABEL_CHARACTERS - 1] + "…" if len(label) > _LABEL_CHARACTERS else label for label in histogram.labels
    ]
    axes.set_xticks(positions[::step], shown[::step], fontsize=7)
    if len(positions) <= 5 and sum(map(len, shown)) > 30:
        axes.tick_params(axis="x", rotation=20)
    axes.tick_params(axis="y", labelsize=7, colors=_MUTED)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    line = axes.twinx()
    rates = np.array([np.nan if rate is None else rate for rate in histogram.rates])
    # The mean of a few customers is too noisy to draw.
    known = ~np.isnan(rates) & (np.array(histogram.rows) >= _LEAST_ROWS)
    line.axhline(overall, color=_RATE, linewidth=0.8, linestyle=":")
    line.plot(positions[known], rates[known], color=_RATE, marker="o", markersize=2.5, linewidth=1.2)
    line.set_ylim(*limits)
    line.tick_params(axis="y", labelsize=7, colors=_RATE)
    line.spines[["top", "left"]].set_visible(False)


def draw_correlations(correlations: pd.DataFrame) -> Figure:
    """Draw rank correlations as a heat map.

    Args:
        correlations: Square table of coefficients.

    Returns:
        The figure.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    size = len(correlations)
    side = max(4.5, 0.42 * size + 2)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title("Rank correlations (Spearman)", loc="left", fontsize=12, fontweight="bold")
    image = axes.imshow(correlations.to_numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
    names = [shorten_name(str(name)) for name in correlations.columns]
    axes.set_xticks(range(size), names, rotation=90, fontsize=8)
    axes.set_yticks(range(size), names, fontsize=8)
    axes.spines[:].set_visible(False)
    if size <= _WRITTEN_COEFFICIENTS:
        for (row, column), value in np.ndenumerate(correlations.to_numpy()):
            color = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=color)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


def draw_stages(profile: TableProfile) -> Figure:
    """Draw the number of rows at each stage as bars.

    Args:
        profile: Profile of the table.

    Returns:
        The figure.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    stages = [stage for stage in profile.stages if stage.name != "encoded"][::-1]
    figure = Figure(figsize=(7.5, 0.42 * len(stages) + 0.9), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title("Rows from the file to the splits", loc="left", fontsize=12, fontweight="bold")
    bars = axes.barh([stage.name for stage in stages], [stage.rows for stage in stages], color=_BARS)
    axes.bar_label(bars, [f"{stage.rows:,}" for stage in stages], padding=4, fontsize=8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.margins(x=0.12)
    return figure


def draw_encoded(before: pd.DataFrame, encoded: pd.DataFrame, sources: dict[str, str]) -> Figure:
    """Draw the distributions of numbers that the treatment changes, before and after.

    Args:
        before: Training customers.
        encoded: Their model inputs.
        sources: Source column of each column of ``encoded``, if it has exactly one.

    Returns:
        The figure, one row per changed column, or a text if there is none.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    changed = [name for name in map(str, encoded) if _is_changed(before, encoded, name, sources.get(name))]
    changed = changed[:_MOST_TREATED]
    figure = Figure(figsize=(10, max(1.0, 2.0 * len(changed)) + 0.5), layout="constrained")
    figure.suptitle("Training customers before and after treatment", x=0.01, ha="left", fontsize=12, fontweight="bold")
    if not changed:
        axes = figure.add_subplot()
        axes.axis("off")
        axes.text(0, 0.5, "The treatment changes no number.", fontsize=10)
        return figure
    for axes, name in zip(figure.subplots(len(changed), 2, squeeze=False), changed, strict=True):
        source = before[sources[name]]
        for side, cells, title in (
            (axes[0], source, shorten_name(str(source.name))),
            (axes[1], encoded[name], f"{shorten_name(name)}, as model input"),
        ):
            side.hist(cells.dropna(), bins=30, color=_BARS)
            missing = cells.isna().mean()
            side.set_title(f"{title}{f', {missing:.1%} missing' if missing else ''}", fontsize=9, loc="left")
            side.tick_params(labelsize=7)
            side.spines[["top", "right"]].set_visible(False)
    return figure


def _is_changed(before: pd.DataFrame, encoded: pd.DataFrame, name: str, source: str | None) -> bool:
    if source is None or source not in before:
        return False
    cells = before[source]
    if not (isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f"):
        return False
    return not np.array_equal(cells.to_numpy(), encoded[name].to_numpy(dtype=np.float64), equal_nan=True)
