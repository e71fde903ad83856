"""The inference pipeline on small tables, with its files in a folder."""

import json
import sqlite3
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_estimators.value import ContactValue
from churn_kedro.campaigns.parameters import BandParameters, CampaignParameters, InferenceParameters
from churn_kedro.customers.declaration import Column, CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import find_known_outcomes, name_columns
from churn_kedro.customers.parts import TableParts
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.prediction_log import PredictionLog
from churn_kedro.models.interface import TrainedModel
from tests.inference_cases import INFERENCE, registered, score
from tests.task_cases import task_case


def test_readable_customers_are_scored_and_the_others_set_aside(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left")
    raw.loc[5, "Age"] = "unknown"
    raw.loc[6, "Country"] = "Italy"

    made = score(raw, registered(trained), declaration, tmp_path)

    predictions = made["predictions"]
    assert len(predictions) == 399
    assert made["unscored_customers"]["Id"].tolist() == [6]
    assert made["unscored_customers"]["row"].tolist() == [6]
    assert made["unscored_customers"]["reasons"].tolist() == ["Age: 'unknown' is not a number"]
    assert predictions["Id"].tolist() == [identifier for identifier in raw["Id"] if identifier != "6"]
    assert list(predictions.columns) == [
        "Id",
        "probability",
        "decision",
        "risk_band",
        "rank",
        "decile",
        "campaign",
        "reason_1",
        "reason_2",
        "reason_3",
        "model_name",
        "model_version",
        "data_digest",
        "scored_at",
        "outcome_known",
    ]
    assert (predictions["decision"] == "contact").tolist() == trained.estimator.decide(raw[raw["Id"] != "6"]).tolist()
    report = made["batch_report"]
    assert report.unusual == report.unseen == {"Country": 1}
    assert sum(report.bands.values()) == report.rows_scored == 399
    metrics = made["batch_metrics"].values
    assert (metrics["batch_size"], metrics["rejected_rows"], metrics["unseen_categories"]) == (399, 1, 1)
    assert metrics["avg_churn_probability"] == pytest.approx(predictions["probability"].mean())
    assert metrics["high_risk_predictions"] == (predictions["risk_band"] == "high").sum()
    assert metrics["avg_inference_time_ms"] > 0
    assert not predictions["outcome_known"].any()


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_customers_of_other_tasks_are_scored_without_a_campaign(task: Task, tmp_path: Path) -> None:
    case = task_case(task)

    made = score(case.raw.drop(columns="Outcome"), case.registered(), case.declaration, tmp_path)

    assert len(made["predictions"]) == len(case.raw)
    assert "decision" not in made["predictions"]
    assert "campaign_list" not in made
    assert made["batch_report"].rows_scored == len(case.raw)


def test_a_table_in_parts_gives_the_lists_of_the_whole_table(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left")
    raw.loc[[5, 250], "Age"] = "unknown"
    parts = TableParts(lambda: [raw[:100], raw[100:130], raw[130:]])

    whole = score(raw, registered(trained), declaration, tmp_path / "whole")
    divided = score(parts, registered(trained), declaration, tmp_path / "parts")

    volatile = ["scored_at"]
    pd.testing.assert_frame_equal(
        divided["predictions"].drop(columns=volatile), whole["predictions"].drop(columns=volatile)
    )
    pd.testing.assert_frame_equal(divided["campaign_list"], whole["campaign_list"])
    pd.testing.assert_frame_equal(divided["unscored_customers"], whole["unscored_customers"])
    assert divided["batch_report"].batch_id == whole["batch_report"].batch_id


def test_a_second_run_on_the_same_input_gives_the_same_bytes(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left")
    parameters = INFERENCE.model_copy(update={"holdout_share": 0.2})
    kept = ("predictions.parquet", "campaign.csv", "campaign.xlsx", "unscored.csv", "figures/campaign_reasons.png")

    first = score(raw, registered(trained), declaration, tmp_path, parameters)
    report = Path(tmp_path / f"batches/{first['batch_report'].batch_id}.json")
    # Another moment, as the report says.
    report.write_text(report.read_text().replace(first["batch_report"].scored_at, "2026-01-01T00:00:00+00:00"))
    before = score(raw, registered(trained), declaration, tmp_path, parameters)
    bytes_before = {name: (tmp_path / name).read_bytes() for name in kept}
    again = score(raw, registered(trained), declaration, tmp_path, parameters)

    assert before["batch_report"].scored_at == again["batch_report"].scored_at == "2026-01-01T00:00:00+00:00"
    assert {name: (tmp_path / name).read_bytes() for name in kept} == bytes_before
    assert len(list((tmp_path / "batches").iterdir())) == 1


def test_each_prediction_is_logged_once_with_the_cells_that_the_model_read(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left")
    parameters = INFERENCE.model_copy(update={"holdout_share": 0.2})

    made = score(raw, registered(trained), declaration, tmp_path, parameters)
    score(raw, registered(trained), declaration, tmp_path, parameters)

    log = PredictionLog(f"sqlite:///{tmp_path}/log.db")
    rows = log.read()
    log.close()
    predictions = made["predictions"]
    rows["position"] = rows["prediction_id"].str.split(":").str[1].astype(int)
    rows = rows.sort_values("position", ignore_index=True)
    assert rows["customer_id"].tolist() == predictions["Id"].tolist()
    np.testing.assert_array_equal(rows["score"], predictions["probability"])
    assert rows["holdout"].tolist() == (predictions["campaign"] == "holdout").tolist()
    assert rows["treatment"].eq("contact").tolist() == (predictions["campaign"] == "contact").tolist()
    assert rows["features"][0]["Age"] == float(raw["Age"][0])
    assert set(rows["features"][0]) == {reader.column for reader in trained.estimator.readers}


def test_customers_whose_outcome_is_in_the_table_are_marked_and_not_contacted(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.rename(columns={"Left": " left"})
    raw.loc[3, " left"] = ""

    made = score(raw, registered(trained), declaration, tmp_path)

    known = made["predictions"]["outcome_known"]
    assert (known.sum(), known[3]) == (399, False)
    assert made["batch_report"].known_outcomes == made["batch_metrics"].values["known_outcomes"] == 399
    assert len(made["campaign_list"]) <= 1


def test_an_outcome_is_known_although_other_columns_of_the_training_table_are_absent(
    raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    segment = Column(name="Segment", role="segment", description="Segment")
    wider = declaration.model_copy(update={"columns": [*declaration.columns, segment]})

    named = name_columns(raw_customers, wider, with_target=False)

    assert find_known_outcomes(named, wider).all()
    assert not find_known_outcomes(
        name_columns(raw_customers.drop(columns="Left"), wider, with_target=False), wider
    ).any()


def test_customers_without_declared_identifiers_have_the_row_of_the_file(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left")
    raw.loc[5, "Age"] = "unknown"
    columns = [column for column in declaration.columns if column.role != "id"]

    made = score(
        TableParts(lambda: [raw[:3], raw[3:]]),
        registered(trained),
        declaration.model_copy(update={"columns": columns}),
        tmp_path,
    )

    assert made["predictions"]["row"].tolist() == [row for row in range(1, 401) if row != 6]
    log = PredictionLog(f"sqlite:///{tmp_path}/log.db")
    assert log.read()["customer_id"].isna().all()
    log.close()


def test_a_table_without_the_value_of_a_customer_is_scored_with_a_warning(
    trained: TrainedModel,
    raw_customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    value = ContactValue(2, 20, 0.5, 12, column="Monthly", fill_value=30.0)
    model = replace(
        registered(trained), estimator=copy(trained.estimator).set_params(contact_value=value, by_value=True)
    )

    made = score(raw_customers, model, declaration, tmp_path)

    assert "lacks the column Monthly with the value of a customer: the median of the training customers" in caplog.text
    assert made["predictions"]["expected_value"].notna().all()


def test_inference_stops_when_a_whole_column_cannot_be_read_and_keeps_the_former_list(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    score(raw_customers.drop(columns="Left"), registered(trained), declaration, tmp_path)
    before = (tmp_path / "predictions.parquet").read_bytes()

    with pytest.raises(CustomerTableError, match=r"400 of 400 customers cannot be scored"):
        score(raw_customers.assign(Age="old"), registered(trained), declaration, tmp_path)

    assert (tmp_path / "predictions.parquet").read_bytes() == before
    assert len(pd.read_csv(tmp_path / "unscored.csv")) == 400


def test_a_run_that_ends_in_the_midst_leaves_the_former_files(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left")
    score(raw, registered(trained), declaration, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def failing() -> object:
        yield raw[:100]
        raise OSError("the disk was removed")

    with pytest.raises(OSError, match="the disk was removed"):
        score(TableParts(failing), registered(trained), declaration, tmp_path)  # type: ignore[arg-type]

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_table_with_a_header_only_is_refused(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    with pytest.raises(CustomerTableError, match="no customer to score"):
        score(raw_customers.head(0), registered(trained), declaration, tmp_path)


def test_the_page_compares_the_batch_with_the_one_before_and_lists_the_first_customers(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    raw = raw_customers.drop(columns="Left").assign(Id=lambda table: "<b>" + table["Id"])

    first = score(raw[:300], registered(trained), declaration, tmp_path)
    earlier = Path(tmp_path / f"batches/{first['batch_report'].batch_id}.json")
    earlier.write_text(earlier.read_text().replace(first["batch_report"].scored_at, "2026-01-01T00:00:00+00:00"))
    second = score(raw, registered(trained), declaration, tmp_path)

    assert "This is the first batch" in first["batch_page"]
    page = second["batch_page"]
    assert "1 January 2026" in page
    assert ">300<" in page
    best = second["campaign_list"].iloc[0]
    assert best["reason_1"] in page
    assert "<b>1" not in page.replace("<b>1,", "")
    assert f"{best['Id']}".replace("<", "&lt;").replace(">", "&gt;") in page


def test_capacity_budget_and_holdout_shape_the_list(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    value = ContactValue(contact_cost=2, offer_cost=20, save_probability=0.5, value=420)
    model = replace(registered(trained), estimator=copy(trained.estimator).set_params(contact_value=value))
    economics = {"contact_cost": 2, "offer_cost": 20, "save_probability": 0.5, "value": 420, "capacity": 0.1}
    campaigns = CampaignParameters.model_validate({"objective": "profit", "economics": economics})
    parameters = InferenceParameters(
        bands=BandParameters(medium=0.3, high=0.6), max_unscored_share=0.05, holdout_share=0.3
    )

    made = score(raw_customers.drop(columns="Left"), model, declaration, tmp_path, parameters, campaigns)

    listed, predictions = made["campaign_list"], made["predictions"]
    assert len(listed) == made["batch_report"].contacts == 40
    assert listed["expected_value"].is_monotonic_decreasing
    assert listed["place"].tolist() == list(range(1, 41))
    held = predictions[predictions["campaign"] == "holdout"]
    assert len(held) > 5
    assert not set(held["Id"]) & set(listed["Id"].astype(str))
    assert held["expected_value"].min() >= listed["expected_value"].min()
    left_out = predictions[predictions["campaign"] == "over_limit"]
    assert left_out["expected_value"].max() <= listed["expected_value"].min()


def test_the_log_can_be_read_by_any_program(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration, tmp_path: Path
) -> None:
    score(raw_customers.drop(columns="Left"), registered(trained), declaration, tmp_path)

    with sqlite3.connect(tmp_path / "log.db") as database:
        cells, version = database.execute("SELECT features, model_version FROM predictions LIMIT 1").fetchone()

    assert version == 4
    assert json.loads(cells)["Country"] in ("France", "Spain")
