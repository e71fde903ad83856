"""Alert rules and dashboard: written from the definition of the metrics, accepted by Prometheus' own tools."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from churn_kedro.monitoring.exposition import METRICS
from churn_kedro.serving.metrics import ServiceMetrics
from tests import ROOT

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
    down = {
        "exp_labels": {"severity": "critical", "job": "churn_service", "instance": "a"},
        "exp_annotations": {"summary": "The scoring service at a does not answer."},
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
                    series('up{job="churn_service",instance="a"}', "1 0x10"),
                ],
                "alert_rule_test": [
                    alert("ChurnMonitoringAlarm", "1m", []),
                    alert("ChurnMonitoringAlarm", "2m", [fired]),
                    alert("ChurnMonitoringAlarm", "4m", []),
                    alert("ChurnServiceErrors", "3m", []),
                    alert("ChurnServiceDown", "4m", []),
                    alert("ChurnServiceDown", "6m", [down]),
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
