"""The campaign list: whom to contact, within capacity and budget, with a holdout."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_estimators.cells import as_text
from churn_estimators.value import CONTACT, ContactValue
from churn_kedro.base import Record
from churn_kedro.campaigns.parameters import Economics
from churn_kedro.campaigns.reasons import CustomerReasons, Reason
from churn_kedro.campaigns.scored_parts import ScoredTable
from churn_kedro.customers import DisplayNames

# What happens with a customer: on the list; deliberately not contacted; worth a contact, but beyond capacity or budget,
# or listed already; or none of these.
Status = Literal["contact", "holdout", "over_limit", "repeated", "no_contact"]
STATUSES = ["contact", "holdout", "over_limit", "repeated", "no_contact"]
_STATUS_TYPE = pd.CategoricalDtype(STATUSES)
# Relative tolerance of limits, since spending is a sum of rounded floats.
_ROUNDING = 1e-9
_BITS = 64


class CampaignCounts(Record):
    """Customers, money and limits of a campaign list."""

    worth_contacting: int
    contacts: int
    holdout: int
    over_limit: int
    repeated: int
    expected_cost: float | None = None
    expected_value: float | None = None
    capacity: int | None = None
    budget: float | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Selection:
    """Which customers are on the campaign list.

    Attributes:
        status: Status of each customer, in the order of the table, shape (n,).
        order: Positions (0 to n - 1) of the customers to contact, best first.
        counts: Numbers and money of the campaign.
    """

    status: pd.Categorical[Any]
    order: np.ndarray
    counts: CampaignCounts


def customer_keys(ids: pd.DataFrame) -> pd.Series:
    """Join the identifiers of each customer.

    Args:
        ids: Columns that identify the customers, n rows.

    Returns:
        Text, joined by ``,``; whole numbers without ``.0``.

    Examples:
        >>> customer_keys(pd.DataFrame({"shop": ["a", "b"], "customer": [1.0, 2.0]})).tolist()
        ['a,1', 'b,2']
    """
    texts = [as_text(ids[name]).fillna("") for name in ids]
    joined = texts[0]
    for other in texts[1:]:
        joined = joined + "," + other
    return joined


def in_holdout(key: str, share: float, salt: str) -> bool:
    """Decide by a hash whether a customer is deliberately not contacted.

    The same customer is always decided alike, in every batch and by the service.

    Args:
        key: Identifier of the customer, see :func:`customer_keys`.
        share: Share of all customers.
        salt: Name of the registered model, so that two models have independent holdouts.

    Returns:
        Whether the hash is in the lowest part of its range.

    Examples:
        >>> [in_holdout(str(number), 0.5, "bank_churn") for number in range(4)]
        [True, False, True, False]
    """
    digest = hashlib.blake2b(f"{salt}\0{key}".encode(), digest_size=_BITS // 8).digest()
    return bool(int.from_bytes(digest, "big") < share * 2**_BITS)


def select_contacts(
    scored: ScoredTable,
    value: ContactValue | None,
    economics: Economics | None,
    holdout_share: float,
    salt: str,
) -> Selection:
    """Choose the customers to contact, by descending expected value, or else probability.

    Customers whose outcome is known are left out. A customer who appears twice is listed once. Customers of the holdout
    are not contacted and need neither capacity nor budget; they count as holdout down to the value of the last customer
    on the list, so that both groups have the same range of values.

    Args:
        scored: Scored customers of task binary.
        value: Costs and value of a contact, as in the model.
        economics: Capacity and budget; None: no limits.
        holdout_share: Share that is deliberately not contacted.
        salt: Salt of the hash of identifiers.

    Returns:
        The choice.
    """
    answer = scored.answer
    probability = answer["probability"].to_numpy()
    worth = (answer["decision"] == CONTACT).to_numpy() & ~scored.outcome_known
    places = np.flatnonzero(worth)
    best_by = answer["expected_value"].to_numpy() if "expected_value" in answer else probability
    places = places[np.argsort(-best_by[places], kind="stable")]
    keys = customer_keys(scored.ids.iloc[places])
    repeated = keys.duplicated().to_numpy()
    held = np.zeros(len(places), dtype=bool)
    if holdout_share:
        held = np.fromiter((in_holdout(key, holdout_share, salt) for key in keys), dtype=bool, count=len(keys))
    held &= ~repeated
    contacted = ~held & ~repeated
    cost = _expected_cost(probability[places], value)
    n = len(answer)
    capacity = budget = None
    if economics is not None and economics.capacity is not None:
        capacity = int(economics.capacity * n * (1 + _ROUNDING))
    if economics is not None and economics.budget is not None and value is not None:
        budget = economics.budget * n
    within = np.ones(len(places), dtype=bool)
    if capacity is not None:
        within &= np.cumsum(contacted) <= capacity
    if budget is not None:
        within &= np.cumsum(np.where(contacted, cost, 0.0)) <= budget * (1 + _ROUNDING)
    chosen = contacted & within
    codes = np.full(n, STATUSES.index("no_contact"), dtype=np.int8)
    codes[places] = STATUSES.index("over_limit")
    codes[places[repeated]] = STATUSES.index("repeated")
    last = int(np.flatnonzero(chosen)[-1]) if chosen.any() else -1
    everyone = bool(chosen.sum() == contacted.sum())
    codes[places[held & ((np.arange(len(places)) <= last) | everyone)]] = STATUSES.index("holdout")
    codes[places[chosen]] = STATUSES.index("contact")
    counted = np.bincount(codes, minlength=len(STATUSES))
    counts = dict(zip(STATUSES, counted.tolist(), strict=True))
    return Selection(
        status=pd.Categorical.from_codes(codes, dtype=_STATUS_TYPE),
        order=places[chosen],
        counts=CampaignCounts(
            worth_contacting=len(places),
            contacts=counts["contact"],
            holdout=counts["holdout"],
            over_limit=counts["over_limit"],
            repeated=counts["repeated"],
            expected_cost=None if value is None else float(cost[chosen].sum()),
            expected_value=float(best_by[places[chosen]].sum()) if "expected_value" in answer else None,
            capacity=capacity,
            budget=budget,
            currency=None if economics is None else economics.currency,
        ),
    )


def _expected_cost(probability: np.ndarray, value: ContactValue | None) -> np.ndarray:
    """Expected spending on each customer if contacted: the contact, and the offer to those who take it."""
    if value is None:
        return np.zeros(len(probability))
    takers = probability * value.save_probability + (1 - probability)
    return np.asarray(value.contact_cost + value.offer_cost * takers)


def list_contacts(
    ranked: pd.DataFrame,
    selection: Selection,
    reasons: CustomerReasons,
    n_reasons: int,
    ids: Sequence[str],
    names: DisplayNames,
) -> pd.DataFrame:
    """Build the campaign list.

    Args:
        ranked: Customers with ids and the model's answers; the index is the position in the table.
        selection: Who is on the list.
        reasons: Reasons by position in the table.
        n_reasons: Number of columns of reasons.
        ids: Names of the columns that identify the customers.
        names: Names and suggestions of columns.

    Returns:
        One row per customer to contact, best first: ``place``, the ids, ``probability``, ``expected_value``,
        ``risk_band``, ``reason_1`` and so on, and ``suggestion``.
    """
    listed = ranked.iloc[selection.order]
    columns: dict[str, object] = {"place": np.arange(1, len(listed) + 1)}
    columns |= {name: listed[name].array for name in ids}
    shown = ("probability", "expected_value", "risk_band")
    columns |= {name: listed[name].array for name in shown if name in listed}
    found = [reasons.get(position, ()) for position in listed.index.tolist()]
    for place in range(n_reasons):
        columns[f"reason_{place + 1}"] = pd.Categorical([str(one[place]) if place < len(one) else "" for one in found])
    columns["suggestion"] = pd.Categorical([suggest(one, names) for one in found])
    return pd.DataFrame(columns, copy=False)


def suggest(reasons: Sequence[Reason], names: DisplayNames) -> str:
    """Suggest what to say to a customer.

    Args:
        reasons: Reasons, strongest first.
        names: Declared suggestions.

    Returns:
        The suggestion of the strongest reason that has one, else a question about the strongest reason, or empty text.
    """
    declared = (names.suggestions[reason.column] for reason in reasons if reason.column in names.suggestions)
    if not reasons:
        return ""
    return next(declared, f"Ask about: {names.column(reasons[0].column)}.")
