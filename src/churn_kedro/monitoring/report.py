"""The report of monitoring: findings ranked by what matters to the model, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers import DisplayNames, Task
from churn_kedro.monitoring.drift import ColumnDrift, PredictionDrift
from churn_kedro.monitoring.findings import Area, Finding
from churn_kedro.monitoring.multivariate import JointDrift
from churn_kedro.monitoring.operations import OperationsReport
from churn_kedro.monitoring.performance import PerformanceEstimate
from churn_kedro.monitoring.quality import CurrentQuality
from churn_kedro.monitoring.realised import RealisedPerformance
from churn_kedro.monitoring.retraining import RetirementProposal, RetrainingPlan
from churn_kedro.monitoring.severity import SEVERITIES, Severity, worst
from churn_kedro.monitoring.shifts import Shift

_FEW_ROWS, _MOST_NAMED = 100, 3
# Exit status of a run whose verdict is one that a scheduler is to be told of.
EXIT_STATUS: Final = 4
_METRIC_TITLES = {
    "roc_auc": "ROC-AUC",
    "accuracy": "accuracy",
    "profit": "expected profit per customer",
    "rmse": "root mean squared error",
}


class DriftSummary(Record):
    """Drift of the customers and of their predictions."""

    columns: list[ColumnDrift]
    joint: JointDrift | None = None
    predictions: PredictionDrift | None = None

    @property
    def score(self) -> float:
        """Mean Jensen-Shannon distance of the columns, weighted by importance, 0 to 1."""
        total = sum(one.importance for one in self.columns)
        if not total:
            return sum(one.distance for one in self.columns) / max(1, len(self.columns))
        return sum(one.importance * one.distance for one in self.columns) / total

    @property
    def drifted(self) -> list[ColumnDrift]:
        """Columns that have drifted, the one that matters most first."""
        return [one for one in self.columns if one.severity != "ok"]


class MonitoringReport(Record):
    """Report of a model in use."""

    report_id: str = Field(description="Digest of version, time and source.")
    as_of: str = Field(description="Time of the report, ISO 8601 in UTC.")
    use_case: str
    model_name: str
    model_version: int
    champion_age_days: float | None = None
    task: Task
    source: str = Field(description="What was examined: the prediction log, a batch or a table.")
    since: str | None = Field(None, description="First time of the examined predictions.")
    rows: int = Field(description="Examined customers.")
    reference_rows: int
    verdict: Severity
    findings: list[Finding] = Field(description="By severity, then by weight.")
    notes: list[str] = Field(default_factory=list, description="What could not be examined, and why.")
    drift: DriftSummary
    quality: CurrentQuality
    estimated: PerformanceEstimate | None = None
    realised: RealisedPerformance | None = None
    shifts: list[Shift] = Field(default_factory=list)
    operations: OperationsReport | None = None
    retraining: RetrainingPlan | None = None
    retirements: list[RetirementProposal] = Field(default_factory=list)

    @property
    def headline(self) -> str:
        """One sentence: verdict, and the first finding."""
        first = self.findings[0].sentence if self.findings else "nothing has changed beyond chance"
        return f"{self.model_name} version {self.model_version}: {self.verdict}. {first}"

    def has_alarm(self, *areas: Area) -> bool:
        """Whether there is an alarm in one of the areas."""
        return any(one.severity == "alarm" and one.area in areas for one in self.findings)


class MonitoringStatus(Record):
    """How a run with monitoring ends."""

    verdict: Severity
    exit_status: int = Field(description="Exit status of `kedro run`: 0, or 4.")


def choose_status(report: MonitoringReport, fail_on: Literal["alarm", "warning", "never"]) -> MonitoringStatus:
    """Choose the exit status of a run.

    Args:
        report: The report.
        fail_on: Verdict from which the status is not 0.

    Returns:
        The status.
    """
    fails = fail_on != "never" and SEVERITIES.index(report.verdict) >= SEVERITIES.index(fail_on)
    return MonitoringStatus(verdict=report.verdict, exit_status=EXIT_STATUS if fails else 0)


def order_findings(findings: Sequence[Finding]) -> tuple[Severity, list[Finding]]:
    """Order the findings and take the most serious one as the verdict.

    Args:
        findings: All findings.

    Returns:
        The verdict, and the findings by severity and weight.
    """
    ordered = sorted(findings, key=lambda one: (-SEVERITIES.index(one.severity), -one.weight, one.subject))
    return worst(one.severity for one in findings), ordered


def describe_findings(
    drift: DriftSummary,
    quality: CurrentQuality,
    estimated: PerformanceEstimate | None,
    realised: RealisedPerformance | None,
    shifts: Sequence[Shift],
    names: DisplayNames,
) -> list[Finding]:
    """Say what was found, in sentences.

    Args:
        drift: Drift of customers and predictions.
        quality: Quality of the data.
        estimated: Estimated quality of the predictions.
        realised: Quality from outcomes.
        shifts: Kinds of change.
        names: Names of columns.

    Returns:
        Findings of severity warning or alarm.
    """
    return [
        *_describe_realised(realised, shifts, names),
        *_describe_estimate(estimated),
        *_describe_predictions(drift.predictions),
        *(_describe_column(one, names) for one in drift.drifted),
        *_describe_joint(drift, names),
        *_describe_quality(quality, names),
    ]


def _describe_realised(
    realised: RealisedPerformance | None, shifts: Sequence[Shift], names: DisplayNames
) -> Iterator[Finding]:
    if realised is None:
        return
    for name in realised.falls:
        now = realised.metrics[name]
        yield Finding(
            severity="alarm",
            area="performance",
            subject=name,
            sentence=f"The outcomes of {realised.customers:,} customers give {_METRIC_TITLES.get(name, name)} "
            f"{now.value:.3f} ({now.low:.3f} to {now.high:.3f}); in training it was {realised.reference[name]:.3f}.",
            advice="Train a new model on recent outcomes.",
            weight=10.0,
        )
    relation = realised.relation
    if relation is not None and relation.found:
        first = relation.columns[0] if relation.columns else None
        kinds = {one.name: one.found for one in shifts}
        cause = next((kind for kind in ("label shift", "concept drift") if kinds.get(kind)), "cause unclear")
        names_column = first is not None and cause == "concept drift"
        where = "" if first is None or not names_column else f", most of all by {names.column(first.name)}"
        gap = max(relation.gap, 0.0 if first is None else first.gap)
        yield Finding(
            severity="alarm",
            area="performance",
            subject=first.name if first is not None and names_column else "calibration",
            sentence=f"Customers leave at other rates than predicted: by {100 * gap:.1f} points "
            f"on average{where} ({cause}).",
            advice={
                "label shift": "Calibrate the model again with recent outcomes.",
                "concept drift": "Train a new model on recent outcomes.",
                "cause unclear": "Correct the columns that differ altogether from training, then look again.",
            }[cause],
            weight=0.0 if cause == "cause unclear" else 9.0,
        )


def _describe_estimate(estimated: PerformanceEstimate | None) -> Iterator[Finding]:
    if estimated is None:
        return
    for name in estimated.falls:
        now, before = estimated.metrics[name].value, estimated.reference[name]
        yield Finding(
            severity="alarm" if name in ("roc_auc", "accuracy") else "warning",
            area="performance",
            subject=name,
            sentence=f"The probabilities promise {_METRIC_TITLES.get(name, name)} {_write(now)} for the present "
            f"customers, and {_write(before)} for those of the training (an estimate without outcomes).",
            advice="Look at the drifted columns; if the customers have changed for good, train a new model.",
            # After the columns, which are the cause.
            weight=0.0,
        )


def _describe_predictions(predictions: PredictionDrift | None) -> Iterator[Finding]:
    if predictions is None or predictions.severity == "ok":
        return
    found, parts = predictions.distribution, []
    if predictions.mean is not None:
        parts.append(f"mean {_write(predictions.mean.current)}, in training {_write(predictions.mean.reference)}")
    if predictions.decisions is not None:
        one = predictions.decisions
        parts.append(f"{one.current:.1%} worth a contact, in training {one.reference:.1%}")
    if "distribution" in found.problems:
        parts.insert(0, f"distance {found.distance:.2f}, up to {found.limit:.2f} is usual")
    yield Finding(
        severity=predictions.severity,
        area="predictions",
        subject="predictions",
        sentence=f"The predictions have changed: {'; '.join(parts)}.",
        advice="See which columns have drifted, and whether capacity and budget of the campaign still fit.",
        # After the columns, which are the cause.
        weight=0.0,
    )


def _describe_column(one: ColumnDrift, names: DisplayNames) -> Finding:
    title, parts, advice = names.column(one.name), [], "See whether the customers or the source have changed."
    if "absent" in one.problems:
        parts.append("is not in the data")
        advice = "Restore the column at its source: the model treats it as missing."
    if "missing" in one.problems:
        parts.append(f"is missing for {one.missing.current:.1%}, in training for {one.missing.reference:.1%}")
        advice = "See whether the source still delivers it."
    if "new levels" in one.problems:
        named = ", ".join(repr(names.level(one.name, name)) for name in one.new_names[:3])
        parts.append(f"has unknown levels for {one.new_levels.current:.1%} ({named})")
        advice = "Map the new levels to known ones, or declare them and train a new model."
    if "out of range" in one.problems:
        parts.append(
            f"is outside of its declared range for {one.outside.current:.1%}, in training for "
            f"{one.outside.reference:.1%}"
        )
        advice = "See whether its unit has changed."
    if "distribution" in one.problems:
        shift = "" if one.wasserstein is None else f", moved by {one.wasserstein:.2f} standard deviations"
        parts.append(f"has another distribution (distance {one.distance:.2f}, up to {one.limit:.2f} is usual{shift})")
    return Finding(
        severity=one.severity,
        area="data",
        subject=one.name,
        sentence=f"{title} {', and '.join(parts)}; it has {one.importance:.0%} of the model's importance.",
        advice=advice,
        weight=one.weight,
    )


def _describe_joint(drift: DriftSummary, names: DisplayNames) -> Iterator[Finding]:
    joint = drift.joint
    if joint is None or joint.severity == "ok":
        return
    known = {one.name for one in drift.drifted}
    columns = [name for name, share in joint.columns.items() if share >= 0.1]
    listed = ", ".join(names.column(name) for name in columns[:3])
    if joint.auc >= joint.limit:
        severity: Severity = "warning" if known else "alarm"
        yield Finding(
            severity=severity,
            area="data",
            subject=columns[0] if columns else "all columns",
            sentence=f"Present and training customers can be told apart (ROC-AUC {joint.auc:.2f}, up to "
            f"{joint.limit:.2f} is usual), by {listed}"
            + ("." if known else ", although no single column has changed: look at groups of customers."),
            advice="See which group of customers is new or has changed.",
            # Of single columns that have drifted, it only says what is known already.
            weight=0.0 if known else 0.5,
        )
    elif joint.reconstruction >= joint.reconstruction_limit:
        yield Finding(
            severity="warning",
            area="data",
            subject="all columns",
            sentence=f"The columns go together in another way than in training: the reconstruction error has risen by "
            f"{joint.reconstruction:.2f} standard deviations.",
            advice="See which group of customers is new or has changed.",
            weight=0.1,
        )


def _describe_quality(quality: CurrentQuality, names: DisplayNames) -> Iterator[Finding]:
    if quality.severity == "ok" or quality.absent:
        return
    parts = []
    if quality.rejected:
        parts.append(f"{quality.rejected:,} rows could not be read{_list_cells(quality.unreadable, names)}")
    if quality.cells:
        parts.append(f"cells that are missing, unknown or out of range{_list_cells(quality.cells, names)}")
    unreadable = max(quality.unreadable, key=lambda name: quality.unreadable[name], default=None)
    yield Finding(
        severity=quality.severity,
        area="quality",
        subject=unreadable or "data quality",
        sentence=f"{quality.score:.1%} of the data can be used as in training; {'; '.join(parts)}.",
        advice="Correct the source, or the declaration in parameters/customers.yml.",
        weight=0.3,
    )


def _list_cells(counts: Mapping[str, int], names: DisplayNames) -> str:
    listed = sorted(counts.items(), key=lambda one: -one[1])[:_MOST_NAMED]
    return f" ({', '.join(f'{names.column(name)}: {count:,}' for name, count in listed)})" if listed else ""


def list_notes(
    rows: int,
    drift: DriftSummary,
    quality: CurrentQuality,
    estimated: PerformanceEstimate | None,
    realised: RealisedPerformance | None,
    shifts: Sequence[Shift],
    task: Task,
) -> list[str]:
    """Say what could not be examined, and which assumptions are in doubt.

    Args:
        rows: Examined customers.
        drift: Drift of customers and predictions.
        quality: Quality of the data.
        estimated: Estimated quality.
        realised: Quality from outcomes.
        shifts: Kinds of change.
        task: What is predicted.

    Returns:
        Sentences.
    """
    notes = []
    if quality.undeclared:
        notes.append(f"Columns that are not declared are not examined: {', '.join(quality.undeclared)}.")
    if rows == 0 and quality.rejected:
        notes.append("No row could be read: nothing was examined.")
    elif rows == 0:
        notes.append("There are no predictions in this window: nothing was examined.")
    elif rows < _FEW_ROWS:
        notes.append(f"{rows:,} customers are few: only large changes can be told from chance.")
    if task == "regression":
        notes.append("The quality of predicted numbers cannot be estimated without outcomes.")
    concept = next((one for one in shifts if one.name == "concept drift"), None)
    if estimated is not None and concept is not None and concept.found:
        notes.append(
            "The estimated quality is not to be relied on: it assumes that the relation of columns and outcome is that "
            "of the training, and the outcomes say otherwise."
        )
    elif estimated is not None and drift.joint is not None and drift.joint.auc > 0.75:
        notes.append(
            "The estimated quality is in doubt: many present customers are unlike those of the training, so that their "
            "probabilities are extrapolated."
        )
    elif estimated is not None and realised is None:
        notes.append("The estimated quality assumes that the relation of columns and outcome has not changed.")
    if realised is not None:
        notes += _note_outcomes(realised)
    return notes


def _note_outcomes(realised: RealisedPerformance) -> Iterator[str]:
    counts = realised.counts
    if counts.immature:
        yield f"{counts.immature:,} of {counts.predictions:,} predictions are not mature yet."
    if counts.contradicting:
        yield (
            f"{counts.contradicting:,} rows of the outcomes contradict each other (one customer and time, several "
            "outcomes) and were left out."
        )
    if counts.duplicates:
        yield f"{counts.duplicates:,} rows of the outcomes repeat others and were counted once."
    if counts.unreadable:
        yield f"{counts.unreadable:,} rows of the outcomes have no readable identifier, outcome or time."
    if counts.without_zone:
        yield f"{counts.without_zone:,} times of outcomes have no time zone and were read as UTC."
    if counts.in_future:
        yield f"{counts.in_future:,} outcomes were observed after the time of this report and were left out."
    if realised.uses_treated:
        yield (
            "Contacted customers are included in the realised quality, since there is no holdout: what the campaign "
            "changed counts as an error of the model. Set inference.holdout_share."
        )
    if counts.matched and not realised.metrics:
        yield f"{counts.matched:,} matured outcomes are too few to measure quality (monitoring.performance)."


def _write(number: float) -> str:
    return f"{number:,.2f}" if abs(number) >= 10 else f"{number:.3f}"


def describe_age(version: int, age_days: float | None, limit_days: float) -> list[Finding]:
    """Say that a version is old.

    Args:
        version: The version.
        age_days: Its age; None: unknown.
        limit_days: Age from which it is named.

    Returns:
        At most one finding.
    """
    if age_days is None or age_days <= limit_days:
        return []
    return [
        Finding(
            severity="warning",
            area="operations",
            subject=f"version {version}",
            sentence=f"Version {version} is {age_days:.0f} days old, more than {limit_days:g} "
            "(monitoring.champion_age_days).",
            advice="Train a new version on recent customers: `kedro run`.",
        )
    ]
