"""Groups of customers by one column: its levels, or ranges of its numbers and dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from churn_kedro.customers import Column, level_text

# Groups of missing values and of rare levels.
MISSING, OTHER = "missing", "other"


@dataclass(frozen=True)
class Groups:
    """Groups of customers by one column.

    Attributes:
        column: Name of the column.
        labels: Label of each group in order: levels as declared, or by frequency; ranges from low to high; then
            ``other``, then ``missing``. Each group has at least one customer.
        codes: Index of each customer's group in ``labels``, shape (n,).
        ranges: Whether the labels are ranges, such as "30 to 45", rather than levels.
    """

    column: str
    labels: tuple[str, ...]
    codes: np.ndarray
    ranges: bool

    def describe(self, code: int) -> str:
        """Describe a group in words.

        Args:
            code: Index of the group.

        Returns:
            Text such as "Geography = Germany" or "Age 45 to 60".
        """
        label = self.labels[code]
        if label == MISSING:
            return f"{self.column} missing"
        return f"{self.column} {label}" if self.ranges else f"{self.column} = {label}"


def group_customers(cells: pd.Series, column: Column, min_rows: int = 1) -> Groups:
    """Assign customers to the groups of a column.

    Numbers are cut at the column's bands, where a value at a cut belongs to the range above; without bands, at the
    quartiles of these customers. Numbers with few distinct values, and numbers declared as levels, are treated as
    levels. Dates are cut at quartiles, rounded to the first day of a calendar quarter. Missing values form a separate
    group.

    Args:
        cells: The column, normalised, shape (n,).
        column: Its declaration.
        min_rows: Levels with fewer customers are combined as ``other``.

    Returns:
        The groups.
    """
    missing = cells.isna().to_numpy()
    if column.cells == "date":
        return _cut_dates(cells, column.name, missing)
    if column.cells == "number" and not column.levels:
        return _cut_numbers(cells.to_numpy(dtype=np.float64), column, missing)
    return _list_levels(cells, column, missing, min_rows)


def _collect(column: str, codes: np.ndarray, labels: Sequence[str], missing: np.ndarray, *, ranges: bool) -> Groups:
    """Drop empty groups and put the group of missing values last."""
    codes = np.where(missing, len(labels), codes)
    found, compact = np.unique(codes, return_inverse=True)
    names = [*labels, MISSING]
    return Groups(column, tuple(names[code] for code in found), compact.reshape(-1), ranges)


def _cut_numbers(numbers: np.ndarray, column: Column, missing: np.ndarray) -> Groups:
    known = numbers[~missing]
    cuts = np.array(column.bands, dtype=np.float64) if column.bands else _quartiles(known)
    if not column.bands:
        distinct = np.unique(known)
        # Repeated quartiles make empty ranges: such numbers are treated as levels.
        if len(distinct) <= 4:
            codes = np.searchsorted(distinct, np.where(missing, 0.0, numbers))
            labels = [_number(value) for value in distinct]
            return _collect(column.name, codes, labels, missing, ranges=False)
    codes = np.searchsorted(cuts, np.where(missing, 0.0, numbers), side="right")
    return _collect(column.name, codes, _ranges([_number(cut) for cut in cuts]), missing, ranges=True)


def _quartiles(known: np.ndarray) -> np.ndarray:
    if not len(known):
        return np.empty(0)
    cuts = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="higher"))
    # The range below the smallest value is empty.
    quartiles: np.ndarray = cuts[cuts > known.min()]
    return quartiles


def _ranges(cuts: Sequence[str]) -> list[str]:
    if not cuts:
        return ["any"]
    between = [f"{low} to {high}" for low, high in pairwise(cuts)]
    return [f"below {cuts[0]}", *between, f"from {cuts[-1]}"]


def _number(value: float) -> str:
    """Format a number in short form."""
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.4g}"


def _cut_dates(cells: pd.Series, name: str, missing: np.ndarray) -> Groups:
    quarters = cells.dt.to_period("Q")
    known = quarters[~missing]
    ordinals = quarters.dt.year.to_numpy(dtype=np.float64, na_value=np.nan) * 4 + quarters.dt.quarter.to_numpy(
        dtype=np.float64, na_value=np.nan
    )
    cuts = _quartiles(ordinals[~missing])
    codes = np.searchsorted(cuts, np.where(missing, 0.0, ordinals), side="right")
    written = [f"{int((cut - 1) // 4)} Q{int((cut - 1) % 4) + 1}" for cut in cuts]
    # All dates are in one quarter: its name is the label.
    labels = _ranges(written) if written or known.empty else [str(known.iloc[0]).replace("Q", " Q")]
    return _collect(name, codes, labels, missing, ranges=True)


def _list_levels(cells: pd.Series, column: Column, missing: np.ndarray, min_rows: int) -> Groups:
    counts = cells.value_counts()
    declared = [level for level in column.levels if level in counts.index]
    levels = [*declared, *(level for level in counts.index if level not in declared)]
    kept = [level for level in levels if counts[level] >= min_rows]
    # A single rare level keeps its name.
    rare = len(levels) - len(kept)
    if rare == 1:
        kept = levels
    positions = {level: place for place, level in enumerate(kept)}
    codes = cells.map(positions).to_numpy(dtype=np.float64, na_value=np.nan)
    labels = [level_text(level) for level in kept]
    codes = np.where(np.isnan(codes), len(labels), codes).astype(np.int64)
    return _collect(column.name, codes, [*labels, OTHER], missing, ranges=False)
