"""Alert rules and dashboard: written from the definition of the metrics, accepted by Prometheus' own tools."""

import importlib.util
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from churn_kedro.datasets.prometheus import PrometheusDataset
from churn_kedro.monitoring.exposition import METRICS, Sample
from churn_kedro.serving.metrics import ServiceMetrics
from tests import ROOT
from tests.servers import Received, free_port, http_receiver

FOLDER = ROOT / "deploy" / "monitoring"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return found


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_rules_and_dashboard_are_those_of_the_definition() -> None:
    generator = _generator()

    assert (FOLDER / "prometheus_rules.yml").read_text() == generator.render_rules()
    assert (FOLDER / "grafana_dashboard.json").read_text() == generator.render_dashboard()


def test_the_metrics_of_the_service_have_the_names_that_it_exports() -> None:
    text = ServiceMetrics().render()[0].decode()
    exported = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))

    for metric in METRICS:
        if metric.by_service:
            assert {metric.name, metric.name.removesuffix("_total"), metric.name.removesuffix("_bucket")} & exported


def test_each_panel_has_a_place_of_its_own() -> None:
    panels = json.loads((FOLDER / "grafana_dashboard.json").read_text())["panels"]

    assert len({(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels}) == len(panels) == len(METRICS)
    assert len({one["id"] for one in panels}) == len(panels)


def test_the_receiver_of_the_example_has_a_port_of_its_own() -> None:
    text = (FOLDER / "prometheus.yml").read_text() + (FOLDER / "alertmanager.yml").read_text()
    ports = re.findall(r"127\.0\.0\.1:(\d+)", text)

    # 9094 is where Alertmanager itself listens for others of its kind, 9090 is Prometheus.
    assert len({*ports, "9090", "9094"}) == len(ports) + 2


@pytest.mark.slow
def test_prometheus_accepts_rules_configuration_and_every_expression(tmp_path: Path) -> None:
    promtool = _tool("promtool")
    expressions = [metric.expression for metric in METRICS]
    rules = [{"record": f"checked:{place}", "expr": text} for place, text in enumerate(expressions)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    _run(promtool, "check", "rules", str(FOLDER / "prometheus_rules.yml"), str(tmp_path / "panels.yml"))
    _run(promtool, "check", "config", str(FOLDER / "prometheus.yml"))
    _run(_tool("amtool"), "check-config", str(FOLDER / "alertmanager.yml"))


@pytest.mark.slow
def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    def series(name: str, values: str) -> dict[str, str]:
        return {"series": name, "values": values}

    def alert(name: str, at: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
        return {"eval_time": at, "alertname": name, "exp_alerts": expected}

    summary = "The monitoring of bank has an alarm; see its report."
    fired = {"exp_labels": {"severity": "critical", "use_case": "bank"}, "exp_annotations": {"summary": summary}}
    runs = {
        "exp_labels": {"severity": "warning", "use_case": "bank", "pipeline": "training"},
        "exp_annotations": {"summary": "3 runs of training (bank) failed or were killed lately."},
    }
    lost = {
        "exp_labels": {"severity": "critical", "log": "predictions"},
        "exp_annotations": {"summary": "Predictions of the service could not be logged (predictions)."},
    }
    failing = "5% of the requests to the scoring service fail."
    tests = {
        "rule_files": [str(FOLDER / "prometheus_rules.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    series('churn_monitoring_severity{use_case="bank"}', "0 0 2 2 1"),
                    series('churn_requests_total{code="200"}', "0+95x30"),
                    series('churn_requests_total{code="500"}', "0+5x30"),
                    series('churn_pipeline_runs_total{use_case="bank",pipeline="training",status="FAILED"}', "1x5 2x5"),
                    series('churn_pipeline_runs_total{use_case="bank",pipeline="training",status="KILLED"}', "1x11"),
                    series('churn_pipeline_runs_total{use_case="bank",pipeline="training",status="FINISHED"}', "9x11"),
                    series('churn_log_lost_rows_total{log="predictions"}', "0 0 0 7 7"),
                ],
                "alert_rule_test": [
                    alert("ChurnMonitoringAlarm", "1m", []),
                    alert("ChurnMonitoringAlarm", "2m", [fired]),
                    alert("ChurnMonitoringAlarm", "4m", []),
                    alert("ChurnServiceErrors", "3m", []),
                    alert("ChurnPipelineFailing", "4m", []),
                    alert("ChurnPipelineFailing", "8m", [runs]),
                    alert("ChurnLogRowsLost", "2m", []),
                    alert("ChurnLogRowsLost", "3m", [lost]),
                    alert(
                        "ChurnServiceErrors",
                        "20m",
                        [{"exp_labels": {"severity": "critical"}, "exp_annotations": {"summary": failing}}],
                    ),
                ],
            }
        ],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))

    _run(_tool("promtool"), "test", "rules", str(tmp_path / "tests.yml"))


@contextmanager
def _running(log: Path, *command: str) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _alerts(requests: list[Received]) -> list[Any]:
    return [json.loads(one.body) for one in requests if one.method == "POST"]


@pytest.mark.slow
def test_an_alarm_goes_from_the_exported_file_through_prometheus_and_alertmanager_to_the_team(tmp_path: Path) -> None:
    prometheus, alertmanager = _tool("prometheus"), _tool("prometheus-alertmanager")
    path = tmp_path / "monitoring.prom"
    alarm = Sample(name="churn_monitoring_severity", labels={"use_case": "bank"}, value=2)
    PrometheusDataset(filepath=str(path), use_case="bank").save([alarm])
    with http_receiver(path.read_bytes()) as (address, requests):
        port = address.rpartition(":")[2]
        manager, own = free_port(), free_port()
        route = {"receiver": "team", "group_by": ["alertname", "use_case"], "group_wait": "0s"}
        receivers = [{"name": "team", "webhook_configs": [{"url": f"http://127.0.0.1:{port}/"}]}]
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": receivers}))
        configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["rule_files"] = [str(FOLDER / "prometheus_rules.yml")]
        configuration["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{manager}"]
        (job,) = (one for one in configuration["scrape_configs"] if one["job_name"] == "churn_monitoring")
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
        configuration["scrape_configs"] = [job]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        with (
            _running(
                tmp_path / "manager.log", alertmanager, f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address=",
                f"--storage.path={tmp_path / 'am'}",
            ),
            _running(
                tmp_path / "prometheus.log", prometheus, f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--web.listen-address=127.0.0.1:{own}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                "--rules.alert.resend-delay=1s",
            ),
        ):  # fmt: skip
            deadline = time.monotonic() + 60
            while not _alerts(requests) and time.monotonic() < deadline:
                time.sleep(0.3)
            query = f"http://127.0.0.1:{own}/api/v1/query?query=churn_monitoring_severity"
            with urllib.request.urlopen(query, timeout=10) as answer:
                value = json.load(answer)["data"]["result"][0]["value"][1]

    assert value == "2"
    got = _alerts(requests)
    assert got, (tmp_path / "prometheus.log").read_text() + (tmp_path / "manager.log").read_text()
    (alert,) = got[0]["alerts"]
    assert alert["labels"]["alertname"] == "ChurnMonitoringAlarm"
    assert alert["annotations"]["summary"] == "The monitoring of bank has an alarm; see its report."
