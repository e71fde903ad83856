"""Claims about the scoring of micro-batches."""

import json
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.campaigns.streams import MicroBatch, ScoredMicroBatch, StreamCounts, score_micro_batch
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.models.interface import TrainedModel
from tests.inference_cases import INFERENCE, registered


def scored(
    messages: list[Any], trained: TrainedModel, declaration: CustomerDeclaration, share: float = 0.0
) -> tuple[ScoredMicroBatch, StreamCounts]:
    batch = MicroBatch([f"s:{number}" for number in range(len(messages))], messages, lambda: None)
    parameters = INFERENCE.model_copy(update={"holdout_share": share})
    return score_micro_batch(
        batch, registered(trained), declaration, parameters, lambda: "2026-01-31T12:00:00+00:00", lambda: 0.0
    )


def test_messages_are_scored_as_the_rows_of_a_table(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    messages = raw_customers.drop(columns="Left").head(50).to_dict("records")

    result, counts = scored(messages, trained, declaration, share=0.5)

    predictions = result.logged.predictions
    np.testing.assert_array_equal(predictions["score"], trained.estimator.scores(raw_customers.head(50)))
    assert predictions["prediction_id"].tolist() == [f"s:{number}" for number in range(50)]
    assert predictions["customer_id"].tolist() == raw_customers["Id"].head(50).tolist()
    assert set(predictions["source"]) == {"stream"}
    assert 0 < predictions["holdout"].sum() < (predictions["decision"] == "contact").sum()
    assert not result.rejected
    assert (counts.predictions, counts.rejected) == (50, 0)
    assert sum(counts.bands.values()) == 50
    assert counts.metrics()["avg_churn_probability"] == float(predictions["score"].sum()) / 50


def test_numbers_of_json_are_the_numbers_of_text(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    texts = raw_customers.head(3).to_dict("records")
    typed = [{**row, "Age": float(row["Age"]), "Card": int(row["Card"]), "City": None} for row in texts]

    one, _ = scored([{**row, "City": ""} for row in texts], trained, declaration)
    other, _ = scored(typed, trained, declaration)

    np.testing.assert_array_equal(one.logged.predictions["score"], other.logged.predictions["score"])


def test_what_is_no_customer_is_rejected_with_the_reason_and_the_others_are_scored(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    good = raw_customers.iloc[0].to_dict()
    messages = ["garbage", good, {"Age": 3}, {**good, "Age": "old"}, {**good, "Age": [1]}, {**good, "Country": "Italy"}]

    result, counts = scored(messages, trained, declaration)

    assert result.logged.predictions["prediction_id"].tolist() == ["s:1", "s:5"]
    reasons = {one["id"]: one["reason"] for one in result.rejected}
    assert reasons["s:0"] == "the message is not a JSON object"
    assert reasons["s:2"].startswith("the message lacks Id, City, Country")
    assert reasons["s:3"] == "Age: 'old' is not a number"
    assert reasons["s:4"] == "not a number or text: Age"
    assert (counts.predictions, counts.rejected, counts.unseen) == (2, 4, 1)
    assert json.dumps(list(result.rejected))


def test_a_micro_batch_without_customers_is_rejected_whole(
    trained: TrainedModel, declaration: CustomerDeclaration
) -> None:
    result, counts = scored(["a", "b"], trained, declaration)

    assert len(result.logged.predictions) == 0
    assert (counts.predictions, counts.rejected) == (0, 2)
    assert counts.plus(counts).rejected == 4
