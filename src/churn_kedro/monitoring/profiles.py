"""Reference profiles: what a version was trained on, as histograms."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.campaigns import find_outside
from churn_kedro.customers import Column, Range, Task, level_text

# Quantiles that are the edges of the bins of a number.
_QUANTILES = 128
# Groups of bins that are compared, and levels that are a group of their own.
_GROUPS, _GROUPED_LEVELS = 16, 20
# Most frequent levels that are known by name; further ones are other levels.
_MOST_LEVELS = 2_000

ColumnKind = Literal["number", "date", "level"]


class GroupResiduals(Record):
    """Observed minus predicted outcomes in each group of a column, out of fold (task binary)."""

    customers: list[float]
    residual: list[float] = Field(description="Sum of outcome minus probability.")
    variance: list[float] = Field(description="Sum of p (1 - p).")


class ReferenceColumn(Record):
    """Histogram of a column. Missing cells are a group of their own, the last one."""

    name: str
    kind: ColumnKind
    importance: float = Field(0.0, description="Share of the column in the model's importance, 0 to 1.")
    edges: list[float] = Field(
        default_factory=list,
        description="Numbers and dates (days since 1970): edges of the bins, ascending. Bin i has what is above edge "
        "i - 1 and up to edge i; the first and the last one are outside of the reference.",
    )
    levels: list[str] = Field(default_factory=list, description="Levels, most frequent first; the last bin is others.")
    counts: list[int] = Field(description="Customers in each bin, without missing cells.")
    groups: list[int] = Field(description="Group of each bin.")
    missing: int = Field(0, description="Missing cells.")
    outside: int = Field(0, description="Cells that the declaration does not allow.")
    singletons: int = Field(0, description="Levels that occur once, from which the share of new levels is estimated.")
    spread: float = Field(0.0, description="Standard deviation of the numbers.")
    period_variation: float = Field(
        0.0, description="Largest divergence of a period of the reference from the others, beyond chance."
    )
    residuals: GroupResiduals | None = None

    @property
    def rows(self) -> int:
        """Number of customers, with those whose cell is missing."""
        return sum(self.counts) + self.missing

    @property
    def n_groups(self) -> int:
        """Number of groups, with that of missing cells."""
        return max(self.groups, default=-1) + 2

    def groups_of(self, codes: np.ndarray) -> np.ndarray:
        """Return the groups of bins.

        Args:
            codes: Numbers of bins, -1 for a missing cell, shape (n,).

        Returns:
            Numbers of groups, shape (n,).
        """
        # The last place, which -1 stands for, is the group of missing cells.
        return np.asarray(np.array([*self.groups, self.n_groups - 1])[codes])

    def group_counts(self, counts: np.ndarray, missing: int) -> np.ndarray:
        """Sum the bins of each group.

        Args:
            counts: Counts of the bins, shape (n_bins,).
            missing: Number of missing cells.

        Returns:
            Counts of the groups, shape (n_groups,).
        """
        summed = np.bincount(self.groups, weights=counts, minlength=self.n_groups)
        summed[-1] = missing
        return summed

    def population(self) -> np.ndarray:
        """Estimate the shares of the groups in the population of the reference, shape (n_groups,).

        Levels that the reference lacks have the share of Good and Turing: that of levels which occur once (Good,
        Biometrika 40, 1953).
        """
        found = self.group_counts(np.asarray(self.counts, dtype=float), self.missing)
        if self.kind == "level" and self.singletons:
            found[self.groups[-1]] += self.singletons
        total = found.sum()
        return found / total if total else np.full(len(found), 1 / len(found))

    def group_names(self) -> list[str]:
        """Name the groups, for tables and figures."""
        names: list[str] = []
        for group in range(self.n_groups - 1):
            bins = [place for place, one in enumerate(self.groups) if one == group]
            if self.kind == "level":
                names.append(self._name_levels(bins))
            else:
                names.append(self._name_numbers(bins))
        return [*names, "missing"]

    def _name_levels(self, bins: list[int]) -> str:
        if bins == [len(self.levels)]:
            return "other levels"
        return self.levels[bins[0]] if len(bins) == 1 else f"{len(bins)} rare levels"

    def _name_numbers(self, bins: list[int]) -> str:
        # The first and the last bin are outside of the reference.
        low = None if bins[0] <= 1 else self._write(self.edges[bins[0] - 1])
        high = None if bins[-1] >= len(self.edges) else self._write(self.edges[bins[-1]])
        if low is None:
            return "all" if high is None else f"up to {high}"
        return f"above {low}" if high is None else high if low == high else f"{low} to {high}"

    def _write(self, number: float) -> str:
        if self.kind == "date":
            return str(np.datetime64(round(number), "D"))
        return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


class ScoreReference(Record):
    """Out-of-fold predictions of the training customers in bins of the probability (task binary)."""

    customers: list[list[float]] = Field(description="Customers by decision (no, yes) and bin.")
    left: list[list[float]] = Field(description="Those of them who left.")
    expected: list[list[float]] = Field(description="Sums of the probabilities.")
    profit: float | None = Field(None, description="Expected profit per customer, in money.")


class ReferenceProfile(Record):
    """What a version was trained on, without rows of customers."""

    task: Task
    rows: int = Field(description="Customers.")
    columns: list[ReferenceColumn]
    prediction: ReferenceColumn | None = Field(
        None, description="Histogram of the out-of-fold predictions: probabilities, numbers or classes."
    )
    scores: ScoreReference | None = Field(None, description="Task binary only.")
    errors: dict[str, float] = Field(
        default_factory=dict, description="Out-of-fold error of a regression (rmse, mae), or accuracy of classes."
    )
    positive_rate: float | None = Field(None, description="Share of customers who left (task binary).")

    def column(self, name: str) -> ReferenceColumn:
        """Return a column by its name."""
        return next(one for one in self.columns if one.name == name)


def as_numbers(cells: pd.Series) -> np.ndarray:
    """Convert typed cells to numbers.

    Args:
        cells: Numbers, or dates.

    Returns:
        float64 array of shape (n,): the numbers, or days since 1970; NaN where missing.
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        days = cells.to_numpy(dtype="datetime64[us]").astype("int64") / 86_400_000_000
        return np.where(cells.isna().to_numpy(), np.nan, days)
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def as_levels(cells: pd.Series) -> pd.Series:
    """Count the levels of typed cells.

    Args:
        cells: Text or numbers.

    Returns:
        Count by level as text, most frequent first; of equally frequent ones in alphabetical order.
    """
    if pd.api.types.is_numeric_dtype(cells.dtype):
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        levels, counts = np.unique(numbers[~np.isnan(numbers)], return_counts=True)
        found = pd.Series(counts, index=[level_text(float(level)) for level in levels], dtype=np.int64)
    else:
        found = cells.value_counts(sort=False)
        found.index = found.index.astype(object)
    ordered = sorted(found.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return pd.Series([count for _, count in ordered], index=[str(level) for level, _ in ordered], dtype=np.int64)


def column_kind(column: Column) -> ColumnKind:
    """Return how a column is divided into bins."""
    if column.cells == "date":
        return "date"
    return "number" if column.cells == "number" and not column.levels else "level"


def count_outside(cells: pd.Series, column: Column) -> int:
    """Count the numbers outside of the declared range of their column."""
    return int(find_outside(cells, column).sum()) if isinstance(column.domain, Range) else 0


def profile_column(
    cells: pd.Series, name: str, kind: ColumnKind, *, outside: int = 0, importance: float = 0.0
) -> ReferenceColumn:
    """Describe the cells of a column by a histogram.

    Args:
        cells: Typed cells of the reference.
        name: Name of the column.
        kind: How it is divided into bins.
        outside: Cells that the declaration does not allow.
        importance: Share in the model's importance.

    Returns:
        The histogram: numbers in bins between quantiles, or one bin for each level.
    """
    missing = int(cells.isna().sum())
    if kind == "level":
        found = as_levels(cells)
        levels = [str(level) for level in found.index[:_MOST_LEVELS]]
        counts = [int(count) for count in found.iloc[:_MOST_LEVELS]]
        groups = [min(place, _GROUPED_LEVELS) for place in range(len(levels))]
        others = max(groups, default=-1) + 1
        return ReferenceColumn(
            name=name,
            kind=kind,
            importance=importance,
            levels=levels,
            counts=[*counts, int(found.iloc[_MOST_LEVELS:].sum())],
            groups=[*groups, others],
            missing=missing,
            outside=outside,
            singletons=int((found == 1).sum()),
        )
    numbers = as_numbers(cells)
    numbers = np.sort(numbers[np.isfinite(numbers)])
    edges = choose_edges(numbers)
    binned = bin_sorted(numbers, edges)
    return ReferenceColumn(
        name=name,
        kind=kind,
        importance=importance,
        edges=edges.tolist(),
        counts=binned.tolist(),
        groups=_group_bins(binned),
        missing=missing + int(np.isinf(as_numbers(cells)).sum()),
        outside=outside,
        spread=float(numbers.std()) if len(numbers) else 0.0,
    )


def choose_edges(numbers: np.ndarray) -> np.ndarray:
    """Choose the edges of the bins of numbers: quantiles, or between the values where these are few.

    Args:
        numbers: Ascending finite numbers.

    Returns:
        Ascending edges. Nothing of the reference is below the first or above the last one.
    """
    if not len(numbers):
        return np.empty(0)
    values = np.unique(numbers)
    if len(values) > _QUANTILES:
        values = np.unique(np.quantile(numbers, np.linspace(0, 1, _QUANTILES + 1), method="inverted_cdf"))
    return np.concatenate([[np.nextafter(values[0], -np.inf)], values])


def bin_sorted(numbers: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Count numbers in bins.

    Args:
        numbers: Ascending numbers without NaN.
        edges: Ascending edges, shape (n_edges,).

    Returns:
        Counts, integers of shape (n_edges + 1,).
    """
    upto = np.searchsorted(numbers, edges, side="right")
    return np.diff(upto, prepend=0, append=len(numbers))


def _group_bins(counts: np.ndarray) -> list[int]:
    """Join neighbouring bins until each group has its part of the customers."""
    wanted = counts.sum() / _GROUPS
    groups, group, filled = [], 0, 0.0
    for place, count in enumerate(counts):
        # A bin that is large by itself, such as many zeros, is not joined with a small one before it.
        if filled and (filled >= wanted or (count > wanted and filled > wanted / 4)):
            group, filled = group + 1, 0.0
        groups.append(group)
        filled += count
        if place == len(counts) - 1 and filled < wanted / 4 and group > 0:
            return [min(one, group - 1) for one in groups]
    return groups
