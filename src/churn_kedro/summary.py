"""The few lines that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churn_kedro.fabrication import Ceiling
from churn_kedro.metrics import Evaluation
from churn_kedro.promotion import Decision
from churn_kedro.quality import DataQuality
from churn_kedro.scoring import ScoringReport
from churn_kedro.tuning import SearchResult

_WIDTH = 12


def _line(label: str, text: str) -> str:
    return f"  {label:<{_WIDTH}}{text}"


def _describe(report: Any, files: Mapping[str, str]) -> list[str]:
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
            return _describe_quality(report, files)
        case SearchResult():
            return [
                _line(
                    "search",
                    f"{len(report.trials)} trials; best log loss on validation {report.best.log_loss:.4f} "
                    f"with {report.best.n_estimators} trees",
                )
            ]
        case Evaluation():
            return _describe_evaluation(report)
        case Decision():
            alias = f", alias {report.alias}" if report.alias else ""
            return [
                _line("gate", f"version {report.candidate} {report.verdict}{alias}"),
                *[_line("", f"{'+' if check.passed else '-'} {check.reason}") for check in report.checks],
            ]
        case ScoringReport():
            return _describe_scoring(report, files)
        case _:
            return []


def _describe_quality(report: DataQuality, files: Mapping[str, str]) -> list[str]:
    lines = [
        _line(
            "customers",
            f"{report.rows_read:,} rows read, {report.rows_rejected:,} rejected, "
            f"{report.duplicates_dropped:,} duplicates dropped, {report.rows_kept:,} kept "
            f"({report.positive_share:.1%} leave)",
        )
    ]
    if report.rows_rejected:
        lines.append(_line("", f"rejected rows and reasons: {files.get('rejected_customers', 'not saved')}"))
    return lines


def _describe_evaluation(report: Evaluation) -> list[str]:
    coverage = f"{report.bootstrap.confidence:.0%} interval"
    lines = [_line("model", f"{report.model_name} version {report.model_version}")]
    for label, metric in (("ROC-AUC", "roc_auc"), ("PR-AUC", "pr_auc")):
        estimate = report.metrics[metric]
        lines.append(
            _line("", f"{label:<8}{estimate.value:.4f} ({coverage} {estimate.low:.4f} to {estimate.high:.4f})")
        )
    return [*lines, _line("", f"on {report.test_rows:,} test customers; decision threshold {report.threshold:.3f}")]


def _describe_scoring(report: ScoringReport, files: Mapping[str, str]) -> list[str]:
    bands = ", ".join(f"{count:,} {band}" for band, count in report.bands.items())
    lines = [
        _line(
            "scored",
            f"{report.rows_scored:,} customers by version {report.model_version}: {bands} risk; "
            f"{report.contacts:,} to contact",
        ),
        _line("", f"scored customers: {files.get('predictions', 'not saved')}"),
    ]
    if report.unusual:
        cells = ", ".join(f"{name} {count:,}" for name, count in report.unusual.items())
        lines.append(_line("", f"scored in spite of cells outside of the declaration: {cells}"))
    if report.rows_rejected:
        unscored = files.get("unscored_customers", "not saved")
        lines.append(_line("", f"{report.rows_rejected:,} customers could not be read: {unscored}"))
    return lines


def summarise(
    reports: Sequence[Any],
    files: Mapping[str, str],
    seconds: Mapping[str, float],
    use_case: str,
    run_id: str | None,
    env: str | None,
) -> str:
    """Say what a run did.

    Args:
        reports: What the nodes reported, in order.
        files: Place of each saved dataset that a person may want to open, by dataset name.
        seconds: Seconds spent in each pipeline.
        use_case: Name of the use case.
        run_id: MLflow run, or None where tracking is off.
        env: Kedro environment to name in the commands, or None for the default one.

    Returns:
        Text of several lines.
    """
    option = f" --env {env}" if env else ""
    lines = ["", f"{use_case}: what this run did"]
    for report in reports:
        lines += _describe(report, files)
    if seconds:
        shares = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        lines.append(_line("seconds", f"{sum(seconds.values()):.1f} ({shares})"))
    if run_id:
        lines.append(_line("run", run_id))
    lines.append(_line("see more", f"kedro mlflow ui{option}    runs, metrics, figures and versions"))
    lines.append(_line("", f"kedro viz{option}          the pipelines as a picture"))
    return "\n".join(lines) + "\n"
