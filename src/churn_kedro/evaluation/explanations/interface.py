"""What all explanations have in common."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters

# A loss that rises by less, relative to itself, has not risen.
ROUNDING = 1e-9
# Where nothing else is said.
SEED = 0


class ExplanationParameters(Parameters):
    """How many customers explanations look at."""

    max_explained: int = Field(2000, ge=1, description="Most customers to explain; above, a seeded sample is.")
    max_permuted: int = Field(2000, ge=2, description="Most customers among whom columns are shuffled.")
    n_repeats: int = Field(5, ge=2, description="How often each column is shuffled.")
    max_grid_customers: int = Field(500, ge=1, description="Most customers whose cells are varied over a grid.")
    random_state: int = Field(42, ge=0, description="Seed of the samples and of the shuffling.")


def take_sample(customers: pd.DataFrame, most: int, random_state: int = SEED) -> pd.DataFrame:
    """Take some customers by chance, if there are many.

    Args:
        customers: Any customers.
        most: So many at most.
        random_state: Seed.

    Returns:
        All of them, or the sample.
    """
    return customers if len(customers) <= most else customers.sample(most, random_state=random_state)
