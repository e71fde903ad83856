"""What an experiment leaves behind: its parts, each as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ChildRun:
    """A part of a run that is recorded as a run under it: a trial of a search, a fold, a learner that was compared.

    Attributes:
        name: Name to show.
        params: What it was started with.
        metrics: What came out.
        curves: A metric at each step of the learning; no metric has the name of a curve.
        tags: What else is to be found by.
        status: How it ended; a pruned one was given up, since others did better.
        seconds: How long it took; None where nobody measured.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    status: Literal["finished", "pruned", "failed"] = "finished"
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse a metric that would be taken for a step of a curve."""
        both = sorted(self.metrics.keys() & self.curves.keys())
        if both:
            raise ValueError(f"Metrics and curves of the run '{self.name}' have names in common: {', '.join(both)}.")
