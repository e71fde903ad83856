"""How columns are treated, as typed configuration: the group ``features``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from churn_kedro.base import Parameters
from churn_kedro.customers import Kind, Treatment


class RowOutlierParameters(Parameters):
    """Customers that are strange as a whole: scikit-learn's isolation forest on the columns that hold numbers."""

    action: Literal["flag", "drop"] = Field(
        description="Add an input that says so, or leave the row out of training (never out of validation, test or "
        "scoring)."
    )
    contamination: float = Field(gt=0, le=0.5, description="Share of the training customers that count as strange.")
    random_state: int = Field(ge=0, description="Seed of the forest.")


class SelectionParameters(Parameters):
    """Which inputs the model gets, after all other treatment."""

    method: Literal["variance", "mutual_information", "model"] = Field(
        description="variance: inputs that vary more than the threshold; mutual_information: those that tell most "
        "about the target, each alone; model: those whose splits gain most in a small XGBoost model."
    )
    number: int | None = Field(None, ge=1, description="How many inputs to keep (mutual_information, model).")
    threshold: float | None = Field(None, ge=0, description="Variance that an input must exceed (variance).")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed, other = ("threshold", "number") if self.method == "variance" else ("number", "threshold")
        if getattr(self, needed) is None or getattr(self, other) is not None:
            raise ValueError(f"selection by {self.method} takes a {needed} and no {other}")
        return self


class ImputationParameters(Parameters):
    """How missing numbers are filled from the other numbers of the row (``missing: knn`` or ``iterative``)."""

    n_neighbors: int = Field(5, ge=1, description="Training customers whose mean stands for the missing one (knn).")
    max_iter: int = Field(10, ge=1, description="Most rounds (iterative).")
    max_rows: int = Field(5000, ge=10, description="Most training customers to learn from; a seeded sample of more.")


class FeatureParameters(Parameters):
    """How columns are treated: a default for each kind, which a column's own ``treatment`` overrides."""

    numeric: Treatment = Field(
        Treatment(missing="keep", indicator=False, scaling="none"), description="Numbers, and derived columns."
    )
    binary: Treatment = Field(
        Treatment(missing="keep", indicator=False, encoding="ordinal"), description="Columns of two levels."
    )
    ordinal: Treatment = Field(
        Treatment(missing="keep", indicator=False, encoding="ordinal"), description="Levels in an order."
    )
    categorical: Treatment = Field(
        Treatment(missing="keep", indicator=False, encoding="native"), description="Levels in no order."
    )
    date: Treatment = Field(
        Treatment(missing="keep", indicator=False, scaling="none", parts=["age", "month"]), description="Dates."
    )
    imputation: ImputationParameters = Field(ImputationParameters(), description="Filling from other columns.")
    row_outliers: RowOutlierParameters | None = Field(None, description="Strange rows; null: not looked for.")
    selection: SelectionParameters | None = Field(None, description="Choice of inputs; null: all.")
    random_state: int = Field(42, ge=0, description="Seed of cross-fitting, of samples and of selection.")

    def of_kind(self, kind: Kind) -> Treatment:
        """Default treatment of a kind.

        Args:
            kind: Kind of the column.

        Returns:
            What is configured for it, completed by what this class has.
        """
        configured: Treatment = getattr(self, kind)
        complete: Treatment = type(self).model_fields[kind].default
        return configured.over(complete)
