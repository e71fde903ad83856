"""Colours, an empty figure, and the type of all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure
else:
    # Kedro resolves annotations of node functions at start-up, which must not import matplotlib.
    Figure = Any

MAIN, SECOND, MUTED = "#1f4e79", "#c8553d", "#9aa5b1"
# Maximum number of distinguishable classes; the most frequent ones are drawn.
MOST_CURVES = 8


def new_figure(title: str, width: float = 6.4, height: float = 4.8) -> tuple[Figure, Axes]:
    """Create a figure with one pair of axes.

    Args:
        title: Title, left-aligned.
        width: Width in inches.
        height: Height in inches.

    Returns:
        The figure, which is not registered with pyplot, and its axes.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure

    figure = PlainTextFigure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
