"""Claims about the choice of customers to contact."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from churn_estimators.value import ContactValue
from churn_kedro.campaigns.campaign_list import (
    Selection,
    customer_keys,
    in_holdout,
    list_contacts,
    select_contacts,
    suggest,
)
from churn_kedro.campaigns.parameters import Economics
from churn_kedro.campaigns.reasons import Reason
from churn_kedro.campaigns.scored_parts import ScoredTable, ScoringCounts
from churn_kedro.customers.display_names import DisplayNames

VALUE = ContactValue(contact_cost=2, offer_cost=20, save_probability=0.5, value=420)


def table(probability: list[float], known: list[bool] | None = None, ids: list[str] | None = None) -> ScoredTable:
    chance = np.array(probability)
    value = chance * 200 - (1 - chance) * 20 - 2
    return ScoredTable(
        ids=pd.DataFrame({"Id": ids or [f"c{number}" for number in range(len(chance))]}),
        answer=pd.DataFrame(
            {
                "probability": chance,
                "decision": np.where(chance >= 0.2, "contact", "no_contact"),
                "expected_value": value,
            }
        ),
        outcome_known=np.array(known or [False] * len(chance)),
        rejected=pd.DataFrame(),
        counts=ScoringCounts(),
        data_digest="d",
        read_customers=list,
    )


def select(scored: ScoredTable, share: float = 0.0, **limits: Any) -> Selection:
    economics = Economics(contact_cost=2, offer_cost=20, save_probability=0.5, value=420, **limits)
    return select_contacts(scored, VALUE, economics, share, "model")


def test_customers_worth_a_contact_are_listed_by_expected_value() -> None:
    found = select(table([0.3, 0.1, 0.9, 0.5]))

    assert found.order.tolist() == [2, 3, 0]
    assert found.status.tolist() == ["contact", "no_contact", "contact", "contact"]
    by_hand = sum(p * 200 - (1 - p) * 20 - 2 for p in (0.3, 0.9, 0.5))
    assert found.counts.expected_value == pytest.approx(by_hand)
    # A contact costs 2; half of the leavers and all others take the offer of 20.
    assert found.counts.expected_cost == pytest.approx(sum(2 + 20 * (0.5 * p + 1 - p) for p in (0.3, 0.9, 0.5)))


def test_capacity_and_budget_end_the_list() -> None:
    chances = [0.9, 0.8, 0.7, 0.6, 0.1]

    assert select(table(chances), capacity=0.4).order.tolist() == [0, 1]
    # Each costs 2 + 20 (1 - p / 2): 13, 14, 15 and 16.
    assert select(table(chances), budget=27 / 5).order.tolist() == [0, 1]
    assert select(table(chances), budget=26.9 / 5).order.tolist() == [0]
    limited = select(table(chances), capacity=0.4)
    assert limited.status.tolist() == ["contact", "contact", "over_limit", "over_limit", "no_contact"]
    assert (limited.counts.capacity, limited.counts.over_limit) == (2, 2)


def test_a_known_outcome_and_a_repeated_customer_are_not_listed() -> None:
    found = select(table([0.9, 0.8, 0.7], known=[True, False, False], ids=["a", "b", "b"]))

    assert found.status.tolist() == ["no_contact", "contact", "repeated"]


def test_the_holdout_needs_no_capacity_and_ends_with_the_list() -> None:
    scored = table(np.linspace(0.95, 0.25, 200).tolist())

    found = select(scored, share=0.5, capacity=0.2)

    status = np.array(found.status.tolist())
    assert (status == "contact").sum() == 40
    held = np.flatnonzero(status == "holdout")
    assert 20 < len(held) < 60
    assert held.max() < np.flatnonzero(status == "contact").max()
    assert set(status[np.flatnonzero(status == "contact").max() + 1 :]) == {"over_limit"}


def test_without_limits_every_customer_worth_a_contact_is_listed_or_held_out() -> None:
    found = select(table([0.9] * 300), share=0.3)

    assert found.counts.contacts + found.counts.holdout == 300
    assert 60 < found.counts.holdout < 120


@given(key=st.text(max_size=8), share=st.floats(0, 1))
def test_a_larger_holdout_contains_the_smaller_one(key: str, share: float) -> None:
    assert not in_holdout(key, 0.0, "model")
    if in_holdout(key, share, "model"):
        assert in_holdout(key, min(1.0, share + 0.1), "model")


def test_the_holdout_is_of_the_declared_size_and_differs_between_models() -> None:
    keys = [str(number) for number in range(20_000)]

    one = np.array([in_holdout(key, 0.1, "bank_churn") for key in keys])
    other = np.array([in_holdout(key, 0.1, "telco_churn") for key in keys])

    assert abs(one.mean() - 0.1) < 0.01
    assert abs((one & other).mean() - 0.01) < 0.004


def test_an_identifier_is_the_same_key_as_number_and_as_text() -> None:
    numbers, texts = pd.DataFrame({"Id": [1.0, 22.0]}), pd.DataFrame({"Id": ["1", " 22"]})

    assert customer_keys(numbers).tolist() == customer_keys(texts).tolist() == ["1", "22"]


def test_a_list_has_reasons_and_a_suggestion() -> None:
    scored = table([0.3, 0.9])
    ranked = pd.concat([scored.ids, scored.answer], axis=1).assign(risk_band=["medium", "high"])
    names = DisplayNames(columns={"Active": "Active member"}, suggestions={"Age": "Offer a savings plan."})
    reasons = {1: [Reason("Active", "has not been active this year", 18.2), Reason("Age", "is 71 years old", 1.4)]}

    listed = list_contacts(ranked, select(scored), reasons, 3, ["Id"], names)

    assert listed.to_dict("records") == [
        {
            "place": 1,
            "Id": "c1",
            "probability": 0.9,
            "expected_value": pytest.approx(176.0),
            "risk_band": "high",
            "reason_1": "has not been active this year: +18 points",
            "reason_2": "is 71 years old: +1 point",
            "reason_3": "",
            "suggestion": "Offer a savings plan.",
        },
        {
            "place": 2,
            "Id": "c0",
            "probability": 0.3,
            "expected_value": pytest.approx(44.0),
            "risk_band": "medium",
            "reason_1": "",
            "reason_2": "",
            "reason_3": "",
            "suggestion": "",
        },
    ]
    assert suggest(reasons[1][:1], names) == "Ask about: Active member."
