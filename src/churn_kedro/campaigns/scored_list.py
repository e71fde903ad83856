"""The scored list: decisions, risk bands and ranks of customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.campaigns.campaign_list import Selection
from churn_kedro.campaigns.parameters import BandParameters
from churn_kedro.campaigns.reasons import CustomerReasons
from churn_kedro.campaigns.scored_parts import ScoredTable, ScoringCounts

BANDS = ["low", "medium", "high"]
_BAND_TYPE = pd.CategoricalDtype(BANDS, ordered=True)


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
    assigned: np.ndarray = np.asarray(BANDS)[_band_codes(probability, bands)]
    return assigned


def risk_band(probability: float, bands: BandParameters) -> str:
    """Assign one probability to a risk band, as :func:`risk_bands` does.

    Args:
        probability: Value in [0, 1].
        bands: Lower bounds of the bands.

    Returns:
        A value of :data:`BANDS`.

    Examples:
        >>> risk_band(0.3, BandParameters(medium=0.3, high=0.6))
        'medium'
    """
    return BANDS[(probability >= bands.medium) + (probability >= bands.high)]


def _band_codes(probability: np.ndarray, bands: BandParameters) -> np.ndarray:
    codes: np.ndarray = np.digitize(probability, [bands.medium, bands.high])
    return codes


def rank_values(values: np.ndarray) -> np.ndarray:
    """Rank values in descending order.

    Args:
        values: Shape (n,).

    Returns:
        Ranks from 1, int32 array of shape (n,); ties in order of input.

    Examples:
        >>> rank_values(np.array([0.2, 0.9, 0.2])).tolist()
        [2, 1, 3]
    """
    ranks = np.empty(len(values), dtype=np.int32)
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1, dtype=np.int32)
    return ranks


def deciles(ranks: np.ndarray) -> np.ndarray:
    """Divide ranks into ten groups of equal size.

    Args:
        ranks: Ranks from 1 to n, shape (n,).

    Returns:
        int8 array of shape (n,): 1 for the tenth with the highest values; 10 for the lowest.

    Examples:
        >>> deciles(np.arange(1, 21)).tolist()[::2]
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    """
    return np.asarray((ranks - 1) * np.int64(10) // max(1, len(ranks)) + 1, dtype=np.int8)


@dataclass(frozen=True)
class RankedCustomers:
    """Scored customers with their ranks, and the campaign list.

    Attributes:
        table: Ids, answers of the model, bands and ranks; the index is the position in the table.
        ids: Names of the columns that identify the customers.
        outcome_known: Whether the table has the outcome of each customer.
        selection: Who is on the campaign list; None for other tasks than binary.
        counts: Counts of the table.
        data_digest: Digest of the table.
    """

    table: pd.DataFrame
    ids: list[str]
    outcome_known: np.ndarray
    selection: Selection | None
    counts: ScoringCounts
    data_digest: str


def rank_customers(scored: ScoredTable, bands: BandParameters, selection: Selection | None) -> RankedCustomers:
    """Add to the model's answers what follows from them, in the order of the table.

    Args:
        scored: Scored customers.
        bands: Lower bounds of the risk bands (task binary).
        selection: Which customers are on the campaign list; None for other tasks.

    Returns:
        A table with the columns of the ids and of the model; for task binary ``risk_band``; for tasks binary and
        regression ``rank`` (1: largest; ties in order of input) and ``decile`` (1: the highest tenth); for task binary
        ``campaign``.
    """
    columns: dict[str, Any] = {**scored.ids, **scored.answer}
    if "decision" in scored.answer:
        codes = _band_codes(scored.answer["probability"].to_numpy(), bands)
        columns["risk_band"] = pd.Categorical.from_codes(codes, dtype=_BAND_TYPE)
    ranked_by = next((name for name in ("probability", "prediction") if name in scored.answer), "")
    if ranked_by and pd.api.types.is_float_dtype(scored.answer[ranked_by].dtype):
        columns["rank"] = rank_values(scored.answer[ranked_by].to_numpy())
        columns["decile"] = deciles(columns["rank"])
    if selection is not None:
        columns["campaign"] = selection.status
    return RankedCustomers(
        table=pd.DataFrame(columns, index=scored.ids.index, copy=False),
        ids=[str(name) for name in scored.ids.columns],
        outcome_known=scored.outcome_known,
        selection=selection,
        counts=scored.counts,
        data_digest=scored.data_digest,
    )


def list_predictions(
    ranked: RankedCustomers,
    reasons: CustomerReasons,
    n_reasons: int,
    origin: dict[str, str | int],
) -> pd.DataFrame:
    """Build the scored list, in the order of the input.

    Args:
        ranked: Customers with their ranks.
        reasons: Reasons of the customers of the campaign list, by position in the table.
        n_reasons: Number of columns of reasons, for tasks that have a campaign list.
        origin: Columns that are the same for all: model, version, digest of the data and time of scoring.

    Returns:
        The columns of the table, ``reason_1`` and so on (task binary), those of ``origin``, and ``outcome_known``.
    """
    table = ranked.table
    columns: dict[str, Any] = {str(name): table[name] for name in table}
    if ranked.selection is not None:
        columns |= reason_columns(table.index, reasons, n_reasons)
    for name, value in origin.items():
        columns[name] = value
        if isinstance(value, str):
            columns[name] = pd.Categorical.from_codes(np.zeros(len(table), np.int8), dtype=pd.CategoricalDtype([value]))
    columns["outcome_known"] = ranked.outcome_known
    return pd.DataFrame(columns, index=table.index, copy=False).reset_index(drop=True)


def reason_columns(index: pd.Index, reasons: CustomerReasons, n_reasons: int) -> dict[str, pd.Categorical[Any]]:
    """Write reasons as columns of text. Categories take less memory, since few customers have reasons.

    Args:
        index: Positions of the customers.
        reasons: Reasons by position.
        n_reasons: Number of columns.

    Returns:
        ``reason_1`` and so on; missing where a customer has fewer reasons.
    """
    positions = index.get_indexer(pd.Index(list(reasons), dtype=index.dtype))
    columns = {}
    for place in range(n_reasons):
        texts = [str(found[place]) if place < len(found) else None for found in reasons.values()]
        found_codes, categories = pd.factorize(np.array(texts, dtype=object))
        codes = np.full(len(index), -1, dtype=np.int32)
        codes[positions] = found_codes
        columns[f"reason_{place + 1}"] = pd.Categorical.from_codes(codes, categories=pd.Index(categories, dtype="str"))
    return columns
