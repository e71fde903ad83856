"""Counts of customers in the bins of a reference profile, in one pass over the parts of a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, level_text
from churn_kedro.monitoring.profiles import (
    ReferenceColumn,
    ReferenceProfile,
    as_levels,
    as_numbers,
    bin_sorted,
    count_outside,
)

# Rows of the reference and of current tables that are kept as numbers of bins.
SAMPLE_ROWS = 5_000
# Code of a missing cell.
MISSING_CODE = -1
# New levels that are named.
_MOST_NEW_LEVELS = 50


@dataclass
class ColumnCounts:
    """Counts of a column.

    Attributes:
        counts: Customers in each bin of the reference, without missing cells.
        missing: Missing cells.
        outside: Numbers that the declaration does not allow.
        beyond: Sum of the distances of numbers beyond the smallest and largest of the reference.
        new_levels: Levels that the reference lacks.
    """

    counts: np.ndarray
    missing: int = 0
    outside: int = 0
    beyond: float = 0.0
    new_levels: Counter[str] = field(default_factory=Counter)

    def add(self, other: ColumnCounts) -> None:
        """Add the counts of another part."""
        self.counts = self.counts + other.counts
        self.missing += other.missing
        self.outside += other.outside
        self.beyond += other.beyond
        self.new_levels = Counter(dict((self.new_levels + other.new_levels).most_common(_MOST_NEW_LEVELS)))

    @property
    def rows(self) -> int:
        """Customers, with those whose cell is missing."""
        return int(self.counts.sum()) + self.missing


def count_column(cells: pd.Series, reference: ReferenceColumn) -> ColumnCounts:
    """Count the cells of a column in the bins of its reference.

    Args:
        cells: Typed cells.
        reference: The histogram of the reference.

    Returns:
        The counts.
    """
    if reference.kind == "level":
        found = as_levels(cells)
        places = pd.Index(reference.levels).get_indexer(found.index)
        known = places >= 0
        counts = np.bincount(places[known], weights=found.to_numpy()[known], minlength=len(reference.levels) + 1)
        counts[-1] += found[~known].sum()
        return ColumnCounts(
            counts.astype(np.int64),
            missing=int(cells.isna().sum()),
            new_levels=Counter({str(name): int(count) for name, count in found[~known].head(_MOST_NEW_LEVELS).items()}),
        )
    numbers = as_numbers(cells)
    finite = np.sort(numbers[np.isfinite(numbers)])
    edges = np.asarray(reference.edges)
    beyond = 0.0
    if len(edges) and len(finite):
        beyond = float(np.maximum(edges[0] - finite, 0).sum() if finite[0] < edges[0] else 0.0)
        beyond += float(np.maximum(finite - edges[-1], 0).sum() if finite[-1] > edges[-1] else 0.0)
    return ColumnCounts(bin_sorted(finite, edges), missing=len(numbers) - len(finite), beyond=beyond)


def code_column(cells: pd.Series, reference: ReferenceColumn) -> np.ndarray:
    """Return the bin of each cell, integers of shape (n,); -1 where missing."""
    missing = cells.isna().to_numpy()
    if reference.kind == "level":
        index = pd.Index(reference.levels)
        texts = cells if not pd.api.types.is_numeric_dtype(cells.dtype) else _number_levels(cells)
        codes = index.get_indexer(pd.Index(texts.astype(object)))
        codes = np.where(codes < 0, len(reference.levels), codes)
    else:
        codes = np.searchsorted(np.asarray(reference.edges), as_numbers(cells), side="left")
    return np.where(missing, MISSING_CODE, codes).astype(np.int32)


def _number_levels(cells: pd.Series) -> pd.Series:
    return cells.map(lambda number: None if number != number else level_text(float(number)))


class TableCounter:
    """Counts the customers of a table, part by part, and keeps a sample of them as numbers of bins.

    Args:
        profile: The reference profile.
        declaration: The table's declaration.
        seed: Seed of the sample.
        sample_rows: Largest number of customers in the sample.

    Attributes:
        rows: Number of customers so far.
        columns: Counts by column; columns that a part lacks are absent.
    """

    def __init__(
        self,
        profile: ReferenceProfile,
        declaration: CustomerDeclaration,
        seed: int = 0,
        sample_rows: int = SAMPLE_ROWS,
    ) -> None:
        self._profile = profile
        self._declared = {column.name: column for column in declaration.features}
        self._random = np.random.default_rng(seed)
        self._sample_rows = sample_rows
        self._samples: list[pd.DataFrame] = []
        self._priorities = np.empty(0)
        self.rows = 0
        self.columns: dict[str, ColumnCounts] = {}

    def add(self, customers: pd.DataFrame) -> None:
        """Count a part.

        Args:
            customers: Typed customers.
        """
        self.rows += len(customers)
        for reference in self._profile.columns:
            if reference.name not in customers:
                continue
            cells = customers[reference.name]
            counted = count_column(cells, reference)
            if reference.name in self._declared:
                counted.outside = count_outside(cells, self._declared[reference.name])
            if reference.name in self.columns:
                self.columns[reference.name].add(counted)
            else:
                self.columns[reference.name] = counted
        if self._sample_rows:
            self._draw(customers)

    def _draw(self, customers: pd.DataFrame) -> None:
        """Keep the customers with the smallest random numbers so far."""
        drawn = self._random.random(len(customers))
        if len(self._priorities) >= self._sample_rows:
            chosen = np.flatnonzero(drawn < self._priorities.max())
        else:
            chosen = np.arange(len(customers))
        if len(chosen) > self._sample_rows:
            chosen = chosen[np.argsort(drawn[chosen], kind="stable")[: self._sample_rows]]
        coded = code_customers(customers.iloc[chosen], self._profile)
        sample = pd.concat([*self._samples, coded], ignore_index=True)
        priorities = np.concatenate([self._priorities, drawn[chosen]])
        kept = np.argsort(priorities, kind="stable")[: self._sample_rows]
        self._samples, self._priorities = [sample.iloc[kept].reset_index(drop=True)], priorities[kept]

    @property
    def sample(self) -> pd.DataFrame:
        """Bins of a random sample of the customers: integers, one column for each column of the reference."""
        return self._samples[0] if self._samples else pd.DataFrame()


def code_customers(customers: pd.DataFrame, profile: ReferenceProfile) -> pd.DataFrame:
    """Replace cells by the numbers of their bins.

    Args:
        customers: Typed customers.
        profile: The reference profile.

    Returns:
        int32 columns of the profile that the table has; -1 where missing.
    """
    return pd.DataFrame(
        {
            column.name: code_column(customers[column.name], column)
            for column in profile.columns
            if column.name in customers
        }
    )
