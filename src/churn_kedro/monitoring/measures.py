"""Metrics of a report."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.base import Record, read_time
from churn_kedro.monitoring.report import MonitoringReport
from churn_kedro.monitoring.severity import SEVERITIES

_MOST_COLUMNS = 20


class MetricPoint(Record):
    """Values of metrics at one time."""

    values: dict[str, float]
    milliseconds: int = Field(description="Time of the report since 1970.")
    day: int = Field(description="Days since 1970, the step of the metrics.")


def measure_report(report: MonitoringReport) -> MetricPoint:
    """List the metrics of a report.

    Args:
        report: The report.

    Returns:
        ``severity`` (0, 1 or 2), ``feature_drift_score``, ``features_drifted``, ``prediction_drift_score``,
        ``domain_classifier_auc``, ``reconstruction_error_rise``, ``data_quality_score``, ``rows``, ``rows_rejected``,
        ``champion_age_days``; ``estimated_…`` and ``realised_…`` of each metric; ``model_accuracy`` (realised, or else
        estimated); ``drift/<column>`` of the columns that matter most. Values that are unknown are left out.
    """
    drift = report.drift
    values: dict[str, float | None] = {
        "severity": SEVERITIES.index(report.verdict),
        "feature_drift_score": drift.score,
        "features_drifted": len(drift.drifted),
        "prediction_drift_score": None if drift.predictions is None else drift.predictions.distribution.distance,
        "domain_classifier_auc": None if drift.joint is None else drift.joint.auc,
        "reconstruction_error_rise": None if drift.joint is None else drift.joint.reconstruction,
        "data_quality_score": report.quality.score,
        "rows": report.rows,
        "rows_rejected": report.quality.rejected,
        "champion_age_days": report.champion_age_days,
    }
    estimated = {} if report.estimated is None else report.estimated.metrics
    realised = {} if report.realised is None else report.realised.metrics
    values |= {f"estimated_{name}": one.value for name, one in estimated.items()}
    values |= {f"realised_{name}": one.value for name, one in realised.items()}
    accuracy = realised.get("accuracy") or estimated.get("accuracy")
    values["model_accuracy"] = None if accuracy is None else accuracy.value
    most = sorted(drift.columns, key=lambda one: -one.importance)[:_MOST_COLUMNS]
    values |= {f"drift/{one.name}": one.distance for one in most}
    time = read_time(report.as_of)
    return MetricPoint(
        values={name: float(value) for name, value in values.items() if value is not None},
        milliseconds=int(time.timestamp() * 1000),
        day=int((time - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)),
    )
