"""What the service answers, and what it refuses."""

import json
import sqlite3
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from starlette.testclient import TestClient

from churn_kedro.campaigns.campaign_list import in_holdout
from churn_kedro.models.interface import TrainedModel
from churn_kedro.serving.application import Service
from churn_kedro.serving.settings import UseCase
from tests.mlflow_store import register_trained
from tests.serving.conftest import CUSTOMER, NAME, Change, client_of
from tests.task_cases import task_case

pytestmark = pytest.mark.slow


def _expected(trained: TrainedModel, customer: dict[str, Any]) -> pd.Series:
    return trained.estimator.predict(pd.DataFrame([customer], dtype=object)).iloc[0]


def _rows(path: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM predictions ORDER BY prediction_id")]


def test_a_customer_gets_the_answer_of_the_registered_model(client: TestClient, trained: TrainedModel) -> None:
    answer = client.post("/predict", json=CUSTOMER)
    expected = _expected(trained, CUSTOMER)

    assert answer.status_code == 200
    assert answer.json()["probability"] == pytest.approx(expected["probability"], abs=1e-6)
    assert answer.json()["decision"] == expected["decision"]
    band = int(expected["probability"] >= 0.2) + int(expected["probability"] >= 0.5)
    assert answer.json()["risk_band"] == ("low", "medium", "high")[band]
    assert answer.json()["ids"] == {"Id": 7}
    assert answer.json()["warnings"] == []
    assert (answer.json()["model_name"], answer.json()["model_version"]) == (NAME, 1)
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_batch_has_the_answers_of_single_requests(client: TestClient) -> None:
    customers = [CUSTOMER | {"Age": age, "Id": age} for age in range(20, 80)]
    batch = client.post("/bank/predict/batch", json={"customers": customers}).json()
    single = [client.post("/predict", json=customer).json() for customer in customers]

    assert batch["unreadable"] == 0
    for name in ("ids", "decision", "risk_band"):
        assert [one[name] for one in batch["predictions"]] == [one[name] for one in single]
    # Some processors compute an exponential of many numbers in another way than that of one.
    expected = [one["probability"] for one in single]
    assert [one["probability"] for one in batch["predictions"]] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"Country": "Atlantis"}, "Country"), ({"Age": 150}, "Age"), ({"Age": None}, "Age"), ({"Age": " 17"}, "Age")],
)
def test_cells_outside_of_the_declaration_are_scored_as_in_batch_with_a_warning(
    client: TestClient, trained: TrainedModel, changed: dict[str, Any], field: str
) -> None:
    answer = client.post("/predict", json=CUSTOMER | changed).json()

    assert answer["probability"] == pytest.approx(_expected(trained, CUSTOMER | changed)["probability"], abs=1e-6)
    assert [warning["field"] for warning in answer["warnings"]] == [field]
    assert answer["warnings"][0]["allowed"] == {"Country": "France or Spain", "Age": "a number from 18 to 100"}[field]


@pytest.mark.parametrize(
    "changed", [{"Charges": None}, {"Charges": "NA"}, {"Charges": -1}, {"Tier": "none"}, {"Age": "40"}]
)
def test_what_the_declaration_allows_has_no_warning(client: TestClient, changed: dict[str, Any]) -> None:
    assert client.post("/predict", json=CUSTOMER | changed).json()["warnings"] == []


@pytest.mark.parametrize("absent", ["Id", "City", "Charges", "Tier"])
def test_identifiers_and_nullable_columns_may_be_left_out(client: TestClient, absent: str) -> None:
    customer = {name: cell for name, cell in CUSTOMER.items() if name != absent}

    assert client.post("/predict", json=customer).status_code == 200


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"Age": "forty"}, "Age", "cannot be read: 'forty' is not a number"),
        ({"Age": True}, "Age", "has a wrong type"),
        ({"Age": [40]}, "Age", "has a wrong type"),
        ({"Country": {"name": "France"}}, "Country", "has a wrong type"),
        ({"Country ": "France"}, "Country ", "is unknown; did you mean Country?"),
        ({"Left": 1}, "Left", "is unknown"),
        ({"Note": "-"}, "Note", "is unknown"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_is_allowed(
    client: TestClient, changed: dict[str, Any], field: str, message: str
) -> None:
    answer = client.post("/predict", json=CUSTOMER | changed)

    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["field"] == field
    assert problem["message"].startswith(message)
    assert problem["allowed"]
    assert "value" in problem


def test_each_absent_field_is_named(client: TestClient) -> None:
    answer = client.post("/predict", json={})

    assert {problem["field"] for problem in answer.json()["problems"]} == {"Age", "Country", "Contract", "Card"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"Age": NaN}', 422),
        (b'{"Age": Infinity}', 422),
        (b'{"Age": 1e999}', 422),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
        (b'{"Age": 1' + b"0" * 4000 + b"}", 422),
        (b'{"City": "\\ud800"}', 400),
    ],
)
def test_a_malformed_body_is_refused_without_a_trace(client: TestClient, body: bytes, status: int) -> None:
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize("city", ["Łódź", "東京", "🏦", "\u0000", "a" * 10_000, "\u202e"])
def test_any_unicode_is_scored_and_logged(settings: Change, use_case: UseCase, tmp_path: Path, city: str) -> None:
    with client_of(Service(settings())) as client:
        assert client.post("/predict", json=CUSTOMER | {"City": city, "Id": city}).status_code == 200

    (row,) = _rows(tmp_path / "log.db")
    assert json.loads(row["features"])["City"] == city


def test_a_batch_sets_unreadable_customers_aside_and_scores_the_others(client: TestClient) -> None:
    answer = client.post("/predict/batch", json={"customers": [CUSTOMER, CUSTOMER | {"Age": "x", "Id": 8}]}).json()

    first, second = answer["predictions"]
    assert answer["unreadable"] == 1
    assert "probability" in first
    assert second["ids"] == {"Id": 8}
    assert [problem["field"] for problem in second["unreadable"]] == ["Age"]
    assert "probability" not in second


def test_a_batch_names_the_row_of_a_wrong_field(client: TestClient) -> None:
    answer = client.post("/predict/batch", json={"customers": [CUSTOMER, CUSTOMER | {"Age": []}]})

    assert answer.status_code == 422
    assert [(problem["row"], problem["field"]) for problem in answer.json()["problems"]] == [(1, "Age")]


def test_a_batch_of_ten_thousand_customers_is_answered_and_one_more_is_refused(client: TestClient) -> None:
    customers = [CUSTOMER] * 10_000
    answer = client.post("/predict/batch", json={"customers": customers})

    assert len(answer.json()["predictions"]) == 10_000
    assert client.post("/predict/batch", json={"customers": [*customers, CUSTOMER]}).status_code == 413


def test_every_prediction_is_logged_once_with_its_request_and_version(settings: Change, tmp_path: Path) -> None:
    with client_of(Service(settings())) as client:
        one = client.post("/predict", json=CUSTOMER, headers={"x-request-id": "mine"}).json()
        many = client.post("/predict/batch", json={"customers": [CUSTOMER, CUSTOMER | {"Age": "x"}]}).json()

    rows = {row["prediction_id"]: row for row in _rows(tmp_path / "log.db")}
    assert set(rows) == {one["prediction_id"], many["predictions"][0]["prediction_id"]}
    row = rows[one["prediction_id"]]
    assert (row["source"], row["batch_id"], row["customer_id"]) == ("online", "mine", "7")
    assert (row["model_name"], row["model_version"]) == (NAME, 1)
    assert (row["score"], row["decision"], row["risk_band"]) == (one["probability"], one["decision"], one["risk_band"])
    assert json.loads(row["features"]) == {name: cell for name, cell in CUSTOMER.items() if name != "Id"}
    assert row["latency_ms"] > 0


def test_requests_are_written_to_a_file_without_the_customer(settings: Change, tmp_path: Path) -> None:
    with client_of(Service(settings())) as client:
        client.post("/predict", json=CUSTOMER)
        client.get("/nowhere")

    first, second = (json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines())
    assert (first["path"], first["status"], first["model_version"], first["rows"]) == ("/predict", 200, 1, 1)
    assert (second["path"], second["status"]) == ("/nowhere", 404)
    assert "Lyon" not in json.dumps(first)


def test_the_holdout_is_that_of_batch_scoring(settings: Change, use_case: UseCase, tmp_path: Path) -> None:
    held = replace(use_case, holdout_share=0.5)
    with client_of(Service(settings(use_cases=(held,)))) as client:
        customers = [CUSTOMER | {"Age": 75, "Tier": 2, "Id": number} for number in range(40)]
        answers = client.post("/predict/batch", json={"customers": customers}).json()["predictions"]

    assert {answer["decision"] for answer in answers} == {"contact"}
    assert [answer["holdout"] for answer in answers] == [in_holdout(str(one), 0.5, NAME) for one in range(40)]
    assert sum(row["holdout"] for row in _rows(tmp_path / "log.db")) == sum(answer["holdout"] for answer in answers)


def test_reasons_name_columns_and_sum_to_no_more_than_the_difference(client: TestClient) -> None:
    answer = client.post("/explain", json=CUSTOMER | {"Age": 75}).json()

    assert 1 <= len(answer["reasons"]) <= 3
    assert answer["reasons"][0]["column"] in CUSTOMER
    points = [abs(reason["points"]) for reason in answer["reasons"]]
    assert points == sorted(points, reverse=True)


def test_a_number_beyond_the_range_of_the_trees_is_predicted_and_explained(client: TestClient) -> None:
    for route in ("/predict", "/explain"):
        assert client.post(route, json=CUSTOMER | {"Charges": 1e300}).status_code == 200


def test_a_number_that_another_learner_refuses_is_an_error_of_the_request(
    trained: TrainedModel, raw_customers: pd.DataFrame, use_case: UseCase, settings: Change, tmp_path: Path
) -> None:
    estimator = copy(trained.estimator)
    target = raw_customers["Left"].astype(int)
    forest = RandomForestClassifier(n_estimators=3, random_state=1).fit(estimator.inputs(raw_customers), target)
    register_trained(replace(trained, estimator=estimator.set_params(learner=forest)), "forest", tmp_path)
    service = Service(settings(use_cases=(replace(use_case, model_name="forest", wanted="1"),)))

    with client_of(service) as client:
        usual = client.post("/predict", json=CUSTOMER)
        extreme = client.post("/predict", json=CUSTOMER | {"Charges": 1e300})

    assert usual.status_code == 200
    assert (extreme.status_code, extreme.json()["error"]) == (422, "A number is too large for this model.")


def test_the_model_is_described(client: TestClient) -> None:
    model = client.get("/model").json()

    assert (model["model_name"], model["model_version"], model["task"]) == (NAME, 1, "binary")
    assert [column["name"] for column in model["signature"]["inputs"]][:2] == ["City", "Age"]
    assert model["is_compiled"] is True
    assert model["refused"] is None
    assert client.get("/model/card").status_code == 404


def test_other_tasks_have_answers_of_their_own(settings: Change, use_case: UseCase) -> None:
    cases = {"kinds": task_case("multiclass"), "worth": task_case("regression")}
    served = tuple(
        replace(use_case, name=name, model_name=name, declaration=case.declaration) for name, case in cases.items()
    )
    customer = {"Age": 40, "Country": "Spain", "Visits": None}
    table = pd.DataFrame([customer], dtype=object)
    with client_of(Service(settings(use_cases=(use_case, *served)))) as client:
        kinds, worth = (client.post(f"/{name}/predict", json=customer).json() for name in cases)
        expected = cases["kinds"].trained.estimator.predict(table).iloc[0]
        assert kinds["prediction"] == expected["prediction"]
        assert kinds["probabilities"] == {
            label: pytest.approx(expected[f"probability_{label}"], abs=1e-6) for label in ("basic", "plus", "premium")
        }
        assert worth["prediction"] == pytest.approx(
            cases["worth"].trained.estimator.predict(table).iloc[0]["prediction"], rel=1e-6
        )
        assert client.post("/kinds/explain", json=customer).status_code == 404
        assert client.post("/predict", json=CUSTOMER).json()["model_name"] == NAME


def test_the_example_of_the_openapi_schema_is_answered(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    body = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    answer = client.post("/predict", json=body["example"])

    assert answer.status_code == 200
    assert answer.json()["warnings"] == []
    assert body["schema"]["required"] == ["Age", "Country", "Contract", "Card"]
    assert "18 to 100" in body["schema"]["properties"]["Age"]["description"]
    assert "$ref" not in json.dumps(schema["paths"]["/predict"]["post"]["requestBody"])


def test_repeated_requests_are_cached_and_still_logged(settings: Change, tmp_path: Path) -> None:
    with client_of(Service(settings(cache_size=2))) as client:
        answers = [client.post("/predict", json=CUSTOMER | {"Age": age}).json() for age in (40, 40, 41, 42, 40)]
        metrics = client.get("/metrics").text

    assert answers[0]["probability"] == answers[1]["probability"] == answers[4]["probability"]
    assert len({answer["prediction_id"] for answer in answers}) == 5
    assert 'churn_cache_requests_total{result="hit"} 1.0' in metrics
    assert 'churn_cache_requests_total{result="miss"} 4.0' in metrics
    assert len(_rows(tmp_path / "log.db")) == 5


def test_metrics_count_requests_predictions_and_versions(settings: Change) -> None:
    with client_of(Service(settings())) as client:
        client.post("/predict", json=CUSTOMER)
        client.post("/predict", json={})
        client.get("/made/up")
        metrics = client.get("/metrics").text

    assert 'churn_requests_total{code="200",method="POST",route="/predict"} 1.0' in metrics
    assert 'churn_requests_total{code="422",method="POST",route="/predict"} 1.0' in metrics
    assert 'churn_request_seconds_count{route="/predict"} 2.0' in metrics
    assert 'churn_model_version{use_case="bank"} 1.0' in metrics
    assert 'churn_probability_count{use_case="bank"} 1.0' in metrics
    assert "made" not in metrics
