"""Checks of a registered model: its versions, aliases and audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.registry.lifecycle import RETIRED_TAG, AuditEvent, RegistryState

# ok; not recorded: nothing to compare with; wrong: to be corrected.
Health = Literal["ok", "not recorded", "wrong"]
# Tag of a version: SHA-256 of its stored model file.
FILE_DIGEST_TAG = "model_file_sha256"


class CheckResult(Parameters):
    """Result of one check."""

    what: str = Field(description="Checked part: the store, a version, an alias, the audit or a run.")
    health: Health
    found: str = Field(description="What was found.")
    advice: str = Field("", description="What to do if it is wrong.")


class StoredFiles(Parameters):
    """Files of a version, as they are stored."""

    place: str = Field(description="Path or address of the files.")
    sha256: str | None = Field(description="SHA-256 of the model file; None if it cannot be read.")
    bytes: int | None = Field(description="Size of the model file.")
    problems: list[str] = Field(description="What is missing or damaged, one sentence each.")


def check_version(name: str, version: int, tags: Mapping[str, str], files: StoredFiles) -> CheckResult:
    """Check the files of a version against what was recorded when it was registered.

    Args:
        name: Registered model.
        version: Number.
        tags: Tags of the version.
        files: Its files.

    Returns:
        The result.
    """
    problems = list(files.problems)
    recorded = tags.get(FILE_DIGEST_TAG)
    if recorded is not None and files.sha256 not in (None, recorded):
        problems.append(f"the model file has SHA-256 {files.sha256}, recorded is {recorded}")
    size = tags.get("model_bytes")
    if recorded is None and size is not None and files.bytes is not None and str(files.bytes) != size:
        problems.append(f"the model file has {files.bytes:,} bytes, recorded are {int(size):,}")
    what = f"version {version}"
    if problems:
        return CheckResult(
            what=what,
            health="wrong",
            found=f"{files.place}: {'; '.join(problems)}",
            advice=explain_lost_files(name, version),
        )
    if recorded is None:
        return CheckResult(what=what, health="not recorded", found="files are readable, their SHA-256 is not recorded")
    return CheckResult(what=what, health="ok", found=f"files are readable, SHA-256 {recorded[:12]}… as recorded")


def explain_lost_files(name: str, version: int) -> str:
    """Explain what to do with a version whose files are damaged or lost.

    Args:
        name: Registered model.
        version: Number.

    Returns:
        A sentence.
    """
    return (
        f"Restore the files of version {version} of {name} from a backup; see whether it can be trained again "
        f"(`kedro models rebuild {version}`), train a new version (`kedro run`), or retire it (`kedro models retire "
        f"{version}`). Another champion: `kedro models rollback`, or `kedro models promote VERSION --override REASON`."
    )


def check_aliases(state: RegistryState, events: Sequence[AuditEvent]) -> list[CheckResult]:
    """Check that each alias names a version in use, and that it agrees with the audit.

    Args:
        state: State of the registry.
        events: Audit, oldest first.

    Returns:
        One result for each alias.
    """
    last: dict[str, int | None] = {}
    for event in events:
        if event.result in ("done", "finished_later"):
            last |= {alias: move.after for alias, move in event.moves.items()}
    results = []
    for alias in sorted({*state.aliases, *(alias for alias, version in last.items() if version is not None)}):
        held, audited = state.aliases.get(alias), last.get(alias)
        problem = _find_alias_problem(state, held, audited, is_audited=alias in last)
        results.append(
            CheckResult(what=f"alias {alias}", health="ok", found=_name_version(held))
            if problem is None
            else CheckResult(
                what=f"alias {alias}",
                health="wrong",
                found=problem,
                advice=_explain_promotion(alias),
            )
        )
    return results


def _explain_promotion(alias: str) -> str:
    if alias == "previous_champion":
        return "The next promotion sets it: `kedro models promote VERSION`."
    return f"Choose the version: `kedro models promote VERSION{'' if alias == 'champion' else f' --to {alias}'}`."


def _find_alias_problem(state: RegistryState, held: int | None, audited: int | None, *, is_audited: bool) -> str | None:
    if held is not None and held not in state.tags:
        return f"version {held}, which does not exist"
    if held is not None and RETIRED_TAG in state.tags[held]:
        return f"version {held}, which is retired"
    if held == audited or (held is None and audited not in state.tags):
        return None
    shown = _name_version(held)
    if not is_audited:
        return f"{shown}, but no event of the audit set it: it was set outside of `kedro models`"
    return f"{shown}, but the last event of the audit that moved it says {_name_version(audited)}"


def _name_version(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"


def check_audit(numbers: Sequence[int], events: Sequence[AuditEvent], unreadable: Sequence[str]) -> CheckResult:
    """Check that the audit is complete.

    Args:
        numbers: Numbers of all events, in order.
        events: Readable events, oldest first.
        unreadable: Names of the parameters that cannot be read.

    Returns:
        The result.
    """
    problems = list(_find_audit_problems(numbers, events, unreadable))
    if not problems:
        return CheckResult(what="audit", health="ok", found=f"{len(events)} events, complete")
    return CheckResult(
        what="audit",
        health="wrong",
        found="; ".join(problems),
        advice="The next action repairs an open event. If events are lost or damaged, restore MLflow's store from a "
        "backup.",
    )


def _find_audit_problems(
    numbers: Sequence[int], events: Sequence[AuditEvent], unreadable: Sequence[str]
) -> Iterator[str]:
    yield from (f"{name} cannot be read" for name in unreadable)
    missing = sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers))
    if missing:
        yield f"missing events: {', '.join(map(str, missing))}"
    for event in events:
        if event.result == "open":
            yield f"event {event.number} ('{event.action}' on version {event.version} by {event.by}) is open"
