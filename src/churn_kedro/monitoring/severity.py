"""How serious a finding is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

# In order of severity.
Severity = Literal["ok", "warning", "alarm"]
SEVERITIES: Final[tuple[Severity, ...]] = ("ok", "warning", "alarm")


def worst(severities: Iterable[Severity]) -> Severity:
    """Return the most serious of several severities.

    Args:
        severities: Any number of them.

    Returns:
        The most serious one; ``ok`` if there is none.

    Examples:
        >>> worst(["ok", "alarm", "warning"])
        'alarm'
    """
    return max(severities, key=SEVERITIES.index, default="ok")
