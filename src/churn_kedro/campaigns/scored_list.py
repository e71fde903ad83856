"""The scored list: decisions, risk bands and ranks of customers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_estimators.value import CONTACT
from churn_kedro.base import Parameters, Record
from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Range, Task

BANDS = ("low", "medium", "high")


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
    known_outcomes: int = Field(
        0,
        description="Scored customers whose outcome is in the table, such as training customers: not to be contacted.",
    )
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
        customers: Typed customers; columns that are absent are not counted.
        declaration: The table's declaration.

    Returns:
        Number of such cells for each feature column that has any.
    """
    counts = {}
    for column in declaration.features:
        if column.name not in customers:
            continue
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


def _list_binary(answer: pd.DataFrame, bands: BandParameters) -> tuple[dict[str, Any], dict[str, Any]]:
    probability = answer["probability"].to_numpy()
    risk_band = risk_bands(probability, bands)
    columns = {**answer, "risk_band": risk_band, "rank": _ranks(probability)}
    counts = {
        "contacts": int((answer["decision"] == CONTACT).sum()),
        "bands": {band: int((risk_band == band).sum()) for band in BANDS},
    }
    return columns, counts


def _list_multiclass(answer: pd.DataFrame, declaration: CustomerDeclaration) -> tuple[dict[str, Any], dict[str, Any]]:
    sizes = answer["prediction"].value_counts()
    return {**answer}, {"classes": {str(label): int(sizes.get(label, 0)) for label in declaration.classes}}


def _list_regression(answer: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    number = answer["prediction"].to_numpy()
    return {**answer, "rank": _ranks(number)}, {"mean_prediction": float(number.mean())}


def list_predictions(
    ids: pd.DataFrame,
    answer: pd.DataFrame,
    declaration: CustomerDeclaration,
    bands: BandParameters,
    model_version: int,
    scored_at: str,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Build the scored list, in the order of the input.

    Args:
        ids: Columns that identify the customers, n rows.
        answer: Predictions and decisions of the model for the same customers, see
            :meth:`churn_estimators.model.CustomerModel.answer`.
        declaration: The table's declaration.
        bands: Lower bounds of the risk bands (task binary).
        model_version: Version that made the predictions.
        scored_at: Time of scoring, ISO 8601.

    Returns:
        The list, and the counts of the task for :class:`ScoringReport`. Columns are the ids, the model's columns, for
        task binary ``risk_band``, for tasks binary and regression ``rank`` (1: largest; ties in order of input), then
        ``model_version`` and ``scored_at``.
    """
    match declaration.task:
        case "binary":
            columns, counts = _list_binary(answer, bands)
        case "multiclass":
            columns, counts = _list_multiclass(answer, declaration)
        case "regression":
            columns, counts = _list_regression(answer)
    values = {name: getattr(column, "array", column) for name, column in columns.items()}
    listed = ids.reset_index(drop=True).assign(**values, model_version=model_version, scored_at=scored_at)
    return listed, counts
