"""Claims about bands, ranks and the list of scored customers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from churn_kedro.campaigns.campaign_list import CampaignCounts, Selection
from churn_kedro.campaigns.parameters import BandParameters
from churn_kedro.campaigns.reasons import Reason
from churn_kedro.campaigns.scored_list import deciles, list_predictions, rank_customers, rank_values, risk_bands
from churn_kedro.campaigns.scored_parts import ScoredTable, ScoringCounts
from tests.model_cases import column_model

BANDS = BandParameters(medium=0.3, high=0.6)
ORIGIN: dict[str, str | int] = {"model_version": 3, "scored_at": "2026-01-31T12:00:00+00:00"}


def scored(answer: pd.DataFrame, ids: pd.DataFrame | None = None) -> ScoredTable:
    ids = pd.DataFrame({"Id": [f"c{number}" for number in range(len(answer))]}) if ids is None else ids
    return ScoredTable(
        ids=ids,
        answer=answer,
        outcome_known=np.zeros(len(answer), dtype=bool),
        rejected=pd.DataFrame(),
        counts=ScoringCounts(),
        data_digest="d",
        read_customers=list,
    )


def answered(probability: list[float], threshold: float = 0.5) -> pd.DataFrame:
    """What a model with these probabilities answers."""
    return column_model("p", threshold).answer(pd.DataFrame({"p": np.array(probability, dtype=float)}))


def test_a_band_includes_its_lower_bound() -> None:
    below = np.nextafter([0.3, 0.6], 0)

    assert risk_bands(np.array([0.0, below[0], 0.3, below[1], 0.6, 1.0]), BANDS).tolist() == [
        "low",
        "low",
        "medium",
        "medium",
        "high",
        "high",
    ]


@pytest.mark.parametrize(("medium", "high"), [(0.6, 0.6), (0.7, 0.6)])
def test_the_medium_band_begins_below_the_high_one(medium: float, high: float) -> None:
    with pytest.raises(ValidationError, match="must begin below the high band"):
        BandParameters(medium=medium, high=high)


def test_the_list_keeps_the_order_of_the_customers_and_has_reasons_where_there_are_any() -> None:
    selection = Selection(
        status=pd.Categorical.from_codes([1, 0, 1], dtype=pd.CategoricalDtype(["contact", "no_contact"])),
        order=np.array([1]),
        counts=CampaignCounts(worth_contacting=1, contacts=1, holdout=0, over_limit=0, repeated=0),
    )
    customers = replace(scored(answered([0.2, 0.9, 0.4])), outcome_known=np.array([False, False, True]))

    ranked = rank_customers(customers, BANDS, selection)
    listed = list_predictions(ranked, {1: [Reason("Age", "is 90", 18.4)]}, 2, ORIGIN)

    pd.testing.assert_frame_equal(
        listed,
        pd.DataFrame(
            {
                "Id": ["c0", "c1", "c2"],
                "probability": [0.2, 0.9, 0.4],
                "decision": ["no_contact", "contact", "no_contact"],
                "risk_band": ["low", "high", "medium"],
                "rank": [3, 1, 2],
                "decile": [7, 1, 4],
                "campaign": ["no_contact", "contact", "no_contact"],
                "reason_1": [None, "is 90: +18 points", None],
                "reason_2": pd.array([None, None, None], dtype="str"),
                "model_version": [3, 3, 3],
                "scored_at": ["2026-01-31T12:00:00+00:00"] * 3,
                "outcome_known": [False, False, True],
            }
        ),
        check_dtype=False,
        check_categorical=False,
    )


def test_a_customer_whose_probability_equals_the_threshold_is_contacted() -> None:
    assert answered([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1)])["decision"].tolist() == [
        "contact",
        "no_contact",
        "contact",
    ]


@pytest.mark.slow
@given(values=st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.6, 1.0]), max_size=12))
def test_ranks_count_from_one_without_gaps_by_falling_value(values: list[float]) -> None:
    expected = pd.Series(values, dtype=float).rank(method="first", ascending=False)

    assert rank_values(np.array(values)).tolist() == expected.astype(int).tolist()


@pytest.mark.parametrize("n", [1, 3, 10, 99, 1000])
def test_deciles_are_of_equal_size_up_to_one_customer(n: int) -> None:
    groups = deciles(np.arange(1, n + 1))

    sizes = np.bincount(groups, minlength=11)[1:]
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(groups) >= 0).all()
    assert groups[0] == 1


def test_a_customer_may_have_several_ids() -> None:
    ranked = rank_customers(scored(answered([0.7]), pd.DataFrame({"Bank": ["b"], "Id": ["1"]})), BANDS, None)

    assert list(ranked.table)[:3] == ["Bank", "Id", "probability"]


def test_several_classes_have_neither_rank_nor_campaign() -> None:
    answer = pd.DataFrame({"prediction": [10, 20], "probability_10": [0.9, 0.2], "probability_20": [0.1, 0.8]})

    ranked = rank_customers(scored(answer), BANDS, None)
    listed = list_predictions(ranked, {}, 3, ORIGIN)

    assert listed["prediction"].tolist() == [10, 20]
    assert list(listed) == ["Id", *answer, "model_version", "scored_at", "outcome_known"]


def test_numbers_are_ranked_largest_first() -> None:
    ranked = rank_customers(scored(pd.DataFrame({"prediction": [5.0, 9.0, 5.0, -1.0]})), BANDS, None)

    assert list(ranked.table) == ["Id", "prediction", "rank", "decile"]
    assert ranked.table["rank"].tolist() == [2, 1, 3, 4]
