"""The gate: may a candidate replace the champion? In doubt it may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import Parameters, Record
from churn_kedro.customers import TASKS, CustomerDeclaration, LeakageReport, SplitManifest, Task
from churn_kedro.evaluation import (
    METRICS,
    BootstrapParameters,
    Evaluation,
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

_COMPARISON = "not worse than the champion"
_SEGMENTS = "no segment worse than with the champion"
# Without so many customers of each class (of numbers: at all), a segment tells nothing about a metric.
_FEWEST_IN_SEGMENT = 20
# Without so many customers that are new to both, a comparison is made on all of them.
_FEWEST_FRESH = 200
# A standard error takes fewer resamples than a quantile far out in the tail.
_SEGMENT_RESAMPLES = 200
# From here on, numbers are written without decimals.
_LARGE = 10_000


class TaskGate(Parameters):
    """What a candidate of one task must show."""

    bounds: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        description="Least value of a metric (most, for losses, errors and differences). A name ending in _low or "
        "_high is an end of its interval."
    )
    metric: str = Field(description="Metric on which candidate and champion are compared.")
    margin: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="Loss against the champion that does not count as worse, in metric units.",
    )
    segment_margin: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="The same within a declared segment; a larger loss that is beyond chance counts.",
    )

    def require_known(self, task: Task) -> None:
        """Check that the metrics are those of a task.

        Args:
            task: What is predicted.

        Raises:
            ValueError: A metric is not, or has no better side.
        """
        metrics = [name for name in task_metrics(task) if METRICS[name].ordered]
        bounded = [*metrics, *extended_metrics(task)]
        allowed = {name + suffix for name in bounded for suffix in ("", "_low", "_high")}
        unknown = sorted(set(self.bounds) - allowed)
        if unknown:
            raise ValueError(
                f"{task}: bounds name unknown metrics {unknown}; known are {', '.join(bounded)}, each also with _low "
                "or _high for an end of its interval"
            )
        if self.metric not in metrics:
            raise ValueError(f"{task}: metric '{self.metric}' is unknown; known are {metrics}")


class GateParameters(Parameters):
    """What a candidate must show. The declared task says which part holds."""

    binary: TaskGate = Field(description="Two classes.")
    multiclass: TaskGate = Field(description="Several classes.")
    regression: TaskGate = Field(description="A number.")
    max_model_bytes: int | None = Field(None, gt=0, description="Largest size of the model's file; null: any.")
    max_scoring_seconds: float | None = Field(
        None, gt=0, description="Most seconds to score 1,000 customers, as evaluation measured them; null: any."
    )
    confidence: float = Field(gt=0, lt=1, description="One-sided confidence that the loss stays within the margin.")
    n_resamples: int = Field(ge=100, description="Paired bootstrap resamples.")
    random_state: int = Field(ge=0, description="Seed of the resamples.")

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        for task in TASKS:
            self.of(task).require_known(task)
        return self

    def of(self, task: Task) -> TaskGate:
        """What a candidate of a task must show.

        Args:
            task: What is predicted.

        Returns:
            Bounds, metric and margins.
        """
        gate: TaskGate = getattr(self, task)
        return gate


class GateCheck(Record):
    """One condition of the gate."""

    name: str
    passed: bool
    reason: str = Field(description="The value, its bound and what follows, for people.")
    value: float | None = Field(None, description="The number that was looked at.")
    relation: Relation | None = Field(None, description="How it must stand to the bound.")
    bound: float | None = Field(None, description="The bound.")


@dataclass(frozen=True)
class ChecksOnTestTable:
    """Checks that depend on the test customers.

    Attributes:
        test_digest: Content digest of the test table.
        incumbent: Version of the champion; None: there is none.
        training_rows: Whether the candidate was trained on none of the test customers.
        comparison: The comparison with the champion.
    """

    test_digest: str
    incumbent: int | None
    training_rows: GateCheck
    comparison: list[GateCheck]


class Decision(Record):
    """What the gate decided about one version, and why."""

    model_name: str
    candidate: int = Field(description="Version decided upon.")
    incumbent: int | None = Field(description="Champion at the time; null: none.")
    verdict: Verdict
    approval: Approval = Field("auto", description="Whether a person must approve what passes.")
    checks: list[GateCheck] = Field(description="Every condition that was looked at.")
    evaluated_on: str = Field(description="Content digest of the test table.")

    @property
    def alias(self) -> Alias | None:
        """Alias the candidate earns.

        ``challenger``: it waits for approval; or it showed enough, yet is worse than the champion, where nobody waits
        for approval in that place.
        """
        if self.verdict == "promoted":
            return "champion"
        if self.verdict == "awaiting_approval":
            return "challenger"
        lost = {check.name for check in self.checks if not check.passed}
        qualified = bool(self.checks) and lost <= {_COMPARISON, _SEGMENTS}
        return "challenger" if self.verdict == "refused" and self.approval == "auto" and qualified else None

    @property
    def reasons(self) -> list[str]:
        """Reason of every check, after + where it passed and - where it did not."""
        return [f"{'+' if check.passed else '-'} {check.reason}" for check in self.checks]


class Promotion(Record):
    """What the registry is to do with a version after a decision."""

    model_name: str
    version: int = Field(description="Version that was decided upon.")
    alias: Alias | None = Field(description="Alias to give to it.")
    expected_champion: int | None = Field(description="Champion the decision was made against; null: none.")
    outcome: Outcome | None = Field(description="What became of the version; null: nothing, it is champion already.")
    reasons: list[str] = Field(description="Why.")
    tags: dict[str, str] = Field(description="Tags to write on the version.")


def _check_task(candidate: RegisteredModel, declaration: CustomerDeclaration) -> GateCheck:
    reason = explain_table_mismatch(candidate, declaration)
    return GateCheck(
        name="trained for this table",
        passed=reason is None,
        reason=f"{reason}: train again" if reason else f"version {candidate.version} predicts what is declared",
    )


def _check_identity(evaluation: Evaluation, candidate: RegisteredModel, test_digest: str, task: Task) -> GateCheck:
    problems = []
    if (evaluation.model_name, evaluation.model_version) != (candidate.name, candidate.version):
        problems.append(
            f"the evaluation is of {evaluation.model_name} version {evaluation.model_version}, the candidate is "
            f"{candidate.name} version {candidate.version}"
        )
    if evaluation.test_digest != test_digest:
        problems.append("the evaluation was made on another test table")
    if evaluation.task != task:
        problems.append(f"the evaluation is of task {evaluation.task}, the declaration says {task}")
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
    """The test customers are new to the candidate."""
    name = "test customers are new to it"
    trained_on, train_digest = candidate.tags.get("train_digest", "unknown"), manifest.train.digest
    seen = find_version_training_rows(candidate, test, manifest, declaration)
    if seen is not None:
        count = int(seen.sum())
        return GateCheck(
            name=name,
            passed=count == 0,
            reason=f"version {candidate.version} has learned from {f'{count:,}' if count else 'none'} of the "
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
    """What a person has turned down, a gate does not bring back."""
    version = candidate.version
    if RETIRED_TAG in candidate.tags:
        reason = f"retired on {candidate.tags[RETIRED_TAG]}. Take it back: `kedro models retire {version} --undo`"
    elif TURNED_DOWN_TAG in candidate.tags:
        reason = (
            f"{candidate.tags[TURNED_DOWN_TAG]}. Train another one, or overrule: "
            f'`kedro models promote {version} --override "REASON"`'
        )
    else:
        return []
    return [GateCheck(name="not turned down by a person", passed=False, reason=f"version {version} was {reason}")]


def _check_leakage(leakage: LeakageReport) -> GateCheck:
    name = "no leak that nobody allowed"
    leaks = leakage.leaks
    allowed = sum(finding.allowed is not None for finding in leakage.findings)
    if leaks:
        named = "; ".join(f"{leak.check}{f' in {leak.column}' if leak.column else ''}" for leak in leaks)
        reason = f"{len(leaks)} leaks that nobody allowed: {named}"
    else:
        reason = f"no leak that nobody allowed, by {len(leakage.checks)} checks" + (
            f"; {allowed} allowed by the declaration" if allowed else ""
        )
    return GateCheck(name=name, passed=not leaks, reason=reason, value=float(len(leaks)), relation="at most", bound=0.0)


def _check_bound(
    name: str, value: float | None, relation: Relation, bound: float, what: str | None = None
) -> GateCheck:
    # A comparison with NaN is false: a missing value fails.
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
    """Gain of the first over the second model: the point, its resamples, and both values."""
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
    """Non-inferiority of the candidate by a paired bootstrap on the same test customers.

    The candidate passes when the one-sided lower confidence bound of its gain over the champion stays above minus the
    margin (percentile method). Within a declared segment it fails when its loss is larger than the segment margin and
    beyond chance, that is, when the upper bound of the gain (normal, bootstrap standard error) is below 0; the error is
    divided among the segments (Bonferroni), so that many segments do not refuse a good candidate by chance.

    Args:
        candidate: The version that wants to become champion.
        incumbent: The champion.
        test: Test customers.
        manifest: The split that they belong to.
        declaration: The table's declaration.
        gate: Metric and margins of the task, confidence and resamples.

    Returns:
        A check of all customers and, where segments are declared, one of them.
    """
    reason = explain_table_mismatch(incumbent, declaration)
    if reason:
        return [
            GateCheck(
                name="comparison with the champion",
                passed=False,
                reason=f"there is no comparison with the champion: {reason}. To begin anew, overrule the gate: "
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
    """The test customers that the champion has not learned from, and what to say of it.

    Where too few are left, or it cannot be told, all of them count, which favours the champion.
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
            f" (the champion has learned from {seen.sum():,} of the {len(test):,} test customers, which favours it; "
            "the others are too few to compare on)"
        )
    return fresh, f" (on the {len(fresh):,} of {len(test):,} test customers that the champion has not learned from)"


def _declared_segments(test: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, np.ndarray]:
    """Members of each group of each segment column, by name."""
    members: dict[str, np.ndarray] = {}
    for column in declaration.segments:
        groups = group_customers(test[column.name], column, _FEWEST_IN_SEGMENT)
        members |= {groups.describe(code): groups.codes == code for code in range(len(groups.labels))}
    return members


def _compare_segments(
    scores: list[ScoredCustomers], segments: dict[str, np.ndarray], required: TaskGate, gate: GateParameters
) -> GateCheck:
    judged = {
        name: [one.of(members) for one in scores]
        for name, members in segments.items()
        if _is_evaluable(scores[0].of(members))
    }
    share = (1 - gate.confidence) / max(1, len(judged))
    worst, lost = (0.0, ""), []
    for name, (first, second) in judged.items():
        gain, resampled, _ = _gains(first, second, required.metric, _resampling(gate, _SEGMENT_RESAMPLES))
        if gain < worst[0]:
            worst = gain, name
        if gain < -required.segment_margin and gain + NormalDist().inv_cdf(1 - share) * np.nanstd(resampled) < 0:
            lost.append(f"{name} ({gain:+.4f})")
    left_out = len(segments) - len(judged)
    reason = (
        f"{required.metric} falls by more than {required.segment_margin:g}, beyond chance, in {', '.join(lost)}"
        if lost
        else f"{required.metric} falls by more than {required.segment_margin:g}, beyond chance, in none of "
        f"{len(judged)} segments" + (f"; the largest loss is {worst[0]:+.4f} in {worst[1]}" if worst[1] else "")
    ) + (f" ({left_out} with too few customers were not judged)" if left_out else "")
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
    except Exception as error:  # Whatever goes wrong in a comparison is a reason not to promote.
        return [GateCheck(name=name, passed=False, reason=f"{what} failed: {type(error).__name__}: {error}")]


def check_test_table(
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    gate: GateParameters,
) -> ChecksOnTestTable:
    """Make the checks that depend on the test customers.

    Args:
        candidate: The version that is to become champion.
        incumbent: The champion, or None where there is none.
        test: Test customers.
        manifest: The split that they belong to.
        declaration: The table's declaration.
        gate: Metric and margins of the task, confidence and resamples.

    Returns:
        Whether they are new to the candidate, and the comparison with the champion.
    """
    version = None if incumbent is None else incumbent.version
    training_rows = _check_training(candidate, test, manifest, declaration)
    if incumbent is None:
        reason = "no champion yet: the bounds alone decide"
        comparison = [GateCheck(name="no champion yet", passed=True, reason=reason)]
    elif version == candidate.version:
        comparison = []
    else:
        comparison = _guarded(
            f"the comparison with champion version {version}",
            "comparison with the champion",
            lambda: compare_with_champion(candidate, incumbent, test, manifest, declaration, gate),
        )
    return ChecksOnTestTable(manifest.test.digest, version, training_rows, comparison)


def decide(
    evaluation: Evaluation,
    candidate: RegisteredModel,
    checked: ChecksOnTestTable,
    leakage: LeakageReport,
    declaration: CustomerDeclaration,
    gate: GateParameters,
    approval: Approval = "auto",
) -> Decision:
    """Decide whether the candidate becomes champion. In doubt it does not.

    Args:
        evaluation: Evaluation of the candidate.
        candidate: The version that is to become champion.
        checked: Checks that depend on the test customers.
        leakage: Findings of the leakage checks of that table.
        declaration: The table's declaration.
        gate: What the candidate must show.
        approval: Whether a person must approve what passes.

    Returns:
        The verdict with every check and its reason.
    """
    if checked.incumbent == candidate.version:
        reason = f"version {candidate.version} is the champion already"
        checks = [GateCheck(name="another version", passed=False, reason=reason)]
        verdict: Verdict = "unchanged"
    else:
        task = _check_task(candidate, declaration)
        checks = [
            _check_identity(evaluation, candidate, checked.test_digest, declaration.task),
            checked.training_rows,
            *_check_people(candidate),
            _check_leakage(leakage),
            *([] if task.passed else [task]),
            *_check_bounds(evaluation, gate.of(declaration.task).bounds),
            *_check_cost(evaluation, candidate, gate),
            *checked.comparison,
        ]
        passed: Verdict = "promoted" if approval == "auto" else "awaiting_approval"
        verdict = passed if all(check.passed for check in checks) else "refused"
    return Decision(
        model_name=candidate.name,
        candidate=candidate.version,
        incumbent=checked.incumbent,
        verdict=verdict,
        approval=approval,
        checks=checks,
        evaluated_on=checked.test_digest,
    )


def describe_promotion(decision: Decision) -> Promotion:
    """Turn a decision into what the registry is to do. A version that is the champion already keeps its tags.

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
            "decision_reasons": "\n".join(decision.reasons),
            DECIDED_AGAINST_TAG: "" if decision.incumbent is None else str(decision.incumbent),
            "decided_on": decision.evaluated_on,
        },
    )


def plan_decision(state: RegistryState, promotion: Promotion) -> Change:
    """What a decision changes in the registry.

    Args:
        state: How the registry stands.
        promotion: What was decided.

    Returns:
        The plan.

    Raises:
        RefusedActionError: Another champion was named since the decision.
    """
    require_champion(state, promotion.expected_champion)
    if promotion.outcome is None:
        return Change(
            action="decide", version=promotion.version, already=f"version {promotion.version} is champion already"
        )
    plans = {"champion": plan_promotion, "challenger": plan_challenge}
    alias = promotion.alias
    if promotion.outcome == "refused" and _awaits_approval(state, state.aliases.get("challenger")):
        # Whoever waits for approval keeps the place.
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
