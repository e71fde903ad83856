"""Sizes, colours, empty figures, and the type of all figures.

Figures of the pages are one column wide with text of at least nine points, so that they are legible on a phone; a page
places them side by side where there is room.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from churn_kedro.base import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure
else:
    # Kedro resolves annotations of node functions at start-up, which must not import matplotlib.
    Figure = Any

MAIN, SECOND, MUTED = "#1f4e79", "#c8553d", "#9aa5b1"
# Maximum number of distinguishable classes; the most frequent ones are drawn.
MOST_CURVES = 8
# Width of a figure in inches, and of its smallest text in points.
WIDTH, SMALL = 5.2, 9
# Characters of a title, and of a label beside the axes, per line.
_TITLE_CHARACTERS, _LABEL_CHARACTERS = 48, 25


def new_figure(title: str, width: float = WIDTH, height: float = 4.2) -> tuple[Figure, Axes]:
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
    figure.suptitle(
        wrap(title, round(_TITLE_CHARACTERS * width / WIDTH), lines=3),
        x=0.01,
        ha="left",
        fontsize=11.5,
        fontweight="bold",
    )
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    return figure, axes


def new_row_figure(
    title: str, labels: Sequence[str], extra: float = 1.3, most_lines: int = 2, characters: int = _LABEL_CHARACTERS
) -> tuple[Figure, Axes]:
    """Create a figure with one row per label, the first one on top.

    Args:
        title: Title, left-aligned.
        labels: Labels beside the axes; long ones take several lines.
        extra: Height in inches of title and horizontal axis.
        most_lines: Maximum number of lines of a label.
        characters: Maximum characters of a line.

    Returns:
        The figure and its axes; row i is at height i, and heights increase downwards.
    """
    wrapped = [wrap(label, characters, most_lines) for label in labels]
    rows = max(1, len(labels))
    n_lines = max((label.count("\n") + 1 for label in wrapped), default=1)
    figure, axes = new_figure(title, height=extra + rows * (0.15 + 0.13 * n_lines))
    axes.set_yticks(range(len(labels)), wrapped, fontsize=SMALL, linespacing=0.95, multialignment="right")
    axes.set_ylim(rows - 0.4, -0.6)
    return figure, axes


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Label both axes; long labels take several lines.

    Args:
        axes: The axes.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
    """
    axes.set_xlabel(wrap(x, 42), fontsize=SMALL)
    axes.set_ylabel(wrap(y, 34), fontsize=SMALL)


def group_thousands(axis: Any) -> None:
    """Write large numbers with commas.

    Args:
        axis: Axis of a figure, with its data.
    """
    if max(map(abs, axis.get_data_interval())) >= 10_000:
        axis.set_major_formatter("{x:,.0f}")


def wrap(text: str, width: int = _LABEL_CHARACTERS, lines: int = 2) -> str:
    """Break text into lines.

    Args:
        text: Any text.
        width: Maximum characters of a line.
        lines: Maximum number of lines; the end of a longer text is cut off.

    Returns:
        The lines; words are broken only if they are longer than a line.
    """
    found = textwrap.wrap(one_line(text), width) or [""]
    if len(found) > lines:
        found = [*found[: lines - 1], f"{found[lines - 1][: width - 1].rstrip()}…"]
    return "\n".join(found)
