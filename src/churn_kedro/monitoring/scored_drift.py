"""Comparison at the time of scoring: are the customers those that the version knows?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers import CustomerDeclaration, DisplayNames
from churn_kedro.monitoring.counts import TableCounter
from churn_kedro.monitoring.drift import ColumnDrift, compare_columns, count_tests
from churn_kedro.monitoring.parameters import MonitoringParameters
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.report import DriftSummary
from churn_kedro.monitoring.severity import Severity, worst

_MOST_NAMED = 3


class ScoredDrift(Record):
    """How scored customers differ from those that the version was trained on."""

    compared: bool = Field(description="Whether the version has a reference profile.")
    rows: int = 0
    severity: Severity = "ok"
    score: float = Field(0.0, description="Mean Jensen-Shannon distance of the columns, weighted by importance.")
    columns: list[ColumnDrift] = Field(default_factory=list, description="Columns that have drifted.")

    def describe(self, names: DisplayNames) -> str | None:
        """Say in a sentence that the customers are not those that the version knows.

        Args:
            names: Names of columns.

        Returns:
            The sentence; None if they are, or if it is unknown.
        """
        if not self.columns:
            return None
        listed = ", ".join(names.column(one.name) for one in self.columns[:_MOST_NAMED])
        further = f" and {len(self.columns) - _MOST_NAMED} more" if len(self.columns) > _MOST_NAMED else ""
        return (
            f"These customers are not those that the version knows: {listed}{further} differ from the training data. "
            "`kedro run --pipelines monitoring` says how, and what to do."
        )


def compare_scored(
    parts: Iterable[pd.DataFrame],
    profile: ReferenceProfile | None,
    declaration: CustomerDeclaration,
    parameters: MonitoringParameters,
) -> ScoredDrift:
    """Compare scored customers with the reference of the version, in one pass.

    Args:
        parts: Typed customers, part by part.
        profile: The reference profile; None: the version has none.
        declaration: The table's declaration.
        parameters: Parameters of monitoring.

    Returns:
        The columns that have drifted.
    """
    if profile is None:
        return ScoredDrift(compared=False)
    counter = TableCounter(profile, declaration, sample_rows=0)
    for part in parts:
        counter.add(part)
    return summarise_counts(counter, profile, parameters)


def summarise_counts(counter: TableCounter, profile: ReferenceProfile, parameters: MonitoringParameters) -> ScoredDrift:
    """Compare counted customers with the reference.

    Args:
        counter: Their counts.
        profile: The reference profile.
        parameters: Parameters of monitoring.

    Returns:
        The columns that have drifted.
    """
    level = parameters.false_alarm_rate / count_tests(profile)
    columns: Sequence[ColumnDrift] = compare_columns(counter, profile, parameters.drift, level, parameters.random_state)
    drift = DriftSummary(columns=list(columns))
    return ScoredDrift(
        compared=True,
        rows=counter.rows,
        severity=worst(one.severity for one in columns),
        score=drift.score,
        columns=drift.drifted,
    )
