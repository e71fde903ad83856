"""The report of a scored batch, and how it differs from an earlier one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Clock, Record, read_time
from churn_kedro.campaigns.campaign_list import CampaignCounts
from churn_kedro.campaigns.parameters import Economics, InferenceParameters
from churn_kedro.campaigns.reasons import CustomerReasons
from churn_kedro.campaigns.scored_list import BANDS, RankedCustomers
from churn_kedro.campaigns.scored_parts import unusual_cells
from churn_kedro.customers import CustomerDeclaration, Task
from churn_kedro.models import RegisteredModel

_PROBABILITY_BINS = 20
_NUMBER_BINS = 30


class Distribution(Record):
    """Histogram of the predictions."""

    edges: list[float] = Field(description="Edges of the bins, ascending.")
    counts: list[int] = Field(description="Customers in each bin.")


class ReasonCount(Record):
    """How often a column is among the reasons of customers on the campaign list."""

    column: str
    customers: int
    mean_points: float = Field(description="Mean points among these customers.")


class BatchReport(Record):
    """What a batch contains, without data of single customers."""

    batch_id: str = Field(description="Digest of the data, the version and the parameters.")
    scored_at: str = Field(description="Time at which this batch was scored first, ISO 8601.")
    data_digest: str
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
    mean_prediction: float | None = Field(
        None, description="Mean probability of leaving (task binary), or mean of the predicted numbers."
    )
    bands: dict[str, int] = Field(default_factory=dict, description="Customers per risk band (task binary).")
    classes: dict[str, int] = Field(
        default_factory=dict, description="Customers per predicted class, by label (task multiclass)."
    )
    campaign: CampaignCounts | None = Field(None, description="The campaign list (task binary).")
    reasons: list[ReasonCount] = Field(default_factory=list, description="Reasons on the list, most frequent first.")
    explained: int = Field(0, description="Customers of the list that have reasons.")
    distribution: Distribution | None = Field(None, description="Histogram of probabilities or numbers.")
    unusual: dict[str, int] = Field(
        description="Cells per column that the declaration does not allow, in customers that were scored."
    )
    unseen: dict[str, int] = Field(default_factory=dict, description="Unknown levels per column.")
    missing: dict[str, int] = Field(default_factory=dict, description="Missing cells per column.")

    @property
    def contacts(self) -> int | None:
        """Customers on the campaign list; None for other tasks than binary."""
        return None if self.campaign is None else self.campaign.contacts


@dataclass(frozen=True)
class BatchIdentity:
    """Which batch it is.

    Attributes:
        batch_id: Digest of the data, the version and the parameters.
        scored_at: Time at which it was scored first, ISO 8601.
    """

    batch_id: str
    scored_at: str


def identify_batch(
    data_digest: str,
    model: RegisteredModel,
    parameters: InferenceParameters,
    limits: Economics | None,
    batches: Sequence[BatchReport],
    clock: Clock,
) -> BatchIdentity:
    """Recognise a batch, so that it is equal to the last byte if it is scored again.

    Args:
        data_digest: Digest of the table.
        model: The version that scores it.
        parameters: Parameters of inference.
        limits: Capacity and budget.
        batches: Reports of earlier batches.
        clock: Time of scoring.

    Returns:
        Its id, with the time of an earlier batch that has the same id, if there is one.
    """
    facts = {
        "data": data_digest,
        "model": [model.name, model.version, model.model_id],
        # The time does not make it another batch.
        "parameters": parameters.model_dump(exclude={"as_of"}),
        "limits": None if limits is None else limits.model_dump(),
    }
    batch_id = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    earlier = next((one.scored_at for one in batches if one.batch_id == batch_id), None)
    return BatchIdentity(batch_id, earlier or read_time(parameters.as_of or clock()).isoformat(timespec="seconds"))


def find_previous_batch(identity: BatchIdentity, batches: Sequence[BatchReport]) -> BatchReport | None:
    """Find the latest other batch.

    Args:
        identity: The present batch.
        batches: Reports of earlier batches.

    Returns:
        The report with the latest time before this batch; None if there is none.
    """
    others = [one for one in batches if one.batch_id != identity.batch_id and one.scored_at <= identity.scored_at]
    return max(others, key=lambda one: one.scored_at, default=None)


def report_batch(
    ranked: RankedCustomers,
    reasons: CustomerReasons,
    identity: BatchIdentity,
    model: RegisteredModel,
    declaration: CustomerDeclaration,
) -> BatchReport:
    """Count a batch.

    Args:
        ranked: Scored customers with bands and ranks, and the campaign list.
        reasons: Reasons by position in the table.
        identity: Which batch it is.
        model: The version that scored it.
        declaration: The table's declaration.

    Returns:
        The report.
    """
    table, counts, selection = ranked.table, ranked.counts, ranked.selection
    numbers = next((table[name] for name in ("probability", "prediction") if name in table), None)
    is_number = numbers is not None and pd.api.types.is_float_dtype(numbers.dtype)
    bands: Any = table["risk_band"].value_counts() if "risk_band" in table else {}
    classes: Any = table["prediction"].value_counts() if declaration.task == "multiclass" else {}
    return BatchReport(
        batch_id=identity.batch_id,
        scored_at=identity.scored_at,
        data_digest=ranked.data_digest,
        model_name=model.name,
        model_version=model.version,
        task=declaration.task,
        rows_read=counts.rows_read,
        rows_scored=counts.rows_scored,
        rows_rejected=counts.rows_rejected,
        known_outcomes=counts.known_outcomes,
        threshold=model.estimator.threshold,
        mean_prediction=float(numbers.mean()) if is_number and numbers is not None and len(numbers) else None,
        bands={band: int(bands.get(band, 0)) for band in BANDS} if declaration.task == "binary" else {},
        classes={str(label): int(classes.get(label, 0)) for label in declaration.classes}
        if declaration.task == "multiclass"
        else {},
        campaign=None if selection is None else selection.counts,
        reasons=_count_reasons(reasons),
        explained=len(reasons),
        distribution=_distribution(numbers.to_numpy(), declaration.task) if is_number and numbers is not None else None,
        unusual=dict(unusual_cells(counts, declaration)),
        unseen=counts.unseen,
        missing=counts.missing,
    )


def _count_reasons(reasons: CustomerReasons) -> list[ReasonCount]:
    customers: Counter[str] = Counter()
    points: Counter[str] = Counter()
    for found in reasons.values():
        for reason in found:
            customers[reason.column] += 1
            points[reason.column] += reason.points  # type: ignore[assignment]
    ordered = sorted(customers, key=lambda name: (-points[name], name))
    return [
        ReasonCount(column=name, customers=customers[name], mean_points=round(points[name] / customers[name], 6))
        for name in ordered
    ]


def _distribution(numbers: np.ndarray, task: Task) -> Distribution | None:
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return None
    limits = (0.0, 1.0) if task == "binary" else (float(finite.min()), float(finite.max()))
    counts, edges = np.histogram(finite, bins=_PROBABILITY_BINS if task == "binary" else _NUMBER_BINS, range=limits)
    return Distribution(edges=edges.tolist(), counts=counts.tolist())
