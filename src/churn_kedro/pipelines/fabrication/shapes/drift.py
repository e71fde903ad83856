"""Planted changes of fabricated customers, with which monitoring is tested."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import ParameterError, Parameters
from churn_kedro.pipelines.fabrication.shapes.draws import FloatArray

DriftKind = Literal["mean_shift", "new_category", "missing_values", "swapped_unit", "changed_relation", "subgroup"]
NEW_LEVEL = "Unknown"


class Drift(Parameters):
    """A change of fabricated customers.

    ``mean_shift``: the numbers of the column move by ``size`` standard deviations. ``subgroup``: only those of the
    customers with the most frequent level of the column ``within``. ``new_category``: a share ``size`` of the customers
    has a level that did not exist. ``missing_values``: a share ``size`` of the cells is missing. ``swapped_unit``: the
    numbers are multiplied by ``size``. ``changed_relation``: ``size`` for each standard deviation of the column (of a
    column of text: for its most frequent level) is added to the log-odds of churn, and the columns stay as they are.
    """

    kind: DriftKind
    column: str = Field(description="Column that changes.")
    size: float = Field(description="Size of the change, in the unit of its kind.")
    within: str | None = Field(None, description="Column that defines the group of kind subgroup.")


def apply_drift(
    attributes: pd.DataFrame, drift: Drift | None, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, FloatArray]:
    """Change customers.

    Args:
        attributes: Columns between identity and target, n rows.
        drift: The change; None: none.
        rng: Source of randomness.

    Returns:
        The customers as they are recorded, the customers as they behave, and what is added to their log-odds of churn,
        shape (n,). A cell that is only recorded in another way (new category, missing, other unit) changes no
        behaviour.

    Raises:
        ParameterError: The column does not exist, or does not fit the kind of the change.
    """
    nothing = np.zeros(len(attributes))
    if drift is None:
        return attributes, attributes, nothing
    _require_fitting(attributes, drift)
    if attributes.empty:
        return attributes, attributes, nothing
    cells = attributes[drift.column]
    if drift.kind == "changed_relation":
        return attributes, attributes, drift.size * _standardise(cells)
    if drift.kind in ("mean_shift", "subgroup"):
        members = np.ones(len(cells), dtype=bool) if drift.within is None else _most_frequent(attributes[drift.within])
        changed = attributes.assign(**{drift.column: _shift(cells, drift.size, members)})
        return changed, changed, nothing
    return attributes.assign(**{drift.column: _record(cells, drift, rng)}), attributes, nothing


def _require_fitting(attributes: pd.DataFrame, drift: Drift) -> None:
    for name in filter(None, (drift.column, drift.within)):
        if name not in attributes:
            raise ParameterError(
                f"fabrication.drift names the column '{name}'; expected one of {', '.join(attributes.columns)}."
            )
    is_number = pd.api.types.is_numeric_dtype(attributes[drift.column].dtype)
    if drift.kind in ("mean_shift", "subgroup", "swapped_unit") and not is_number:
        raise ParameterError(f"fabrication.drift.kind {drift.kind} needs a column of numbers; {drift.column} has text.")
    if (drift.kind == "subgroup") != (drift.within is not None):
        raise ParameterError("fabrication.drift.within is the column of the group of kind subgroup, and of no other.")
    if drift.kind in ("new_category", "missing_values") and not 0 <= drift.size <= 1:
        raise ParameterError(f"fabrication.drift.size of {drift.kind} is a share, 0 to 1; found {drift.size:g}.")


def _record(cells: pd.Series, drift: Drift, rng: np.random.Generator) -> pd.Series:
    """Record cells in another way."""
    if drift.kind == "swapped_unit":
        return (cells.astype(np.float64) * drift.size).round(6)
    chosen = rng.random(len(cells)) < drift.size
    if drift.kind == "missing_values":
        return cells.mask(chosen)
    is_number = pd.api.types.is_numeric_dtype(cells.dtype)
    level = float(cells.max()) + 1 if is_number else NEW_LEVEL
    return cells.astype(np.float64 if is_number else object).mask(chosen, level)


def _standardise(cells: pd.Series) -> FloatArray:
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        return _most_frequent(cells).astype(np.float64)
    numbers = cells.to_numpy(dtype=np.float64)
    spread = numbers.std()
    return np.asarray((numbers - numbers.mean()) / spread if spread else np.zeros(len(numbers)))


def _most_frequent(cells: pd.Series) -> np.ndarray:
    return np.asarray(cells == cells.value_counts().index[0], dtype=bool)


def _shift(cells: pd.Series, size: float, members: np.ndarray) -> pd.Series:
    """Move numbers within the range of the column; whole numbers stay whole."""
    numbers = cells.to_numpy(dtype=np.float64)
    moved = np.clip(numbers + size * numbers.std(), numbers.min(), numbers.max())
    if pd.api.types.is_integer_dtype(cells.dtype):
        moved = np.rint(moved)
    return pd.Series(np.where(members, moved, numbers), index=cells.index).astype(cells.dtype)
