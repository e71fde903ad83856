"""Predictions as the prediction log stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

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
