"""Planted changes of fabricated customers, with which monitoring is tested."""

from __future__ import annotations

from typing import Final, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from churn_kedro.base import ParameterError, Parameters
from churn_kedro.pipelines.fabrication.shapes.draws import FloatArray

DriftKind = Literal["mean_shift", "new_category", "missing_values", "swapped_unit", "changed_relation", "subgroup"]
NEW_LEVEL: Final = "Unknown"
# The shapes' categories have at most eleven levels; their other columns have far more different values.
_MOST_LEVELS: Final = 20


class Drift(Parameters):
    """A change of fabricated customers.

    ``mean_shift``: the numbers of the column move by ``size`` standard deviations. ``subgroup``: only those of the
    customers with the most frequent level of the column ``within``. ``new_category``: a share ``size`` of the customers
    has a level that did not exist. ``missing_values``: a share ``size`` of the cells is missing. ``swapped_unit``: the
    numbers are multiplied by ``size``. ``changed_relation``: ``size`` for each standard deviation of the column (of a
    column of text: for its most frequent level) is added to the log-odds of churn, and the columns stay as they are.
    """

    kind: DriftKind = Field(description="What changes.")
    column: str = Field(description="Column that changes.")
    size: float = Field(allow_inf_nan=False, description="Size of the change, in the unit of its kind.")
    within: str | None = Field(None, description="Column that defines the group of kind subgroup.")

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Self:
        if self.kind == "subgroup" and self.within is None:
            raise ValueError("kind subgroup needs within, the column of the group; found none")
        if self.kind != "subgroup" and self.within is not None:
            raise ValueError(f"within is for kind subgroup only; found it with {self.kind}")
        if self.kind in ("new_category", "missing_values") and not 0 <= self.size <= 1:
            raise ValueError(f"size of {self.kind} is a share, 0 to 1; found {self.size:g}")
        if self.kind == "swapped_unit" and self.size <= 0:
            raise ValueError(f"size of swapped_unit is a factor above 0; found {self.size:g}")
        return self


def apply_drift(
    attributes: pd.DataFrame, drift: Drift | None, rng: np.random.Generator, reference: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, FloatArray]:
    """Change customers.

    Args:
        attributes: Columns between identity and target, n rows.
        drift: The change; None: none.
        rng: Source of randomness.
        reference: Customers without the change, one or more, in the same columns. Standard deviations, ranges and most
            frequent levels are theirs, so that the change of a few customers is that of many.

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
    _require_fitting(reference, drift)
    cells, usual = attributes[drift.column], reference[drift.column]
    if drift.kind == "changed_relation":
        return attributes, attributes, drift.size * _standardise(cells, usual)
    if drift.kind in ("mean_shift", "subgroup"):
        shifted = _shift(cells, drift, usual)
        if drift.within is not None:
            shifted = shifted.where(attributes[drift.within] == _most_frequent(reference[drift.within]), cells)
        changed = attributes.assign(**{drift.column: shifted})
        return changed, changed, nothing
    return attributes.assign(**{drift.column: _record(cells, drift, rng, usual)}), attributes, nothing


def _require_fitting(reference: pd.DataFrame, drift: Drift) -> None:
    for name in filter(None, (drift.column, drift.within)):
        if name not in reference:
            raise ParameterError(
                f"fabrication.drift names the column '{name}'; expected one of {', '.join(reference.columns)}."
            )
    is_number = pd.api.types.is_numeric_dtype(reference[drift.column].dtype)
    if drift.kind in ("mean_shift", "subgroup", "swapped_unit") and not is_number:
        raise ParameterError(f"fabrication.drift.kind {drift.kind} needs a column of numbers; {drift.column} has text.")
    if drift.within is not None:
        _require_category(reference[drift.within], "fabrication.drift.within")
    elif drift.kind == "new_category" or (drift.kind == "changed_relation" and not is_number):
        _require_category(reference[drift.column], f"fabrication.drift.column of kind {drift.kind}")


def _require_category(cells: pd.Series, parameter: str) -> None:
    if pd.api.types.is_float_dtype(cells.dtype) or cells.nunique() > _MOST_LEVELS:
        raise ParameterError(
            f"{parameter} is '{cells.name}', which has {cells.nunique()} different values; expected a column of levels "
            f"(text or whole numbers), at most {_MOST_LEVELS} of them."
        )


def _record(cells: pd.Series, drift: Drift, rng: np.random.Generator, usual: pd.Series) -> pd.Series:
    """Record cells in another way."""
    if drift.kind == "swapped_unit":
        multiplied = (cells.astype(np.float64) * drift.size).round(6)
        stays_whole = pd.api.types.is_integer_dtype(cells.dtype) and drift.size.is_integer()
        return multiplied.astype(cells.dtype) if stays_whole else multiplied
    chosen = rng.random(len(cells)) < drift.size
    if drift.kind == "missing_values":
        return cells.mask(chosen)
    return cells.mask(chosen, usual.max() + 1 if pd.api.types.is_numeric_dtype(usual.dtype) else NEW_LEVEL)


def _standardise(cells: pd.Series, usual: pd.Series) -> FloatArray:
    if not pd.api.types.is_numeric_dtype(usual.dtype):
        return np.asarray(cells == _most_frequent(usual), dtype=np.float64)
    numbers: NDArray[np.float64] = cells.to_numpy(dtype=np.float64)
    spread = float(usual.std(ddof=0))
    return np.asarray((numbers - float(usual.mean())) / spread if spread else np.zeros(len(numbers)))


def _most_frequent(cells: pd.Series) -> object:
    return cells.value_counts().index[0]


def _shift(cells: pd.Series, drift: Drift, usual: pd.Series) -> pd.Series:
    """Move numbers within the range of the column; whole numbers stay whole."""
    step = drift.size * float(usual.std(ddof=0))
    if pd.api.types.is_integer_dtype(cells.dtype):
        if drift.size and not round(step):
            raise ParameterError(
                f"fabrication.drift.size {drift.size:g} moves '{drift.column}' by {step:.2g}, which its whole numbers "
                "round to 0; expected a size that moves it by more than 0.5."
            )
        step = round(step)
    # The fractions of all shapes are cents.
    return (cells + step).round(2).clip(usual.min(), usual.max())
