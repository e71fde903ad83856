"""The gate: may a candidate replace the champion?"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.customers import CustomerDeclaration, Task
from churn_kedro.metrics import (
    HEADLINES,
    LOWER_IS_BETTER,
    METRICS,
    BootstrapParameters,
    Evaluation,
    bootstrap,
    measure,
)
from churn_kedro.models import RegisteredModel, explain_other_task, score_known
from churn_kedro.parameters import Parameters
from churn_kedro.splits import SplitManifest

Verdict = Literal["promoted", "refused", "unchanged"]
Alias = Literal["champion", "challenger"]


class TaskGate(Parameters):
    """What a candidate of one task must show."""

    minimums: dict[str, float] = Field(
        description="Least value of a metric (most, for losses and errors). A name ending in _low or _high is a bound "
        "of the interval."
    )
    metric: str = Field(description="Metric on which candidate and champion are compared.")
    margin: float = Field(ge=0, description="Loss against the champion that does not count as worse, in metric units.")

    def require_known(self, task: Task) -> None:
        """Check that the metrics are those of a task.

        Args:
            task: What is predicted.

        Raises:
            ValueError: A metric is not.
        """
        metrics = METRICS[task]
        allowed = {name + suffix for name in metrics for suffix in ("", "_low", "_high")}
        unknown = sorted(set(self.minimums) - allowed)
        if unknown:
            raise ValueError(f"{task}: minimums name unknown metrics {unknown}; known are {sorted(allowed)}")
        if self.metric not in metrics:
            raise ValueError(f"{task}: metric '{self.metric}' is unknown; known are {list(metrics)}")


class GateParameters(Parameters):
    """What a candidate must show. The declared task says which part holds."""

    binary: TaskGate = Field(description="Two classes.")
    multiclass: TaskGate = Field(description="Several classes.")
    regression: TaskGate = Field(description="A number.")
    confidence: float = Field(gt=0, lt=1, description="One-sided confidence that the loss stays within the margin.")
    n_resamples: int = Field(ge=100, description="Paired bootstrap resamples.")
    random_state: int = Field(ge=0, description="Seed of the resamples.")

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        for task in METRICS:
            self.of(task).require_known(task)
        return self

    def of(self, task: Task) -> TaskGate:
        """What a candidate of a task must show.

        Args:
            task: What is predicted.

        Returns:
            Minimums, metric and margin.
        """
        gates: dict[Task, TaskGate] = {
            "binary": self.binary,
            "multiclass": self.multiclass,
            "regression": self.regression,
        }
        return gates[task]


class GateCheck(Parameters):
    """One condition of the gate."""

    name: str
    passed: bool
    reason: str = Field(description="The value, its bound and what follows, for people.")


class Decision(Parameters):
    """What the gate decided about one version, and why."""

    model_name: str
    candidate: int = Field(description="Version decided upon.")
    incumbent: int | None = Field(description="Champion at the time; null: none.")
    verdict: Verdict
    checks: list[GateCheck] = Field(description="Every condition that was looked at.")
    evaluated_on: str = Field(description="Content digest of the test table.")

    @property
    def alias(self) -> Alias | None:
        """Alias the candidate earns: champion, challenger (good enough, yet not promoted), or none."""
        if self.verdict == "promoted":
            return "champion"
        qualified = all(check.passed for check in self.checks if check.name != "not worse than the champion")
        return "challenger" if self.verdict == "refused" and self.checks and qualified else None

    @property
    def reasons(self) -> list[str]:
        """Reason of every check."""
        return [check.reason for check in self.checks]


class Promotion(Parameters):
    """What the registry is to do: aliases and tags of one version."""

    model_name: str
    version: int = Field(description="Version that was decided upon.")
    alias: Alias | None = Field(description="Alias to give to it.")
    expected_champion: int | None = Field(description="Champion the decision was made against; null: none.")
    tags: dict[str, str] = Field(description="Tags to write on the version.")


def _check_task(candidate: RegisteredModel, declaration: CustomerDeclaration) -> GateCheck:
    reason = explain_other_task(candidate, declaration)
    return GateCheck(
        name="trained for this task",
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


def _check_training(candidate: RegisteredModel, train_digest: str) -> GateCheck:
    trained_on = candidate.tags.get("train_digest", "unknown")
    passed = trained_on == train_digest
    return GateCheck(
        name="trained on this split",
        passed=passed,
        reason=f"version {candidate.version} was trained on the training customers of this split"
        if passed
        else f"version {candidate.version} was trained on other customers (digest {trained_on}) than this split's "
        f"({train_digest}): test customers may be among them. Train again on this split",
    )


def _check_minimums(evaluation: Evaluation, minimums: dict[str, float]) -> list[GateCheck]:
    values = evaluation.flat()
    checks = []
    for name, bound in minimums.items():
        value = values.get(name, float("nan"))
        at_most = name.removesuffix("_low").removesuffix("_high") in LOWER_IS_BETTER
        # A comparison with NaN is false: a missing metric fails.
        passed = value <= bound if at_most else value >= bound
        relation = "at most" if at_most else "at least"
        outcome = f"{name} {value:.4f}" if np.isfinite(value) else f"{name} is missing"
        checks.append(
            GateCheck(
                name=f"{name} {relation} {bound:g}",
                passed=passed,
                reason=f"{outcome}, {'' if passed else 'but '}{relation} {bound:g} is required",
            )
        )
    return checks


def compare_with_champion(
    candidate: RegisteredModel,
    incumbent: RegisteredModel,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    gate: GateParameters,
) -> GateCheck:
    """Non-inferiority of the candidate by a paired bootstrap on the same test customers.

    The candidate passes when the one-sided lower confidence bound of its gain over the champion stays above minus the
    margin (percentile method).

    Args:
        candidate: The version that wants to become champion.
        incumbent: The champion.
        test: Test customers.
        declaration: The table's declaration.
        gate: Metric and margin of the task, confidence and resamples.

    Returns:
        The check with its figures.
    """
    reason = explain_other_task(incumbent, declaration)
    if reason:
        return GateCheck(
            name="comparison with the champion",
            passed=False,
            reason=f"there is no comparison with the champion: {reason}. "
            "Take the alias champion from that version to begin anew",
        )
    required = gate.of(declaration.task)
    resampling = BootstrapParameters(
        n_resamples=gate.n_resamples, confidence=gate.confidence, random_state=gate.random_state
    )
    sign = -1.0 if required.metric in LOWER_IS_BETTER else 1.0
    points, resamples = [], []
    for model in (candidate, incumbent):
        scores = score_known(model.estimator, test, declaration)
        points.append(measure(scores)[required.metric])
        resamples.append(bootstrap(scores, resampling)[required.metric])
    gain = sign * (points[0] - points[1])
    bound = float(np.nanquantile(sign * (resamples[0] - resamples[1]), 1 - gate.confidence))
    passed = bool(bound >= -required.margin)
    return GateCheck(
        name="not worse than the champion",
        passed=passed,
        reason=(
            f"{required.metric} {points[0]:.4f} against {points[1]:.4f} of champion version {incumbent.version}: "
            f"gain {gain:+.4f}, with {gate.confidence:.0%} confidence at least {bound:+.4f}, "
            f"{'within' if passed else 'beyond'} the margin of {-required.margin:g}"
            + (
                ""
                if candidate.tags.get("train_digest") == incumbent.tags.get("train_digest")
                else " (the champion was trained on another split; test customers among its training rows favour it)"
            )
        ),
    )


def decide(
    evaluation: Evaluation,
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    gate: GateParameters,
) -> Decision:
    """Decide whether the candidate becomes champion. In doubt it does not.

    Args:
        evaluation: Evaluation of the candidate.
        candidate: The version that wants to become champion.
        incumbent: The champion, or None where there is none: then the minimums alone decide.
        test: Test customers.
        manifest: The split that ``test`` belongs to.
        declaration: The table's declaration.
        gate: What the candidate must show.

    Returns:
        The verdict with every check and its reason.
    """

    def decision(verdict: Verdict, checks: list[GateCheck]) -> Decision:
        return Decision(
            model_name=candidate.name,
            candidate=candidate.version,
            incumbent=incumbent.version if incumbent else None,
            verdict=verdict,
            checks=checks,
            evaluated_on=manifest.test.digest,
        )

    if incumbent is not None and incumbent.version == candidate.version:
        reason = f"version {candidate.version} is the champion already"
        return decision("unchanged", [GateCheck(name="another version", passed=False, reason=reason)])
    task = _check_task(candidate, declaration)
    checks = [
        _check_identity(evaluation, candidate, manifest.test.digest, declaration.task),
        _check_training(candidate, manifest.train.digest),
        *([] if task.passed else [task]),
        *_check_minimums(evaluation, gate.of(declaration.task).minimums),
    ]
    if incumbent is None:
        checks.append(
            GateCheck(name="no champion yet", passed=True, reason="no champion yet: the minimums alone decide")
        )
    else:
        try:
            checks.append(compare_with_champion(candidate, incumbent, test, declaration, gate))
        except Exception as error:  # Whatever goes wrong in a comparison is a reason not to promote.
            checks.append(
                GateCheck(
                    name="comparison with the champion",
                    passed=False,
                    reason=f"the comparison with champion version {incumbent.version} failed: "
                    f"{type(error).__name__}: {error}",
                )
            )
    return decision("promoted" if all(check.passed for check in checks) else "refused", checks)


def describe_promotion(decision: Decision, evaluation: Evaluation, candidate: RegisteredModel) -> Promotion:
    """Turn a decision into aliases and tags. A version that is the champion already keeps the tags of its promotion.

    Args:
        decision: The decision.
        evaluation: Evaluation of the candidate.
        candidate: The version decided upon; its tags tell the digest of its training data.

    Returns:
        What the registry is to do.
    """
    if decision.verdict == "unchanged":
        return Promotion(
            model_name=decision.model_name,
            version=decision.candidate,
            alias=None,
            expected_champion=decision.incumbent,
            tags={},
        )
    tags = {
        "decision": decision.verdict,
        "decision_reasons": "; ".join(decision.reasons),
        "data_hash": candidate.tags.get("train_digest", "unknown"),
        "test_digest": decision.evaluated_on,
    }
    if (evaluation.model_name, evaluation.model_version) == (decision.model_name, decision.candidate):
        shown = [name for name in HEADLINES[evaluation.task] if name in evaluation.metrics]
        tags |= {name: f"{evaluation.metrics[name].value:.4f}" for name in shown}
    return Promotion(
        model_name=decision.model_name,
        version=decision.candidate,
        alias=decision.alias,
        expected_champion=decision.incumbent,
        tags=tags,
    )
