"""The scored list: decisions, risk bands and ranks of customers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import Parameters, Record
from churn_kedro.campaigns.economics import customer_values, worth_contacting
from churn_kedro.campaigns.parameters import Economics, ValueColumn
from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Range, Task
from churn_kedro.models import CAMPAIGN_TAG

logger = logging.getLogger(__name__)

BANDS = ("low", "medium", "high")
CONTACT, NO_CONTACT = "contact", "no_contact"


class BandParameters(Parameters):
    """Lower bounds of the risk bands."""

    medium: float = Field(gt=0, lt=1, description="Minimum probability of the medium band.")
    high: float = Field(gt=0, lt=1, description="Minimum probability of the high band.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.medium >= self.high:
            raise ValueError(f"the medium band ({self.medium:g}) must begin below the high band ({self.high:g})")
        return self


class InferenceParameters(Parameters):
    """Parameters of the inference pipeline."""

    bands: BandParameters
    max_unscored_share: float = Field(ge=0, le=1, description="Largest share of customers that may be left unscored.")


class ScoringReport(Record):
    """Counts of one scoring."""

    model_name: str
    model_version: int
    task: Task = Field(description="What is predicted.")
    rows_read: int
    rows_scored: int
    rows_rejected: int = Field(description="Customers that could not be scored.")
    threshold: float | None = Field(None, description="Decision threshold on the probability (task binary).")
    contacts: int | None = Field(None, description="Customers whose probability reaches the threshold (task binary).")
    bands: dict[str, int] = Field(default_factory=dict, description="Customers per risk band (task binary).")
    classes: dict[str, int] = Field(
        default_factory=dict, description="Customers per predicted class, by label (task multiclass)."
    )
    mean_prediction: float | None = Field(None, description="Mean of the predicted numbers (task regression).")
    unusual: dict[str, int] = Field(
        description="Cells per column that the declaration does not allow, in customers that were scored."
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
    """Check that few customers are unreadable.

    Args:
        rows_read: Customers in the table.
        rows_unscored: Customers with an unreadable cell.
        max_unscored_share: Largest share of them that is accepted.
        unreadable: The cells (``row``, ``column``, ``reason``).

    Raises:
        CustomerTableError: The share is larger, or the table has no customer.
    """
    if rows_read == 0:
        raise CustomerTableError("The table of new customers has a header but no rows: there is no customer to score.")
    if rows_unscored / rows_read > max_unscored_share:
        examples = "\n".join(
            f"  row {row + 1}, {reason}" for row, reason in unreadable[["row", "reason"]].head(5).values
        )
        raise CustomerTableError(
            f"{rows_unscored:,} of {rows_read:,} customers cannot be scored; at most {max_unscored_share:.1%} may be "
            f"left out (inference.max_unscored_share). The first cells at fault:\n{examples}\n"
            "The file unscored_customers lists all of them."
        )


def risk_bands(probability: np.ndarray, bands: BandParameters) -> np.ndarray:
    """Assign each probability to a risk band.

    Args:
        probability: Shape (n,), values in [0, 1].
        bands: Lower bounds of the bands.

    Returns:
        Shape (n,), values of :data:`BANDS`.

    Examples:
        >>> risk_bands(np.array([0.1, 0.3, 0.9]), BandParameters(medium=0.3, high=0.6)).tolist()
        ['low', 'medium', 'high']
    """
    assigned: np.ndarray = np.asarray(BANDS)[np.digitize(probability, [bands.medium, bands.high])]
    return assigned


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 by descending value; ties in order of input."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return ranks


def find_worth_contacting(tags: Mapping[str, str], customers: pd.DataFrame) -> np.ndarray | None:
    """Find the customers who are worth a contact, where the value is a column.

    Args:
        tags: Tags of the version.
        customers: Typed customers.

    Returns:
        Boolean mask of shape (n,); None where all have the same value, or, with a warning, where the table lacks the
        column.
    """
    if CAMPAIGN_TAG not in tags:
        return None
    economics = Economics.model_validate_json(tags[CAMPAIGN_TAG])
    if not isinstance(economics.value, ValueColumn) or economics.value.column not in customers:
        logger.warning(
            "The table to score lacks the column %s with the value of a customer: decisions ignore it, and include "
            "customers who are not worth a contact.",
            getattr(economics.value, "column", ""),
        )
        return None
    return worth_contacting(customer_values(economics, customers), economics)


def _list_binary(
    probability: np.ndarray, threshold: float | None, bands: BandParameters, worth_contact: np.ndarray | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    if threshold is None:
        raise ValueError("a binary model needs a decision threshold, found None")
    flagged, risk_band = probability >= threshold, risk_bands(probability, bands)
    if worth_contact is not None:
        flagged &= worth_contact
    columns = {
        "probability": probability,
        "decision": np.where(flagged, CONTACT, NO_CONTACT),
        "risk_band": risk_band,
        "rank": _ranks(probability),
    }
    counts = {
        "threshold": threshold,
        "contacts": int(flagged.sum()),
        "bands": {band: int((risk_band == band).sum()) for band in BANDS},
    }
    return columns, counts


def _list_multiclass(
    probability: np.ndarray, declaration: CustomerDeclaration
) -> tuple[dict[str, Any], dict[str, Any]]:
    codes = probability.argmax(axis=1)
    columns = {
        "prediction": pd.Index(declaration.classes).take(codes),
        **{f"probability_{label}": probability[:, code] for code, label in enumerate(declaration.classes)},
    }
    sizes = np.bincount(codes, minlength=len(declaration.classes))
    return columns, {"classes": {str(label): int(sizes[code]) for code, label in enumerate(declaration.classes)}}


def _list_regression(number: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"prediction": number, "rank": _ranks(number)}, {"mean_prediction": float(number.mean())}


def list_predictions(
    ids: pd.DataFrame,
    prediction: np.ndarray,
    declaration: CustomerDeclaration,
    threshold: float | None,
    bands: BandParameters,
    model_version: int,
    scored_at: str,
    worth_contact: np.ndarray | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Build the scored list, in the order of the input.

    Args:
        ids: Columns that identify the customers, n rows.
        prediction: Probability of leaving, shape (n,); probability of each class, shape (n, n_classes); or the
            predicted number, shape (n,).
        declaration: The table's declaration.
        threshold: Decision threshold on the probability of leaving; None for other tasks.
        bands: Lower bounds of the risk bands (task binary).
        model_version: Version that made the predictions.
        scored_at: Time of scoring, ISO 8601.
        worth_contact: Whether each customer is worth a contact, shape (n,); None: all are.

    Returns:
        The list, and the counts of the task for :class:`ScoringReport`. Columns are the ids, those of the task,
        ``model_version`` and ``scored_at``. Task binary: ``probability``, ``decision`` (``contact`` or ``no_contact``),
        ``risk_band`` and ``rank`` (1: most likely to leave; ties in order of input). Task multiclass:
        ``prediction`` (the most probable label) and ``probability_<label>`` for each label. Task regression:
        ``prediction`` and ``rank`` (1: largest).
    """
    match declaration.task:
        case "binary":
            columns, counts = _list_binary(prediction, threshold, bands, worth_contact)
        case "multiclass":
            columns, counts = _list_multiclass(prediction, declaration)
        case "regression":
            columns, counts = _list_regression(prediction)
    listed = ids.reset_index(drop=True).assign(**columns, model_version=model_version, scored_at=scored_at)
    return listed, counts
