"""Parameters and sampling shared by all explanations."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters

# Relative increases of the loss below this value count as 0.
ROUNDING = 1e-9
# Default sizes.
SEED = 0


class ExplanationParameters(Parameters):
    """Sample sizes of the explanations."""

    max_explained: int = Field(
        2000, ge=1, description="Maximum number of explained customers; a larger table is sampled."
    )
    max_permuted: int = Field(2000, ge=2, description="Maximum number of customers for permutation importance.")
    n_repeats: int = Field(5, ge=2, description="Number of permutations of each column.")
    max_grid_customers: int = Field(500, ge=1, description="Maximum number of customers for partial dependence.")
    random_state: int = Field(42, ge=0, description="Seed of samples and permutations.")


def take_sample(customers: pd.DataFrame, most: int, random_state: int = SEED) -> pd.DataFrame:
    """Draw a seeded sample of customers if there are more than a maximum.

    Args:
        customers: Customer table.
        most: Maximum number of rows.
        random_state: Seed.

    Returns:
        The table, or the sample.
    """
    return customers if len(customers) <= most else customers.sample(most, random_state=random_state)
