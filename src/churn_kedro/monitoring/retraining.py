"""Whether to train a new model, and which versions to retire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.monitoring.parameters import RetrainingParameters
from churn_kedro.registry import RETIRED_TAG, RegistryState, RetentionParameters, find_expired


@dataclass(frozen=True)
class NewRows:
    """Labelled rows that a version was not trained on.

    Attributes:
        count: Their number; None: unknown.
    """

    count: int | None


class RetrainingPlan(Record):
    """Whether a new model is trained, and why."""

    wanted: bool = Field(description="Whether an alarm asks for a new model.")
    train: bool = Field(description="Whether nothing stands against it.")
    run: bool = Field(description="Whether the run is started: `monitoring.retraining.mode` is run.")
    reasons: list[str] = Field(description="What asks for it, and what stands against it.")
    new_rows: int | None = Field(None, description="Labelled rows that the champion was not trained on.")


def plan_retraining(
    alarms: Mapping[str, bool],
    new_rows: int | None,
    days_since_training: float | None,
    parameters: RetrainingParameters,
) -> RetrainingPlan:
    """Decide whether to train a new model.

    Args:
        alarms: Whether there is an alarm on ``data`` and on ``performance``.
        new_rows: Labelled rows that the champion was not trained on; None: unknown.
        days_since_training: Days since the last version was trained; None: unknown.
        parameters: The policy.

    Returns:
        The plan.

    Examples:
        >>> policy = RetrainingParameters(mode="run", minimum_new_rows=500, cool_down_days=7)
        >>> plan_retraining({"data": True, "performance": False}, 800, 30.0, policy).run
        True
        >>> plan_retraining({"data": True, "performance": False}, 800, 3.0, policy).reasons[-1]
        'the last version was trained 3 days ago; the policy waits 7 (monitoring.retraining.cool_down_days)'
    """
    asked = [area for area in parameters.on if alarms.get(area)]
    reasons = [f"alarm on {area}" for area in asked] or ["no alarm that the policy names asks for a new model"]
    against = []
    if asked and new_rows is None:
        against.append("the labelled table cannot be read, so new rows are unknown")
    elif asked and new_rows is not None and new_rows < parameters.minimum_new_rows:
        against.append(
            f"the labelled table has {new_rows:,} rows that the champion was not trained on; the policy wants "
            f"{parameters.minimum_new_rows:,} (monitoring.retraining.minimum_new_rows)"
        )
    if asked and days_since_training is not None and days_since_training < parameters.cool_down_days:
        against.append(
            f"the last version was trained {days_since_training:.0f} days ago; the policy waits "
            f"{parameters.cool_down_days:g} (monitoring.retraining.cool_down_days)"
        )
    train = bool(asked) and not against and parameters.mode != "off"
    if asked and not against and parameters.mode == "off":
        against.append("training is switched off (monitoring.retraining.mode)")
    if train and parameters.mode == "plan":
        against.append("only planned: monitoring.retraining.mode=run starts the run")
    return RetrainingPlan(
        wanted=bool(asked),
        train=train,
        run=train and parameters.mode == "run",
        reasons=[*reasons, *against],
        new_rows=new_rows,
    )


class RetirementProposal(Record):
    """A version that could be retired."""

    version: int
    reason: str
    command: str


def propose_retirements(
    state: RegistryState,
    ages_in_days: Mapping[int, float],
    retention: RetentionParameters,
    metric: str,
    largest_drop: float,
) -> list[RetirementProposal]:
    """Propose versions to retire: those that the retention rule allows, and those that are clearly worse.

    Args:
        state: State of the registry.
        ages_in_days: Age of each version.
        retention: Retention rule.
        metric: Headline metric of the evaluation, as in the tags of a version; higher is better.
        largest_drop: Fall below the champion from which a version is named.

    Returns:
        The proposals, oldest version first. Versions with an alias, and retired ones, are left out.
    """
    champion = state.aliases.get("champion")
    best = _read_metric(state.tags.get(champion, {}), metric) if champion is not None else None
    held = set(state.aliases.values())
    expired = set(find_expired(state, ages_in_days, retention))
    proposals = []
    for version in sorted(state.tags):
        if version in held or RETIRED_TAG in state.tags[version]:
            continue
        reasons: list[str] = []
        if version in expired:
            reasons.append(
                f"{ages_in_days[version]:.0f} days old, beyond the retention rule ({retention.keep_days} days, the "
                f"last {retention.keep_last})"
            )
        value = _read_metric(state.tags[version], metric)
        if best is not None and value is not None and best - value > largest_drop:
            reasons.append(f"{metric} {value:.4f} against {best:.4f} of the champion")
        if reasons:
            proposals.append(
                RetirementProposal(
                    version=version, reason="; ".join(reasons), command=f"kedro models retire {version} --reason TEXT"
                )
            )
    return proposals


def _read_metric(tags: Mapping[str, str], metric: str) -> float | None:
    try:
        return float(tags[metric])
    except (KeyError, ValueError):
        return None
