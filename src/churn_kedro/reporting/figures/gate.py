"""Figure of the gate."""

from __future__ import annotations

import textwrap

from churn_kedro.registry import Decision
from churn_kedro.reporting.figures.style import MAIN, SECOND, Figure, new_figure

_CHARACTERS = 104
_LINE_INCHES = 0.2


def draw_gate(decision: Decision) -> Figure:
    """Draw the checks of the gate and their results as a list.

    Args:
        decision: Decision of the gate.

    Returns:
        The figure.
    """
    verdicts = {
        "promoted": "promoted",
        "awaiting_approval": "passed, waits for approval",
        "refused": "refused",
        "unchanged": "unchanged",
    }
    texts = [textwrap.wrap(check.reason, _CHARACTERS) or [""] for check in decision.checks]
    lines = sum(len(text) + 1.6 for text in texts)
    against = "no champion yet" if decision.incumbent is None else f"champion version {decision.incumbent}"
    figure, axes = new_figure(
        f"{decision.model_name} version {decision.candidate}: {verdicts[decision.verdict]} ({against})",
        9.6,
        0.8 + _LINE_INCHES * lines,
    )
    place = 0.0
    for check, text in zip(decision.checks, texts, strict=True):
        color = MAIN if check.passed else SECOND
        symbol = "\N{CHECK MARK}" if check.passed else "\N{MULTIPLICATION X}" if check.decisive else "!"
        axes.text(0, place, symbol, color=color, fontsize=13, fontweight="bold", va="top")
        axes.text(0.03, place, check.name, color=color, fontsize=10, fontweight="bold", va="top")
        axes.text(0.03, place + 1, "\n".join(text), fontsize=9, va="top", linespacing=1.25)
        place += len(text) + 1.6
    axes.set_xlim(0, 1)
    axes.set_ylim(lines, 0)
    axes.set_axis_off()
    return figure
