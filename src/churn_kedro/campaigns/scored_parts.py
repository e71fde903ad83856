"""Scoring of a table part by part."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from pydantic import Field

from churn_estimators.cells import ReadTable, read_table
from churn_kedro.base import Record, Stopwatch
from churn_kedro.campaigns.parameters import InferenceParameters
from churn_kedro.customers import (
    Column,
    CustomerDeclaration,
    CustomerTableError,
    NamedCustomers,
    Range,
    TableParts,
    apply_policy,
    find_known_outcomes,
    list_rejected,
    name_columns,
)
from churn_kedro.models import RegisteredModel

logger = logging.getLogger(__name__)

# Rows that an error about unreadable customers lists.
_LISTED = 5


class ScoringCounts(Record):
    """Counts of customers that were scored, of a part or of a table. They can be added."""

    rows_read: int = 0
    rows_scored: int = 0
    rows_rejected: int = 0
    known_outcomes: int = 0
    unseen: dict[str, int] = Field(default_factory=dict)
    out_of_range: dict[str, int] = Field(default_factory=dict)
    missing: dict[str, int] = Field(default_factory=dict)
    unreadable: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0

    def plus(self, other: ScoringCounts) -> ScoringCounts:
        """Return the sum of two counts."""
        return ScoringCounts(
            rows_read=self.rows_read + other.rows_read,
            rows_scored=self.rows_scored + other.rows_scored,
            rows_rejected=self.rows_rejected + other.rows_rejected,
            known_outcomes=self.known_outcomes + other.known_outcomes,
            unseen=dict(Counter(self.unseen) + Counter(other.unseen)),
            out_of_range=dict(Counter(self.out_of_range) + Counter(other.out_of_range)),
            missing=dict(Counter(self.missing) + Counter(other.missing)),
            unreadable=dict(Counter(self.unreadable) + Counter(other.unreadable)),
            seconds=self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class ScoredPart:
    """Scored customers of a part of a table.

    Attributes:
        ids: Columns that identify the customers. Its index, which the other tables share, is the position in the table.
        customers: Cells of the model's columns as the model reads them.
        answer: Predictions and decisions, see :meth:`churn_estimators.model.CustomerModel.answer`.
        outcome_known: Whether the table has the outcome of each customer.
        rejected: Customers that cannot be scored, as the file writes them, with reasons.
        counts: Counts of the part.
        is_first: Whether it is the first part.
        data_digest: Digest of the whole table, with the last part; None before.
    """

    ids: pd.DataFrame
    customers: pd.DataFrame
    answer: pd.DataFrame
    outcome_known: np.ndarray
    rejected: pd.DataFrame
    counts: ScoringCounts
    is_first: bool = False
    data_digest: str | None = None


@dataclass(frozen=True)
class ScoredTable:
    """Scored customers of a table.

    Attributes:
        ids: Columns that identify the customers; the index is the position in the table.
        answer: Predictions and decisions of the model, under the same index.
        outcome_known: Whether the table has the outcome of each customer.
        rejected: Customers that cannot be scored, with reasons.
        counts: Counts of the table.
        data_digest: Digest of the table.
        read_customers: Reads the cells of the model's columns, part by part.
    """

    ids: pd.DataFrame
    answer: pd.DataFrame
    outcome_known: np.ndarray
    rejected: pd.DataFrame
    counts: ScoringCounts
    data_digest: str
    read_customers: Callable[[], Iterable[pd.DataFrame]] = field(repr=False)

    def lacks(self, column: str) -> bool:
        """Whether the first part has no value in a column of the model."""
        first = next(iter(self.read_customers()))
        return bool(first[column].isna().all()) if column in first else True

    def select(self, positions: pd.Index) -> pd.DataFrame:
        """Read the cells of some customers.

        Args:
            positions: Their positions in the table.

        Returns:
            Cells of the model's columns, in the given order.
        """
        wanted = np.sort(positions.to_numpy())
        found = []
        for part in self.read_customers():
            first, last = np.searchsorted(wanted, [part.index[0], part.index[-1] + 1])
            if first < last:
                found.append(part.loc[wanted[first:last]])
        return pd.concat(found).loc[positions] if found else next(iter(self.read_customers())).iloc[:0]


def score_parts(
    parts: TableParts, model: RegisteredModel, declaration: CustomerDeclaration, stopwatch: Stopwatch
) -> Iterator[ScoredPart]:
    """Score a table part by part.

    Args:
        parts: Customers as the file writes them; the target may be absent.
        model: The version that scores them.
        declaration: The table's declaration, with the policy for unreadable cells.
        stopwatch: Measures the seconds of scoring.

    Yields:
        The scored parts, the last one with the digest of the table. A table without rows is one part.

    Raises:
        CustomerTableError: A declared column is absent, or a cell cannot be read and the policy is to refuse it.
    """
    waiting: ScoredPart | None = None
    for raw in parts:
        if waiting is not None:
            yield waiting
        waiting = replace(score_part(raw, model, declaration, stopwatch), is_first=waiting is None)
    if waiting is None:
        raise CustomerTableError("The table of new customers has neither a header nor rows.")
    yield replace(waiting, data_digest=parts.digest)


def score_part(
    raw: pd.DataFrame, model: RegisteredModel, declaration: CustomerDeclaration, stopwatch: Stopwatch
) -> ScoredPart:
    """Score customers that are in memory.

    Args:
        raw: Customers as the source writes them; the index is the position of each.
        model: The version that scores them.
        declaration: The table's declaration, with the policy for unreadable cells.
        stopwatch: Measures the seconds of scoring.

    Returns:
        The scored customers.

    Raises:
        CustomerTableError: A declared column is absent, or a cell cannot be read and the policy is to refuse it.
    """
    named = name_columns(raw, declaration, with_target=False)
    began = stopwatch()
    read = model.estimator.read(named.cells)
    unreadable = apply_policy(read.unreadable, declaration.unreadable)
    rejected = list_rejected(named.raw, unreadable)
    rejected["row"] += int(raw.index[0]) if len(raw) else 0
    readable = _readable(read, unreadable)
    customers = read.table if readable is None else read.table[readable]
    answer = model.estimator.answer(customers)
    seconds = stopwatch() - began
    ids = _identify(named, declaration)
    outcome_known = find_known_outcomes(named, declaration).to_numpy()
    if readable is not None:
        ids, outcome_known = ids[readable], outcome_known[readable]
    unseen, out_of_range, missing = count_unusual_cells(customers, declaration)
    return ScoredPart(
        ids=ids,
        customers=customers,
        answer=answer,
        outcome_known=outcome_known,
        rejected=rejected,
        counts=ScoringCounts(
            rows_read=len(raw),
            rows_scored=len(customers),
            rows_rejected=len(rejected),
            known_outcomes=int(outcome_known.sum()),
            unseen=unseen,
            out_of_range=out_of_range,
            missing=missing,
            unreadable={str(name): int(count) for name, count in unreadable["column"].value_counts().items()},
            seconds=seconds,
        ),
    )


def _readable(read: ReadTable, unreadable: pd.DataFrame) -> np.ndarray | None:
    """Mask of the rows without an unreadable cell; None: all."""
    return None if unreadable.empty else ~read.table.index.isin(unreadable["row"])


def _identify(named: NamedCustomers, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Return the declared identifiers, or else the row numbers of the file (1: the first row below the header)."""
    readers = [declaration.cell_reader(column) for column in declaration.columns if column.role == "id"]
    if readers:
        return read_table(named.cells, readers).table
    return pd.DataFrame({"row": named.cells.index + 1}, index=named.cells.index)


def count_unusual_cells(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Count cells that are scored although the declaration does not allow them, and missing ones.

    Args:
        customers: Typed customers; columns that are absent are not counted.
        declaration: The table's declaration.

    Returns:
        Levels outside of the domain, numbers outside of it, and missing cells, for each feature that has any.
    """
    unseen: dict[str, int] = {}
    out_of_range: dict[str, int] = {}
    missing: dict[str, int] = {}
    for column in declaration.features:
        if column.name not in customers:
            continue
        cells = customers[column.name]
        missing[column.name] = int(cells.isna().sum())
        (unseen if column.levels else out_of_range)[column.name] = int(find_outside(cells, column).sum())
    return _positive(unseen), _positive(out_of_range), _positive(missing)


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def find_outside(cells: pd.Series, column: Column) -> pd.Series:
    """Find cells outside of the domain of their column.

    Args:
        cells: Typed cells.
        column: The column.

    Returns:
        Boolean column; missing cells are not outside.
    """
    if isinstance(column.domain, Range):
        low = -np.inf if column.domain.min is None else column.domain.min
        high = np.inf if column.domain.max is None else column.domain.max
        return (cells < low) | (cells > high)
    if column.levels:
        return cells.notna() & ~cells.isin(column.levels)
    return pd.Series(False, index=cells.index)


def require_readable(counts: ScoringCounts, rejected: pd.DataFrame, parameters: InferenceParameters) -> None:
    """Check that few customers are unreadable.

    Args:
        counts: Counts of the table.
        rejected: Customers that cannot be scored (``row``, ``reasons``).
        parameters: Largest share of them that is accepted.

    Raises:
        CustomerTableError: The share is larger, or the table has no customer.
    """
    if counts.rows_read == 0:
        raise CustomerTableError("The table of new customers has a header but no rows: there is no customer to score.")
    if counts.rows_rejected / counts.rows_read > parameters.max_unscored_share:
        examples = "\n".join(
            f"  row {row}, {reason}" for row, reason in rejected[["row", "reasons"]].head(_LISTED).values
        )
        raise CustomerTableError(
            f"{counts.rows_rejected:,} of {counts.rows_read:,} customers cannot be scored; at most "
            f"{parameters.max_unscored_share:.1%} may be left out (inference.max_unscored_share). The first of them:\n"
            f"{examples}\nThe file unscored_customers lists all of them."
        )


def warn_of_unusual_cells(counts: ScoringCounts, declaration: CustomerDeclaration) -> None:
    """Log a warning for each column with cells that the declaration does not allow.

    Args:
        counts: Counts of the table.
        declaration: The table's declaration.
    """
    for name, count in unusual_cells(counts, declaration).items():
        logger.warning("%s: %d cells are unknown, out of range or missing; they are scored anyway.", name, count)


def unusual_cells(counts: ScoringCounts, declaration: CustomerDeclaration) -> Mapping[str, int]:
    """Sum the cells of each column that the declaration does not allow.

    Args:
        counts: Counts of the table.
        declaration: The table's declaration.

    Returns:
        Unknown levels, numbers out of range, and missing cells where none are allowed, by column.
    """
    complete = {column.name for column in declaration.features if not column.nullable}
    missing = {name: count for name, count in counts.missing.items() if name in complete}
    summed = Counter(counts.unseen) + Counter(counts.out_of_range) + Counter(missing)
    return {column.name: summed[column.name] for column in declaration.features if column.name in summed}
