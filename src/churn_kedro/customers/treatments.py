"""The treatment of columns as typed configuration: imputation, outliers, binning, encoding and scaling."""

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

# Allowed treatments of missing values, by kind of column.
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
# Kinds of column that allow the other keys.
_FITTING_KINDS: Mapping[str, frozenset[str]] = {
    "outliers": frozenset({"numeric"}),
    "binning": frozenset({"numeric"}),
    "encoding": frozenset({"binary", "ordinal", "categorical"}),
    "scaling": frozenset({"numeric", "date"}),
    "parts": frozenset({"date"}),
}
# Keys for which null means none, instead of the default of the kind.
_SWITCHED_OFF_BY_NULL = frozenset({"outliers", "binning"})


class OutlierTreatment(Parameters):
    """Treatment of outliers of a numeric column."""

    method: OutlierMethod = Field(
        description="iqr: distance beyond the quartiles in interquartile ranges; zscore: distance from the mean in "
        "standard deviations."
    )
    action: Literal["clip", "flag", "drop"] = Field(
        description="clip: move to the fence; flag: add an indicator; drop: leave the row out of training (never out "
        "of validation, test or scoring)."
    )
    threshold: float = Field(gt=0, description="Distance of the fence; 1.5 and 3 are common.")


class Binning(Parameters):
    """Discretisation of a numeric column."""

    method: BinningMethod = Field(
        description="quantile: bins of equal count; width: bins of equal width; edges: given edges."
    )
    bins: int | None = Field(None, ge=2, description="Number of bins; not with edges.")
    edges: list[float] | None = Field(None, min_length=1, description="Inner edges in ascending order.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.method == "edges" and (self.edges is None or self.bins is not None):
            raise ValueError("binning by edges needs edges and takes no bins")
        if self.method != "edges" and (self.bins is None or self.edges is not None):
            raise ValueError(f"binning by {self.method} needs bins and takes no edges")
        if self.edges is not None and sorted(set(self.edges)) != self.edges:
            raise ValueError(f"edges must ascend without repetition, found {self.edges}")
        return self


class Treatment(Parameters):
    """Treatment of one column, or of all columns of a kind; keys that are left out have the default of the kind."""

    missing: MissingTreatment | None = Field(
        None, description="Imputation of missing values; keep: none, as XGBoost handles missing values."
    )
    fill_value: float | str | None = Field(None, description="Value for missing: constant.")
    indicator: bool | None = Field(None, description="Add an indicator of missing values.")
    outliers: OutlierTreatment | None = Field(None, description="Numbers only; null: none.")
    binning: Binning | None = Field(None, description="Numbers only; null: none.")
    encoding: Encoding | None = Field(None, description="Levels only; native: XGBoost splits on categories itself.")
    scaling: Scaling | None = Field(None, description="Numbers and dates only.")
    parts: list[DatePart] | None = Field(
        None,
        min_length=1,
        description="Dates only: inputs made of a date. age: days before the latest training date; month: 1 to 12; "
        "season: sine and cosine of the day of the year; weekday: 0 is Monday.",
    )

    @model_validator(mode="after")
    def _has_fill_value(self) -> Self:
        if (self.missing == "constant") != (self.fill_value is not None):
            raise ValueError("missing: constant and fill_value require each other")
        return self

    @model_validator(mode="after")
    def _distinct_parts(self) -> Self:
        if self.parts is not None and len(set(self.parts)) != len(self.parts):
            raise ValueError(f"parts of a date repeat: {self.parts}")
        return self

    def over(self, default: Treatment) -> Treatment:
        """Complete this treatment by a default.

        Args:
            default: Treatment of the column's kind.

        Returns:
            The complete treatment. An explicit ``outliers: null`` or ``binning: null`` means none.
        """
        given = {
            name: getattr(self, name)
            for name in self.model_fields_set
            if getattr(self, name) is not None or name in _SWITCHED_OFF_BY_NULL
        }
        inherited = {name: getattr(default, name) for name in type(self).model_fields}
        # The default's fill value does not apply to another treatment of missing values.
        if "missing" in given:
            inherited["fill_value"] = None
        return Treatment(**{**inherited, **given})

    def misfits(self, kind: str) -> dict[str, str]:
        """Explain which keys of this treatment do not fit a kind of column.

        Args:
            kind: ``numeric``, ``binary``, ``ordinal``, ``categorical`` or ``date``.

        Returns:
            A reason for each key that does not fit; empty where all fit.
        """
        reasons = {}
        if self.missing is not None and self.missing not in _FITTING_MISSING[kind]:
            fitting = ", ".join(sorted(_FITTING_MISSING[kind]))
            reasons["missing"] = f"missing: {self.missing} is not for kind {kind}, which takes {fitting}"
        for key, kinds in _FITTING_KINDS.items():
            value = getattr(self, key)
            if value is not None and value != "none" and kind not in kinds:
                reasons[key] = f"{key} is for kind {' or '.join(sorted(kinds))}, not for {kind}"
        if kind == "numeric" and isinstance(self.fill_value, str):
            reasons["fill_value"] = f"fill_value {self.fill_value!r} is text, but the column has numbers"
        return reasons
