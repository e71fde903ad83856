"""Metrics for Prometheus as a file and at a gateway; metrics of the service."""

import base64
from pathlib import Path

import pytest
from kedro.io import DatasetError
from prometheus_client.parser import text_string_to_metric_families

from churn_kedro.datasets.prometheus import PrometheusDataset
from churn_kedro.datasets.service_metrics import ServiceMetricsDataset
from churn_kedro.monitoring.exposition import Sample
from tests.servers import free_port, http_receiver, no_http

SAMPLES = [
    Sample(name="churn_monitoring_severity", labels={"use_case": "bank"}, value=2),
    Sample(name="churn_column_drift", labels={"use_case": "bank", "column": 'a "quoted"\nname'}, value=0.25),
]
SERVED = """
# TYPE churn_requests_total counter
churn_requests_total{route="/predict",method="POST",code="200"} 95
churn_requests_total{route="/predict",method="POST",code="422"} 3
churn_requests_total{route="/predict",method="POST",code="500"} 2
# TYPE churn_request_seconds histogram
churn_request_seconds_bucket{route="/predict",le="0.01"} 50
churn_request_seconds_bucket{route="/predict",le="0.1"} 100
churn_request_seconds_bucket{route="/predict",le="+Inf"} 100
churn_request_seconds_count{route="/predict"} 100
churn_request_seconds_sum{route="/predict"} 1
# TYPE churn_log_lost_rows_total counter
churn_log_lost_rows_total{log="predictions of bank"} 7
# TYPE churn_registry_stale gauge
churn_registry_stale{use_case="bank"} 1
"""


def test_the_file_is_read_back_by_prometheus_own_parser(tmp_path: Path) -> None:
    path = tmp_path / "bank" / "monitoring.prom"

    PrometheusDataset(filepath=str(path), use_case="bank").save(SAMPLES)

    families = list(text_string_to_metric_families(path.read_text()))
    found = {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}
    assert found == {
        ("churn_monitoring_severity", ("use_case", "bank")): 2.0,
        ("churn_column_drift", ("column", 'a "quoted"\nname'), ("use_case", "bank")): 0.25,
    }


def test_the_values_are_pushed_by_use_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as (url, got):
        monkeypatch.setenv("CHURN_PUSHGATEWAY", url)
        PrometheusDataset(filepath=str(tmp_path / "m.prom"), use_case="bank").save(SAMPLES)

    (pushed,) = got
    assert (pushed.method, pushed.path) == ("PUT", "/metrics/job/churn_monitoring/use_case/bank")
    assert 'churn_monitoring_severity{use_case="bank"} 2.0' in pushed.body


def test_an_absent_gateway_is_a_warning_and_the_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CHURN_PUSHGATEWAY", f"http://user:planted-key@127.0.0.1:{free_port()}")

    PrometheusDataset(filepath=str(tmp_path / "m.prom"), use_case="bank").save(SAMPLES)

    assert "The Pushgateway (CHURN_PUSHGATEWAY) does not take the metrics" in caplog.text
    assert "planted-key" not in caplog.text
    assert (tmp_path / "m.prom").is_file()


def test_a_gateway_may_need_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = "Basic " + base64.b64encode(b"team:right-key").decode()
    with http_receiver(authorization=expected) as (url, got):
        monkeypatch.setenv("CHURN_PUSHGATEWAY", url.replace("//", "//team:right-key@"))
        PrometheusDataset(filepath=str(tmp_path / "m.prom"), use_case="bank").save(SAMPLES)

    assert [one.method for one in got] == ["PUT"]


def test_a_gateway_that_fails_or_is_none_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = PrometheusDataset(filepath=str(tmp_path / "m.prom"), use_case="bank")
    with http_receiver(status=503) as (url, _):
        monkeypatch.setenv("CHURN_PUSHGATEWAY", url)
        dataset.save(SAMPLES)
    with no_http() as url:
        monkeypatch.setenv("CHURN_PUSHGATEWAY", url)
        dataset.save(SAMPLES)
    monkeypatch.setenv("CHURN_PUSHGATEWAY", "http://gateway:planted-port")
    dataset.save(SAMPLES)

    assert "127.0.0.1 answers with status 503" in caplog.text
    assert "127.0.0.1 does not answer in HTTP" in caplog.text
    assert "The address is not valid" in caplog.text
    assert "planted" not in caplog.text


def test_an_unfinished_file_is_not_one_that_node_exporter_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = PrometheusDataset(filepath=str(tmp_path / "m.prom"), use_case="bank")
    dataset.save(SAMPLES)
    beside: list[list[str]] = []
    replace = Path.replace

    def record(path: Path, target: Path) -> Path:
        beside.append(sorted(one.name for one in tmp_path.iterdir() if one.suffix == ".prom"))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", record)
    dataset.save(SAMPLES)

    assert beside == [["m.prom"]]
    assert [one.name for one in tmp_path.iterdir()] == ["m.prom"]


def test_requests_errors_and_latency_of_the_service_are_read() -> None:
    with http_receiver(SERVED.encode()) as (url, got):
        found = ServiceMetricsDataset(url=f"{url}/").load()

    assert (got[0].method, got[0].path) == ("GET", "/metrics")
    assert found is not None
    assert found.reachable
    assert (found.requests, found.error_share, found.lost_rows, found.stale) == (100, 0.02, 7, True)
    assert found.latency_seconds["p50"] == pytest.approx(0.01)
    # The 95th request: 45 of the 50 between 0.01 and 0.1 seconds.
    assert found.latency_seconds["p95"] == pytest.approx(0.01 + 0.09 * 45 / 50)


def test_a_service_with_keys_is_read_with_its_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with http_receiver(SERVED.encode(), authorization="Bearer planted-key") as (url, _):
        refused = ServiceMetricsDataset(url=url).load()
        monkeypatch.setenv("CHURN_SERVICE_KEY", "planted-key")
        read = ServiceMetricsDataset(url=url).load()

    assert refused is not None
    assert not refused.reachable
    assert "127.0.0.1 answers with status 401: set CHURN_SERVICE_KEY to an API key of the service" in caplog.text
    assert "planted-key" not in caplog.text
    assert read is not None
    assert (read.reachable, read.requests) == (True, 100)


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"\xff\xfe", b'churn_requests_total{route="/x"} 1\n'])
def test_an_answer_that_is_no_metrics_is_a_fact(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with http_receiver(answer) as (url, _):
        found = ServiceMetricsDataset(url=url).load()

    assert found is not None
    assert not found.reachable
    assert "the answer is not in the format of Prometheus" in caplog.text


def test_a_service_that_speaks_no_http_is_a_fact(caplog: pytest.LogCaptureFixture) -> None:
    with no_http() as url:
        found = ServiceMetricsDataset(url=url).load()

    assert found is not None
    assert not found.reachable
    assert "127.0.0.1 does not answer in HTTP" in caplog.text


def test_no_address_is_no_service_and_one_that_does_not_answer_is_a_fact() -> None:
    assert ServiceMetricsDataset().load() is None
    absent = ServiceMetricsDataset(url=f"http://127.0.0.1:{free_port()}").load()
    assert absent is not None
    assert not absent.reachable
    with pytest.raises(DatasetError, match="expected http://HOST:PORT"):
        ServiceMetricsDataset(url="localhost:8000").load()
