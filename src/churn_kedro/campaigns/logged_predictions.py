"""Predictions as the prediction log stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from churn_kedro.campaigns.batch_report import BatchIdentity
from churn_kedro.campaigns.campaign_list import customer_keys
from churn_kedro.models import RegisteredModel

Source = Literal["batch", "stream", "online"]


@dataclass(frozen=True)
class LoggedBatch:
    """Predictions of several customers as a table.

    Attributes:
        predictions: Columns named as the attributes of :class:`LoggedPrediction`, except ``features``; absent ones are
            None.
        features: The columns that the model reads, in the same order of rows.
    """

    predictions: pd.DataFrame
    features: pd.DataFrame


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """One prediction.

    Attributes:
        prediction_id: Identifies the prediction; of several rows with one id, the first is kept.
        source: Kind of scoring that made it.
        batch_id: Batch, micro-batch or request that it belongs to.
        customer_id: Identifier of the customer as text; None: the customer has none.
        predicted_at: Time in UTC, ISO 8601.
        model_name: Registered model.
        model_version: Its version.
        features: Cell of each column that the model reads.
        score: Probability of leaving, probability of the predicted class, or the predicted number.
        decision: ``contact`` or ``no_contact``, or the predicted class.
        expected_value: Expected profit of a contact, in money.
        risk_band: ``low``, ``medium`` or ``high``.
        holdout: Whether the customer is deliberately not contacted.
        treatment: What was done with the customer; None: unknown.
        latency_ms: Milliseconds of the request.
    """

    prediction_id: str
    source: Source
    batch_id: str
    customer_id: str | None
    predicted_at: str
    model_name: str
    model_version: int
    features: Mapping[str, Any]
    score: float | None
    decision: str | None = None
    expected_value: float | None = None
    risk_band: str | None = None
    holdout: bool = False
    treatment: str | None = None
    latency_ms: float | None = None


def list_logged_predictions(
    ranked: pd.DataFrame, ids: pd.DataFrame, batch: BatchIdentity, model: RegisteredModel
) -> pd.DataFrame:
    """Write predictions of a batch as the prediction log stores them.

    Args:
        ranked: Predictions with bands and campaign; the index is the position in the table.
        ids: Columns that identify the same customers; none: they have no identifier.
        batch: Which batch it is.
        model: The version that predicted.

    Returns:
        Columns of :class:`LoggedPrediction`, except for ``features``.
    """
    columns: dict[str, Any] = {
        "prediction_id": [f"{batch.batch_id}:{position}" for position in ranked.index],
        "source": "batch",
        "batch_id": batch.batch_id,
        "customer_id": _identify(ids),
        "predicted_at": batch.scored_at,
        "model_name": model.name,
        "model_version": model.version,
        "score": _scores(ranked, model),
        "holdout": False,
    }
    optional = {"decision": "decision", "expected_value": "expected_value", "risk_band": "risk_band"}
    columns |= {name: ranked[column].to_numpy() for name, column in optional.items() if column in ranked}
    if model.estimator.task == "multiclass":
        columns["decision"] = ranked["prediction"].astype("str").to_numpy()
    if "campaign" in ranked:
        columns["holdout"] = (ranked["campaign"] == "holdout").to_numpy()
        columns["treatment"] = (
            pd.Series("contact", index=ranked.index).where(ranked["campaign"] == "contact").to_numpy()
        )
    return pd.DataFrame(columns)


def _identify(ids: pd.DataFrame) -> Any:
    """Identifiers as text; missing where a customer has none."""
    if not len(ids.columns):
        return None
    return customer_keys(ids).where(ids.notna().any(axis=1)).to_numpy()


def _scores(ranked: pd.DataFrame, model: RegisteredModel) -> Any:
    match model.estimator.task:
        case "binary":
            return ranked["probability"].to_numpy()
        case "multiclass":
            return ranked[[f"probability_{label}" for label in model.estimator.classes]].max(axis=1).to_numpy()
        case "regression":
            return ranked["prediction"].to_numpy()
