"""Quality of the current data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.campaigns import BatchReport
from churn_kedro.monitoring.counts import TableCounter
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.severity import Severity

# Scores below which there is a warning, and an alarm.
_FAIR, _POOR = 0.95, 0.5


class CurrentQuality(Record):
    """Quality of the data that is scored."""

    score: float = Field(
        description="Share of the cells that can be used as in training: present unless the column was as empty in "
        "training, of a known level, and within the declared range; times the share of rows that could be read."
    )
    rows: int
    rejected: int = Field(description="Rows that could not be scored.")
    absent: list[str] = Field(default_factory=list, description="Columns of the model that the data lacks.")
    cells: dict[str, int] = Field(default_factory=dict, description="Unusable cells by column, without those absent.")
    unreadable: dict[str, int] = Field(
        default_factory=dict, description="Unreadable cells of rejected rows by column; empty where it is unknown."
    )
    undeclared: list[str] = Field(default_factory=list, description="Columns of a table that are not declared.")
    severity: Severity = "ok"


def check_quality(
    counter: TableCounter,
    profile: ReferenceProfile,
    rejected: int,
    unreadable: Mapping[str, int],
    undeclared: Sequence[str],
) -> CurrentQuality:
    """Count the cells that cannot be used as in training.

    Args:
        counter: Counts of the current customers.
        profile: The reference profile.
        rejected: Rows that could not be scored.
        unreadable: Their unreadable cells by column.
        undeclared: Columns that are not declared.

    Returns:
        The score and its parts.
    """
    unusable: dict[str, float] = {}
    absent = []
    for column in profile.columns:
        counted = counter.columns.get(column.name)
        if counted is None:
            absent.append(column.name)
            continue
        usual = counted.rows * column.missing / max(1, column.rows)
        missing = max(0.0, counted.missing - usual)
        new = float(counted.counts[-1]) if column.kind == "level" else 0.0
        unusable[column.name] = missing + new + counted.outside
    n_cells = counter.rows * len(profile.columns)
    bad = sum(unusable.values()) + counter.rows * len(absent)
    usable = 1 - bad / n_cells if n_cells else 1.0
    read = counter.rows / (counter.rows + rejected) if counter.rows + rejected else 1.0
    score = max(0.0, usable * read)
    return CurrentQuality(
        score=score,
        rows=counter.rows,
        rejected=rejected,
        absent=absent if counter.rows else [],
        cells={name: round(count) for name, count in unusable.items() if round(count)},
        unreadable=dict(unreadable),
        undeclared=list(undeclared),
        severity="alarm" if (absent and counter.rows) or score < _POOR else "warning" if score < _FAIR else "ok",
    )


def count_rejected(batches: Sequence[BatchReport], since: str, until: str) -> int:
    """Count the rows that batches of a period could not score.

    Args:
        batches: Reports of batches.
        since: First time, ISO 8601 in UTC.
        until: Last time.

    Returns:
        Number of rows.
    """
    return sum(batch.rows_rejected for batch in batches if since <= batch.scored_at <= until)
