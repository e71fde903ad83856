"""Figures of a customer table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.customers import FILE_NAMES, ColumnProfile, DisplayNames, Histogram, TableProfile, shorten_name
from churn_kedro.reporting.figures.style import SMALL, WIDTH, Figure, group_thousands, new_figure, new_row_figure, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BARS, _RATE, _MUTED = "#9db7d1", "#c8553d", "#5b6770"
_LABEL_CHARACTERS = 26
_WRITTEN_COEFFICIENTS = 11
_MOST_DRAWN, _MOST_TREATED = 60, 24
_LEAST_ROWS = 10


def draw_distributions(profile: TableProfile, names: DisplayNames = FILE_NAMES) -> dict[str, Figure]:
    """Draw the distribution of each feature, with the mean target by value.

    Args:
        profile: Profile of the accepted customers.
        names: Names of columns and levels.

    Returns:
        Figures by file name, in declared order; the first sixty features.
    """
    shown = [
        (column, column.histogram)
        for column in profile.columns
        if column.histogram is not None and column.histogram.rows
    ]
    limits = _rate_limits([histogram for _, histogram in shown], profile.overall_rate)
    return {
        f"distribution_{place:02}.png": _draw_column(column, histogram, profile, limits, names)
        for place, (column, histogram) in enumerate(shown[:_MOST_DRAWN], start=1)
    }


def _rate_limits(histograms: list[Histogram], overall: float) -> tuple[float, float]:
    rates = [rate for histogram in histograms for rate in histogram.rates if rate is not None]
    low, high = min([overall, *rates]), max([overall, *rates])
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _draw_column(
    column: ColumnProfile,
    histogram: Histogram,
    profile: TableProfile,
    limits: tuple[float, float],
    names: DisplayNames,
) -> Figure:
    missing = f" ({column.missing_share:.1%} missing)" if column.missing else ""
    figure, axes = new_figure(f"{names.column(column.name)}{missing}", height=3.0)
    positions = np.arange(len(histogram.labels))
    ordered = column.kind not in ("categorical", "binary")
    axes.bar(positions, histogram.rows, width=0.95 if ordered else 0.7, color=_BARS)
    labels = [names.level(column.name, label) for label in histogram.labels]
    _label_values(axes, positions, labels, every=not ordered)
    axes.tick_params(axis="y", labelsize=SMALL, colors=_MUTED)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel("Customers", fontsize=SMALL, color=_MUTED)
    line = axes.twinx()
    rates = np.array([np.nan if rate is None else rate for rate in histogram.rates])
    # The mean of a few customers is too noisy to draw.
    known = ~np.isnan(rates) & (np.array(histogram.rows) >= _LEAST_ROWS)
    line.axhline(profile.overall_rate, color=_RATE, linewidth=0.8, linestyle=":")
    # Only values with an order are joined by a line.
    style = "-" if ordered else ""
    line.plot(positions[known], rates[known], color=_RATE, marker="o", markersize=4, linewidth=1.2, linestyle=style)
    line.set_ylim(*limits)
    group_thousands(line.yaxis)
    line.set_ylabel(wrap(profile.rate_name, 24), fontsize=SMALL, color=_RATE)
    line.tick_params(axis="y", labelsize=SMALL, colors=_RATE)
    line.spines[["top", "left"]].set_visible(False)
    return figure


def _label_values(axes: Axes, positions: np.ndarray, labels: list[str], *, every: bool) -> None:
    """Label each level, or some of the ranges of numbers."""
    step = 1 if every else max(1, math.ceil(len(positions) / 6))
    shown = [label[: _LABEL_CHARACTERS - 1] + "…" if len(label) > _LABEL_CHARACTERS else label for label in labels]
    axes.set_xticks(positions[::step], shown[::step], fontsize=SMALL)
    if sum(map(len, shown[::step])) > 36:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")


def draw_correlations(correlations: pd.DataFrame, names: DisplayNames = FILE_NAMES) -> Figure:
    """Draw rank correlations as a heat map.

    Args:
        correlations: Square table of coefficients.
        names: Names of the columns.

    Returns:
        The figure; the columns are numbered above it.
    """
    size = len(correlations)
    labels = [f"{number} {names.column(str(name))}" for number, name in enumerate(correlations.columns, start=1)]
    figure, axes = new_row_figure("Rank correlations (Spearman)", labels, 1.2, most_lines=1, characters=34)
    image = axes.imshow(correlations.to_numpy(), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    axes.xaxis.tick_top()
    shown = range(0, size, max(1, math.ceil(size / 15)))
    axes.set_xticks(list(shown), [str(number + 1) for number in shown], fontsize=SMALL)
    axes.spines[:].set_visible(False)
    if size <= _WRITTEN_COEFFICIENTS:
        for (row, column), value in np.ndenumerate(correlations.to_numpy()):
            color = "white" if abs(value) > 0.6 else "black"
            # The leading zero is left out, which leaves room for larger digits.
            text = f"{value:.2f}".replace("0.", ".", 1)
            axes.text(column, row, text, ha="center", va="center", fontsize=SMALL - 1, color=color)
    figure.colorbar(image, ax=axes, location="bottom", shrink=0.8, aspect=30, pad=0.02).ax.tick_params(labelsize=SMALL)
    return figure


def draw_stages(profile: TableProfile) -> Figure:
    """Draw the number of rows at each stage as bars.

    Args:
        profile: Profile of the table.

    Returns:
        The figure.
    """
    stages = [stage for stage in profile.stages if stage.name != "encoded"]
    figure, axes = new_row_figure("Rows from the file to the splits", [stage.name for stage in stages], 0.8)
    bars = axes.barh(range(len(stages)), [stage.rows for stage in stages], color=_BARS)
    axes.bar_label(bars, [f"{stage.rows:,}" for stage in stages], padding=4, fontsize=SMALL)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.margins(x=0.18)
    return figure


def draw_encoded(
    before: pd.DataFrame, encoded: pd.DataFrame, sources: dict[str, str], names: DisplayNames = FILE_NAMES
) -> dict[str, Figure]:
    """Draw the distributions of numbers that the treatment changes, before and after.

    Args:
        before: Training customers.
        encoded: Their model inputs.
        sources: Source column of each column of ``encoded``, if it has exactly one.
        names: Names of the columns.

    Returns:
        Figures by file name, one per changed column, at most twenty-four; empty if there is none.
    """
    changed = [name for name in map(str, encoded) if _is_changed(before, encoded, name, sources.get(name))]
    return {
        f"treatment_{place:02}.png": _draw_treated(before[sources[name]], encoded[name], name, names)
        for place, name in enumerate(changed[:_MOST_TREATED], start=1)
    }


def _draw_treated(source: pd.Series, treated: pd.Series, name: str, names: DisplayNames) -> Figure:
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure

    figure = PlainTextFigure(figsize=(WIDTH, 2.6), layout="constrained")
    column = names.column(str(source.name))
    after = column if name == source.name else f"{column} ({shorten_name(name)})"
    figure.suptitle(wrap(f"{after}, before and after treatment", 48), x=0.01, ha="left", fontsize=11.5, weight="bold")
    panels = zip(figure.subplots(1, 2), (source, treated), ("Customers", "Model input"), strict=True)
    for axes, cells, title in panels:
        axes.hist(cells.dropna(), bins=30, color=_BARS)
        missing = cells.isna().mean()
        axes.set_title(f"{title}{f', {missing:.1%} missing' if missing else ''}", fontsize=SMALL, loc="left")
        axes.tick_params(labelsize=SMALL)
        axes.locator_params(axis="both", nbins=4)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _is_changed(before: pd.DataFrame, encoded: pd.DataFrame, name: str, source: str | None) -> bool:
    if source is None or source not in before:
        return False
    cells = before[source]
    if not (isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f"):
        return False
    return not np.array_equal(cells.to_numpy(), encoded[name].to_numpy(dtype=np.float64), equal_nan=True)
