"""Requests that are made from the OpenAPI schema, valid and invalid ones, never break the service."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings as hypothesis_settings, strategies as st
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from tests.serving.conftest import CUSTOMER

pytestmark = pytest.mark.slow

_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
_FEW = hypothesis_settings(
    max_examples=6, deadline=None, suppress_health_check=_QUIET, derandomize=True, phases=[Phase.generate]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def test_no_request_of_the_schema_ends_with_a_server_error(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    asked = 0

    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        # The routes of the use case are those without its name.
        if operation.path.startswith("/bank"):
            continue
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            strategy = operation.as_strategy(generation_mode=mode)

            @_FEW
            @given(case=strategy)
            def ask(case: Any) -> None:
                nonlocal asked
                asked += 1
                request = case.as_transport_kwargs(base_url="http://localhost")
                answer = client.request(
                    request["method"],
                    request["url"],
                    params=request.get("params"),
                    headers=request.get("headers"),
                    json=request.get("json"),
                    content=request.get("data"),
                )
                assert answer.status_code < 500

            try:
                ask()
            except Unsatisfiable:
                # A GET without parameters has no invalid form.
                continue

    assert asked > 80


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=_QUIET)
@given(changed=st.dictionaries(st.sampled_from(sorted(CUSTOMER)), _JSON, max_size=4))
def test_no_cell_ends_with_a_server_error(client: TestClient, changed: dict[str, object]) -> None:
    from pydantic_core import to_json

    body = to_json(CUSTOMER | changed)
    headers = {"content-type": "application/json"}
    for path, content in (("/predict", body), ("/predict/batch", b'{"customers":[' + body + b"]}")):
        answer = client.post(path, content=content, headers=headers)
        assert answer.status_code in (200, 400, 422)
