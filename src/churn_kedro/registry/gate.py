"""Promotion gate: decide whether a candidate may replace the champion. Missing evidence counts as failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import Parameters, Record, one_line
from churn_kedro.customers import TASKS, CustomerDeclaration, DisplayNames, Finding, LeakageReport, SplitManifest, Task
from churn_kedro.evaluation import (
    METRICS,
    BootstrapParameters,
    Evaluation,
    ModelComparison,
    Subject,
    bootstrap,
    extended_metrics,
    group_customers,
    measure,
    task_metrics,
)
from churn_kedro.models import (
    RegisteredModel,
    ScoredCustomers,
    explain_table_mismatch,
    find_version_training_rows,
    score_labelled,
)
from churn_kedro.registry.lifecycle import (
    DECIDED_AGAINST_TAG,
    DECISION_TAG,
    RETIRED_TAG,
    TURNED_DOWN_TAG,
    Alias,
    Change,
    Outcome,
    RegistryState,
    plan_challenge,
    plan_promotion,
    require_champion,
)

Verdict = Literal["promoted", "awaiting_approval", "refused", "unchanged"]
Approval = Literal["auto", "manual"]
Relation = Literal["at least", "at most", "equal to"]
SimpleBaselinePolicy = Literal["warn", "refuse", "ignore"]

_COMPARISON = "not worse than the champion"
_SEGMENTS = "no segment worse than with the champion"
# Minimum number of customers of each class (regression: in total) for the comparison of a segment.
_FEWEST_IN_SEGMENT = 20
# With fewer customers unseen by both models, all test customers are compared.
_FEWEST_FRESH = 200
# A standard error needs fewer resamples than an extreme quantile.
_SEGMENT_RESAMPLES = 200
# Numbers from this value on are formatted without decimals.
_LARGE = 10_000


class TaskGate(Parameters):
    """Requirements of the gate for one task."""

    bounds: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        description="Lower bound of a metric (upper bound for losses, errors and differences). A name ending in _low "
        "or _high refers to a bound of its interval."
    )
    metric: str = Field(description="Metric for the comparison with the champion.")
    margin: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="Non-inferiority margin against the champion, in metric units.",
    )
    segment_margin: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="Margin within a declared segment; a larger, significant loss fails.",
    )

    def require_known(self, task: Task) -> None:
        """Check that the metrics belong to a task.

        Args:
            task: What is predicted.

        Raises:
            ValueError: A metric is unknown for the task, or has no direction of improvement.
        """
        metrics = [name for name in task_metrics(task) if METRICS[name].ordered]
        bounded = [*metrics, *extended_metrics(task)]
        allowed = {name + suffix for name in bounded for suffix in ("", "_low", "_high")}
        unknown = sorted(set(self.bounds) - allowed)
        if unknown:
            raise ValueError(
                f"{task}: bounds contain unknown metrics {unknown}; expected {', '.join(bounded)}, each also with _low "
                "or _high for a bound of its interval"
            )
        if self.metric not in metrics:
            raise ValueError(f"{task}: metric '{self.metric}' is unknown; expected one of {metrics}")


class GateParameters(Parameters):
    """Requirements of the gate; those of the declared task apply."""

    binary: TaskGate = Field(description="Two classes.")
    multiclass: TaskGate = Field(description="Several classes.")
    regression: TaskGate = Field(description="A number.")
    max_model_bytes: int | None = Field(None, gt=0, description="Maximum size of the model file; null: unlimited.")
    max_scoring_seconds: float | None = Field(
        None, gt=0, description="Maximum seconds to score 1,000 customers, as measured by evaluation; null: unlimited."
    )
    simple_baseline: SimpleBaselinePolicy = Field(
        "warn",
        description="What happens to a version that is not clearly better than a linear model: warn, refuse or ignore.",
    )
    confidence: float = Field(gt=0, lt=1, description="One-sided confidence of the non-inferiority test.")
    n_resamples: int = Field(ge=100, description="Paired bootstrap resamples.")
    random_state: int = Field(ge=0, description="Seed of the resamples.")

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        for task in TASKS:
            self.of(task).require_known(task)
        return self

    def of(self, task: Task) -> TaskGate:
        """Return the requirements for a task.

        Args:
            task: What is predicted.

        Returns:
            Bounds, metric and margins.
        """
        gate: TaskGate = getattr(self, task)
        return gate


class GateCheck(Record):
    """A check of the gate and its result."""

    name: str
    passed: bool
    reason: str = Field(description="Value, bound and result in words.")
    decisive: bool = Field(True, description="Whether a failure refuses the version; else it is a warning.")
    value: float | None = Field(None, description="Value that was checked.")
    relation: Relation | None = Field(None, description="Required relation to the bound.")
    bound: float | None = Field(None, description="The bound.")


@dataclass(frozen=True)
class Evidence:
    """What the evaluation pipeline found out about a version.

    Attributes:
        evaluation: Metrics.
        subject: The version and the tables that the other findings are about.
        leakage: Leakage checks.
        simple: Comparison with a linear model; None: there was none.
    """

    evaluation: Evaluation
    subject: Subject
    leakage: LeakageReport
    simple: ModelComparison | None


@dataclass(frozen=True)
class ChecksOnTestTable:
    """Checks that depend on the test customers.

    Attributes:
        tables: Content digest of the train, validation and test table of the split.
        incumbent: Version of the champion; None: there is none.
        training_rows: Check that the candidate was trained on none of the test customers.
        comparison: Comparison with the champion.
    """

    tables: dict[str, str]
    incumbent: int | None
    training_rows: GateCheck
    comparison: list[GateCheck]


class Decision(Record):
    """Decision of the gate about one version, with all checks."""

    model_name: str
    candidate: int = Field(description="Version of the decision.")
    incumbent: int | None = Field(description="Champion at the time of the decision; null: none.")
    verdict: Verdict
    approval: Approval = Field("auto", description="Whether a person must approve what passes.")
    checks: list[GateCheck] = Field(description="All checks.")
    evaluated_on: str = Field(description="Content digest of the test table.")

    @property
    def alias(self) -> Alias | None:
        """Alias for the candidate; None: none.

        ``challenger``: it waits for approval; or it meets all bounds but is worse than the champion, unless another
        version waits for approval under this alias.
        """
        if self.verdict == "promoted":
            return "champion"
        if self.verdict == "awaiting_approval":
            return "challenger"
        lost = {check.name for check in self.checks if not check.passed and check.decisive}
        qualified = bool(self.checks) and lost <= {_COMPARISON, _SEGMENTS}
        return "challenger" if self.verdict == "refused" and self.approval == "auto" and qualified else None

    @property
    def reasons(self) -> list[str]:
        """Reasons of all checks, prefixed with + if passed, - if failed, and ! if it is a warning."""
        return [f"{'+' if check.passed else '-' if check.decisive else '!'} {check.reason}" for check in self.checks]


class Promotion(Record):
    """Changes to the registry after a decision."""

    model_name: str
    version: int = Field(description="Version of the decision.")
    alias: Alias | None = Field(description="Alias to set.")
    expected_champion: int | None = Field(description="Champion at the time of the decision; null: none.")
    outcome: Outcome | None = Field(description="Outcome for the version; null: unchanged, it is already champion.")
    reasons: list[str] = Field(description="Why.")
    tags: dict[str, str] = Field(description="Tags to set on the version.")


def _check_task(candidate: RegisteredModel, declaration: CustomerDeclaration) -> GateCheck:
    reason = explain_table_mismatch(candidate, declaration)
    return GateCheck(
        name="trained for this table",
        passed=reason is None,
        reason=f"{reason}: train again" if reason else f"version {candidate.version} matches the declaration",
    )


def _check_identity(evidence: Evidence, candidate: RegisteredModel, tables: Mapping[str, str], task: Task) -> GateCheck:
    evaluation, subject = evidence.evaluation, evidence.subject
    problems = []
    if (evaluation.model_name, evaluation.model_version) != (candidate.name, candidate.version):
        problems.append(
            f"the evaluation is of {evaluation.model_name} version {evaluation.model_version}, expected "
            f"{candidate.name} version {candidate.version}"
        )
    if evaluation.test_digest != tables["test"]:
        problems.append(
            f"the evaluation used another test table (digest {evaluation.test_digest}, expected {tables['test']})"
        )
    about = (subject.model_name, subject.model_version, subject.tables)
    if not problems and about != (candidate.name, candidate.version, tables):
        problems.append("campaign, groups and comparison are of another version or of other tables")
    if evaluation.task != task:
        problems.append(f"the evaluation is of task {evaluation.task}, expected {task}")
    if problems:
        return GateCheck(
            name="evaluated", passed=False, reason="; ".join(problems) + ": run the evaluation pipeline first"
        )
    return GateCheck(
        name="evaluated", passed=True, reason=f"version {candidate.version} was evaluated on this test table"
    )


def _check_training(
    candidate: RegisteredModel, test: pd.DataFrame, manifest: SplitManifest, declaration: CustomerDeclaration
) -> GateCheck:
    """Check that the candidate was not trained on test customers."""
    name = "not trained on test customers"
    trained_on, train_digest = candidate.tags.get("train_digest", "unknown"), manifest.train.digest
    seen = find_version_training_rows(candidate, test, manifest, declaration)
    if seen is not None:
        count = int(seen.sum())
        return GateCheck(
            name=name,
            passed=count == 0,
            reason=f"version {candidate.version} was trained on {f'{count:,}' if count else 'none'} of the "
            f"{len(test):,} test customers{'. Train again on this split' if count else ''}",
            value=float(count),
            relation="at most",
            bound=0.0,
        )
    return GateCheck(
        name=name,
        passed=False,
        reason=f"version {candidate.version} was trained on other customers (digest {trained_on}) than this split's "
        f"({train_digest}): test customers may be among them. Train again on this split",
    )


def _check_people(candidate: RegisteredModel) -> list[GateCheck]:
    """Check that the version was not rejected, rolled back or retired by a person."""
    version = candidate.version
    if RETIRED_TAG in candidate.tags:
        reason = f"retired on {candidate.tags[RETIRED_TAG]}. Restore it: `kedro models retire {version} --undo`"
    elif TURNED_DOWN_TAG in candidate.tags:
        reason = (
            f"{candidate.tags[TURNED_DOWN_TAG]}. Train another one, or override: "
            f'`kedro models promote {version} --override "REASON"`'
        )
    else:
        return []
    return [GateCheck(name="not rejected by a person", passed=False, reason=f"version {version} was {reason}")]


def _check_leakage(leakage: LeakageReport, tables: Mapping[str, str]) -> list[GateCheck]:
    name = "no leak without permission"
    if leakage.tables != tables:
        reason = (
            f"the leakage checks are of other tables (test {leakage.tables.get('test', 'unknown')}, expected "
            f"{tables['test']}): run data_processing and evaluation again"
        )
        return [GateCheck(name=name, passed=False, reason=reason)]
    leaks = leakage.leaks
    if leaks:
        reason = f"{len(leaks)} leaks without permission: {'; '.join(map(_name_finding, leaks))}"
    else:
        reason = f"no leak without permission in {len(leakage.checks)} checks"
    checks = [
        GateCheck(name=name, passed=not leaks, reason=reason, value=float(len(leaks)), relation="at most", bound=0.0)
    ]
    if leakage.allowed_leaks:
        named = "; ".join(f"{_name_finding(leak)} ({leak.allowed})" for leak in leakage.allowed_leaks)
        checks.append(
            GateCheck(
                name="no leak allowed",
                passed=False,
                decisive=False,
                reason=f"{len(leakage.allowed_leaks)} leaks are allowed by the declaration: metrics may be too good. "
                + named,
                value=float(len(leakage.allowed_leaks)),
                relation="equal to",
                bound=0.0,
            )
        )
    return checks


def _name_finding(finding: Finding) -> str:
    return f"{finding.check}{f' in {finding.column}' if finding.column else ''}"


def _check_simple(simple: ModelComparison | None, metric: str, policy: SimpleBaselinePolicy) -> list[GateCheck]:
    """Check that the version is clearly better than a linear model on the same test customers."""
    if policy == "ignore":
        return []
    name, decisive = "clearly better than a simple model", policy == "refuse"
    if simple is None or metric not in simple.differences:
        reason = "no simple model was compared with: run the evaluation without `baseline=none`"
        return [GateCheck(name=name, passed=False, decisive=decisive, reason=reason)]
    found, sign = simple.differences[metric], -1.0 if METRICS[metric].lower_is_better else 1.0
    low, high = sorted((sign * found.low, sign * found.high))
    passed = low > 0
    reason = (
        f"{metric} {simple.values[metric][0]:.4f} against {simple.values[metric][1]:.4f} of {simple.baseline}: gain "
        f"{sign * found.value:+.4f} ({low:+.4f} to {high:+.4f})"
        + (
            ""
            if passed
            else ", so it is not clearly better than a simple model, which is easier to explain and maintain"
        )
    )
    return [
        GateCheck(name=name, passed=passed, decisive=decisive, reason=reason, value=low, relation="at least", bound=0.0)
    ]


def _check_bound(
    name: str, value: float | None, relation: Relation, bound: float, what: str | None = None
) -> GateCheck:
    # Comparisons with NaN are false: a missing value fails.
    known = float("nan") if value is None else value
    passed = known <= bound if relation == "at most" else known >= bound
    outcome = f"{what or name} {_write(known)}" if np.isfinite(known) else f"{what or name} is missing"
    return GateCheck(
        name=f"{name} {relation} {_write(bound)}",
        passed=passed,
        reason=f"{outcome}, {'' if passed else 'but '}{relation} {_write(bound)} is required",
        value=value if value is None or np.isfinite(value) else None,
        relation=relation,
        bound=bound,
    )


def _write(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= _LARGE else f"{number:.4g}"


def _check_bounds(evaluation: Evaluation, bounds: dict[str, float]) -> list[GateCheck]:
    values = evaluation.flat()
    return [
        _check_bound(
            name,
            values.get(name),
            "at most" if METRICS[name.removesuffix("_low").removesuffix("_high")].lower_is_better else "at least",
            bound,
        )
        for name, bound in bounds.items()
    ]


def _check_cost(evaluation: Evaluation, candidate: RegisteredModel, gate: GateParameters) -> list[GateCheck]:
    checks = []
    if gate.max_model_bytes is not None:
        text = candidate.tags.get("model_bytes", "")
        size = float(text) if text.isdecimal() else None
        checks.append(_check_bound("model_bytes", size, "at most", float(gate.max_model_bytes), "size of the file"))
    if gate.max_scoring_seconds is not None:
        seconds = evaluation.scoring_seconds
        checks.append(
            _check_bound("scoring_seconds", seconds, "at most", gate.max_scoring_seconds, "seconds for 1,000 customers")
        )
    return checks


def _resampling(gate: GateParameters, most: int | None = None) -> BootstrapParameters:
    n_resamples = gate.n_resamples if most is None else min(gate.n_resamples, most)
    return BootstrapParameters(n_resamples=n_resamples, confidence=gate.confidence, random_state=gate.random_state)


def _gains(
    first: ScoredCustomers, second: ScoredCustomers, metric: str, resampling: BootstrapParameters
) -> tuple[float, np.ndarray, tuple[float, float]]:
    """Return the gain of the first over the second model: estimate, resamples and both values."""
    sign = -1.0 if METRICS[metric].lower_is_better else 1.0
    values = measure(first)[metric], measure(second)[metric]
    resampled = [bootstrap(scores, resampling)[metric] for scores in (first, second)]
    return sign * (values[0] - values[1]), sign * (resampled[0] - resampled[1]), values


def compare_with_champion(
    candidate: RegisteredModel,
    incumbent: RegisteredModel,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    gate: GateParameters,
) -> list[GateCheck]:
    """Test the non-inferiority of the candidate by a paired bootstrap on the same test customers.

    The candidate passes if the one-sided lower confidence bound of its gain over the champion (percentile method) is
    above minus the margin. Within a declared segment, it fails if its loss exceeds the segment margin and is
    significant, that is, if the upper bound of the gain (normal, bootstrap standard error) is below 0; the significance
    level is divided by the number of segments (Bonferroni).

    Args:
        candidate: The candidate version.
        incumbent: The champion.
        test: Test customers.
        manifest: Manifest of their split.
        declaration: The table's declaration.
        gate: Metric and margins of the task, confidence and resamples.

    Returns:
        A check on all customers and, if segments are declared, one on the segments.
    """
    reason = explain_table_mismatch(incumbent, declaration)
    if reason:
        return [
            GateCheck(
                name="comparison with the champion",
                passed=False,
                reason=f"the champion cannot be compared: {reason}. To replace it anyway, override the gate: "
                f'`kedro models promote {candidate.version} --override "REASON"`',
            )
        ]
    required = gate.of(declaration.task)
    test, caution = _fair_to_both(incumbent, test, manifest, declaration)
    scores = [score_labelled(model.estimator, test, declaration) for model in (candidate, incumbent)]
    gain, resampled, values = _gains(scores[0], scores[1], required.metric, _resampling(gate))
    bound = float(np.nanquantile(resampled, 1 - gate.confidence))
    passed = bool(bound >= -required.margin)
    overall = GateCheck(
        name=_COMPARISON,
        passed=passed,
        reason=(
            f"{required.metric} {values[0]:.4f} against {values[1]:.4f} of champion version {incumbent.version}: "
            f"gain {gain:+.4f}, with {gate.confidence:.0%} confidence at least {bound:+.4f}, "
            f"{'within' if passed else 'beyond'} the margin of {-required.margin:g}{caution}"
        ),
        value=bound,
        relation="at least",
        bound=-required.margin,
    )
    segments = _declared_segments(test, declaration)
    return [overall, _compare_segments(scores, segments, required, gate)] if segments else [overall]


def _fair_to_both(
    incumbent: RegisteredModel, test: pd.DataFrame, manifest: SplitManifest, declaration: CustomerDeclaration
) -> tuple[pd.DataFrame, str]:
    """Return the test customers that the champion was not trained on, and a remark for the reason.

    If they are too few or unknown, all test customers are returned, which favours the champion.
    """
    seen = find_version_training_rows(incumbent, test, manifest, declaration)
    if seen is None:
        return test, " (the champion was trained on another split; test customers among its training rows favour it)"
    if not seen.any():
        return test, ""
    fresh = test[~seen]
    target = declaration.target
    lacks_class = bool(declaration.classes) and fresh[target].nunique() < test[target].nunique()
    if len(fresh) < _FEWEST_FRESH or lacks_class:
        return test, (
            f" (the champion was trained on {seen.sum():,} of the {len(test):,} test customers, which favours it; "
            "the others are too few for a comparison)"
        )
    return fresh, f" (on the {len(fresh):,} of {len(test):,} test customers that the champion was not trained on)"


def _declared_segments(test: pd.DataFrame, declaration: CustomerDeclaration) -> list[tuple[str, np.ndarray]]:
    """Return the name and the members of each group of each segment column; names may be equal."""
    names = DisplayNames.of(declaration)
    members: list[tuple[str, np.ndarray]] = []
    for column in declaration.segments:
        groups = group_customers(test[column.name], column, _FEWEST_IN_SEGMENT)
        members += [(names.group(column.name, label), groups.codes == code) for code, label in enumerate(groups.labels)]
    return members


def _compare_segments(
    scores: list[ScoredCustomers], segments: list[tuple[str, np.ndarray]], required: TaskGate, gate: GateParameters
) -> GateCheck:
    compared = [
        (name, [one.of(members) for one in scores])
        for name, members in segments
        if _is_evaluable(scores[0].of(members))
    ]
    share = (1 - gate.confidence) / max(1, len(compared))
    worst, lost = (0.0, ""), []
    for name, (first, second) in compared:
        gain, resampled, _ = _gains(first, second, required.metric, _resampling(gate, _SEGMENT_RESAMPLES))
        if gain < worst[0]:
            worst = gain, name
        if gain < -required.segment_margin and gain + NormalDist().inv_cdf(1 - share) * np.nanstd(resampled) < 0:
            lost.append(f"{name} ({gain:+.4f})")
    left_out = len(segments) - len(compared)
    reason = (
        f"{required.metric} falls significantly by more than {required.segment_margin:g} in {', '.join(lost)}"
        if lost
        else f"{required.metric} falls significantly by more than {required.segment_margin:g} in none of "
        f"{len(compared)} segments" + (f"; the largest loss is {worst[0]:+.4f} in {worst[1]}" if worst[1] else "")
    ) + (f" ({left_out} with too few customers were not tested)" if left_out else "")
    return GateCheck(
        name=_SEGMENTS, passed=not lost, reason=reason, value=float(len(lost)), relation="at most", bound=0.0
    )


def _is_evaluable(scores: ScoredCustomers) -> bool:
    if scores.task == "regression":
        return len(scores.target) >= _FEWEST_IN_SEGMENT and len(np.unique(scores.target)) > 1
    sizes = np.unique(scores.target, return_counts=True)[1]
    return len(sizes) > 1 and bool(sizes.min() >= _FEWEST_IN_SEGMENT)


def _guarded(what: str, name: str, compare: Callable[[], list[GateCheck]]) -> list[GateCheck]:
    try:
        return compare()
    except Exception as error:  # Any error of a comparison is a reason against the promotion.
        return [GateCheck(name=name, passed=False, reason=f"{what} failed: {type(error).__name__}: {error}")]


def check_test_table(
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    gate: GateParameters,
) -> ChecksOnTestTable:
    """Run the checks that depend on the test customers.

    Args:
        candidate: The candidate version.
        incumbent: The champion; None: there is none.
        test: Test customers.
        manifest: Manifest of their split.
        declaration: The table's declaration.
        gate: Metric and margins of the task, confidence and resamples.

    Returns:
        The check of the training rows, and the comparison with the champion.
    """
    version = None if incumbent is None else incumbent.version
    training_rows = _check_training(candidate, test, manifest, declaration)
    if incumbent is None:
        reason = "no champion yet: only the bounds apply"
        comparison = [GateCheck(name="no champion yet", passed=True, reason=reason)]
    elif version == candidate.version:
        comparison = []
    else:
        comparison = _guarded(
            f"the comparison with champion version {version}",
            "comparison with the champion",
            lambda: compare_with_champion(candidate, incumbent, test, manifest, declaration, gate),
        )
    return ChecksOnTestTable(manifest.digests, version, training_rows, comparison)


def decide(
    evidence: Evidence,
    candidate: RegisteredModel,
    checked: ChecksOnTestTable,
    declaration: CustomerDeclaration,
    gate: GateParameters,
    approval: Approval = "auto",
) -> Decision:
    """Decide whether the candidate becomes champion. Missing evidence counts as failure.

    Args:
        evidence: Evaluation of the candidate.
        candidate: The candidate version.
        checked: Checks that depend on the test customers.
        declaration: The table's declaration.
        gate: Requirements of the gate.
        approval: Whether a person must approve a passing candidate.

    Returns:
        The decision with all checks and reasons.
    """
    if checked.incumbent == candidate.version:
        reason = f"version {candidate.version} is the champion already"
        checks = [GateCheck(name="another version", passed=False, reason=reason)]
        verdict: Verdict = "unchanged"
    else:
        task, required = _check_task(candidate, declaration), gate.of(declaration.task)
        evaluation = evidence.evaluation
        checks = [
            _check_identity(evidence, candidate, checked.tables, declaration.task),
            checked.training_rows,
            *_check_people(candidate),
            *_check_leakage(evidence.leakage, checked.tables),
            *([] if task.passed else [task]),
            *_check_bounds(evaluation, required.bounds),
            *_check_cost(evaluation, candidate, gate),
            *_check_simple(evidence.simple, required.metric, gate.simple_baseline),
            *checked.comparison,
        ]
        passed: Verdict = "promoted" if approval == "auto" else "awaiting_approval"
        verdict = passed if all(check.passed or not check.decisive for check in checks) else "refused"
    return Decision(
        model_name=candidate.name,
        candidate=candidate.version,
        incumbent=checked.incumbent,
        verdict=verdict,
        approval=approval,
        checks=checks,
        evaluated_on=checked.tables["test"],
    )


def describe_promotion(decision: Decision) -> Promotion:
    """Derive the changes to the registry from a decision. A version that is already champion keeps its tags.

    Args:
        decision: The decision.

    Returns:
        Alias and tags of the version.
    """
    if decision.verdict == "unchanged":
        return Promotion(
            model_name=decision.model_name,
            version=decision.candidate,
            alias=None,
            expected_champion=decision.incumbent,
            outcome=None,
            reasons=decision.reasons,
            tags={},
        )
    return Promotion(
        model_name=decision.model_name,
        version=decision.candidate,
        alias=decision.alias,
        expected_champion=decision.incumbent,
        outcome=decision.verdict,
        reasons=decision.reasons,
        tags={
            DECISION_TAG: decision.verdict,
            "decision_reasons": "\n".join(map(one_line, decision.reasons)),
            DECIDED_AGAINST_TAG: "" if decision.incumbent is None else str(decision.incumbent),
            "decided_on": decision.evaluated_on,
        },
    )


def plan_decision(state: RegistryState, promotion: Promotion) -> Change:
    """Plan the changes of a decision to the registry.

    Args:
        state: State of the registry.
        promotion: Changes requested by the decision.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The champion has changed since the decision.
    """
    require_champion(state, promotion.expected_champion)
    if promotion.outcome is None:
        return Change(
            action="decide", version=promotion.version, already=f"version {promotion.version} is champion already"
        )
    plans = {"champion": plan_promotion, "challenger": plan_challenge}
    alias = promotion.alias
    if promotion.outcome == "refused" and _awaits_approval(state, state.aliases.get("challenger")):
        # A challenger that waits for approval keeps the alias.
        alias = None
    moves = plans[alias](state, promotion.version) if alias in plans else {}
    return Change(
        action="decide",
        version=promotion.version,
        moves=moves,
        tags=dict(promotion.tags),
        outcome=promotion.outcome,
        reasons=promotion.reasons,
    )


def _awaits_approval(state: RegistryState, version: int | None) -> bool:
    return version is not None and state.tags.get(version, {}).get(DECISION_TAG) == "awaiting_approval"
