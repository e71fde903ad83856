"""Parameters of the treatment of columns: the group ``features``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from churn_kedro.base import Parameters
from churn_kedro.customers import Kind, Treatment


class RowOutlierParameters(Parameters):
    """Multivariate outliers: scikit-learn's isolation forest on the numeric columns."""

    action: Literal["flag", "drop"] = Field(
        description="Add an indicator, or leave the row out of training (never out of validation, test or scoring)."
    )
    contamination: float = Field(gt=0, le=0.5, description="Share of the training customers that are outliers.")
    random_state: int = Field(ge=0, description="Seed of the forest.")


class SelectionParameters(Parameters):
    """Selection of model inputs, after all other treatment."""

    method: Literal["variance", "mutual_information", "model"] = Field(
        description="variance: inputs with a variance above the threshold; mutual_information: those with the highest "
        "mutual information with the target; model: those with the highest total gain in a small XGBoost model."
    )
    number: int | None = Field(None, ge=1, description="Number of inputs to keep (mutual_information, model).")
    threshold: float | None = Field(None, ge=0, description="Variance that an input must exceed (variance).")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed, other = ("threshold", "number") if self.method == "variance" else ("number", "threshold")
        if getattr(self, needed) is None or getattr(self, other) is not None:
            raise ValueError(f"selection by {self.method} needs {needed} and takes no {other}")
        return self


class ImputationParameters(Parameters):
    """Imputation of missing numbers from the other numbers of the row (``missing: knn`` or ``iterative``)."""

    n_neighbors: int = Field(5, ge=1, description="Nearest training customers whose mean is imputed (knn).")
    max_iter: int = Field(10, ge=1, description="Maximum number of rounds (iterative).")
    max_rows: int = Field(
        5000, ge=10, description="Maximum number of training customers to fit on; of more, a seeded sample."
    )


class FeatureParameters(Parameters):
    """Default treatment of each kind of column; the ``treatment`` of a column overrides it."""

    numeric: Treatment = Field(
        Treatment(missing="keep", indicator=False, scaling="none"), description="Numbers, and derived columns."
    )
    binary: Treatment = Field(
        Treatment(missing="keep", indicator=False, encoding="ordinal"), description="Columns of two levels."
    )
    ordinal: Treatment = Field(
        Treatment(missing="keep", indicator=False, encoding="ordinal"), description="Ordered levels."
    )
    categorical: Treatment = Field(
        Treatment(missing="keep", indicator=False, encoding="native"), description="Unordered levels."
    )
    date: Treatment = Field(
        Treatment(missing="keep", indicator=False, scaling="none", parts=["age", "month"]), description="Dates."
    )
    imputation: ImputationParameters = Field(ImputationParameters(), description="Imputation from other columns.")
    row_outliers: RowOutlierParameters | None = Field(None, description="Row outliers; null: no detection.")
    selection: SelectionParameters | None = Field(None, description="Selection of inputs; null: all are kept.")
    random_state: int = Field(42, ge=0, description="Seed of cross-fitting, of samples and of selection.")

    def of_kind(self, kind: Kind) -> Treatment:
        """Return the default treatment of a kind.

        Args:
            kind: Kind of the column.

        Returns:
            The configured treatment; keys that are left out have the defaults of this class.
        """
        configured: Treatment = getattr(self, kind)
        complete: Treatment = type(self).model_fields[kind].default
        return configured.over(complete)
