"""Claims about the checks of versions, aliases and audit."""

import pytest

from churn_kedro.registry.health import StoredFiles, check_aliases, check_audit, check_version
from churn_kedro.registry.lifecycle import AuditEvent, EventResult, Move, RegistryState

WHOLE = StoredFiles(place="/models/1", sha256="abc", bytes=10, problems=[])


def event(number: int, result: EventResult = "done", **moves: tuple[int | None, int | None]) -> AuditEvent:
    return AuditEvent.model_validate(
        {
            "number": number,
            "at": "2026-11-01T10:00:00Z",
            "by": "Ann",
            "host": "here",
            "process": 1,
            "token": str(number),
            "action": "promote",
            "version": 1,
            "moves": {alias: Move(before=before, after=after) for alias, (before, after) in moves.items()},
            "tags": {},
            "outcome": None,
            "reasons": [],
            "git_commit": "abc",
            "result": result,
        }
    )


def test_a_version_is_whole_if_its_digest_is_the_recorded_one() -> None:
    assert check_version("churn", 1, {"model_file_sha256": "abc"}, WHOLE).health == "ok"
    assert check_version("churn", 1, {}, WHOLE).health == "not recorded"
    assert check_version("churn", 1, {"model_bytes": "10"}, WHOLE).health == "not recorded"


@pytest.mark.parametrize(
    ("tags", "files", "found"),
    [
        ({"model_file_sha256": "abd"}, WHOLE, "SHA-256 abc, recorded is abd"),
        ({"model_bytes": "11"}, WHOLE, "has 10 bytes, recorded are 11"),
        ({}, WHOLE.model_copy(update={"problems": ["MLmodel is missing"]}), "/models/1: MLmodel is missing"),
    ],
)
def test_a_damaged_version_is_named_with_what_to_do(tags: dict[str, str], files: StoredFiles, found: str) -> None:
    result = check_version("churn", 3, tags, files)

    assert (result.what, result.health) == ("version 3", "wrong")
    assert found in result.found
    for command in ("kedro models rebuild 3", "kedro models retire 3"):
        assert command in result.advice


@pytest.mark.parametrize(
    ("aliases", "found"),
    [
        ({"champion": 2}, None),
        ({"champion": 3}, "version 3, but the last event of the audit that moved it says version 2"),
        ({"champion": 9}, "version 9, which does not exist"),
        ({"champion": 4}, "version 4, which is retired"),
        ({}, "no version, but the last event of the audit that moved it says version 2"),
    ],
)
def test_an_alias_agrees_with_the_last_event_that_moved_it(aliases: dict[str, int], found: str | None) -> None:
    state = RegistryState("churn", aliases, {1: {}, 2: {}, 3: {}, 4: {"retired": "2026-01-01"}})
    events = [event(1, champion=(None, 1)), event(2, champion=(1, 2)), event(3, "void", champion=(2, 1))]

    [result] = check_aliases(state, events)

    assert result.found == (found or "version 2")
    assert result.health == ("ok" if found is None else "wrong")


def test_an_alias_that_no_event_set_is_wrong_and_one_of_a_deleted_version_is_gone() -> None:
    state = RegistryState("churn", {"staging": 2}, {2: {}})

    results = check_aliases(state, [event(1, challenger=(None, 1))])

    assert [(one.what, one.health) for one in results] == [("alias challenger", "ok"), ("alias staging", "wrong")]
    assert "set outside of `kedro models`" in results[1].found


def test_the_audit_is_complete_if_no_number_is_missing_and_no_event_open_or_damaged() -> None:
    assert check_audit([1, 2], [event(1), event(2, "void")], []).health == "ok"
    assert check_audit([], [], []).health == "ok"

    result = check_audit([1, 3, 4], [event(1), event(4, "open")], ["event.000003 of the run r"])

    assert result.health == "wrong"
    assert result.found == (
        "event.000003 of the run r cannot be read; missing events: 2; event 4 ('promote' on version 1 by Ann) is open"
    )
