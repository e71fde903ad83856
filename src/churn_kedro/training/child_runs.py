"""Child runs of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ChildRun:
    """A part of a run that is recorded as a nested run, such as a trial of a search.

    Attributes:
        name: Display name.
        params: Parameters.
        metrics: Metrics.
        curves: Metrics with a value per step; their names differ from those of ``metrics``.
        tags: Tags.
        status: Final status; pruned: stopped early because other trials were better.
        seconds: Duration; None if not measured.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: Literal["finished", "pruned", "failed"] = "finished"
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Check that no metric has the name of a curve."""
        both = sorted(self.metrics.keys() & self.curves.keys())
        if both:
            raise ValueError(
                f"Run '{self.name}' has metrics and curves of the same name: {', '.join(both)}. Rename one of them."
            )
