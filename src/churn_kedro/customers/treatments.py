"""How a column is treated before the model sees it, as typed configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from churn_kedro.base import Parameters

MissingTreatment = Literal["keep", "median", "mean", "most_frequent", "constant", "knn", "iterative"]
Encoding = Literal["native", "ordinal", "one_hot", "target"]
Scaling = Literal["none", "standard", "min_max", "robust"]
OutlierMethod = Literal["iqr", "zscore"]
BinningMethod = Literal["quantile", "width", "edges"]
DatePart = Literal["age", "month", "season", "weekday"]

# What may stand for a missing value, by the column's kind.
_NUMBERS_MISSING: frozenset[MissingTreatment] = frozenset(
    {"keep", "median", "mean", "most_frequent", "constant", "knn", "iterative"}
)
_LEVELS_MISSING: frozenset[MissingTreatment] = frozenset({"keep", "most_frequent", "constant"})
_DATES_MISSING: frozenset[MissingTreatment] = frozenset({"keep", "median", "mean", "most_frequent"})
_FITTING_MISSING: Mapping[str, frozenset[MissingTreatment]] = {
    "numeric": _NUMBERS_MISSING,
    "binary": _LEVELS_MISSING,
    "ordinal": _LEVELS_MISSING,
    "categorical": _LEVELS_MISSING,
    "date": _DATES_MISSING,
}
# Kinds that the other keys are for.
_FITTING_KINDS: Mapping[str, frozenset[str]] = {
    "outliers": frozenset({"numeric"}),
    "binning": frozenset({"numeric"}),
    "encoding": frozenset({"binary", "ordinal", "categorical"}),
    "scaling": frozenset({"numeric", "date"}),
    "parts": frozenset({"date"}),
}
# Keys that null switches off, instead of leaving them to the kind.
_SWITCHED_OFF_BY_NULL = frozenset({"outliers", "binning"})


class OutlierTreatment(Parameters):
    """What happens to numbers far from the others of their column."""

    method: OutlierMethod = Field(
        description="Distance beyond the quartiles in interquartile ranges, or from the mean in standard deviations."
    )
    action: Literal["clip", "flag", "drop"] = Field(
        description="Move to the fence, add an indicator column, or leave the row out of training (never out of "
        "validation, test or scoring)."
    )
    threshold: float = Field(gt=0, description="Distance of the fence: 1.5 or 3 are customary.")


class Binning(Parameters):
    """Numbers to positions of intervals."""

    method: BinningMethod = Field(description="Bins of equal size, of equal width, or between given edges.")
    bins: int | None = Field(None, ge=2, description="Number of bins; not with edges.")
    edges: list[float] | None = Field(None, min_length=1, description="Inner edges in ascending order.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.method == "edges" and (self.edges is None or self.bins is not None):
            raise ValueError("binning by edges takes edges and no bins")
        if self.method != "edges" and (self.bins is None or self.edges is not None):
            raise ValueError(f"binning by {self.method} takes bins and no edges")
        if self.edges is not None and sorted(set(self.edges)) != self.edges:
            raise ValueError(f"edges must ascend without repetition, found {self.edges}")
        return self


class Treatment(Parameters):
    """Treatment of one column, or of all columns of a kind; what is left out is as the kind has it."""

    missing: MissingTreatment | None = Field(None, description="What stands for a missing value; keep: XGBoost's own.")
    fill_value: float | str | None = Field(None, description="Value for missing: constant.")
    indicator: bool | None = Field(None, description="Add a column that says where the value was missing.")
    outliers: OutlierTreatment | None = Field(None, description="Numbers only; null: left alone.")
    binning: Binning | None = Field(None, description="Numbers only; null: none.")
    encoding: Encoding | None = Field(None, description="Levels only; native: XGBoost splits on categories itself.")
    scaling: Scaling | None = Field(None, description="Numbers and dates only.")
    parts: list[DatePart] | None = Field(
        None,
        min_length=1,
        description="Dates only: what the model sees of a date. age: days before the latest training date; month: 1 to "
        "12; season: sine and cosine of the day of the year; weekday: 0 is Monday.",
    )

    @model_validator(mode="after")
    def _has_fill_value(self) -> Self:
        if (self.missing == "constant") != (self.fill_value is not None):
            raise ValueError("missing: constant and fill_value go together")
        return self

    @model_validator(mode="after")
    def _distinct_parts(self) -> Self:
        if self.parts is not None and len(set(self.parts)) != len(self.parts):
            raise ValueError(f"parts of a date repeat: {self.parts}")
        return self

    def over(self, default: Treatment) -> Treatment:
        """This treatment, with what it leaves out taken from another.

        Args:
            default: Treatment of the column's kind.

        Returns:
            The treatment that applies. ``outliers: null`` and ``binning: null``, where they are written, mean none.
        """
        given = {
            name: getattr(self, name)
            for name in self.model_fields_set
            if getattr(self, name) is not None or name in _SWITCHED_OFF_BY_NULL
        }
        inherited = {name: getattr(default, name) for name in type(self).model_fields}
        # A fill value belongs to the treatment it was given with.
        if "missing" in given:
            inherited["fill_value"] = None
        return Treatment(**{**inherited, **given})

    def misfits(self, kind: str) -> dict[str, str]:
        """What of this treatment a column of some kind cannot have.

        Args:
            kind: ``numeric``, ``binary``, ``ordinal``, ``categorical`` or ``date``.

        Returns:
            A reason for each key that does not fit; none where all is well.
        """
        found = {}
        if self.missing is not None and self.missing not in _FITTING_MISSING[kind]:
            fitting = ", ".join(sorted(_FITTING_MISSING[kind]))
            found["missing"] = f"missing: {self.missing} is not for kind {kind}, which takes {fitting}"
        for key, kinds in _FITTING_KINDS.items():
            value = getattr(self, key)
            if value is not None and value != "none" and kind not in kinds:
                found[key] = f"{key} is for kind {' or '.join(sorted(kinds))}, not for {kind}"
        if kind == "numeric" and isinstance(self.fill_value, str):
            found["fill_value"] = f"fill_value {self.fill_value!r} is text, the column holds numbers"
        return found
