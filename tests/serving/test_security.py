"""Who may ask, and what an answer never contains."""

import hashlib
import logging
import re
import threading
import time

import pytest
import uvicorn
from starlette.testclient import TestClient

from churn_kedro.base.errors import ParameterError
from churn_kedro.datasets import ServiceMetricsDataset
from churn_kedro.serving.application import Service
from churn_kedro.serving.guard import RateLimit
from churn_kedro.serving.server import require_loopback_or_keys
from churn_kedro.serving.settings import read_key_digests
from tests.servers import free_port
from tests.serving.conftest import CUSTOMER, Change, client_of

KEY = "a-key-of-the-test"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}])
def test_a_key_is_needed_where_there_are_keys(settings: Change, headers: dict[str, str]) -> None:
    with client_of(Service(settings(key_digests=("0" * 64, DIGEST)))) as client:
        for path in ("/model", "/metrics", "/openapi.json", "/v2/models/bank_churn", "/nowhere"):
            assert client.get(path).status_code == 401
        refused = client.post("/predict", json=CUSTOMER, headers={"x-api-key": f"{KEY}x"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert client.post("/predict", json=CUSTOMER, headers=headers).status_code == 200
        for path in ("/health", "/ready", "/v2/health/live", "/v2/health/ready", "/", "/bank"):
            assert client.get(path).status_code == 200


@pytest.mark.slow
def test_monitoring_reads_the_metrics_of_a_service_with_its_key(
    settings: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    service = Service(settings(key_digests=(DIGEST,)))
    server = uvicorn.Server(uvicorn.Config(service.application, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        dataset = ServiceMetricsDataset(url=f"http://127.0.0.1:{port}")
        refused = dataset.load()
        monkeypatch.setenv("CHURN_SERVICE_KEY", KEY)
        dataset.load()
        read = dataset.load()
    finally:
        server.should_exit = True
        thread.join()

    assert refused is not None
    assert not refused.reachable
    assert read is not None
    # The refused request and the first one with the key.
    assert (read.reachable, read.requests, read.error_share) == (True, 2, 0.0)
    assert read.latency_seconds["p99"] > 0


def test_without_keys_the_service_listens_on_this_machine_only(settings: Change) -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        require_loopback_or_keys(host, settings())
    require_loopback_or_keys("0.0.0.0", settings(key_digests=(DIGEST,)))  # noqa: S104 - with a key
    for host in ("0.0.0.0", "::", "192.168.0.7", "example.com"):  # noqa: S104 - refused
        with pytest.raises(ParameterError, match="CHURN_API_KEYS"):
            require_loopback_or_keys(host, settings())


def test_digests_of_keys_are_read_and_a_plain_key_is_refused_without_showing_it() -> None:
    assert read_key_digests({"CHURN_API_KEYS": f" {DIGEST.upper()}, {'0' * 64}"}) == (DIGEST, "0" * 64)
    assert read_key_digests({}) == ()
    with pytest.raises(ParameterError) as refused:
        read_key_digests({"CHURN_API_KEYS": KEY})
    assert KEY not in str(refused.value)


@pytest.mark.slow
def test_without_keys_another_host_name_is_refused(client: TestClient) -> None:
    assert client.post("/predict", json=CUSTOMER, headers={"host": "attacker.example"}).status_code == 403
    assert client.get("/health", headers={"host": "127.0.0.1:8000"}).status_code == 200


@pytest.mark.slow
def test_a_form_of_another_page_cannot_ask(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.post("/predict", content=b"{}", headers={"content-type": kind}).status_code == 415
    assert "access-control-allow-origin" not in client.get("/health", headers={"origin": "https://x.example"}).headers


@pytest.mark.slow
def test_configured_origins_may_ask(settings: Change) -> None:
    with client_of(Service(settings(cors_origins=["https://crm.example"]))) as client:
        headers = {"origin": "https://crm.example", "access-control-request-method": "POST"}
        allowed = client.options("/predict", headers=headers)
        assert allowed.headers["access-control-allow-origin"] == "https://crm.example"
        answer = client.post("/predict", json=CUSTOMER, headers={"origin": "https://crm.example"})
        assert answer.headers["access-control-allow-origin"] == "https://crm.example"
        assert "access-control-allow-origin" not in client.post("/predict", json=CUSTOMER).headers


@pytest.mark.slow
def test_a_large_body_is_refused_before_it_is_read(settings: Change) -> None:
    with client_of(Service(settings(max_body_bytes=2000))) as client:
        kind = {"content-type": "application/json"}
        assert client.post("/predict", content=b"x" * 2001, headers=kind).status_code == 413
        # Without a length, the size is known when the limit is passed.
        assert client.post("/predict", content=(b"x" * 500 for _ in range(10)), headers=kind).status_code == 413


@pytest.mark.slow
def test_a_failure_shows_no_trace_to_callers_and_is_logged(
    settings: Change, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(settings())

    def fail(*_: object) -> None:
        raise RuntimeError("the secret of the inside")

    monkeypatch.setattr(service.use_cases[0].holder.model, "answer", fail)
    with client_of(service, raise_server_exceptions=False) as client, caplog.at_level(logging.ERROR):
        for path, body in (("/predict", CUSTOMER), ("/predict/batch", {"customers": [CUSTOMER]})):
            answer = client.post(path, json=body)
            assert answer.status_code == 500
            assert "secret" not in answer.text
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "the secret of the inside" in caplog.text


@pytest.mark.slow
def test_answers_have_security_headers_and_the_page_a_policy_of_its_own(client: TestClient) -> None:
    answer = client.post("/predict", json=CUSTOMER)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"

    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy
    assert policy.count("sha256-") == 2
    # Nothing of another place, and no handler or style that the policy would block.
    assert not re.search(r"(src|href)=\"(?!data:,|/)|\son\w+=|\sstyle=", page.text)
    for column in ("Age", "Country", "Charges"):
        assert f'data-column="{column}"' in page.text
    assert 'data-column="Left"' not in page.text


@pytest.mark.slow
def test_the_rate_of_a_client_is_limited(settings: Change) -> None:
    with client_of(Service(settings(rate_limit=2))) as client:
        statuses = [client.get("/health").status_code for _ in range(4)]
    assert statuses[:2] == [200, 200]
    assert 429 in statuses


def test_a_rate_limit_refills_and_clients_have_limits_of_their_own() -> None:
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])

    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    assert limit.allows("b")
    now[0] = 0.5
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    assert all(RateLimit(0).allows("a") for _ in range(100))
