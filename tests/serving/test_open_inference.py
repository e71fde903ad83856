"""The Open Inference Protocol, version 2, as its specification requires it."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.serving.conftest import CUSTOMER, NAME

pytestmark = pytest.mark.slow

INFER = f"/v2/models/{NAME}/infer"
DATATYPES = {"Age": "INT64", "Charges": "FP64", "Card": "INT32", "Tier": "INT64"}


def _tensors(rows: int, shape: list[int] | None = None, **changed: Any) -> list[dict[str, Any]]:
    customer = {name: cell for name, cell in CUSTOMER.items() if name != "Id"}
    tensors = [
        {
            "name": name,
            "shape": shape or [rows],
            "datatype": DATATYPES.get(name, "BYTES"),
            "data": [cell] * rows,
        }
        for name, cell in customer.items()
    ]
    return [tensor | changed.get(str(tensor["name"]), {}) for tensor in tensors]


def test_the_server_and_its_health_are_described(client: TestClient) -> None:
    server = client.get("/v2").json()
    assert set(server) == {"name", "version", "extensions"}
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_a_model_and_its_version_are_described(client: TestClient) -> None:
    model = client.get(f"/v2/models/{NAME}").json()

    assert {"name", "platform", "inputs", "outputs"} <= set(model)
    assert model["versions"] == ["1"]
    for tensor in [*model["inputs"], *model["outputs"]]:
        assert set(tensor) == {"name", "datatype", "shape"}
        assert tensor["shape"] == [-1]
    assert client.get(f"/v2/models/{NAME}/versions/1").json() == model
    assert client.get(f"/v2/models/{NAME}/ready").json()["ready"] is True
    assert client.get(f"/v2/models/{NAME}/versions/1/ready").status_code == 200


@pytest.mark.parametrize("path", ["/v2/models/none", f"/v2/models/{NAME}/versions/9", "/v2/models/none/ready"])
def test_an_unknown_model_or_version_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize("shape", [[2], [2, 1]])
@pytest.mark.parametrize("path", [INFER, f"/v2/models/{NAME}/versions/1/infer"])
def test_an_inference_has_the_answers_of_predict(client: TestClient, shape: list[int], path: str) -> None:
    answer = client.post(path, json={"id": "mine", "inputs": _tensors(2, shape)}).json()
    single = client.post("/predict", json={name: cell for name, cell in CUSTOMER.items() if name != "Id"}).json()

    assert (answer["model_name"], answer["model_version"], answer["id"]) == (NAME, "1", "mine")
    outputs = {output["name"]: output for output in answer["outputs"]}
    for output in outputs.values():
        assert set(output) == {"name", "shape", "datatype", "data"}
        assert output["shape"] == [2]
        assert len(output["data"]) == 2
    assert outputs["probability"]["data"] == [single["probability"]] * 2
    assert outputs["decision"]["data"] == [single["decision"]] * 2
    assert outputs["probability"]["datatype"] == "FP64"


def test_only_the_wanted_outputs_are_returned(client: TestClient) -> None:
    asked = {"inputs": _tensors(1), "outputs": [{"name": "risk_band", "parameters": {"content_type": "str"}}]}
    answer = client.post(INFER, json=asked).json()

    assert [output["name"] for output in answer["outputs"]] == ["risk_band"]


def test_nested_data_and_parameters_are_accepted(client: TestClient) -> None:
    tensors = _tensors(1, [1, 1], Age={"data": [[40]], "parameters": {"content_type": "pd"}})

    assert client.post(INFER, json={"inputs": tensors, "parameters": {"content_type": "pd"}}).status_code == 200


@pytest.mark.parametrize(
    ("request_body", "status", "named"),
    [
        ({}, 400, "inputs"),
        ({"inputs": []}, 400, "inputs"),
        ({"inputs": [{"name": "Age", "shape": [1], "datatype": "FLOAT", "data": [1]}]}, 400, "datatype"),
        ({"inputs": _tensors(1, Age={"data": [1, 2]})}, 400, "Age has 2 values"),
        ({"inputs": _tensors(1, Age={"shape": [2]})}, 400, "shape"),
        ({"inputs": _tensors(1, Age={"data": ["x"]})}, 400, "Age has str in data of type INT64"),
        ({"inputs": _tensors(1, Age={"data": ["x"], "datatype": "BYTES"})}, 422, "cannot be scored"),
        ({"inputs": _tensors(1)[2:]}, 422, "field"),
        ({"inputs": [*_tensors(1), *_tensors(1)]}, 400, "given twice"),
        ({"inputs": _tensors(1), "outputs": [{"name": "nothing"}]}, 400, "nothing"),
    ],
)
def test_a_wrong_request_is_refused_with_an_error(
    client: TestClient, request_body: dict[str, Any], status: int, named: str
) -> None:
    answer = client.post(INFER, json=request_body)

    assert answer.status_code == status
    assert named in answer.json()["error"]
