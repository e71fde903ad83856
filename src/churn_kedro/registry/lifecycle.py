"""Actions on registered versions: changes of aliases and tags, and preconditions.

The functions return plans; :class:`churn_kedro.datasets.mlflow.registry.ModelRegistry` applies them, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from churn_kedro.base import ParameterError, Parameters, UserInputError

Alias = Literal["challenger", "staging", "champion", "previous_champion"]
Action = Literal["decide", "promote", "approve", "reject", "rollback", "retire", "restore", "delete"]
# Outcome of a version at the gate and afterwards; value of its tag ``decision``.
Outcome = Literal["promoted", "awaiting_approval", "refused", "approved", "rejected", "rolled_back", "overridden"]
# done; void: interrupted before anything was changed; finished_later: interrupted, and completed by a later action;
# open: in progress, or interrupted and not yet repaired.
EventResult = Literal["open", "done", "void", "finished_later"]

ALIASES: tuple[Alias, ...] = ("champion", "challenger", "staging", "previous_champion")
DECISION_TAG, RETIRED_TAG, DECIDED_AGAINST_TAG = "decision", "retired", "decided_against"
# Tag of a version that a person has rejected or rolled back, with the reason. Only a person removes it.
TURNED_DOWN_TAG = "turned_down"
# Outcomes after which a version may be champion without an override of the gate.
_PASSED = frozenset({"promoted", "approved"})


class UnknownVersionError(UserInputError):
    """No version has the given number or alias."""


class RefusedActionError(UserInputError):
    """The state of the registry does not permit an action; nothing was changed."""


class Move(Parameters):
    """Version of an alias before and after an action; null: no version has it."""

    before: int | None
    after: int | None


class Change(Parameters):
    """Planned change of the registry."""

    action: Action
    version: int = Field(description="Version of the action.")
    moves: dict[Alias, Move] = Field(default_factory=dict, description="Moves of aliases.")
    tags: dict[str, str | None] = Field(
        default_factory=dict, description="Changed tags of the version; null: the tag is deleted."
    )
    outcome: Outcome | None = Field(None, description="Outcome for the version.")
    reasons: list[str] = Field(default_factory=list, description="Reason of the action.")
    already: str | None = Field(None, description="Reason why nothing has to be done, if so.")


class AuditEvent(Parameters):
    """Audit record of an action: written as intent before the action and closed with its result afterwards."""

    number: int = Field(ge=1, description="Number in the audit.")
    at: str = Field(description="ISO 8601, UTC.")
    by: str = Field(description="User of the action.")
    host: str = Field(description="Machine of the process.")
    process: int = Field(description="Process id.")
    token: str = Field(description="Unique id of the action.")
    action: Action
    version: int
    moves: dict[Alias, Move] = Field(description="Moves of aliases; the first one is the commit point.")
    tags: dict[str, str | None] = Field(description="Changed tags of the version; null: the tag is deleted.")
    outcome: Outcome | None
    reasons: list[str]
    git_commit: str = Field(description="Git commit of the code.")
    result: EventResult = "open"
    closed_by: str | None = Field(None, description="User who closed it.")


@dataclass(frozen=True)
class RegistryState:
    """State of a registered model.

    Attributes:
        name: Registered model.
        aliases: Version by alias.
        tags: Tags of each existing version, by number.
    """

    name: str
    aliases: Mapping[str, int]
    tags: Mapping[int, Mapping[str, str]]

    def aliases_of(self, version: int) -> list[str]:
        """Return the aliases of a version, champion first."""
        return [alias for alias in ALIASES if self.aliases.get(alias) == version]

    def find(self, version: str) -> int:
        """Find the number of a version.

        Args:
            version: Number or alias.

        Returns:
            The number.

        Raises:
            UnknownVersionError: No version has this number or alias.
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
    """Return the moves from the present to the wanted aliases, without unchanged ones."""
    moves: dict[Alias, Move] = {}
    for alias in ALIASES:
        if alias in wanted and state.aliases.get(alias) != wanted[alias]:
            moves[alias] = Move(before=state.aliases.get(alias), after=wanted[alias])
    return moves


def plan_promotion(state: RegistryState, version: int) -> dict[Alias, Move]:
    """Plan the moves that make a version champion; it loses its other aliases.

    The present champion becomes previous_champion.

    Args:
        state: State of the registry.
        version: Number.

    Returns:
        The moves; empty if it is already champion.

    Raises:
        RefusedActionError: The version is retired or does not exist.
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
    """Plan the moves that make a version challenger.

    Args:
        state: State of the registry.
        version: Number.

    Returns:
        The moves; empty if it is already challenger.

    Raises:
        RefusedActionError: The version is retired or does not exist.
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
        raise ParameterError(f"{option} is blank: expected a reason, which `kedro models history` shows.")


def _require_in_use(state: RegistryState, version: int) -> Mapping[str, str]:
    tags = _require_present(state, version)
    if RETIRED_TAG in tags:
        raise RefusedActionError(
            f"Version {version} of {state.name} was retired on {tags[RETIRED_TAG]}. Restore it first: "
            f"`kedro models retire {version} --undo`."
        )
    return tags


def require_champion(state: RegistryState, expected: int | None) -> None:
    """Check that the champion is still the expected one.

    Args:
        state: Present state of the registry.
        expected: Expected champion; None: none.

    Raises:
        RefusedActionError: The champion has changed.
    """
    champion = state.aliases.get("champion")
    if champion != expected:
        now = "no version is champion" if champion is None else f"version {champion} is champion"
        then = "none" if expected is None else f"version {expected}"
        raise RefusedActionError(
            f"The champion has changed: {now} of {state.name} now, but this was decided when it was {then}. "
            "Nothing was changed. List the versions: `kedro models list`."
        )


def plan_manual_promotion(
    state: RegistryState, version: int, alias: Alias = "champion", override: str | None = None
) -> Change:
    """Plan to set an alias manually.

    Args:
        state: State of the registry.
        version: Number.
        alias: champion, staging or challenger.
        override: Reason to promote a version that has not passed the gate.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The version is retired, or has not passed the gate and ``override`` is missing; or the alias
            cannot be set manually.
    """
    tags = _require_in_use(state, version)
    _require_reason(override, "--override")
    if alias == "previous_champion":
        raise RefusedActionError(
            "The alias previous_champion is set automatically; choose champion, staging or challenger."
        )
    if state.aliases.get(alias) == version:
        return Change(action="promote", version=version, already=f"version {version} is {alias} already")
    if state.aliases.get("champion") == version:
        raise RefusedActionError(
            f"Version {version} is the champion and cannot be {alias} as well. Promote another version first, or roll "
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
        return f"Version {version} of {name} has not passed through the gate: {again}."
    if TURNED_DOWN_TAG in tags:
        return f'Version {version} of {name} was {tags[TURNED_DOWN_TAG]}. To promote it anyway: --override "REASON".'
    lost = [f"\n  {reason}" for reason in tags.get("decision_reasons", "").splitlines() if reason.startswith("-")]
    return (
        f"Version {version} of {name} was {outcome}.{''.join(lost)}\n"
        f'Run the gate again ({again}), or override it: --override "REASON".'
    )


def plan_approval(state: RegistryState, version: int, reason: str | None = None) -> Change:
    """Plan to promote a version that waits for approval.

    Args:
        state: State of the registry.
        version: Number.
        reason: Reason for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The version does not wait for approval, or the champion has changed since the decision.
    """
    tags = _require_in_use(state, version)
    outcome = tags.get(DECISION_TAG)
    if state.aliases.get("champion") == version:
        return Change(action="approve", version=version, already=f"version {version} is champion already")
    if outcome != "awaiting_approval":
        raise RefusedActionError(
            f"Version {version} of {state.name} does not wait for approval: "
            + (f"it was {outcome.replace('_', ' ')}." if outcome else "it has not passed through the gate.")
        )
    against, champion = tags.get(DECIDED_AGAINST_TAG, ""), state.aliases.get("champion")
    if against != ("" if champion is None else str(champion)):
        raise RefusedActionError(
            f"Version {version} of {state.name} passed the gate against "
            f"{f'champion version {against}' if against else 'no champion'}, and "
            f"{'no version' if champion is None else f'version {champion}'} is champion now. Run the gate again: "
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
    """Plan to reject a version.

    Args:
        state: State of the registry.
        version: Number.
        reason: Reason for the audit.

    Returns:
        The plan: the version loses its aliases, and the gate no longer promotes it.

    Raises:
        RefusedActionError: The version is the champion.
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
    """Plan to roll back to the previous champion.

    The gate no longer promotes the version that is rolled back. The action is idempotent, since it removes the alias
    previous_champion.

    Args:
        state: State of the registry.
        history: Audit, oldest first.
        reason: Reason for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: There is no previous champion, or it is retired.
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
            f"{state.name} has no previous champion. Name the version: `kedro models promote VERSION`."
        )
    _require_in_use(state, previous)
    wanted = {**dict.fromkeys(state.aliases_of(previous)), "champion": previous}
    if champion is None:
        raise RefusedActionError(
            f"{state.name} has no champion to roll back. Name the version: `kedro models promote VERSION`."
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
    """Return the last event that moved the champion."""
    moved = [event for event in history if "champion" in event.moves and event.result != "void"]
    return moved[-1] if moved else None


def plan_retirement(state: RegistryState, version: int, at: str, reason: str | None = None) -> Change:
    """Plan to retire a version; it stays readable.

    Args:
        state: State of the registry.
        version: Number.
        at: Current time, ISO 8601.
        reason: Reason for the audit.

    Returns:
        The plan: the version loses its aliases and can no longer be promoted.

    Raises:
        RefusedActionError: The version is the champion or does not exist.
    """
    tags = _require_present(state, version)
    if state.aliases.get("champion") == version:
        raise RefusedActionError(
            f"Version {version} is the champion of {state.name}: promote another version or roll back before you "
            "retire it."
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
    """Plan to restore a retired version, without alias.

    Args:
        state: State of the registry.
        version: Number.
        reason: Reason for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The version does not exist.
    """
    if RETIRED_TAG not in _require_present(state, version):
        return Change(action="restore", version=version, already=f"version {version} is not retired")
    return Change(action="restore", version=version, tags={RETIRED_TAG: None}, reasons=[reason] if reason else [])


def plan_deletion(state: RegistryState, version: int, reason: str) -> Change:
    """Plan to delete a version permanently; its events stay in the audit.

    Args:
        state: State of the registry.
        version: Number.
        reason: Reason for the audit.

    Returns:
        The plan.

    Raises:
        RefusedActionError: The version has an alias.
    """
    held = state.aliases_of(version)
    if held:
        raise RefusedActionError(f"Version {version} of {state.name} is {held[0]} and is not deleted.")
    return Change(action="delete", version=version, reasons=[reason])
