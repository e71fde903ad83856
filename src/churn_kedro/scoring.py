"""From probabilities to a list of customers that people can work through."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Parameters, Range

BANDS = ("low", "medium", "high")
CONTACT, NO_CONTACT = "contact", "no_contact"


class BandParameters(Parameters):
    """Where the risk bands begin."""

    medium: float = Field(gt=0, lt=1, description="Least probability of the medium band.")
    high: float = Field(gt=0, lt=1, description="Least probability of the high band.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.medium >= self.high:
            raise ValueError(f"the medium band ({self.medium:g}) must begin below the high band ({self.high:g})")
        return self


class ScoringReport(Parameters):
    """What happened in one scoring."""

    model_name: str
    model_version: int
    threshold: float = Field(description="Decision threshold on the probability.")
    rows_read: int
    rows_scored: int
    rows_rejected: int = Field(description="Customers that could not be scored.")
    contacts: int = Field(description="Customers whose probability reaches the threshold.")
    bands: dict[str, int] = Field(description="Customers per risk band.")
    unusual: dict[str, int] = Field(
        description="Cells per column that the declaration does not allow; scored all the same."
    )


def count_unusual_cells(customers: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, int]:
    """Count cells outside of their column's domain, or missing where the declaration allows none.

    Args:
        customers: Normalised customers.
        declaration: The table's declaration.

    Returns:
        Number of such cells for each feature column that has any.
    """
    counts = {}
    for column in declaration.features:
        cells = customers[column.name]
        missing = cells.isna()
        unusual = pd.Series(False, index=cells.index) if column.nullable else missing.copy()
        if isinstance(column.domain, Range):
            unusual |= cells < (-np.inf if column.domain.min is None else column.domain.min)
            unusual |= cells > (np.inf if column.domain.max is None else column.domain.max)
        elif column.levels:
            unusual |= ~missing & ~cells.isin(column.levels)
        if unusual.any():
            counts[column.name] = int(unusual.sum())
    return counts


def require_readable(rows_read: int, rows_unscored: int, max_unscored_share: float, unreadable: pd.DataFrame) -> None:
    """Refuse a table of which too much cannot be scored.

    Args:
        rows_read: Customers in the table.
        rows_unscored: Customers with a cell that could not be read.
        max_unscored_share: Largest share of them that is accepted.
        unreadable: The cells (``row``, ``column``, ``reason``).

    Raises:
        CustomerTableError: The share is larger, or there is nobody to score.
    """
    if rows_read == 0:
        raise CustomerTableError("The table of new customers has a header but no rows: there is nobody to score.")
    if rows_unscored / rows_read > max_unscored_share:
        examples = "\n".join(
            f"  row {row + 1}, {reason}" for row, reason in unreadable[["row", "reason"]].head(5).values
        )
        raise CustomerTableError(
            f"{rows_unscored:,} of {rows_read:,} customers cannot be scored; at most {max_unscored_share:.1%} may be "
            f"left out (inference.max_unscored_share). The first cells at fault:\n{examples}\n"
            "The unscored_customers file lists them all."
        )


def risk_bands(probability: np.ndarray, bands: BandParameters) -> np.ndarray:
    """Band of each probability.

    Args:
        probability: Shape (n,), values in [0, 1].
        bands: Where the bands begin.

    Returns:
        Shape (n,), values of :data:`BANDS`.
    """
    named: np.ndarray = np.asarray(BANDS)[np.digitize(probability, [bands.medium, bands.high])]
    return named


def list_predictions(
    ids: pd.DataFrame,
    probability: np.ndarray,
    threshold: float,
    bands: BandParameters,
    model_version: int,
    scored_at: str,
) -> pd.DataFrame:
    """Make the list of scored customers, in the order of the input.

    Args:
        ids: Columns that identify the customers, n rows.
        probability: Probability of leaving, shape (n,).
        threshold: Decision threshold.
        bands: Where the risk bands begin.
        model_version: Version that gave the probabilities.
        scored_at: Time of scoring, ISO 8601.

    Returns:
        The ids with ``probability``, ``decision`` (``contact`` or ``no_contact``), ``risk_band``, ``rank`` (1: most
        likely to leave; equal probabilities in order of input), ``model_version`` and ``scored_at``.
    """
    ranks = np.empty(len(probability), dtype=np.int64)
    ranks[np.argsort(-probability, kind="stable")] = np.arange(1, len(probability) + 1)
    return ids.reset_index(drop=True).assign(
        probability=probability,
        decision=np.where(probability >= threshold, CONTACT, NO_CONTACT),
        risk_band=risk_bands(probability, bands),
        rank=ranks,
        model_version=model_version,
        scored_at=scored_at,
    )
