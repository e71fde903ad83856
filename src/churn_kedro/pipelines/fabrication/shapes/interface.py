"""Parameters and result of all shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import Parameters
from churn_kedro.pipelines.fabrication.shapes.drift import Drift

ShapeName = Literal["bank", "telco", "subscription", "housing", "iris"]

# Fisher's table is real, so its number of rows is fixed.
IRIS_FLOWERS: Final = 150


class LargeTableSize(Parameters):
    """Size of a table in many files."""

    parts: int = Field(ge=1, le=10_000, description="Number of files.")
    part_rows: int = Field(ge=1, le=10_000_000, description="Labelled customers in each file.")


class FabricationParameters(Parameters):
    """Parameters of the generator. The same parameters always give the same customers."""

    shape: ShapeName = Field(description="Public table whose columns are imitated.")
    # Drawing distinct eight-digit ids is fast only for far fewer than 90 million customers.
    rows: int = Field(gt=0, le=10_000_000, description="Number of labelled customers.")
    new_rows: int = Field(ge=0, le=10_000_000, description="Number of new, unlabelled customers.")
    seed: int = Field(ge=0, description="Seed of the random generator.")
    drift: Drift | None = Field(None, description="Planted change of all customers (bank, telco, subscription).")
    large: LargeTableSize | None = Field(
        None, description="Further labelled customers as a folder of files (bank, telco, subscription); null: none."
    )

    @model_validator(mode="after")
    def _as_many_flowers_as_there_are(self) -> Self:
        if self.shape == "iris" and self.rows != IRIS_FLOWERS:
            raise ValueError(f"the iris table is real: expected rows {IRIS_FLOWERS}, found {self.rows}")
        for name in ("drift", "large"):
            if getattr(self, name) is not None and self.shape not in ("bank", "telco", "subscription"):
                raise ValueError(f"{name} needs the shape bank, telco or subscription; found {self.shape}")
        return self


@dataclass(frozen=True)
class FabricatedCustomers:
    """Synthetic customers and their true probabilities.

    Attributes:
        labelled: One row per labelled customer, all columns of the shape in the public table's order.
        new: One row per new customer, the same columns without the target.
        truth: True probabilities or expected values, one row per labelled customer in the same order; empty if unknown.
    """

    labelled: pd.DataFrame
    new: pd.DataFrame
    truth: pd.DataFrame
