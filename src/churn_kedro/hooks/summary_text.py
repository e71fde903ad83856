"""Text of the summary that a run ends with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from churn_kedro.base import escape_controls
from churn_kedro.campaigns import BatchReport, CampaignCounts, StreamReport
from churn_kedro.customers import FILE_NAMES, DataQuality, Finding, LeakageReport, SchemaChanges, SnapshotReport
from churn_kedro.evaluation import Evaluation, headlines
from churn_kedro.models import SCORE_NAMES
from churn_kedro.monitoring import MonitoringReport, ScoredDrift
from churn_kedro.pipelines.fabrication.shapes.ceiling import Ceiling, SampleReport, ValueCeiling
from churn_kedro.registry import Decision
from churn_kedro.reporting import Assessment
from churn_kedro.training import SearchResult, TrainingSummary

_WIDTH = 12


def _line(label: str, text: str) -> str:
    return f"  {label:<{_WIDTH}}{escape_controls(text)}"


def _describe_decision(report: Decision) -> list[str]:
    alias = f", alias {report.alias}" if report.alias else ""
    return [
        _line("gate", f"version {report.candidate} {report.verdict.replace('_', ' ')}{alias}"),
        *[_line("", reason) for reason in report.reasons],
    ]


def _describe_sample(report: SampleReport) -> str:
    match report:
        case Ceiling():
            return (
                f"{report.rows:,} fabricated customers, {report.churn_rate:.1%} leave; "
                f"best reachable ROC-AUC {report.roc_auc:.4f}, PR-AUC {report.pr_auc:.4f}"
            )
        case ValueCeiling():
            return (
                f"{report.rows:,} fabricated rows, mean target {_number(report.target_mean)}; "
                f"best reachable R² {report.r2:.4f}, RMSE {_number(report.rmse)}"
            )
        case _:
            return f"{report.rows:,} rows; the best reachable score is unknown"


def _describe_search(report: SearchResult) -> list[str]:
    lines: list[str] = []
    for found in report.searches:
        known = sum(trial.known for trial in found.trials)
        states = {
            "known from before": known,
            "pruned": sum(trial.state == "pruned" for trial in found.trials),
            "failed": sum(trial.state == "failed" for trial in found.trials),
        }
        counted = [f"{count} {state}" for state, count in states.items() if count]
        best = found.best
        lines.append(
            _line(
                "" if lines else "search",
                f"{found.algorithm}, {len(found.trials)} trial{'s' if len(found.trials) > 1 else ''}"
                + (f" ({', '.join(counted)})" if counted else "")
                + f"; best {SCORE_NAMES[report.metric]} over {report.n_splits} folds {_number(best.score or 0.0)}"
                + (f" with {best.n_estimators} rounds" if best.n_estimators is not None else ""),
            )
        )
    return lines


def _describe_training(report: TrainingSummary) -> list[str]:
    lines: list[str] = []
    if len(report.comparison.candidates) > 1:
        lines += [
            _line(
                "" if place else "candidates",
                f"{candidate.name:<24}{SCORE_NAMES[report.metric]} {_number(candidate.score)}, "
                + (
                    "chosen"
                    if candidate.name == report.comparison.chosen
                    else f"{candidate.behind:+.3g} ({'beyond' if candidate.differs else 'within'} the noise of "
                    f"{candidate.noise:.2g})"
                )
                + f", {candidate.search_seconds + candidate.fit_seconds:.0f} s",
            )
            for place, candidate in enumerate(report.comparison.candidates)
        ]
    device = f" ({report.recipe.device})" if any(member.algorithm == "xgboost" for member in report.members) else ""
    trained = f"{report.model}{device} on {report.rows['trained']:,} customers"
    if report.calibration is not None:
        trained += (
            f", calibration {report.calibration.method} (error {report.calibration.ece_before:.3f} to "
            f"{report.calibration.ece_after:.3f})"
        )
    lines.append(_line("model", trained))
    lines += [
        _line("", f"{worth.column} earns {worth.earns:.3g} a customer and costs {worth.cost:.3g}")
        for worth in report.column_benefits
    ]
    if report.threshold is not None:
        choice = report.threshold
        per_customer = choice.profit_per_customer
        profit = "" if per_customer is None else f", profit {per_customer:,.2f} a customer"
        not_worth = choice.flagged_share - choice.contacted_share
        left_out = f", without {not_worth:.1%} who are not worth a contact" if not_worth > 0 else ""
        decision = (
            f"contact at {choice.threshold:.3f} and above ({choice.objective}): {choice.contacted_share:.1%} of "
            f"customers{left_out}{profit}"
            if choice.flagged_share
            else f"contact nobody ({choice.objective}). {choice.reason}"
        )
        lines.append(_line("decision", decision))
    return lines


def _describe_target(report: DataQuality) -> str:
    if report.target_mean is not None:
        return f"mean target {_number(report.target_mean)}"
    total = max(1, sum(report.classes.values()))
    if len(report.classes) == 2:
        return f"{list(report.classes.values())[1] / total:.1%} leave"
    return ", ".join(f"{label} {count / total:.1%}" for label, count in report.classes.items())


def _describe_leakage(report: LeakageReport, files: Mapping[str, str]) -> list[str]:
    counted = {
        "allowed": sum(finding.allowed is not None for finding in report.findings),
        "leaks": len(report.leaks),
        "warnings": sum(finding.severity == "warning" and finding.allowed is None for finding in report.findings),
        "notices": sum(finding.severity == "notice" and finding.allowed is None for finding in report.findings),
    }
    found = ", ".join(f"{count} {name}" for name, count in counted.items() if count) or "nothing found"
    shown = [finding for finding in report.findings if finding.severity != "notice" or finding.allowed is not None]
    return [
        _line("checks", f"{len(report.checks)} leakage checks: {found}"),
        *[_line("", f"{_severity(finding)} {finding.check}: {finding.evidence}") for finding in shown],
        *([_line("", f"data report: {files['data_report']}")] if "data_report" in files else []),
    ]


def _severity(finding: Finding) -> str:
    return "allowed" if finding.allowed is not None else finding.severity


def _describe_changes(report: SchemaChanges) -> list[str]:
    changed = [_line("changed" if not position else "", change) for position, change in enumerate(report.changes)]
    return [*[_line("warning", warning) for warning in report.warnings], *changed]


def _describe_quality(report: DataQuality, files: Mapping[str, str]) -> list[str]:
    lines = [
        _line(
            "customers",
            f"{report.rows_read:,} rows read, {report.rows_rejected:,} rejected, "
            f"{report.duplicates_dropped:,} duplicates dropped, {report.rows_kept:,} kept "
            f"({_describe_target(report)})",
        )
    ]
    if report.rows_rejected:
        lines.append(_line("", f"rejected rows and reasons: {files.get('rejected_customers', 'not saved')}"))
    return lines


def _number(value: float) -> str:
    """Format a number with four decimals, or fewer where it is large."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.{2 if abs(value) < 1000 else 0}f}"


def _describe_assessment(report: Assessment) -> list[str]:
    lines: list[str] = []
    if report.campaign is not None:
        chosen = report.campaign.chosen
        profit = chosen.profit_per_customer
        lines.append(
            _line(
                "campaign",
                f"expected profit {profit.value:,.2f} a customer ({profit.low:,.2f} to {profit.high:,.2f}), "
                f"contacting {chosen.contacted_share:.1%}",
            )
        )
    if report.comparison is not None:
        headline = next(iter(headlines(report.slices.task)))
        gap = report.comparison.differences[headline]
        lines.append(
            _line(
                "compared",
                f"{headlines(report.slices.task)[headline]} {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f}) "
                f"against {report.comparison.baseline}",
            )
        )
    if not report.slices.tested:
        return [*lines, _line("groups", "none has enough customers for a test")]
    failing = [group.name for group in report.slices.failing]
    named = f": {'; '.join(failing[:3])}" if failing else ""
    lines.append(
        _line(
            "groups",
            f"{report.slices.tested} tested; the model is worse for {len(failing) or 'none'}{named}, and miscalibrated "
            f"for {len(report.slices.miscalibrated) or 'none'}",
        )
    )
    return lines


def _describe_evaluation(report: Evaluation, files: Mapping[str, str]) -> list[str]:
    coverage = f"{report.bootstrap.confidence:.0%} interval"
    lines = [_line("model", f"{report.model_name} version {report.model_version}")]
    width = max(map(len, headlines(report.task).values())) + 1
    for metric, label in headlines(report.task).items():
        estimate = report.metrics[metric]
        low, high = _number(estimate.low), _number(estimate.high)
        lines.append(_line("", f"{label:<{width}}{_number(estimate.value)} ({coverage} {low} to {high})"))
    threshold = "" if report.threshold is None else f"; decision threshold {report.threshold:.3f}"
    lines.append(_line("", f"on {report.test_rows:,} test customers{threshold}"))
    if report.training_row_share > 0:
        lines.append(_line("", f"{report.training_row_share:.1%} of them are in its training set: metrics are biased"))
    if "evaluation_report" in files:
        lines.append(_line("", f"report: {files['evaluation_report']}"))
    return lines


def _describe_snapshots(report: SnapshotReport, files: Mapping[str, str]) -> list[str]:
    unreadable = f" ({report.events_unreadable:,} unreadable)" if report.events_unreadable else ""
    first, last = report.cutoffs[0].cutoff, report.cutoffs[-1].cutoff
    count, left = len(report.cutoffs), report.churned / max(report.rows, 1)
    cutoffs = f"{count} cut-offs from {first} to {last}" if count > 1 else f"one cut-off, {first}"
    return [
        _line("events", f"{report.events_read:,} read{unreadable}, from {report.first_event} to {report.last_event}"),
        _line("snapshots", f"{report.rows:,} rows of {report.customers:,} customers at {cutoffs}; {left:.1%} left"),
        _line("", f"customers with labels: {files.get('customer_snapshots', 'not saved')}"),
        _line("", f"{report.to_score:,} customers to score: {files.get('snapshots_to_score', 'not saved')}"),
    ]


def _outcome(report: BatchReport) -> str:
    match report.task:
        case "binary":
            return f"{', '.join(f'{count:,} {band}' for band, count in report.bands.items())} risk"
        case "multiclass":
            return ", ".join(f"{count:,} {label}" for label, count in report.classes.items())
        case "regression":
            return "none" if report.mean_prediction is None else f"mean prediction {_number(report.mean_prediction)}"


def _describe_campaign(campaign: CampaignCounts) -> str:
    unit = "" if campaign.currency is None else f" {campaign.currency}"
    parts = [f"{campaign.contacts:,} to contact"]
    if campaign.expected_cost is not None and campaign.contacts:
        parts.append(f"expected cost {campaign.expected_cost:,.0f}{unit}")
    if campaign.expected_value is not None and campaign.contacts:
        parts.append(f"expected profit {campaign.expected_value:,.0f}{unit}")
    parts += [
        f"{count:,} {what}"
        for what, count in (
            ("in the holdout", campaign.holdout),
            ("beyond capacity or budget", campaign.over_limit),
            ("listed already", campaign.repeated),
        )
        if count
    ]
    return ", ".join(parts)


def _describe_scoring(report: BatchReport, files: Mapping[str, str]) -> list[str]:
    lines = [
        _line("scored", f"{report.rows_scored:,} customers by version {report.model_version}: {_outcome(report)}"),
        _line("", f"scored customers: {files.get('predictions', 'not saved')}"),
    ]
    if report.campaign is not None:
        lines.append(_line("campaign", _describe_campaign(report.campaign)))
        if report.campaign.contacts:
            lines.append(_line("", f"list: {files.get('campaign_list', 'not saved')}, and .xlsx"))
        lines.append(_line("", f"page: {files.get('batch_page', 'not saved')}"))
    if report.known_outcomes:
        lines.append(
            _line(
                "warning",
                f"no list to act on: the outcome of {report.known_outcomes:,} of them is in the table (column "
                "outcome_known); new customers: --params new_customers=PATH",
            )
        )
    if report.unusual:
        cells = ", ".join(f"{name} {count:,}" for name, count in report.unusual.items())
        lines.append(_line("", f"scored with cells outside of the declaration: {cells}"))
    if report.rows_rejected:
        unscored = files.get("unscored_customers", "not saved")
        lines.append(_line("", f"{report.rows_rejected:,} customers could not be read: {unscored}"))
    return lines


def _describe_stream(report: StreamReport) -> list[str]:
    counts = report.counts
    if counts is None:
        return [_line("stream", "no customer arrived")]
    bands = "".join(f", {count:,} {band} risk" for band, count in counts.bands.items())
    rejected = f", {counts.rejected:,} messages rejected" if counts.rejected else ""
    return [_line("stream", f"{counts.predictions:,} predictions by version {counts.model_version}{bands}{rejected}")]


def _describe_scored_drift(report: ScoredDrift) -> list[str]:
    sentence = report.describe(FILE_NAMES)
    return [] if sentence is None else [_line("warning", sentence)]


def _describe_monitoring(report: MonitoringReport, files: Mapping[str, str]) -> list[str]:
    lines = [
        _line(
            "monitored",
            f"{report.rows:,} customers of {report.source}, version {report.model_version}: {report.verdict}",
        )
    ]
    lines += [_line("", f"{one.severity}: {one.sentence}") for one in report.findings]
    lines += [_line("", note) for note in report.notes]
    plan = report.retraining
    if plan is not None and plan.wanted:
        lines.append(_line("training", f"{'starts' if plan.run else 'not started'}: {'; '.join(plan.reasons)}"))
    lines += [_line("retire?", f"version {one.version}: {one.reason}") for one in report.retirements]
    return [*lines, _line("", f"page: {files.get('monitoring_page', 'not saved')}")]


# Reports without a file, and those with one.
_PLAIN: Mapping[type, Callable[[Any], list[str]]] = {
    SearchResult: _describe_search,
    TrainingSummary: _describe_training,
    SchemaChanges: _describe_changes,
    Assessment: _describe_assessment,
    Decision: _describe_decision,
    StreamReport: _describe_stream,
    ScoredDrift: _describe_scored_drift,
}
_POINTING: Mapping[type, Callable[[Any, Mapping[str, str]], list[str]]] = {
    SnapshotReport: _describe_snapshots,
    DataQuality: _describe_quality,
    LeakageReport: _describe_leakage,
    Evaluation: _describe_evaluation,
    BatchReport: _describe_scoring,
    MonitoringReport: _describe_monitoring,
}


def _describe_files(paths: Iterable[str]) -> list[str]:
    """List the written files by folder."""
    folders: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    return [
        _line("" if position else "written", f"{folder}: {', '.join(names)}" if folder else ", ".join(names))
        for position, (folder, names) in enumerate(folders.items())
    ]


def _describe(report: Any, files: Mapping[str, str]) -> list[str]:
    if isinstance(report, SampleReport):
        return [_line("sample", _describe_sample(report))]
    if type(report) in _PLAIN:
        return _PLAIN[type(report)](report)
    return _POINTING[type(report)](report, files) if type(report) in _POINTING else []


def summarise(
    reports: Sequence[Any],
    files: Mapping[str, str],
    seconds: Mapping[str, float],
    use_case: str,
    page: str | None,
    env: str | None,
    inputs: Sequence[str] = (),
) -> str:
    """Summarise a run.

    Args:
        reports: Reports of the nodes, in order.
        files: Path of each saved file, by dataset name.
        seconds: Seconds spent in each pipeline.
        use_case: Name of the use case.
        page: Address of the MLflow run, or None without tracking.
        env: Kedro environment to name in the commands, or None for the default one.
        inputs: Descriptions of the tables that were read.

    Returns:
        Text of several lines.
    """
    option = f" --env {env}" if env else ""
    lines = ["", f"{use_case}: what this run did"]
    lines += [_line("" if position else "read", table) for position, table in enumerate(inputs)]
    for report in reports:
        lines += _describe(report, files)
    lines += _describe_files(files.values())
    if seconds:
        shares = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        lines.append(_line("seconds", f"{sum(seconds.values()):.1f} ({shares})"))
    if page:
        lines.append(_line("run", page))
    lines.append(_line("see more", f"kedro mlflow ui{option}    runs, metrics, figures and versions"))
    lines.append(_line("", f"kedro viz{option}          the pipelines as a picture"))
    return "\n".join(lines) + "\n"
