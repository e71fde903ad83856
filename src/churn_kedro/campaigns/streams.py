"""Customers that arrive in a stream, in micro-batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Clock, Record, Stopwatch
from churn_kedro.campaigns.batch_report import BatchIdentity
from churn_kedro.campaigns.campaign_list import customer_keys, in_holdout
from churn_kedro.campaigns.logged_predictions import LoggedBatch, list_logged_predictions
from churn_kedro.campaigns.parameters import InferenceParameters, TrackerParameters
from churn_kedro.campaigns.scored_list import BANDS, risk_bands
from churn_kedro.campaigns.scored_parts import ScoringCounts, score_part
from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Task
from churn_kedro.models import RegisteredModel


@dataclass(frozen=True)
class MicroBatch:
    """Messages of a stream that are scored together.

    Attributes:
        ids: Id of each message, which is the same if the message is delivered again.
        messages: Each message: a mapping of column to cell, or text that is none.
        acknowledge: Tells the source that all of them are stored.
    """

    ids: Sequence[str]
    messages: Sequence[Mapping[str, Any] | str]
    acknowledge: Callable[[], None] = field(repr=False)


@dataclass(frozen=True)
class ScoredMicroBatch:
    """Scored messages, to be stored before they are acknowledged.

    Attributes:
        logged: Predictions for the prediction log.
        rejected: Id, reason and content of the messages that cannot be scored.
        acknowledge: Tells the source that all of them are stored.
    """

    logged: LoggedBatch
    rejected: Sequence[Mapping[str, Any]]
    acknowledge: Callable[[], None] = field(repr=False)


class StreamCounts(Record):
    """Counts of predictions of a stream. They can be added."""

    model_name: str
    model_version: int
    task: Task
    predictions: int = 0
    rejected: int = 0
    sum_of_predictions: float = 0.0
    bands: dict[str, int] = Field(default_factory=dict)
    contacts: int = 0
    unseen: int = 0
    missing: int = 0
    seconds: float = 0.0

    def plus(self, other: StreamCounts) -> StreamCounts:
        """Return the sum; the model is that of the later counts."""
        return StreamCounts(
            model_name=other.model_name,
            model_version=other.model_version,
            task=other.task,
            predictions=self.predictions + other.predictions,
            rejected=self.rejected + other.rejected,
            sum_of_predictions=self.sum_of_predictions + other.sum_of_predictions,
            bands={band: self.bands.get(band, 0) + other.bands.get(band, 0) for band in {**self.bands, **other.bands}},
            contacts=self.contacts + other.contacts,
            unseen=self.unseen + other.unseen,
            missing=self.missing + other.missing,
            seconds=self.seconds + other.seconds,
        )

    def metrics(self) -> dict[str, float]:
        """Return the metrics of :func:`churn_kedro.pipelines.inference.nodes.measure_batch` that a stream has."""
        mean = "avg_churn_probability" if self.task == "binary" else "mean_prediction"
        n = max(1, self.predictions)
        return {
            "batch_size": self.predictions,
            "rejected_rows": self.rejected,
            "unseen_categories": self.unseen,
            "missing_values": self.missing,
            "avg_inference_time_ms": 1000 * self.seconds / n,
            **({mean: self.sum_of_predictions / n} if self.task != "multiclass" else {}),
            **{f"{band}_risk_predictions": count for band, count in self.bands.items()},
            **({"contacts": self.contacts} if self.task == "binary" else {}),
        }


@dataclass(frozen=True)
class TrackedCounts:
    """Counts of a micro-batch for the tracker.

    Attributes:
        counts: The counts.
        parameters: When the tracker logs a summary.
    """

    counts: StreamCounts
    parameters: TrackerParameters


class StreamReport(Record):
    """Report on a stream after its end."""

    counts: StreamCounts | None = Field(description="Sums over all micro-batches; null if nothing arrived.")


def score_micro_batch(
    batch: MicroBatch,
    model: RegisteredModel,
    declaration: CustomerDeclaration,
    parameters: InferenceParameters,
    clock: Clock,
    stopwatch: Stopwatch,
) -> tuple[ScoredMicroBatch, StreamCounts]:
    """Score the messages of a micro-batch.

    Args:
        batch: The messages.
        model: The version that scores them.
        declaration: The table's declaration.
        parameters: Risk bands and share of the holdout.
        clock: Time of scoring.
        stopwatch: Measures the seconds of scoring.

    Returns:
        The predictions with the messages that cannot be scored, and the counts.
    """
    required = [column.name for column in declaration.required_columns(with_target=False)]
    reasons = [_explain(message, required) for message in batch.messages]
    rows = [place for place, reason in enumerate(reasons) if not reason]
    counts = StreamCounts(model_name=model.name, model_version=model.version, task=declaration.task)
    predictions, features = pd.DataFrame(), pd.DataFrame()
    if rows:
        raw = pd.DataFrame([batch.messages[place] for place in rows], index=rows)
        try:
            part = score_part(raw, model, declaration, stopwatch)
        except CustomerTableError as error:
            reasons = [reason or str(error) for reason in reasons]
        else:
            unreadable = dict(zip(part.rejected["row"] - 1 - rows[0], part.rejected["reasons"], strict=True))
            for offset, reason in unreadable.items():
                reasons[raw.index[int(offset)]] = reason
            identity = BatchIdentity(batch_id=batch.ids[0], scored_at=clock())
            answer = part.answer.copy()
            if declaration.task == "binary":
                answer["risk_band"] = risk_bands(answer["probability"].to_numpy(), parameters.bands)
            predictions = list_logged_predictions(answer, part.ids[declaration.id_names], identity, model).assign(
                prediction_id=[batch.ids[place] for place in part.ids.index], source="stream"
            )
            if declaration.task == "binary":
                predictions["holdout"] = _held_out(predictions, part.ids, parameters.holdout_share, model.name)
            features = part.customers
            counts = _count(predictions, part.counts, counts)
    rejected = [
        {"id": batch.ids[place], "reason": reason, "message": batch.messages[place]}
        for place, reason in enumerate(reasons)
        if reason
    ]
    scored = ScoredMicroBatch(LoggedBatch(predictions, features), rejected, batch.acknowledge)
    return scored, counts.model_copy(update={"rejected": len(rejected)})


def _explain(message: Mapping[str, Any] | str, required: Sequence[str]) -> str:
    """Say why a message is no customer; empty if it is one."""
    if isinstance(message, str):
        return "the message is not a JSON object"
    given = {str(name).strip() for name in message}
    absent = [name for name in required if name not in given]
    nested = [str(name) for name, cell in message.items() if isinstance(cell, dict | list)]
    if absent:
        return f"the message lacks {', '.join(absent)}"
    return f"not a number or text: {', '.join(nested)}" if nested else ""


def _held_out(predictions: pd.DataFrame, ids: pd.DataFrame, share: float, salt: str) -> np.ndarray:
    held = [in_holdout(key, share, salt) for key in customer_keys(ids)]
    return np.array(held, dtype=bool) & (predictions["decision"] == "contact").to_numpy()


def _count(predictions: pd.DataFrame, found: ScoringCounts, model: StreamCounts) -> StreamCounts:
    bands: Any = predictions["risk_band"].value_counts() if "risk_band" in predictions else {}
    return model.model_copy(
        update={
            "predictions": len(predictions),
            "sum_of_predictions": float(predictions["score"].sum()),
            "bands": {band: int(bands.get(band, 0)) for band in BANDS} if len(bands) else {},
            "contacts": int((predictions["decision"] == "contact").sum()) if "decision" in predictions else 0,
            "unseen": sum(found.unseen.values()),
            "missing": sum(found.missing.values()),
            "seconds": found.seconds,
        }
    )
