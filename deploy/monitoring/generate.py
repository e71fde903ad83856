"""Write alert rules and dashboard from the definition of the metrics: `python deploy/monitoring/generate.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from churn_kedro.monitoring.exposition import FURTHER_RULES, METRICS

FOLDER = Path(__file__).parent
RULES, DASHBOARD = FOLDER / "prometheus_rules.yml", FOLDER / "grafana_dashboard.json"
_WIDTH, _HEIGHT, _PER_ROW = 8, 7, 3


def render_rules() -> str:
    """Render the alert rules of Prometheus."""
    found = [*(metric.rule for metric in METRICS if metric.rule is not None), *FURTHER_RULES]
    rules = [
        {
            "alert": rule.name,
            "expr": rule.expression,
            "for": rule.wait,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary},
        }
        for rule in found
    ]
    head = "# Written by generate.py from churn_kedro/monitoring/exposition.py.\n"
    return head + yaml.safe_dump({"groups": [{"name": "churn", "rules": rules}]}, sort_keys=False, width=120)


def render_dashboard() -> str:
    """Render the dashboard of Grafana."""
    dashboard = {
        "title": "Churn: monitoring and scoring",
        "uid": "churn-monitoring",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-30d", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
            ]
        },
        "panels": [_panel(place, metric) for place, metric in enumerate(METRICS)],
    }
    return json.dumps(dashboard, indent=2) + "\n"


def _panel(place: int, metric: Any) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": metric.title,
        "description": metric.help,
        "datasource": source,
        "gridPos": {
            "x": _WIDTH * (place % _PER_ROW),
            "y": _HEIGHT * (place // _PER_ROW),
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": metric.unit}, "overrides": []},
        "targets": [{"refId": "A", "expr": metric.expression, "legendFormat": metric.legend, "datasource": source}],
    }


if __name__ == "__main__":
    RULES.write_text(render_rules(), encoding="utf-8")
    DASHBOARD.write_text(render_dashboard(), encoding="utf-8")
