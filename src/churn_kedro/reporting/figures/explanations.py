"""Figures of explanations by raw columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.customers import FILE_NAMES, CustomerDeclaration, DisplayNames, shorten_name
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
from churn_kedro.reporting.figures.style import (
    MAIN,
    MOST_CURVES,
    MUTED,
    SECOND,
    SMALL,
    Figure,
    group_thousands,
    new_figure,
    new_row_figure,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from churn_estimators.model import CustomerModel

# Maximum number of names in a figure.
_MOST_BARS, _MOST_STEPS, _MOST_TICKS, _MOST_COLOURS = 20, 8, 12, 6
# Maximum jitter of a dot around the position of its level.
_JITTER = 0.28
_RISING = "viridis"


def draw_importance(
    importance: pd.Series, measure: ImportanceMeasure = "gain", names: DisplayNames = FILE_NAMES
) -> Figure:
    """Draw the importance of each column as bars.

    Args:
        importance: Shares by column name, largest first.
        measure: Basis of the shares.
        names: Names of the columns.

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
    shown = importance.head(_MOST_BARS)
    figure, axes = new_row_figure(title, [names.column(str(name)) for name in shown.index])
    _draw_bars(axes, shown, [f"{value:.1%}" for value in shown])
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel(wrap(label, 40), fontsize=SMALL)
    return figure


def _draw_bars(axes: Axes, shown: pd.Series, texts: list[str]) -> None:
    bars = axes.barh(np.arange(len(shown)), shown.to_numpy(), color=MAIN)
    axes.bar_label(bars, texts, padding=3, fontsize=SMALL)
    axes.margins(x=0.22)
    axes.locator_params(axis="x", nbins=4)


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
    names = DisplayNames.of(declaration)
    return draw_shap_summary(explain_customers(estimator, customers, declaration, everyone), names)


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


def draw_beeswarm(explanation: Explanation, names: DisplayNames = FILE_NAMES) -> Figure:
    """Draw a SHAP beeswarm: one dot per customer and column.

    Args:
        explanation: Explained customers.
        names: Names of the columns.

    Returns:
        The figure; the fifteen strongest columns.
    """
    import shap

    shown = min(15, len(explanation.columns))
    title = f"SHAP values of {len(explanation.values):,} customers{_how(explanation)}"
    figure, axes = new_figure(title, height=1.7 + 0.36 * shown)
    with _fixed_numpy_seed():
        shap.plots.beeswarm(
            shap.Explanation(
                values=explanation.values,
                base_values=np.full(len(explanation.values), explanation.base),
                data=explanation.inputs,
                feature_names=[wrap(names.column(name)) for name in explanation.columns],
            ),
            max_display=shown,
            ax=axes,
            show=False,
            plot_size=None,
            group_remaining_features=False,
        )
    axes.set_xlabel(wrap(f"Contribution to {explanation.output}", 36), fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    # The colour scale of shap: its label would take the place of the dots.
    for scale in figure.axes[1:]:
        scale.set_ylabel("Value of the column", fontsize=SMALL, labelpad=-14)
        scale.tick_params(labelsize=SMALL)
    return figure


def draw_class_contributions(explanations: Sequence[Explanation], names: DisplayNames = FILE_NAMES) -> Figure:
    """Draw the mean absolute SHAP value of each column as stacked bars by class.

    Args:
        explanations: One for each class, of the same customers.
        names: Names of the columns.

    Returns:
        The figure; the fifteen strongest columns, and the eight classes with the largest values.
    """
    strength = pd.DataFrame(
        {explanation.output: np.abs(explanation.values).mean(axis=0) for explanation in explanations},
        index=explanations[0].columns,
    )
    classes = strength.sum().nlargest(MOST_CURVES).index
    drawn = strength[[name for name in strength if name in classes]]
    drawn = drawn.loc[drawn.sum(axis=1).nlargest(15).index]
    n_customers = len(explanations[0].values)
    title = f"Mean absolute SHAP value, {n_customers:,} customers{_how(explanations[0])}"
    if len(classes) < strength.shape[1]:
        title += f", {len(classes)} of {strength.shape[1]} classes"
    labels = [names.column(str(name)) for name in drawn.index]
    figure, axes = new_row_figure(title, labels, 1.5 + 0.22 * len(classes))
    left = np.zeros(len(drawn))
    for position, name in enumerate(drawn):
        axes.barh(np.arange(len(drawn)), drawn[name].to_numpy(), left=left, color=f"C{position}", label=name)
        left += drawn[name].to_numpy()
    axes.set_xlabel("Mean absolute contribution", fontsize=SMALL)
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)
    return figure


def draw_shap_summary(explained: ExplainedCustomers, names: DisplayNames = FILE_NAMES) -> Figure:
    """Draw the SHAP values of explained customers.

    Args:
        explained: Explained customers.
        names: Names of the columns.

    Returns:
        A beeswarm, or with several classes bars of the mean absolute SHAP values of each.
    """
    if len(explained.outputs) == 1:
        return draw_beeswarm(explained.outputs[0], names)
    return draw_shap_bars(explained, names)


def draw_shap_bars(explained: ExplainedCustomers, names: DisplayNames = FILE_NAMES) -> Figure:
    """Draw the mean absolute SHAP value of each column as bars.

    Args:
        explained: Explained customers.
        names: Names of the columns.

    Returns:
        The figure; the twenty strongest columns, or with several classes the one of :func:`draw_class_contributions`.
    """
    if len(explained.outputs) > 1:
        return draw_class_contributions(explained.outputs, names)
    one = explained.outputs[0]
    strengths = column_strengths(explained.outputs)
    shown = strengths.head(_MOST_BARS)
    title = f"Mean absolute SHAP value, {len(one.values):,} of {explained.total:,} customers{_how(one)}"
    figure, axes = new_row_figure(title, [names.column(str(name)) for name in shown.index], 1.5)
    _draw_bars(axes, shown, [_short(value) for value in shown])
    group_thousands(axes.xaxis)
    axes.set_xlabel(
        wrap(f"Mean absolute contribution to {one.output}{_left_out(shown, strengths)}", 40, lines=4), fontsize=SMALL
    )
    return figure


def _left_out(shown: pd.Series, everything: pd.Series) -> str:
    return "" if len(shown) == len(everything) else f" (the {len(shown)} strongest of {len(everything)} columns)"


def draw_permutation_importance(shuffled: PermutationImportance, names: DisplayNames = FILE_NAMES) -> Figure:
    """Draw the permutation importance of each column as bars with standard deviations.

    Args:
        shuffled: Permutation importance.
        names: Names of the columns.

    Returns:
        The figure; the twenty most important columns.
    """
    means = shuffled.means
    shown = means.head(_MOST_BARS)
    spreads = shuffled.spreads[shown.index]
    loss = SCORE_NAMES[shuffled.score]
    n_repeats = shuffled.rises.shape[1]
    title = f"Rise of the {loss} when a column is shuffled"
    figure, axes = new_row_figure(title, [names.column(str(name)) for name in shown.index], 1.7)
    axes.barh(
        np.arange(len(shown)),
        shown.to_numpy(),
        xerr=spreads.to_numpy(),
        color=MAIN,
        error_kw={"elinewidth": 1.2, "capsize": 3, "ecolor": SECOND},
    )
    axes.axvline(0, color=MUTED, linewidth=1)
    group_thousands(axes.xaxis)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(
        wrap(
            f"Added to {_short(shuffled.loss)}, the {loss} of {shuffled.customers:,} customers"
            f"{_left_out(shown, means)}. Mean of {n_repeats} shuffles and their standard deviation",
            40,
            lines=5,
        ),
        fontsize=SMALL,
    )
    return figure


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
    long = max(map(len, names), default=0) * len(names) > 36
    axes.set_xticks(range(len(names)), [shorten_name(name, 22) for name in names], fontsize=SMALL)
    if long:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right")
    axes.set_xlim(-0.6, len(names) - 0.4)


def _few_numbers(cells: pd.Series) -> list[str]:
    """Return the sorted distinct numbers as text if each can have a colour."""
    distinct = sorted(cells.dropna().unique())
    return [_short(float(value)) for value in distinct] if len(distinct) <= _MOST_COLOURS else []


def _place(cells: pd.Series, axis: AxisKind, levels: list[str], axes: Axes, labels: Callable[[str], str]) -> pd.Series:
    """Label the x-axis and return the position of each cell; missing cells have a separate position."""
    if axis == "level":
        lumped, names = _lump(cells, levels, _MOST_TICKS)
        _show_levels(axes, [labels(name) for name in names])
        shift = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(cells))
        return lumped.map({name: place for place, name in enumerate(names)}).astype(np.float64) + shift
    numbers = _as_numbers(cells, axis)
    if axis == "date":
        axes.xaxis_date()
        axes.tick_params(axis="x", labelsize=SMALL, labelrotation=25)
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
            fontsize=SMALL,
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


def _as_numbers(cells: pd.Series, axis: AxisKind) -> pd.Series:
    """Convert to numbers; dates to days since the epoch, matplotlib's unit."""
    if axis == "date":
        since = pd.to_datetime(cells) - pd.Timestamp("1970-01-01")
        return since / pd.Timedelta(days=1)
    return pd.to_numeric(cells).astype(np.float64)


def draw_dependence(
    explained: ExplainedCustomers,
    partners: Mapping[str, Partner],
    most: int = 4,
    names: DisplayNames = FILE_NAMES,
) -> dict[str, Figure]:
    """Draw SHAP value against raw cell for the strongest columns, coloured by their interaction partners.

    Args:
        explained: Explained customers.
        partners: Interaction partner by column; columns without partner are drawn in one colour.
        most: Number of columns.
        names: Names of columns and levels.

    Returns:
        Figures by file name, strongest column first. With several classes, the output with the largest values.
    """
    first = explained.outputs[0]
    figures = {}
    for place, column in enumerate(map(str, explained.strengths.index[:most]), start=1):
        one = explained.strongest_output(column)
        title = f"{names.column(column)}: SHAP values of {len(first.values):,} of {explained.total:,} customers"
        figure, axes = new_figure(title + _how(first))
        values = one.values[:, one.columns.index(column)]
        levels = explained.levels.get(column, [])
        labels = partial(names.level, column)
        places = _place(explained.cells[column], explained.axes[column], levels, axes, labels)
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle="--")
        _scatter(figure, axes, places.to_numpy(), values, explained, partners.get(column), names)
        if explained.axes[column] == "number":
            group_thousands(axes.xaxis)
        group_thousands(axes.yaxis)
        axes.set_xlabel(wrap(names.column(column), 44), fontsize=SMALL)
        axes.set_ylabel(wrap(f"Contribution to {one.output}", 36), fontsize=SMALL)
        figures[f"shap_dependence_{place}.png"] = figure
    return figures


def _scatter(
    figure: Figure,
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    explained: ExplainedCustomers,
    partner: Partner | None,
    names: DisplayNames,
) -> None:
    look: dict[str, Any] = {"s": 11, "linewidths": 0, "alpha": float(np.clip(900 / len(x), 0.35, 0.8))}
    if partner is None:
        axes.scatter(x, y, color=MAIN, **look)
        return
    title = names.column(partner.column) + ("" if partner.exact else " (guessed)")
    cells, axis = explained.cells[partner.column], explained.axes[partner.column]
    few = _few_numbers(cells) if axis == "number" else []
    if axis == "level" or few:
        texts = cells.map(lambda cell: None if pd.isna(cell) else _short(float(cell))) if few else cells
        lumped, shown = _lump(texts, few or explained.levels[partner.column], _MOST_COLOURS)
        labels = [names.level(partner.column, level) for level in shown]
        _scatter_by_level(figure, axes, x, y, lumped, dict(zip(shown, labels, strict=True)), title, look)
    else:
        _scatter_by_number(figure, axes, x, y, _as_numbers(cells, axis), axis, title, look)


def _scatter_by_level(
    figure: Figure,
    axes: Axes,
    x: np.ndarray,
    y: np.ndarray,
    levels: pd.Series,
    labels: Mapping[str, str],
    title: str,
    look: dict[str, Any],
) -> None:
    from matplotlib import colormaps
    from matplotlib.lines import Line2D

    ordered = colormaps[_RISING](np.linspace(0, 0.92, len(labels)))
    colours = {level: MUTED if level == "missing" else ordered[place] for place, level in enumerate(labels)}
    axes.scatter(x, y, color=[colours[level] for level in levels], **look)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colours[level], label=shorten_name(label, 24))
        for level, label in labels.items()
    ]
    figure.legend(
        handles=handles,
        title=wrap(title, 50),
        frameon=False,
        fontsize=SMALL,
        title_fontsize=SMALL,
        ncols=min(len(labels), 3),
        loc="outside lower center",
        columnspacing=1,
        handletextpad=0.1,
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
    bar.set_label(wrap(title, 36), fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    if axis == "date":
        bar.ax.yaxis_date()
    else:
        bar.ax.yaxis.set_major_formatter("{x:,.0f}" if high >= 10_000 else "{x:g}")


def draw_waterfalls(shown: Sequence[ShownCustomer], names: DisplayNames = FILE_NAMES) -> dict[str, Figure]:
    """Draw SHAP waterfalls of example customers, from the expected output to the prediction.

    Args:
        shown: Explained customers.
        names: Names of columns and levels.

    Returns:
        Figures by file name, one per customer, with the eight strongest columns and the sum of the others. The steps
        of a probability are in percentage points.
    """
    return {f"shap_waterfall_{place}.png": _draw_waterfall(one, names) for place, one in enumerate(shown, start=1)}


def _draw_waterfall(shown: ShownCustomer, names: DisplayNames) -> Figure:
    one = shown.explanation
    scale = 100.0 if shown.is_probability else 1.0
    values, base = scale * one.values[0], scale * one.base
    order = np.argsort(-np.abs(values), kind="stable")
    parts = [
        (f"{names.column(one.columns[place])}: {names.level(one.columns[place], shown.cells[place])}", values[place])
        for place in order[:_MOST_STEPS]
    ]
    rest = order[_MOST_STEPS:]
    if len(rest):
        parts.append((f"{len(rest)} other column{'s' if len(rest) > 1 else ''}", values[rest].sum()))
    title = f"{shown.title} ({shown.name})" if shown.name else shown.title
    # The strongest column is at the top, where the path begins.
    figure, axes = new_row_figure(title, [label for label, _ in parts], 1.9)
    ends = base + np.cumsum([value for _, value in parts])
    starts = np.append(base, ends[:-1])
    reach = [base, *ends]
    span = max(reach) - min(reach) or 1.0
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}
    for place, (start, (_, value)) in enumerate(zip(starts, parts, strict=True)):
        axes.barh(place, value, left=start, height=0.62, color=SECOND if value > 0 else MAIN)
        if place + 1 < len(parts):
            axes.plot([start + value] * 2, [place - 0.31, place + 1.31], color=MUTED, linewidth=0.7)
        text = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}") if shown.is_probability else _signed(value)
        edge = max(start, start + value) + 0.015 * span
        axes.text(edge, place, text, va="center", fontsize=SMALL, bbox=behind)
    axes.set_xlim(min(reach) - 0.04 * span, max(reach) + 0.24 * span)
    axes.axvline(base, color=MUTED, linestyle="--", linewidth=0.9)
    axes.axvline(ends[-1], color="black", linestyle=":", linewidth=0.9)
    axes.locator_params(axis="x", nbins=4)
    if shown.is_probability:
        axes.xaxis.set_major_formatter("{x:.0f} %")
        path = f"from {base:.1f} % on average to {ends[-1]:.1f} %, steps in percentage points"
    else:
        group_thousands(axes.xaxis)
        path = f"from {_short(base)} on average to {_short(ends[-1])}; prediction: {shown.answer}"
    output = one.output.removeprefix("the ")
    axes.set_xlabel(wrap(f"{output[:1].upper()}{output[1:]}: {path}{_how(one)}", 44, lines=5), fontsize=SMALL)
    return figure


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _signed(number: float) -> str:
    sign = "+" if number >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{_short(abs(number))}"


def draw_partial_dependence(
    curves: Sequence[PartialDependence], outputs: Sequence[str], names: DisplayNames = FILE_NAMES
) -> dict[str, Figure]:
    """Draw partial dependence: mean prediction over a grid of values of one column.

    Args:
        curves: One for each column.
        outputs: Name of the prediction, or of each class.
        names: Names of columns and levels.

    Returns:
        Figures by file name, one per column, with a common scale. A single output has a band of the 10th to 90th
        percentile of the individual predictions and a rug of the observed values; of several outputs, the eight with
        the largest variation are drawn.
    """
    if not curves:
        return {}
    kept = _varying(curves)
    several = len(outputs) > 1
    low, high = _range_of(curves, kept, several=several)
    figures = {}
    for place, curve in enumerate(curves, start=1):
        column = names.column(curve.column)
        title = f"{column}: mean prediction if it were the same for all {curve.customers:,} customers"
        figure, axes = new_figure(title)
        if curve.axis == "level":
            x = np.arange(len(curve.grid), dtype=np.float64)
            _show_levels(axes, [names.level(curve.column, str(level)) for level in curve.grid])
        else:
            x = _as_numbers(pd.Series(curve.grid), curve.axis).to_numpy()
            if curve.axis == "date":
                axes.xaxis_date()
                axes.tick_params(axis="x", labelsize=SMALL, labelrotation=25)
        for position, output in enumerate(kept):
            colour = f"C{position}" if several else MAIN
            _draw_curve(axes, x, curve, output, colour, shorten_name(outputs[output]), band=not several)
        if curve.axis != "level":
            _draw_rug(axes, curve, x)
        if curve.axis == "number":
            _label_numbers(axes, x)
        axes.set_xlabel(wrap(column, 44), fontsize=SMALL)
        # A common scale, so that the columns are comparable.
        axes.set_ylim(low - 0.06 * (high - low), high + 0.04 * (high - low))
        group_thousands(axes.yaxis)
        axes.set_ylabel("Probability" if several else wrap(outputs[0][:1].upper() + outputs[0][1:], 34), fontsize=SMALL)
        handles, labels = axes.get_legend_handles_labels()
        shown = f" ({len(kept)} of {len(outputs)} classes)" if len(kept) < len(outputs) else ""
        figure.legend(
            handles,
            [*labels[:-1], labels[-1] + shown],
            loc="outside lower center",
            frameon=False,
            fontsize=SMALL,
            ncols=min(3, len(labels)) if several else 1,
        )
        figures[f"partial_dependence_{place}.png"] = figure
    return figures


def _label_numbers(axes: Axes, grid: np.ndarray) -> None:
    if 1 < len(grid) <= _MOST_COLOURS:
        axes.set_xticks(grid, [_short(float(value)) for value in grid])
    else:
        axes.locator_params(axis="x", nbins=5)
        group_thousands(axes.xaxis)


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
