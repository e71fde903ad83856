"""What every shape takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self

import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import Parameters

ShapeName = Literal["bank", "telco", "subscription", "housing", "iris"]

# Fisher's table is not drawn: it has the flowers it has.
IRIS_FLOWERS: Final = 150


class FabricationParameters(Parameters):
    """What to fabricate. The same parameters always give the same customers."""

    shape: ShapeName = Field(description="Public table whose columns are imitated.")
    # Telling customers apart by an eight-digit id stays cheap only while far fewer than 90 million are drawn.
    rows: int = Field(gt=0, le=10_000_000, description="Number of labelled customers.")
    new_rows: int = Field(ge=0, le=10_000_000, description="Number of new, unlabelled customers.")
    seed: int = Field(ge=0, description="Seed of the random generator.")

    @model_validator(mode="after")
    def _as_many_flowers_as_there_are(self) -> Self:
        if self.shape == "iris" and self.rows != IRIS_FLOWERS:
            raise ValueError(f"the iris table is not drawn: it has {IRIS_FLOWERS} rows, not {self.rows}")
        return self


@dataclass(frozen=True)
class FabricatedCustomers:
    """Fabricated customers and what is true of them.

    Attributes:
        labelled: One row per labelled customer, all columns of the shape in the public table's order.
        new: One row per new customer, the same columns without the target.
        truth: What the labels were drawn from, one row per labelled customer in the same order; empty where nobody
            knows.
    """

    labelled: pd.DataFrame
    new: pd.DataFrame
    truth: pd.DataFrame
