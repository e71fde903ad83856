"""Figures of explanations by raw columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, shorten_name
from churn_kedro.evaluation import (
    AxisKind,
    ExplainedCustomers,
    Explanation,
    ExplanationParameters,
    ImportanceMeasure,
    PartialDependence,
    Partner,
    PermutationImportance,
    ShownCustomer,
    column_strengths,
    explain_customers,
)
from churn_kedro.models import SCORE_NAMES
from churn_kedro.reporting.figures.style import MAIN, MOST_CURVES, MUTED, SECOND, Figure, new_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from churn_estimators.model import CustomerModel

# Maximum number of names in a figure.
_MOST_BARS, _MOST_STEPS, _MOST_TICKS, _MOST_COLOURS = 20, 8, 12, 6
# Maximum jitter of a dot around the position of its level.
_JITTER = 0.28
_RISING = "viridis"


def draw_importance(importance: pd.Series, measure: ImportanceMeasure = "gain") -> Figure:
    """Draw the importance of each column as bars.

    Args:
        importance: Shares by column name, largest first.
        measure: Basis of the shares.

    Returns:
        The figure; the twenty largest shares.
    """
    titles: dict[ImportanceMeasure, tuple[str, str]] = {
        "gain": (
            "Feature importance (share of total gain)",
            "Share of the loss removed by splits on the column",
        ),
        "shuffling": (
            "Permutation importance of features",
            "Share of the loss added when the column is shuffled",
        ),
    }
    title, label = titles[measure]
    shown = importance.head(20)[::-1]
    figure, axes = new_figure(title, 6.4, 1.4 + 0.28 * len(shown))
    bars = axes.barh(np.arange(len(shown)), shown.to_numpy(), color=MAIN)
    axes.set_yticks(np.arange(len(shown)), [shorten_name(str(name)) for name in shown.index])
    axes.bar_label(bars, [f"{value:.1%}" for value in shown], padding=3, fontsize=8)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel(label)
    axes.margins(x=0.12)
    return figure


def draw_contributions(estimator: CustomerModel, customers: pd.DataFrame, declaration: CustomerDeclaration) -> Figure:
    """Draw the SHAP values of customers.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns. All are explained by XGBoost exactly; for other models a sample, with the
            others as background.
        declaration: The table's declaration.

    Returns:
        The figure: a beeswarm, or with several classes bars of the mean absolute SHAP values of each.
    """
    everyone = ExplanationParameters(max_explained=max(1, len(customers)))
    return draw_shap_summary(explain_customers(estimator, customers, declaration, everyone))


def _how(explanation: Explanation) -> str:
    return "" if explanation.exact else ", estimated"


@contextmanager
def _fixed_numpy_seed() -> Iterator[None]:
    """Fix NumPy's global random state, which shap's beeswarm uses for jitter, within a context."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


def draw_beeswarm(explanation: Explanation) -> Figure:
    """Draw a SHAP beeswarm: one dot per customer and column.

    Args:
        explanation: Explained customers.

    Returns:
        The figure; the fifteen strongest columns.
    """
    import shap

    shown = min(15, len(explanation.columns))
    title = f"SHAP values of {len(explanation.values):,} customers{_how(explanation)}"
    figure, axes = new_figure(title, 8, 1.6 + 0.32 * shown)
    with _fixed_numpy_seed():
        shap.plots.beeswarm(
            shap.Explanation(
                values=explanation.values,
                base_values=np.full(len(explanation.values), explanation.base),
                data=explanation.inputs,
                feature_names=[shorten_name(name) for name in explanation.columns],
            ),
            max_display=shown,
            ax=axes,
            show=False,
            plot_size=None,
            group_remaining_features=False,
        )
    axes.set_xlabel(f"Contribution to {explanation.output}")
    return figure


def draw_class_contributions(explanations: Sequence[Explanation]) -> Figure:
    """Draw the mean absolute SHAP value of each column as stacked bars by class.

    Args:
        explanations: One for each class, of the same customers.

    Returns:
        The figure; the fifteen strongest columns, and the eight classes with the largest values.
    """
    strength = pd.DataFrame(
        {explanation.output: np.abs(explanation.values).mean(axis=0) for explanation in explanations},
        index=explanations[0].columns,
    )
    classes = strength.sum().nlargest(MOST_CURVES).index
    drawn = strength[[name for name in strength if name in classes]]
    drawn = drawn.loc[drawn.sum(axis=1).nlargest(15).index[::-1]]
    n_customers = len(explanations[0].values)
    title = f"Mean absolute SHAP value, {n_customers:,} customers{_how(explanations[0])}"
    if len(classes) < strength.shape[1]:
        title += f", {len(classes)} of {strength.shape[1]} classes"
    figure, axes = new_figure(title, 8, 1.8 + 0.32 * len(drawn) + 0.2 * len(classes))
    left = np.zeros(len(drawn))
    for position, name in enumerate(drawn):
        axes.barh(drawn.index, drawn[name].to_numpy(), left=left, color=f"C{position}", label=name)
        left += drawn[name].to_numpy()
    axes.set_xlabel("Mean absolute contribution")
    figure.legend(loc="outside lower center", frameon=False)
    return figure


def draw_shap_summary(explained: ExplainedCustomers) -> Figure:
    """Draw the SHAP values of explained customers.

    Args:
        explained: Explained customers.

    Returns:
        A beeswarm, or with several classes bars of the mean absolute SHAP values of each.
    """
    return draw_beeswarm(explained.outputs[0]) if len(explained.outputs) == 1 else draw_shap_bars(explained)


def draw_shap_bars(explained: ExplainedCustomers) -> Figure:
    """Draw the mean absolute SHAP value of each column as bars.

    Args:
        explained: Explained customers.

    Returns:
        The figure; the twenty strongest columns, or with several classes the one of :func:`draw_class_contributions`.
    """
    if len(explained.outputs) > 1:
        return draw_class_contributions(explained.outputs)
    one = explained.outputs[0]
    strengths = column_strengths(explained.outputs)
    shown = strengths.head(_MOST_BARS)[::-1]
    title = f"Mean absolute SHAP value, {len(one.values):,} of {explained.total:,} customers{_how(one)}"
    figure, axes = new_figure(title, 7.4, 1.4 + 0.28 * len(shown))
    bars = axes.barh(np.arange(len(shown)), shown.to_numpy(), color=MAIN)
    axes.set_yticks(np.arange(len(shown)), [shorten_name(str(name)) for name in shown.index])
    axes.bar_label(bars, [_short(value) for value in shown], padding=3, fontsize=8)
    _group_thousands(axes.xaxis)
    axes.set_xlabel(f"Mean absolute contribution to {one.output}{_left_out(shown, strengths)}")
    axes.margins(x=0.12)
    return figure


def _left_out(shown: pd.Series, everything: pd.Series) -> str:
    return "" if len(shown) == len(everything) else f" (the {len(shown)} strongest of {len(everything)} columns)"


def draw_permutation_importance(shuffled: PermutationImportance) -> Figure:
    """Draw the permutation importance of each column as bars with standard deviations.

    Args:
        shuffled: Permutation importance.

    Returns:
        The figure; the twenty most important columns.
    """
    means = shuffled.means
    shown = means.head(_MOST_BARS)[::-1]
    spreads = shuffled.spreads[shown.index]
    name = SCORE_NAMES[shuffled.score]
    n_repeats = shuffled.rises.shape[1]
    title = f"Rise of the {name} when a column is shuffled"
    figure, axes = new_figure(title, 7.4, 1.6 + 0.28 * len(shown))
    axes.barh(
        np.arange(len(shown)),
        shown.to_numpy(),
        xerr=spreads.to_numpy(),
        color=MAIN,
        error_kw={"elinewidth": 1.2, "capsize": 3, "ecolor": SECOND},
    )
    axes.axvline(0, color=MUTED, linewidth=1)
    _group_thousands(axes.xaxis)
    axes.set_yticks(np.arange(len(shown)), [shorten_name(str(name)) for name in shown.index])
    axes.set_xlabel(
        f"Added to {_short(shuffled.loss)}, the {name} of {shuffled.customers:,} customers{_left_out(shown, means)}.\n"
        f"Mean of {n_repeats} shuffles and their standard deviation"
    )
    return figure


def _grid_of(n_panels: int, title: str, width: float, height: float, across: int = 2) -> tuple[Figure, list[Axes]]:
    """Create a figure with a grid of axes under one title; width and height of each in inches."""
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    across = min(across, n_panels)
    down = -(-n_panels // across)
    figure = Figure(figsize=(width * across, height * down + 0.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    grid = figure.add_gridspec(down, across)
    panels = [figure.add_subplot(grid[place // across, place % across]) for place in range(n_panels)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _lump(cells: pd.Series, levels: list[str], most: int) -> tuple[pd.Series, list[str]]:
    """Combine rare levels and name missing cells; return the cells and the occurring names in order."""
    frequent = cells.value_counts().index
    kept = set(frequent if len(frequent) <= most else frequent[: most - 1])
    rest = f"{len(frequent) - len(kept)} others"
    lumped = cells.map(lambda cell: "missing" if pd.isna(cell) else cell if cell in kept else rest)
    names = [level for level in levels if level in kept]
    names += [name for name in (rest, "missing") if name not in kept and (lumped == name).any()]
    return lumped, names


def _show_levels(axes: Axes, names: list[str]) -> None:
    long = max(map(len, names), default=0) * len(names) > 44
    labels = [shorten_name(name, 22) for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=8 if long else 9)
    if long:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right")
    axes.set_xlim(-0.6, len(names) - 0.4)


def _few_numbers(cells: pd.Series) -> list[str]:
    """Return the sorted distinct numbers as text if each can have a colour."""
    distinct = sorted(cells.dropna().unique())
    return [_short(float(value)) for value in distinct] if len(distinct) <= _MOST_COLOURS else []


def _place(cells: pd.Series, axis: AxisKind, levels: list[str], axes: Axes) -> pd.Series:
    """Label the x-axis and return the position of each cell; missing cells have a separate position."""
    if axis == "level":
        lumped, names = _lump(cells, levels, _MOST_TICKS)
        _show_levels(axes, names)
        shift = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(cells))
        return lumped.map({name: place for place, name in enumerate(names)}).astype(np.float64) + shift
    numbers = _as_numbers(cells, axis)
    if axis == "date":
        axes.xaxis_date()
        axes.tick_params(axis="x", labelsize=8, labelrotation=25)
    else:
        numbers = _spread_few(numbers, axes)
    absent = numbers.isna()
    if absent.any() and not absent.all():
        low, high = numbers.min(), numbers.max()
        apart = low - 0.08 * (high - low or 1.0)
        shift = np.random.default_rng(0).uniform(-0.012, 0.012, len(numbers)) * (high - low or 1.0)
        numbers = numbers.where(~absent, apart + shift)
        axes.axvline((apart + 2 * low) / 3, color=MUTED, linewidth=0.8, linestyle=":")
        axes.annotate(
            "missing",
            (apart, 1.0),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=7,
            rotation=90,
            color="#5b6770",
        )
    return numbers


def _spread_few(numbers: pd.Series, axes: Axes) -> pd.Series:
    """Place a number with few values: one tick per value, with jittered dots."""
    distinct = np.sort(numbers.dropna().unique())
    if not 1 < len(distinct) <= _MOST_TICKS:
        return numbers
    gap = float(np.diff(distinct).min())
    if gap >= 0.04 * float(np.ptp(distinct)):
        axes.set_xticks(distinct, [_short(float(value)) for value in distinct])
        return numbers + np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(numbers)) * gap
    return numbers


def _group_thousands(axis: Any) -> None:
    """Format large numbers with commas."""
    if max(map(abs, axis.get_data_interval())) >= 10_000:
        axis.set_major_formatter("{x:,.0f}")


def _as_numbers(cells: pd.Series, axis: AxisKind) -> pd.Series:
    """Convert to numbers; dates to days since the epoch, matplotlib's unit."""
    if axis == "date":
        since = pd.to_datetime(cells) - pd.Timestamp("1970-01-01")
        return since / pd.Timedelta(days=1)
    return pd.to_numeric(cells).astype(np.float64)


def draw_dependence(explained: ExplainedCustomers, partners: Mapping[str, Partner], most: int = 4) -> Figure:
    """Draw SHAP value against raw cell for the strongest columns, coloured by their interaction partners.

    Args:
        explained: Explained customers.
        partners: Interaction partner by column; columns without partner are drawn in one colour.
        most: Number of columns.

    Returns:
        The figure, one pair of axes per column. With several classes, the output with the largest values.
    """
    columns = [str(name) for name in explained.strengths.index[:most]]
    first = explained.outputs[0]
    title = f"SHAP value against the cell, {len(first.values):,} of {explained.total:,} customers{_how(first)}"
    figure, panels = _grid_of(len(columns), title, 6.2, 4.2)
    for axes, column in zip(panels, columns, strict=True):
        one = explained.strongest_output(column)
        values = one.values[:, one.columns.index(column)]
        places = _place(explained.cells[column], explained.axes[column], explained.levels.get(column, []), axes)
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle="--")
        _scatter(figure, axes, places.to_numpy(), values, explained, partners.get(column))
        if explained.axes[column] == "number":
            _group_thousands(axes.xaxis)
        _group_thousands(axes.yaxis)
        axes.set_xlabel(shorten_name(column, 50))
        axes.set_ylabel(textwrap.fill(f"Contribution to {one.output}", 42), fontsize=9)
    return figure


def _scatter(
    figure: Figure,
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    explained: ExplainedCustomers,
    partner: Partner | None,
) -> None:
    look: dict[str, Any] = {"s": 11, "linewidths": 0, "alpha": float(np.clip(900 / len(x), 0.35, 0.8))}
    if partner is None:
        axes.scatter(x, y, color=MAIN, **look)
        return
    name = shorten_name(partner.column, 30) + ("" if partner.exact else " (guessed)")
    cells, axis = explained.cells[partner.column], explained.axes[partner.column]
    few = _few_numbers(cells) if axis == "number" else []
    if axis == "level" or few:
        texts = cells.map(lambda cell: None if pd.isna(cell) else _short(float(cell))) if few else cells
        lumped, names = _lump(texts, few or explained.levels[partner.column], _MOST_COLOURS)
        _scatter_by_level(axes, x, y, lumped, names, name, look)
    else:
        _scatter_by_number(figure, axes, x, y, _as_numbers(cells, axis), axis, name, look)


def _scatter_by_level(
    axes: Axes, x: np.ndarray, y: np.ndarray, levels: pd.Series, names: list[str], title: str, look: dict[str, Any]
) -> None:
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    ordered = colormaps[_RISING](np.linspace(0, 0.92, len(names)))
    colours = {level: MUTED if level == "missing" else ordered[place] for place, level in enumerate(names)}
    axes.scatter(x, y, color=[colours[level] for level in levels], **look)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colours[level], label=shorten_name(level, 24)) for level in names
    ]
    axes.legend(
        handles=handles,
        title=title,
        frameon=False,
        fontsize=8,
        title_fontsize=8,
        ncols=len(names) if sum(map(len, names)) <= 36 else 3,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        alignment="left",
        columnspacing=1,
        handletextpad=0.1,
        borderaxespad=0.2,
    )


def _scatter_by_number(
    figure: Figure,
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    numbers: pd.Series,
    axis: AxisKind,
    title: str,
    look: dict[str, Any],
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    absent = numbers.isna().to_numpy()
    axes.scatter(x[absent], y[absent], color=MUTED, **look)
    known = numbers[~absent]
    # Limit the influence of extreme cells on the colour scale.
    low, high = (float(bound) for bound in np.quantile(known, [0.02, 0.98]))
    if low == high:
        low, high = float(known.min()), float(known.max())
    scale = Normalize(low, high)
    axes.scatter(x[~absent], y[~absent], c=known, cmap=_RISING, norm=scale, **look)
    # A separate, opaque colour scale.
    bar = figure.colorbar(ScalarMappable(scale, _RISING), ax=axes, pad=0.02, aspect=28)
    bar.set_label(title, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    if axis == "date":
        bar.ax.yaxis_date()
    else:
        bar.ax.yaxis.set_major_formatter("{x:,.0f}" if high >= 10_000 else "{x:g}")


def draw_waterfalls(shown: Sequence[ShownCustomer]) -> Figure:
    """Draw SHAP waterfalls of example customers, from the expected output to the prediction.

    Args:
        shown: Explained customers.

    Returns:
        The figure, one pair of axes per customer with the eight strongest columns and the sum of the others.
    """
    n_columns = len(shown[0].explanation.columns)
    steps = min(_MOST_STEPS, n_columns) + (n_columns > _MOST_STEPS)
    title = f"Explanations of example customers by SHAP values{_how(shown[0].explanation)}"
    figure, panels = _grid_of(len(shown), title, 7.2, 1.9 + 0.3 * steps)
    for axes, one in zip(panels, shown, strict=True):
        _draw_waterfall(axes, one)
    return figure


def _draw_waterfall(axes: Axes, shown: ShownCustomer) -> None:
    one = shown.explanation
    values = one.values[0]
    order = np.argsort(-np.abs(values), kind="stable")
    parts = [
        (f"{shorten_name(one.columns[place], 24)} = {shorten_name(shown.cells[place], 20)}", float(values[place]))
        for place in order[:_MOST_STEPS]
    ]
    rest = order[_MOST_STEPS:]
    if len(rest):
        parts.append((f"{len(rest)} other column{'s' if len(rest) > 1 else ''}", float(values[rest].sum())))
    ends = one.base + np.cumsum([value for _, value in parts])
    starts = np.append(one.base, ends[:-1])
    # The strongest column is at the top, where the path begins.
    places = np.arange(len(parts))
    for place, (start, (_, value)) in enumerate(zip(starts, parts, strict=True)):
        axes.barh(place, value, left=start, height=0.62, color=SECOND if value > 0 else MAIN)
        if place + 1 < len(parts):
            axes.plot([start + value] * 2, [place - 0.31, place + 1.31], color=MUTED, linewidth=0.7)
    reach = [one.base, *ends]
    span = max(reach) - min(reach) or 1.0
    for place, (start, (_, value)) in enumerate(zip(starts, parts, strict=True)):
        edge = max(start, start + value)
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}
        axes.text(edge + 0.015 * span, place, _signed(value), va="center", fontsize=8, bbox=behind)
    axes.set_yticks(places, [label for label, _ in parts], fontsize=8)
    axes.set_ylim(len(parts) - 0.3, -1.0)
    axes.set_xlim(min(reach) - 0.04 * span, max(reach) + 0.16 * span)
    axes.axvline(one.base, color=MUTED, linestyle="--", linewidth=0.9)
    axes.axvline(ends[-1], color="black", linestyle=":", linewidth=0.9)
    axes.set_xlabel(
        f"{one.output[0].upper()}{one.output[1:]}: from {_short(one.base)} on average to {_short(ends[-1])};\n"
        f"prediction: {shown.answer}",
        fontsize=9,
    )
    heading = textwrap.shorten(shown.title, 78, placeholder="…")
    named = f"{heading}\n{shorten_name(shown.name, 60)}" if shown.name else heading
    axes.set_title(named, loc="left", fontsize=9.5)
    axes.tick_params(axis="x", labelsize=8)
    _group_thousands(axes.xaxis)


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _signed(number: float) -> str:
    sign = "+" if number >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{_short(abs(number))}"


def draw_partial_dependence(curves: Sequence[PartialDependence], outputs: Sequence[str]) -> Figure:
    """Draw partial dependence: mean prediction over a grid of values of one column.

    Args:
        curves: One for each column.
        outputs: Name of the prediction, or of each class.

    Returns:
        The figure, one pair of axes per column. A single output has a band of the 10th to 90th percentile of the
        individual predictions and a rug of the observed values; of several outputs, the eight with the largest
        variation are drawn.
    """
    if not curves:
        figure, axes = new_figure("No column has an observed value")
        axes.set_axis_off()
        return figure
    customers = curves[0].customers
    title = f"Mean prediction when a column is set to a value, {customers:,} customers"
    figure, panels = _grid_of(len(curves), title, 5.0, 3.6, across=3)
    kept = _varying(curves)
    several = len(outputs) > 1
    for axes, curve in zip(panels, curves, strict=True):
        levels = [str(level) for level in curve.grid] if curve.axis == "level" else []
        if curve.axis == "level":
            x = np.arange(len(levels), dtype=np.float64)
            _show_levels(axes, levels)
        else:
            x = _as_numbers(pd.Series(curve.grid), curve.axis).to_numpy()
            if curve.axis == "date":
                axes.xaxis_date()
                axes.tick_params(axis="x", labelsize=8, labelrotation=25)
        for position, output in enumerate(kept):
            colour = f"C{position}" if several else MAIN
            _draw_curve(axes, x, curve, output, colour, shorten_name(outputs[output]), band=not several)
        if curve.axis != "level":
            _draw_rug(axes, curve, x)
        if curve.axis == "number":
            _label_numbers(axes, x)
        axes.set_xlabel(shorten_name(curve.column, 40))
    low, high = _range_of(curves, kept, several=several)
    for axes in panels:
        # A common scale, so that the columns are comparable.
        axes.set_ylim(low - 0.06 * (high - low), high + 0.04 * (high - low))
        _group_thousands(axes.yaxis)
    for axes in panels[::3]:
        axes.set_ylabel("Probability" if several else textwrap.fill(outputs[0][0].upper() + outputs[0][1:], 34))
    handles, labels = panels[0].get_legend_handles_labels()
    shown = f" ({len(kept)} of {len(outputs)} classes)" if len(kept) < len(outputs) else ""
    figure.legend(
        handles,
        [*labels[:-1], labels[-1] + shown],
        loc="outside lower center",
        frameon=False,
        ncols=min(4, len(labels)),
    )
    return figure


def _label_numbers(axes: Axes, grid: np.ndarray) -> None:
    if 1 < len(grid) <= _MOST_COLOURS:
        axes.set_xticks(grid, [_short(float(value)) for value in grid])
    else:
        axes.locator_params(axis="x", nbins=5)
        _group_thousands(axes.xaxis)


def _range_of(curves: Sequence[PartialDependence], kept: list[int], *, several: bool) -> tuple[float, float]:
    parts = [part[:, kept] for curve in curves for part in ([curve.mean] if several else [curve.low, curve.high])]
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _varying(curves: Sequence[PartialDependence]) -> list[int]:
    """Return the indices of the outputs with the largest variation over the grids, in order."""
    ranges = np.sum([np.ptp(curve.mean, axis=0) for curve in curves], axis=0)
    return sorted(int(place) for place in np.argsort(-ranges, kind="stable")[:MOST_CURVES])


def _draw_curve(
    axes: Axes, x: np.ndarray, curve: PartialDependence, output: int, colour: str, name: str, *, band: bool
) -> None:
    mean, low, high = curve.mean[:, output], curve.low[:, output], curve.high[:, output]
    band_label = "10th to 90th percentile of the customers"
    if curve.axis == "level":
        if band:
            axes.vlines(x, low, high, color=colour, alpha=0.25, linewidth=9, label=band_label)
        axes.plot(x, mean, "o", color=colour, markersize=6, label=f"mean, {name}" if band else name)
        return
    if band:
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, label=band_label)
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, mean, color=colour, linewidth=2, marker=marker, label=f"mean, {name}" if band else name)


def _draw_rug(axes: Axes, curve: PartialDependence, x: np.ndarray) -> None:
    own = _as_numbers(pd.Series(curve.observed), curve.axis).to_numpy()
    within = own[(own >= x.min()) & (own <= x.max())]
    axes.plot(
        within,
        np.full(len(within), 0.012),
        "|",
        transform=axes.get_xaxis_transform(),
        color="black",
        markersize=6,
        alpha=float(np.clip(60 / max(1, len(within)), 0.08, 0.6)),
    )
