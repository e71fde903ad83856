"""Actions on registered versions: which aliases and tags each one changes, and when it is refused.

The functions plan; :class:`churn_kedro.datasets.mlflow.registry.ModelRegistry` applies the plans, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from churn_kedro.base import ParameterError, Parameters, UserInputError

Alias = Literal["challenger", "staging", "champion", "previous_champion"]
Action = Literal["decide", "promote", "approve", "reject", "rollback", "retire", "restore", "delete"]
# What became of a version at the gate and afterwards; the tag ``decision`` of the version.
Outcome = Literal["promoted", "awaiting_approval", "refused", "approved", "rejected", "rolled_back", "overridden"]
# done; void: interrupted before anything was changed; finished_later: interrupted, and completed by a later action;
# open: in progress, or interrupted and not yet repaired.
EventResult = Literal["open", "done", "void", "finished_later"]

ALIASES: tuple[Alias, ...] = ("champion", "challenger", "staging", "previous_champion")
DECISION_TAG, RETIRED_TAG, DECIDED_AGAINST_TAG = "decision", "retired", "decided_against"
# Tag of a version that a person has rejected or rolled back: why. Only a person takes it away.
TURNED_DOWN_TAG = "turned_down"
# Outcomes after which a version may be champion without an override of the gate.
_PASSED = frozenset({"promoted", "approved"})


class UnknownVersionError(UserInputError):
    """There is no version of that number or alias."""


class RefusedActionError(UserInputError):
    """An action that the state of the registry does not permit; nothing was changed."""


class Move(Parameters):
    """Version of an alias before and after an action; null: no version has it."""

    before: int | None
    after: int | None


class Change(Parameters):
    """What an action does to the registry."""

    action: Action
    version: int = Field(description="Version acted upon.")
    moves: dict[Alias, Move] = Field(default_factory=dict, description="Aliases that change hands.")
    tags: dict[str, str | None] = Field(
        default_factory=dict, description="Tags of the version that change; null: the tag goes."
    )
    outcome: Outcome | None = Field(None, description="What becomes of the version.")
    reasons: list[str] = Field(default_factory=list, description="Why, for people.")
    already: str | None = Field(None, description="Set where nothing is left to do: why.")


class AuditEvent(Parameters):
    """One action on the registry: written before the action as its intent, and closed with its result after it."""

    number: int = Field(ge=1, description="Place in the audit.")
    at: str = Field(description="ISO 8601, UTC.")
    by: str = Field(description="Who did it.")
    host: str = Field(description="Machine of the process.")
    process: int = Field(description="Number of the process.")
    token: str = Field(description="Unique; tells equal actions apart.")
    action: Action
    version: int
    moves: dict[Alias, Move] = Field(description="Aliases that change hands; the first one decides.")
    tags: dict[str, str | None] = Field(description="Tags of the version that change; null: the tag is deleted.")
    outcome: Outcome | None
    reasons: list[str]
    git_commit: str = Field(description="Commit of the code that acted.")
    result: EventResult = "open"
    closed_by: str | None = Field(None, description="Who closed it.")


@dataclass(frozen=True)
class RegistryState:
    """State of a registered model.

    Attributes:
        name: Registered model.
        aliases: Version by alias.
        tags: Tags of each version, by number; versions that were deleted are not among them.
    """

    name: str
    aliases: Mapping[str, int]
    tags: Mapping[int, Mapping[str, str]]

    def aliases_of(self, version: int) -> list[str]:
        """Aliases of a version, the champion's first."""
        return [alias for alias in ALIASES if self.aliases.get(alias) == version]

    def find(self, version: str) -> int:
        """Number of a version that a user named.

        Args:
            version: A number or an alias.

        Returns:
            The number.

        Raises:
            UnknownVersionError: There is no such version.
        """
        if version.isdecimal() and int(version) in self.tags:
            return int(version)
        if version in self.aliases:
            return self.aliases[version]
        listed = ", ".join(str(number) for number in sorted(self.tags)[-10:]) or "none"
        held = ", ".join(f"{alias} (version {number})" for alias, number in sorted(self.aliases.items())) or "none"
        raise UnknownVersionError(
            f"There is no version or alias '{version}' of the model '{self.name}'; the last versions: {listed}; "
            f"aliases: {held}."
        )


def _move(state: RegistryState, **wanted: int | None) -> dict[Alias, Move]:
    """Moves from how the aliases stand to how they are wanted; those that stand so already are left out."""
    moves: dict[Alias, Move] = {}
    for alias in ALIASES:
        if alias in wanted and state.aliases.get(alias) != wanted[alias]:
            moves[alias] = Move(before=state.aliases.get(alias), after=wanted[alias])
    return moves


def plan_promotion(state: RegistryState, version: int) -> dict[Alias, Move]:
    """Moves that make a version champion: the champion steps back, and other aliases of the version go.

    Args:
        state: State of the registry.
        version: Number.

    Returns:
        The moves; none where it is champion already.

    Raises:
        RefusedActionError: It is retired, or gone.
    """
    _require_in_use(state, version)
    wanted: dict[str, int | None] = {"champion": version}
    champion = state.aliases.get("champion")
    for alias in ("challenger", "staging", "previous_champion"):
        if state.aliases.get(alias) == version:
            wanted[alias] = None
    if champion is not None and champion != version:
        wanted["previous_champion"] = champion
    return _move(state, **wanted)


def plan_challenge(state: RegistryState, version: int) -> dict[Alias, Move]:
    """Moves that make a version challenger.

    Args:
        state: State of the registry.
        version: Number.

    Returns:
        The moves; none where it is challenger already.

    Raises:
        RefusedActionError: It is retired, or gone.
    """
    _require_in_use(state, version)
    return _move(state, challenger=version)


def _require_present(state: RegistryState, version: int) -> Mapping[str, str]:
    tags = state.tags.get(version)
    if tags is None:
        raise UnknownVersionError(f"There is no version {version} of the model '{state.name}'.")
    return tags


def _require_reason(reason: str | None, option: str) -> None:
    if reason is not None and not reason.strip():
        raise ParameterError(f"{option} is blank: give a reason; `kedro models history` shows it.")


def _require_in_use(state: RegistryState, version: int) -> Mapping[str, str]:
    tags = _require_present(state, version)
    if RETIRED_TAG in tags:
        raise RefusedActionError(
            f"Version {version} of {state.name} was retired on {tags[RETIRED_TAG]}. Take it back first: "
            f"`kedro models retire {version} --undo`."
        )
    return tags


def require_champion(state: RegistryState, expected: int | None) -> None:
    """Check that the champion is still the expected one.

    Args:
        state: Present state of the registry.
        expected: Champion at the time; None: there was none.

    Raises:
        RefusedActionError: It is another one.
    """
    champion = state.aliases.get("champion")
    if champion != expected:
        now = "no version is champion" if champion is None else f"version {champion} is champion"
        then = "none" if expected is None else f"version {expected}"
        raise RefusedActionError(
            f"Another action came first: {now} of {state.name} now, and this was decided when it was {then}. "
            "Nothing was changed. See the present versions: `kedro models list`."
        )


def plan_manual_promotion(
    state: RegistryState, version: int, alias: Alias = "champion", override: str | None = None
) -> Change:
    """Give an alias to a version by hand.

    Args:
        state: State of the registry.
        version: Number.
        alias: champion, staging or challenger.
        override: Reason to make a version champion that has not passed the gate.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The version is retired, or has not passed the gate and nothing overrides it; or the alias
            is not to be given by hand.
    """
    tags = _require_in_use(state, version)
    _require_reason(override, "--override")
    if alias == "previous_champion":
        raise RefusedActionError("The alias previous_champion follows the champion; it is not given by hand.")
    if state.aliases.get(alias) == version:
        return Change(action="promote", version=version, already=f"version {version} is {alias} already")
    if state.aliases.get("champion") == version:
        raise RefusedActionError(
            f"Version {version} is the champion; it cannot be {alias}, too. Promote another version first, or roll "
            "back."
        )
    if alias != "champion":
        return Change(
            action="promote",
            version=version,
            moves=_move(state, **{alias: version}),
            reasons=[override] if override else [],
        )
    outcome = tags.get(DECISION_TAG)
    if override is None and (outcome not in _PASSED or TURNED_DOWN_TAG in tags):
        raise RefusedActionError(_explain_unfit(state.name, version, outcome, tags))
    if override is None:
        return Change(action="promote", version=version, moves=plan_promotion(state, version))
    return Change(
        action="promote",
        version=version,
        moves=plan_promotion(state, version),
        tags={DECISION_TAG: "overridden", TURNED_DOWN_TAG: None},
        outcome="overridden",
        reasons=[f"the gate was overridden: {override}"],
    )


def _explain_unfit(name: str, version: int, outcome: str | None, tags: Mapping[str, str]) -> str:
    again = f"`kedro run --pipelines evaluation,registry --params model_version={version}`"
    if outcome == "awaiting_approval":
        return f"Version {version} of {name} waits for approval: `kedro models approve {version}`."
    if outcome is None:
        return f"Version {version} of {name} has not been before the gate: {again}."
    if TURNED_DOWN_TAG in tags:
        return (
            f'Version {version} of {name} was {tags[TURNED_DOWN_TAG]}. To promote it all the same: --override "REASON".'
        )
    lost = [f"\n  {reason}" for reason in tags.get("decision_reasons", "").splitlines() if reason.startswith("-")]
    return (
        f"Version {version} of {name} was {outcome}.{''.join(lost)}\n"
        f'Let it pass the gate ({again}), or overrule the gate: --override "REASON".'
    )


def plan_approval(state: RegistryState, version: int, reason: str | None = None) -> Change:
    """Let a waiting version become champion.

    Args:
        state: State of the registry.
        version: Number.
        reason: Why, for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The version does not wait, or was compared with another champion than there is now.
    """
    tags = _require_in_use(state, version)
    outcome = tags.get(DECISION_TAG)
    if state.aliases.get("champion") == version:
        return Change(action="approve", version=version, already=f"version {version} is champion already")
    if outcome != "awaiting_approval":
        raise RefusedActionError(
            f"Version {version} of {state.name} does not wait for approval: "
            + (f"it was {outcome.replace('_', ' ')}." if outcome else "it has not been before the gate.")
        )
    against, champion = tags.get(DECIDED_AGAINST_TAG, ""), state.aliases.get("champion")
    if against != ("" if champion is None else str(champion)):
        raise RefusedActionError(
            f"Version {version} of {state.name} passed the gate against "
            f"{f'champion version {against}' if against else 'no champion'}, and "
            f"{'no version' if champion is None else f'version {champion}'} is champion now. Let it pass again: "
            f"`kedro run --pipelines evaluation,registry --params model_version={version}`."
        )
    return Change(
        action="approve",
        version=version,
        moves=plan_promotion(state, version),
        tags={DECISION_TAG: "approved"},
        outcome="approved",
        reasons=[reason] if reason else [],
    )


def plan_rejection(state: RegistryState, version: int, reason: str) -> Change:
    """Reject a version.

    Args:
        state: State of the registry.
        version: Number.
        reason: Why, for the audit.

    Returns:
        The plan: it loses its aliases, and the gate brings it back no more.

    Raises:
        RefusedActionError: It is the champion.
    """
    tags = _require_in_use(state, version)
    _require_reason(reason, "--reason")
    if state.aliases.get("champion") == version:
        raise RefusedActionError(
            f"Version {version} is the champion of {state.name}: roll back (`kedro models rollback`) or promote "
            "another version first."
        )
    held = dict.fromkeys(state.aliases_of(version))
    if tags.get(DECISION_TAG) == "rejected" and not held:
        return Change(action="reject", version=version, already=f"version {version} was rejected already")
    return Change(
        action="reject",
        version=version,
        moves=_move(state, **held),
        tags={DECISION_TAG: "rejected", TURNED_DOWN_TAG: f"rejected: {reason}"},
        outcome="rejected",
        reasons=[reason],
    )


def plan_rollback(state: RegistryState, history: Sequence[AuditEvent], reason: str | None = None) -> Change:
    """Take the champion back and return to the one before it.

    The gate promotes the version that was taken back no more. Doing it twice is doing it once: the alias
    previous_champion is used up by it.

    Args:
        state: State of the registry.
        history: Audit, the oldest first.
        reason: Why, for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: There is no previous champion, or it was retired.
    """
    champion, previous = state.aliases.get("champion"), state.aliases.get("previous_champion")
    if previous is None:
        last = _last_champion_move(history)
        if last is not None and last.action == "rollback" and last.moves["champion"].after == champion:
            return Change(
                action="rollback",
                version=last.version,
                already=f"rolled back to version {champion} already, on {last.at} by {last.by}",
            )
        raise RefusedActionError(
            f"There is no previous champion of {state.name} to return to. Name the version: "
            "`kedro models promote VERSION`."
        )
    _require_in_use(state, previous)
    wanted = {**dict.fromkeys(state.aliases_of(previous)), "champion": previous}
    if champion is None:
        raise RefusedActionError(
            f"There is no champion of {state.name} to take back. Name the version: `kedro models promote VERSION`."
        )
    return Change(
        action="rollback",
        version=champion,
        moves=_move(state, **wanted),
        tags={DECISION_TAG: "rolled_back", TURNED_DOWN_TAG: f"rolled back{f': {reason}' if reason else ''}"},
        outcome="rolled_back",
        reasons=[reason] if reason else [],
    )


def _last_champion_move(history: Sequence[AuditEvent]) -> AuditEvent | None:
    """Last event that moved the champion."""
    moved = [event for event in history if "champion" in event.moves and event.result != "void"]
    return moved[-1] if moved else None


def plan_retirement(state: RegistryState, version: int, at: str, reason: str | None = None) -> Change:
    """Take a version out of use; it stays readable.

    Args:
        state: State of the registry.
        version: Number.
        at: The present moment, ISO 8601.
        reason: Why, for the audit.

    Returns:
        The plan: it loses its aliases and can be promoted no more.

    Raises:
        RefusedActionError: It is the champion, or there is no such version.
    """
    tags = _require_present(state, version)
    if state.aliases.get("champion") == version:
        raise RefusedActionError(
            f"Version {version} is the champion of {state.name} and is not retired: promote another version or roll "
            "back first."
        )
    if RETIRED_TAG in tags:
        return Change(action="retire", version=version, already=f"version {version} is retired already")
    held = dict.fromkeys(state.aliases_of(version))
    return Change(
        action="retire",
        version=version,
        moves=_move(state, **held),
        tags={RETIRED_TAG: at},
        reasons=[reason] if reason else [],
    )


def plan_return(state: RegistryState, version: int, reason: str | None = None) -> Change:
    """Take a retired version back into use, without any alias.

    Args:
        state: State of the registry.
        version: Number.
        reason: Why, for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: There is no such version.
    """
    if RETIRED_TAG not in _require_present(state, version):
        return Change(action="restore", version=version, already=f"version {version} is not retired")
    return Change(action="restore", version=version, tags={RETIRED_TAG: None}, reasons=[reason] if reason else [])


def plan_deletion(state: RegistryState, version: int, reason: str) -> Change:
    """Delete a version for good; its events stay in the audit.

    Args:
        state: State of the registry.
        version: Number.
        reason: Why, for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: It has an alias.
    """
    held = state.aliases_of(version)
    if held:
        raise RefusedActionError(f"Version {version} of {state.name} is {held[0]} and is not deleted.")
    return Change(action="delete", version=version, reasons=[reason])
