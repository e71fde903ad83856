"""The few lines that a run ends with."""

from __future__ import annotations

from typing import Any

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.fabrication import Ceiling
from churn_kedro.metrics import Evaluation
from churn_kedro.promotion import Decision
from churn_kedro.quality import DataQuality
from churn_kedro.scoring import ScoringReport

_WIDTH = 12


def _line(label: str, text: str) -> str:
    return f"  {label:<{_WIDTH}}{text}"


def _describe(report: Any) -> list[str]:
    match report:
        case Ceiling():
            return [
                _line(
                    "sample",
                    f"{report.rows:,} fabricated customers, {report.churn_rate:.1%} leave; "
                    f"best reachable ROC-AUC {report.roc_auc:.4f}, PR-AUC {report.pr_auc:.4f}",
                )
            ]
        case DataQuality():
            return [
                _line(
                    "customers",
                    f"{report.rows_read:,} rows read, {report.rows_rejected:,} rejected, "
                    f"{report.duplicates_dropped:,} duplicates dropped, {report.rows_kept:,} kept "
                    f"({report.positive_share:.1%} leave)",
                )
            ]
        case Evaluation():
            rows = [
                f"{label} {estimate.value:.4f} ({report.bootstrap.confidence:.0%} interval {estimate.low:.4f} to "
                f"{estimate.high:.4f})"
                for label, estimate in (
                    ("ROC-AUC", report.metrics["roc_auc"]),
                    ("PR-AUC ", report.metrics["pr_auc"]),
                )
            ]
            return [
                _line("model", f"{report.model_name} version {report.model_version}"),
                *[_line("", row) for row in rows],
                _line("", f"on {report.test_rows:,} test customers, decision threshold {report.threshold:.3f}"),
            ]
        case Decision():
            alias = f", alias {report.alias}" if report.alias else ""
            return [
                _line("gate", f"version {report.candidate} {report.verdict}{alias}"),
                *[_line("", f"{'+' if check.passed else '-'} {check.reason}") for check in report.checks],
            ]
        case ScoringReport():
            bands = ", ".join(f"{count:,} {band}" for band, count in report.bands.items())
            lines = [
                _line(
                    "scored",
                    f"{report.rows_scored:,} customers by version {report.model_version}: {bands} risk; "
                    f"{report.contacts:,} to contact",
                )
            ]
            if report.rows_rejected:
                lines.append(_line("", f"{report.rows_rejected:,} customers could not be read"))
            if report.unusual:
                cells = ", ".join(f"{name} {count:,}" for name, count in report.unusual.items())
                lines.append(_line("", f"cells outside of the declaration, scored all the same: {cells}"))
            return lines
        case _:
            return []


def summarise(
    reports: list[Any], files: dict[str, str], seconds: dict[str, float], use_case: str, run_id: str | None
) -> str:
    """Say what a run did.

    Args:
        reports: What the nodes reported, in order.
        files: Description and place of each file a person may want to open.
        seconds: Seconds spent in each pipeline.
        use_case: Name of the use case.
        run_id: MLflow run, or None where tracking is off.

    Returns:
        Text of several lines.
    """
    env = "" if use_case == "bank" else f" --env {use_case}"
    lines = ["", f"{use_case}: what this run did"]
    for report in reports:
        lines += _describe(report)
    for description, path in files.items():
        lines.append(_line(description, path))
    if seconds:
        shares = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        lines.append(_line("seconds", f"{sum(seconds.values()):.1f}: {shares}"))
    if run_id:
        lines.append(_line("run", run_id))
    lines.append(_line("see more", f"kedro mlflow ui{env}   (runs, metrics, figures, registry)"))
    lines.append(_line("", f"kedro viz{env}         (data lineage)"))
    return "\n".join(lines) + "\n"
