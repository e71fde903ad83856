"""Claims about the list of scored customers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from churn_kedro.campaigns.scored_list import (
    BandParameters,
    count_unusual_cells,
    list_predictions,
    require_readable,
    risk_bands,
)
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from tests import task_cases
from tests.model_cases import column_model

BINARY, MULTICLASS, REGRESSION = (task_cases.declare(task) for task in ("binary", "multiclass", "regression"))
BANDS = BandParameters(medium=0.3, high=0.6)


def answered(probability: list[float], threshold: float = 0.5) -> pd.DataFrame:
    """What a model with these probabilities answers."""
    model = column_model("p", threshold)
    return model.answer(pd.DataFrame({"p": np.array(probability, dtype=float)}))


def listed(probability: list[float], threshold: float = 0.5) -> pd.DataFrame:
    ids = pd.DataFrame(
        {"Id": [f"c{number}" for number in range(len(probability))]}, index=range(7, 7 + len(probability))
    )
    predictions, _ = list_predictions(
        ids, answered(probability, threshold), BINARY, BANDS, 3, "2026-01-31T12:00:00+00:00"
    )
    return predictions


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


def test_the_list_keeps_the_order_of_the_customers_and_carries_the_model_version() -> None:
    pd.testing.assert_frame_equal(
        listed([0.2, 0.9, 0.4]),
        pd.DataFrame(
            {
                "Id": ["c0", "c1", "c2"],
                "probability": [0.2, 0.9, 0.4],
                "decision": ["no_contact", "contact", "no_contact"],
                "risk_band": ["low", "high", "medium"],
                "rank": [3, 1, 2],
                "model_version": [3, 3, 3],
                "scored_at": ["2026-01-31T12:00:00+00:00"] * 3,
            }
        ),
        check_dtype=False,
    )


def test_a_customer_whose_probability_equals_the_threshold_is_contacted() -> None:
    assert listed([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1)])["decision"].tolist() == [
        "contact",
        "no_contact",
        "contact",
    ]


def test_equal_probabilities_are_ranked_in_order_of_input() -> None:
    assert listed([0.4, 0.9, 0.4, 0.9, 0.1])["rank"].tolist() == [3, 1, 4, 2, 5]


@pytest.mark.slow
@given(probability=st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.6, 1.0]), max_size=12))
def test_ranks_count_from_one_without_gaps_by_falling_probability(probability: list[float]) -> None:
    predictions = listed(probability)

    expected = pd.Series(probability, dtype=float).rank(method="first", ascending=False)
    assert predictions["rank"].tolist() == expected.astype(int).tolist()


def test_a_customer_may_have_several_ids_or_none() -> None:
    several = pd.DataFrame({"Bank": ["b"], "Id": ["1"]})
    none = pd.DataFrame(index=[4])

    for ids in (several, none):
        predictions, _ = list_predictions(ids, answered([0.7]), BINARY, BANDS, 1, "now")
        assert list(predictions)[: ids.shape[1] + 1] == [*ids, "probability"]
        assert predictions["rank"].tolist() == [1]


@pytest.mark.parametrize(
    ("column", "cells", "unusual"),
    [
        ("Age", [17.9, 18.0, 100.0, 100.1], 2),
        ("Age", [None, 20.0, 20.0, None], 2),
        ("Charges", [None, -0.1, 0.0, 1e9], 1),
        ("Country", ["France", "Italy", None, "spain"], 3),
        ("Contract", ["month", "year", "week", "year"], 1),
        ("Tier", [1.0, 3.0, 4.0, None], 1),
        ("Card", [0.0, 1.0, 2.0, None], 2),
        ("City", ["Atlantis", None, "Lyon", "Nice"], 0),
    ],
)
def test_cells_outside_of_the_declaration_are_counted_per_column(
    column: str, cells: list[Any], unusual: int, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    four = customers.head(4).assign(**{column: pd.Series(cells, dtype=customers[column].dtype)})

    assert count_unusual_cells(four, declaration) == ({column: unusual} if unusual else {})


def test_usual_customers_have_no_unusual_cell(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    assert count_unusual_cells(customers, declaration) == {}
    assert count_unusual_cells(customers.head(0), declaration) == {}


UNREADABLE = pd.DataFrame({"row": [4], "column": ["Age"], "reason": ["Age: 'x' is not a number"]})


def test_as_many_unreadable_customers_as_allowed_are_left_out() -> None:
    require_readable(4, 1, 0.25, UNREADABLE)
    require_readable(4, 0, 0.0, UNREADABLE.head(0))


def test_more_unreadable_customers_than_allowed_are_refused_with_examples() -> None:
    with pytest.raises(CustomerTableError) as caught:
        require_readable(4, 1, 0.2, UNREADABLE)

    assert "1 of 4 customers cannot be scored; at most 20.0%" in str(caught.value)
    assert "row 5, Age: 'x' is not a number" in str(caught.value)


def test_a_table_without_customers_raises() -> None:
    with pytest.raises(CustomerTableError, match="no customer to score"):
        require_readable(0, 0, 1.0, UNREADABLE.head(0))


def test_several_classes_are_listed_with_the_most_probable_label_and_a_probability_for_each() -> None:
    answer = pd.DataFrame(
        {
            "prediction": ["plus", "basic", "basic"],
            "probability_basic": [0.2, 0.6, 0.4],
            "probability_plus": [0.5, 0.3, 0.4],
            "probability_premium": [0.3, 0.1, 0.2],
        }
    )

    predictions, counts = list_predictions(
        pd.DataFrame({"Id": ["c0", "c1", "c2"]}, index=[7, 8, 9]), answer, MULTICLASS, BANDS, 3, "now"
    )

    pd.testing.assert_frame_equal(
        predictions,
        pd.DataFrame(
            {
                "Id": ["c0", "c1", "c2"],
                "prediction": ["plus", "basic", "basic"],
                "probability_basic": [0.2, 0.6, 0.4],
                "probability_plus": [0.5, 0.3, 0.4],
                "probability_premium": [0.3, 0.1, 0.2],
                "model_version": [3, 3, 3],
                "scored_at": ["now", "now", "now"],
            }
        ),
        check_dtype=False,
    )
    assert counts == {"classes": {"basic": 2, "plus": 1, "premium": 0}}


def test_labels_that_are_numbers_stay_numbers() -> None:
    declaration = task_cases.declare("multiclass", [10, 20])

    predictions, counts = list_predictions(
        pd.DataFrame({"Id": ["a", "b"]}),
        pd.DataFrame({"prediction": [10, 20], "probability_10": [0.9, 0.2], "probability_20": [0.1, 0.8]}),
        declaration,
        BANDS,
        1,
        "now",
    )

    assert predictions["prediction"].tolist() == [10, 20]
    assert list(predictions)[2:4] == ["probability_10", "probability_20"]
    assert counts == {"classes": {"10": 1, "20": 1}}


def test_numbers_are_listed_with_their_rank_largest_first() -> None:
    answer = pd.DataFrame({"prediction": [5.0, 9.0, 5.0, -1.0]})

    predictions, counts = list_predictions(
        pd.DataFrame({"Id": ["a", "b", "c", "d"]}), answer, REGRESSION, BANDS, 3, "now"
    )

    assert list(predictions) == ["Id", "prediction", "rank", "model_version", "scored_at"]
    assert predictions["prediction"].tolist() == [5.0, 9.0, 5.0, -1.0]
    assert predictions["rank"].tolist() == [2, 1, 3, 4]
    assert counts == {"mean_prediction": 4.5}


def test_a_list_of_two_classes_is_counted_by_bands_and_contacts() -> None:
    _, counts = list_predictions(
        pd.DataFrame({"Id": ["a", "b", "c"]}), answered([0.2, 0.9, 0.5]), BINARY, BANDS, 1, "now"
    )

    assert counts == {"contacts": 2, "bands": {"low": 1, "medium": 1, "high": 1}}
