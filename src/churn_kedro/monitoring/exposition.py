"""Metrics for Prometheus: one definition for the exported values, the alert rules and the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from churn_kedro.base import Record, read_time
from churn_kedro.monitoring.measures import measure_report
from churn_kedro.monitoring.operations import OperationsReport
from churn_kedro.monitoring.report import MonitoringReport
from churn_kedro.monitoring.severity import SEVERITIES


@dataclass(frozen=True)
class AlertRule:
    """A rule of Prometheus.

    Attributes:
        name: Name of the alert.
        expression: PromQL that is true in the case of the alert.
        wait: How long it must be true, such as ``5m``.
        severity: ``warning`` or ``critical``.
        summary: What is wrong, with labels in braces.
    """

    name: str
    expression: str
    wait: str
    severity: str
    summary: str


@dataclass(frozen=True)
class ExportedMetric:
    """A metric.

    Attributes:
        name: Name.
        help: What it says.
        labels: Names of its labels.
        title: Title of its panel.
        expression: PromQL of the panel.
        legend: Legend of the panel's lines.
        unit: Grafana's name of the unit.
        rule: Its alert rule, if any.
        by_service: Whether the service exports it; otherwise monitoring does.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    title: str
    expression: str
    legend: str = "{{use_case}}"
    unit: str = "short"
    rule: AlertRule | None = None
    by_service: bool = False


class Sample(Record):
    """A value of a metric."""

    name: str
    labels: dict[str, str]
    value: float


_DAY = 86_400
METRICS = (
    ExportedMetric(
        "churn_monitoring_severity",
        "Verdict of the last report: 0 ok, 1 warning, 2 alarm.",
        ("use_case",),
        "Verdict (0 ok, 1 warning, 2 alarm)",
        "churn_monitoring_severity",
        rule=AlertRule(
            "ChurnMonitoringAlarm",
            "churn_monitoring_severity >= 2",
            "0m",
            "critical",
            "The monitoring of {{ $labels.use_case }} has an alarm; see its report.",
        ),
    ),
    ExportedMetric(
        "churn_monitoring_last_run_timestamp_seconds",
        "Time of the last report, seconds since 1970.",
        ("use_case",),
        "Hours since the last report",
        "(time() - churn_monitoring_last_run_timestamp_seconds) / 3600",
        unit="h",
        rule=AlertRule(
            "ChurnMonitoringAbsent",
            f"time() - churn_monitoring_last_run_timestamp_seconds > {2 * _DAY}",
            "10m",
            "warning",
            "There is no monitoring report of {{ $labels.use_case }} of the last two days.",
        ),
    ),
    ExportedMetric(
        "churn_feature_drift_score",
        "Mean Jensen-Shannon distance of the columns from training, weighted by importance.",
        ("use_case",),
        "Drift of the columns",
        "churn_feature_drift_score",
    ),
    ExportedMetric(
        "churn_column_drift",
        "Jensen-Shannon distance of a column from training.",
        ("use_case", "column"),
        "Drift by column",
        "topk(10, churn_column_drift)",
        "{{use_case}} {{column}}",
    ),
    ExportedMetric(
        "churn_features_drifted",
        "Columns that have drifted.",
        ("use_case",),
        "Drifted columns",
        "churn_features_drifted",
    ),
    ExportedMetric(
        "churn_prediction_drift_score",
        "Jensen-Shannon distance of the predictions from training.",
        ("use_case",),
        "Drift of the predictions",
        "churn_prediction_drift_score",
    ),
    ExportedMetric(
        "churn_estimated_performance",
        "Estimated quality without outcomes.",
        ("use_case", "metric"),
        "Estimated quality",
        "churn_estimated_performance",
        "{{use_case}} {{metric}}",
    ),
    ExportedMetric(
        "churn_realised_performance",
        "Quality from matured outcomes.",
        ("use_case", "metric"),
        "Realised quality",
        "churn_realised_performance",
        "{{use_case}} {{metric}}",
    ),
    ExportedMetric(
        "churn_data_quality_score",
        "Share of the data that can be used as in training.",
        ("use_case",),
        "Data quality",
        "churn_data_quality_score",
        unit="percentunit",
        rule=AlertRule(
            "ChurnDataQualityLow",
            "churn_data_quality_score < 0.9",
            "0m",
            "warning",
            "Only {{ $value | humanizePercentage }} of the data of {{ $labels.use_case }} can be used as in training.",
        ),
    ),
    ExportedMetric(
        "churn_pipeline_runs_total",
        "Runs of the last days by pipeline and status.",
        ("use_case", "pipeline", "status"),
        "Runs by status",
        "churn_pipeline_runs_total",
        "{{use_case}} {{pipeline}} {{status}}",
        rule=AlertRule(
            "ChurnPipelineFailing",
            'sum by (use_case, pipeline) (churn_pipeline_runs_total{status=~"FAILED|KILLED"}) >= 3',
            "0m",
            "warning",
            "{{ $value }} runs of {{ $labels.pipeline }} ({{ $labels.use_case }}) failed or were killed lately.",
        ),
    ),
    ExportedMetric(
        "churn_pipeline_duration_seconds",
        "Duration of the last successful run.",
        ("use_case", "pipeline"),
        "Duration of the last run",
        "churn_pipeline_duration_seconds",
        "{{use_case}} {{pipeline}}",
        unit="s",
    ),
    ExportedMetric(
        "churn_champion_age_days",
        "Days since the version in use was registered.",
        ("use_case",),
        "Age of the champion",
        "churn_champion_age_days",
        unit="d",
    ),
    ExportedMetric(
        "churn_rows_scored", "Customers that were examined.", ("use_case",), "Customers examined", "churn_rows_scored"
    ),
    ExportedMetric(
        "churn_requests_total",
        "Requests to the service.",
        ("route", "method", "code"),
        "Share of failed requests",
        'sum(rate(churn_requests_total{code=~"5.."}[5m])) / sum(rate(churn_requests_total[5m]))',
        "failed",
        unit="percentunit",
        rule=AlertRule(
            "ChurnServiceErrors",
            'sum(rate(churn_requests_total{code=~"5.."}[5m])) / sum(rate(churn_requests_total[5m])) > 0.01',
            "5m",
            "critical",
            "{{ $value | humanizePercentage }} of the requests to the scoring service fail.",
        ),
        by_service=True,
    ),
    ExportedMetric(
        "churn_request_seconds_bucket",
        "Seconds of a request.",
        ("route", "le"),
        "Latency (99th percentile)",
        "histogram_quantile(0.99, sum by (le, route) (rate(churn_request_seconds_bucket[5m])))",
        "{{route}}",
        unit="s",
        rule=AlertRule(
            "ChurnServiceSlow",
            "histogram_quantile(0.99, sum by (le) (rate(churn_request_seconds_bucket[5m]))) > 1",
            "10m",
            "warning",
            "1 % of the requests to the scoring service take longer than {{ $value | humanizeDuration }}.",
        ),
        by_service=True,
    ),
    ExportedMetric(
        "churn_predictions_total",
        "Predictions of the service.",
        ("use_case", "outcome"),
        "Predictions per second",
        "sum by (use_case, outcome) (rate(churn_predictions_total[5m]))",
        "{{use_case}} {{outcome}}",
        by_service=True,
    ),
    ExportedMetric(
        "churn_served_drift_score",
        "Drift of the last customers of the service.",
        ("use_case",),
        "Drift of the served customers",
        "churn_served_drift_score",
        by_service=True,
    ),
    ExportedMetric(
        "churn_registry_stale",
        "1 while the registry does not respond to the service.",
        ("use_case",),
        "Registry does not respond",
        "churn_registry_stale",
        rule=AlertRule(
            "ChurnRegistryStale",
            "churn_registry_stale > 0",
            "10m",
            "warning",
            "The registry does not respond to the service of {{ $labels.use_case }}.",
        ),
        by_service=True,
    ),
    ExportedMetric(
        "churn_log_lost_rows_total",
        "Predictions that could not be logged.",
        ("log",),
        "Lost rows of the log",
        "increase(churn_log_lost_rows_total[1h])",
        "{{log}}",
        rule=AlertRule(
            "ChurnLogRowsLost",
            "increase(churn_log_lost_rows_total[10m]) > 0",
            "0m",
            "critical",
            "Predictions of the service could not be logged ({{ $labels.log }}).",
        ),
        by_service=True,
    ),
)

# Rules about what Prometheus itself knows.
FURTHER_RULES = (
    AlertRule(
        "ChurnServiceDown",
        'up{job="churn_service"} == 0',
        "5m",
        "critical",
        "The scoring service at {{ $labels.instance }} does not answer.",
    ),
)


def list_samples(report: MonitoringReport) -> list[Sample]:
    """List the values that monitoring exports.

    Args:
        report: The report.

    Returns:
        One sample for each known value.
    """
    return list(_samples(report))


def _samples(report: MonitoringReport) -> Iterator[Sample]:
    use_case = report.use_case
    values = measure_report(report).values
    known = {
        "monitoring_severity": float(SEVERITIES.index(report.verdict)),
        "monitoring_last_run_timestamp_seconds": read_time(report.as_of).timestamp(),
        "rows_scored": float(report.rows),
        "champion_age_days": report.champion_age_days,
        **{
            name: values.get(name)
            for name in ("feature_drift_score", "features_drifted", "prediction_drift_score", "data_quality_score")
        },
    }
    for name, value in known.items():
        if value is not None:
            yield _sample(name, value, use_case=use_case)
    for column in report.drift.columns:
        yield _sample("column_drift", column.distance, use_case=use_case, column=column.name)
    for kind, results in (("estimated", report.estimated), ("realised", report.realised)):
        for metric, found in ({} if results is None else results.metrics).items():
            yield _sample(f"{kind}_performance", found.value, use_case=use_case, metric=metric)
    yield from _operations_samples(report.operations, use_case)


def _operations_samples(operations: OperationsReport | None, use_case: str) -> Iterator[Sample]:
    if operations is None:
        return
    for pipelines, statuses in operations.runs.items():
        for status, count in statuses.items():
            yield _sample("pipeline_runs_total", count, use_case=use_case, pipeline=pipelines, status=status)
    for pipelines, seconds in operations.seconds.items():
        yield _sample("pipeline_duration_seconds", seconds, use_case=use_case, pipeline=pipelines)


def _sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name=f"churn_{name}", labels=labels, value=float(value))
