"""Colours, an empty figure, and the type of all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure
else:
    # Kedro reads the annotations of node functions at start-up; matplotlib is not worth importing for that.
    Figure = Any

MAIN, SECOND, MUTED = "#1f4e79", "#c8553d", "#9aa5b1"
# Of more classes than can be told apart, the most frequent ones are drawn.
MOST_CURVES = 8


def new_figure(title: str, width: float = 6.4, height: float = 4.8) -> tuple[Figure, Axes]:
    """Begin a figure with one pair of axes.

    Args:
        title: Over the axes, on the left.
        width: Inches.
        height: Inches.

    Returns:
        The figure, which pyplot does not know, and its axes.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure

    figure = PlainTextFigure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
