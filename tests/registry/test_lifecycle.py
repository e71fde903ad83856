"""Claims about what each action does to aliases and tags, and about those that are refused."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, strategies as st

from churn_kedro.base.errors import ParameterError
from churn_kedro.registry.lifecycle import (
    Alias,
    AuditEvent,
    Change,
    Move,
    RefusedActionError,
    RegistryState,
    UnknownVersionError,
    plan_approval,
    plan_challenge,
    plan_manual_promotion,
    plan_promotion,
    plan_rejection,
    plan_retirement,
    plan_return,
    plan_rollback,
    require_champion,
)

PASSED = {"decision": "promoted"}
NOW = "2026-03-01T12:00:00+00:00"


def state(tags: Mapping[int, Mapping[str, str]], **aliases: int) -> RegistryState:
    return RegistryState(name="m", aliases=aliases, tags=tags)


def carried_out(before: RegistryState, change: Change) -> RegistryState:
    """How the registry stands after a plan."""
    aliases = dict(before.aliases)
    for alias, move in change.moves.items():
        assert aliases.get(alias) == move.before
        if move.after is None:
            del aliases[alias]
        else:
            aliases[alias] = move.after
    tags = {version: dict(own) for version, own in before.tags.items()}
    for key, value in change.tags.items():
        if value is None:
            tags[change.version].pop(key, None)
        else:
            tags[change.version][key] = value
    return RegistryState(before.name, aliases, tags)


def event(change: Change, at: str = "2026-01-01", by: str = "Ann", result: str = "done") -> AuditEvent:
    return AuditEvent.model_validate(
        {
            "number": 1,
            "at": at,
            "by": by,
            "host": "h",
            "process": 1,
            "token": "t",
            "action": change.action,
            "version": change.version,
            "moves": change.moves,
            "tags": change.tags,
            "outcome": change.outcome,
            "reasons": change.reasons,
            "git_commit": "c",
            "result": result,
        }
    )


def test_a_promotion_makes_the_champion_previous_and_takes_the_other_aliases_of_the_new_one() -> None:
    before = state({1: {}, 2: {}}, champion=1, challenger=2, staging=2)

    assert plan_promotion(before, 2) == {
        "champion": Move(before=1, after=2),
        "challenger": Move(before=2, after=None),
        "staging": Move(before=2, after=None),
        "previous_champion": Move(before=None, after=1),
    }


def test_two_champions_that_take_turns_change_places() -> None:
    before = state({1: {}, 2: {}}, champion=2, previous_champion=1)

    assert plan_promotion(before, 1) == {
        "champion": Move(before=2, after=1),
        "previous_champion": Move(before=1, after=2),
    }


def test_a_promotion_leaves_the_aliases_of_others_alone() -> None:
    before = state({1: {}, 2: {}, 3: {}, 4: {}}, champion=1, challenger=3, staging=4)

    assert set(plan_promotion(before, 2)) == {"champion", "previous_champion"}


def test_the_first_champion_has_none_before_it() -> None:
    assert plan_promotion(state({1: {}}), 1) == {"champion": Move(before=None, after=1)}


def test_crowning_and_challenging_a_version_that_is_there_already_moves_nothing() -> None:
    there = state({1: {}, 2: {}}, champion=1, challenger=2)

    assert plan_promotion(there, 1) == {}
    assert plan_challenge(there, 2) == {}
    assert plan_challenge(there, 1) == {"challenger": Move(before=2, after=1)}


@pytest.mark.parametrize("plan", [plan_promotion, plan_challenge])
def test_neither_a_retired_nor_a_deleted_version_gets_an_alias(
    plan: Callable[[RegistryState, int], dict[Alias, Move]],
) -> None:
    retired = state({1: {"retired": "2026-02-03"}})

    with pytest.raises(RefusedActionError, match=r"Version 1 of m was retired on 2026-02-03. Restore it first"):
        plan(retired, 1)
    with pytest.raises(UnknownVersionError, match="There is no version 2 of the model 'm'"):
        plan(retired, 2)


@pytest.mark.parametrize("decision", ["promoted", "approved"])
def test_what_has_passed_the_gate_is_promoted_without_a_reason(decision: str) -> None:
    before = state({1: {}, 2: {"decision": decision}}, champion=1)

    change = plan_manual_promotion(before, 2)

    assert change.moves == plan_promotion(before, 2)
    assert (change.tags, change.outcome, change.already) == ({}, None, None)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({}, "has not passed through the gate: `kedro run --pipelines evaluation,registry --params model_version=2`"),
        (
            {"decision": "refused", "decision_reasons": "+ quick\n- too weak"},
            "was refused.\n  - too weak\nRun the gate again",
        ),
        (
            {"decision": "rejected", "turned_down": "rejected: unfair"},
            "was rejected: unfair. To promote it anyway",
        ),
        ({**PASSED, "turned_down": "rolled back: slow"}, "was rolled back: slow. To promote it anyway"),
        ({"decision": "overridden"}, "was overridden"),
        ({"decision": "awaiting_approval"}, "waits for approval: `kedro models approve 2`"),
    ],
)
def test_what_has_not_passed_the_gate_is_champion_only_for_a_reason(tags: dict[str, str], message: str) -> None:
    before = state({1: PASSED, 2: tags}, champion=1)

    with pytest.raises(RefusedActionError, match=f"Version 2 of m {message}"):
        plan_manual_promotion(before, 2)
    change = plan_manual_promotion(before, 2, override="the campaign starts tomorrow")

    assert change.moves == plan_promotion(before, 2)
    assert change.outcome == "overridden"
    assert carried_out(before, change).tags[2] == {
        **{key: value for key, value in tags.items() if key != "turned_down"},
        "decision": "overridden",
    }
    assert change.reasons == ["the gate was overridden: the campaign starts tomorrow"]


@pytest.mark.parametrize("alias", ["challenger", "staging"])
def test_the_lesser_aliases_need_no_gate_and_move_alone(alias: Alias) -> None:
    before = state({1: PASSED, 2: {"decision": "refused"}}, champion=1)

    change = plan_manual_promotion(before, 2, alias)

    assert change.moves == {alias: Move(before=None, after=2)}
    assert change.tags == {}


@pytest.mark.parametrize("alias", ["champion", "challenger", "staging"])
def test_promoting_twice_is_promoting_once(alias: Alias) -> None:
    before = state({1: PASSED, 2: PASSED}, champion=1)
    after = carried_out(before, plan_manual_promotion(before, 2, alias))

    again = plan_manual_promotion(after, 2, alias)

    assert again.already == f"version 2 is {alias} already"
    assert carried_out(after, again) == after


@pytest.mark.parametrize("alias", ["challenger", "staging"])
def test_the_champion_is_nothing_else(alias: Alias) -> None:
    with pytest.raises(RefusedActionError, match=f"Version 1 is the champion and cannot be {alias} as well"):
        plan_manual_promotion(state({1: PASSED}, champion=1), 1, alias)


def test_the_previous_champion_cannot_be_set_manually() -> None:
    with pytest.raises(RefusedActionError, match="is set automatically"):
        plan_manual_promotion(state({1: PASSED}), 1, "previous_champion")


def test_a_retired_version_is_promoted_for_no_reason() -> None:
    with pytest.raises(RefusedActionError, match="`kedro models retire 1 --undo`"):
        plan_manual_promotion(state({1: {**PASSED, "retired": NOW}}), 1, override="please")


def waiting(against: str) -> dict[str, str]:
    return {"decision": "awaiting_approval", "decided_against": against}


def test_an_approved_version_becomes_champion() -> None:
    before = state({1: PASSED, 2: waiting("1")}, champion=1, challenger=2)

    change = plan_approval(before, 2, "looks good")
    after = carried_out(before, change)

    assert after.aliases == {"champion": 2, "previous_champion": 1}
    assert after.tags[2]["decision"] == "approved"
    assert (change.outcome, change.reasons) == ("approved", ["looks good"])
    assert plan_approval(after, 2).already == "version 2 is champion already"


def test_the_first_champion_can_be_approved() -> None:
    before = state({1: waiting("")}, challenger=1)

    assert carried_out(before, plan_approval(before, 1)).aliases == {"champion": 1}


@pytest.mark.parametrize("tags", [{}, PASSED, {"decision": "refused"}, {"decision": "rejected"}])
def test_only_what_waits_is_approved(tags: dict[str, str]) -> None:
    expected = f"it was {tags['decision']}" if tags else "it has not passed through the gate"

    with pytest.raises(RefusedActionError, match=f"Version 2 of m does not wait for approval: {expected}."):
        plan_approval(state({1: PASSED, 2: tags}, champion=1), 2)


@pytest.mark.parametrize(
    ("against", "aliases", "message"),
    [
        ("1", {"champion": 3}, "passed the gate against champion version 1, and version 3 is champion now"),
        ("", {"champion": 3}, "passed the gate against no champion, and version 3 is champion now"),
        ("1", {}, "passed the gate against champion version 1, and no version is champion now"),
    ],
)
def test_an_approval_holds_against_the_champion_it_was_compared_with(
    against: str, aliases: dict[str, int], message: str
) -> None:
    with pytest.raises(RefusedActionError, match=f"Version 2 of m {message}. Run the gate again"):
        plan_approval(state({1: {}, 2: waiting(against), 3: {}}, **aliases), 2)


def test_a_rejected_version_loses_all_its_aliases_and_its_claim() -> None:
    before = state({1: PASSED, 2: PASSED}, champion=1, challenger=2, staging=2, previous_champion=2)

    change = plan_rejection(before, 2, "unfair to the old")
    after = carried_out(before, change)

    assert after.aliases == {"champion": 1}
    assert (change.outcome, change.reasons) == ("rejected", ["unfair to the old"])
    with pytest.raises(RefusedActionError, match="was rejected: unfair to the old"):
        plan_manual_promotion(after, 2)
    with pytest.raises(RefusedActionError, match="m has no previous champion"):
        plan_rollback(after, [])
    assert plan_rejection(after, 2, "still").already == "version 2 was rejected already"


def test_the_champion_is_neither_rejected_nor_retired() -> None:
    before = state({1: PASSED}, champion=1)

    with pytest.raises(RefusedActionError, match=r"Version 1 is the champion of m: roll back"):
        plan_rejection(before, 1, "no")
    with pytest.raises(RefusedActionError, match=r"Version 1 is the champion of m: promote another version"):
        plan_retirement(before, 1, NOW)


def test_a_rollback_brings_the_previous_champion_back_and_is_used_up_by_it() -> None:
    first = state({1: PASSED, 2: PASSED}, champion=1)
    promotion = plan_manual_promotion(first, 2)
    second = carried_out(first, promotion)

    change = plan_rollback(second, [event(promotion)], "complaints")
    third = carried_out(second, change)

    assert third.aliases == {"champion": 1}
    assert (change.version, change.outcome, change.reasons) == (2, "rolled_back", ["complaints"])
    assert third.tags == {1: PASSED, 2: {"decision": "rolled_back", "turned_down": "rolled back: complaints"}}
    history = [event(promotion), event(change, at="2026-02-02", by="Bob")]
    again = plan_rollback(third, history)
    assert again.already == "rolled back to version 1 already, on 2026-02-02 by Bob"
    assert carried_out(third, again) == third


def test_what_was_rolled_back_is_promoted_again_only_for_a_reason() -> None:
    before = state({1: PASSED, 2: PASSED}, champion=2, previous_champion=1)
    after = carried_out(before, plan_rollback(before, []))

    with pytest.raises(RefusedActionError, match="Version 2 of m was rolled back"):
        plan_manual_promotion(after, 2)
    again = carried_out(after, plan_manual_promotion(after, 2, override="repaired"))

    assert again.aliases == before.aliases
    assert again.tags[2] == {"decision": "overridden"}


def test_a_void_event_is_ignored() -> None:
    before = state({1: PASSED, 2: PASSED, 3: PASSED}, champion=2, previous_champion=1)
    rollback = plan_rollback(before, [])
    after = carried_out(before, rollback)
    promotion = plan_manual_promotion(after, 3)

    assert plan_rollback(before, [event(rollback, result="void")]) == rollback
    assert plan_rollback(after, [event(rollback)]).already is not None
    assert plan_rollback(after, [event(rollback), event(promotion, result="void")]).already is not None


def test_a_rollback_needs_a_champion_to_take_back() -> None:
    with pytest.raises(RefusedActionError, match="m has no champion to roll back"):
        plan_rollback(state({1: PASSED}, previous_champion=1), [])


def test_there_is_no_rollback_without_a_previous_champion_in_use() -> None:
    with pytest.raises(RefusedActionError, match="m has no previous champion"):
        plan_rollback(state({1: PASSED}, champion=1), [event(plan_manual_promotion(state({1: PASSED}), 1))])
    with pytest.raises(RefusedActionError, match="Version 1 of m was retired"):
        plan_rollback(state({1: {"retired": NOW}, 2: PASSED}, champion=2, previous_champion=1), [])


def test_a_retired_version_loses_its_aliases_until_it_is_taken_back() -> None:
    before = state({1: PASSED, 2: PASSED}, champion=1, challenger=2, staging=2, previous_champion=2)

    retired = carried_out(before, plan_retirement(before, 2, NOW, "too old"))
    back = carried_out(retired, plan_return(retired, 2))

    assert retired.aliases == {"champion": 1}
    assert retired.tags[2] == {**PASSED, "retired": NOW}
    assert plan_retirement(retired, 2, "later").already == "version 2 is retired already"
    assert (back.aliases, back.tags[2]) == ({"champion": 1}, PASSED)
    assert plan_return(back, 2).already == "version 2 is not retired"
    assert plan_manual_promotion(back, 2).already is None


@pytest.mark.parametrize(
    "plan",
    [
        lambda now: plan_manual_promotion(now, 7),
        lambda now: plan_approval(now, 7),
        lambda now: plan_rejection(now, 7, "no"),
        lambda now: plan_retirement(now, 7, NOW),
        lambda now: plan_return(now, 7),
    ],
    ids=["promote", "approve", "reject", "retire", "restore"],
)
def test_nothing_is_done_with_a_version_that_is_not_there(plan: Callable[[RegistryState], Change]) -> None:
    with pytest.raises(UnknownVersionError, match="There is no version 7 of the model 'm'"):
        plan(state({1: PASSED}, champion=1))


@pytest.mark.parametrize(("champion", "expected"), [(1, 1), (None, None)])
def test_the_champion_that_was_expected_is_no_obstacle(champion: int | None, expected: int | None) -> None:
    require_champion(state({1: {}}, **({} if champion is None else {"champion": champion})), expected)


@pytest.mark.parametrize(
    ("aliases", "expected", "message"),
    [
        ({"champion": 2}, 1, "version 2 is champion of m now, but this was decided when it was version 1"),
        ({"champion": 2}, None, "version 2 is champion of m now, but this was decided when it was none"),
        ({}, 1, "no version is champion of m now, but this was decided when it was version 1"),
    ],
)
def test_another_champion_than_expected_is_refused(aliases: dict[str, int], expected: int | None, message: str) -> None:
    with pytest.raises(RefusedActionError, match=f"The champion has changed: {message}"):
        require_champion(state({1: {}, 2: {}}, **aliases), expected)


def test_a_version_is_found_by_number_and_by_alias() -> None:
    there = state({3: {}, 12: {}}, champion=12)

    assert (there.find("3"), there.find("champion")) == (3, 12)
    for absent in ("4", "staging", "latest", ""):
        with pytest.raises(UnknownVersionError) as raised:
            there.find(absent)
        assert f"no version or alias '{absent}' of the model 'm'; the last versions: 3, 12; " in str(raised.value)
        assert "aliases: champion (version 12)" in str(raised.value)


def test_the_aliases_of_a_version_begin_with_the_champion() -> None:
    there = state({1: {}, 2: {}}, staging=1, previous_champion=1, champion=1, challenger=2)

    assert there.aliases_of(1) == ["champion", "staging", "previous_champion"]
    assert there.aliases_of(2) == ["challenger"]


ACTIONS: dict[str, Callable[[RegistryState, int, list[AuditEvent]], Change]] = {
    "promote": lambda now, version, _: plan_manual_promotion(now, version),
    "override": lambda now, version, _: plan_manual_promotion(now, version, override="so"),
    "stage": lambda now, version, _: plan_manual_promotion(now, version, "staging"),
    "challenge": lambda now, version, _: plan_manual_promotion(now, version, "challenger"),
    "approve": lambda now, version, _: plan_approval(now, version),
    "reject": lambda now, version, _: plan_rejection(now, version, "so"),
    "retire": lambda now, version, _: plan_retirement(now, version, NOW),
    "restore": lambda now, version, _: plan_return(now, version),
    "rollback": lambda now, _, history: plan_rollback(now, history),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(1, 4)), max_size=20))
def test_whatever_is_done_the_champion_has_one_alias_is_in_use_and_stays_until_another_comes(
    actions: list[tuple[str, int]],
) -> None:
    now = state({1: PASSED, 2: PASSED, 3: waiting(""), 4: {"decision": "refused"}})
    history: list[AuditEvent] = []
    for name, version in actions:
        try:
            change = ACTIONS[name](now, version, history)
        except RefusedActionError:
            continue
        after = carried_out(now, change)
        if change.already is None:
            assert after != now
            history.append(event(change))
        else:
            assert not change.moves
            assert not change.tags
        assert "champion" in after.aliases or "champion" not in now.aliases
        if "champion" in after.aliases:
            assert after.aliases_of(after.aliases["champion"]) == ["champion"]
        assert all("retired" not in after.tags[held] for held in after.aliases.values())
        assert all("retired" not in after.tags[held] for held in after.aliases.values())
        if name != "rollback" and change.already is None:
            assert ACTIONS[name](after, version, history).already is not None
        now = after


def test_a_blank_reason_is_no_reason() -> None:
    there = state({1: {}, 2: {}}, champion=1)

    with pytest.raises(ParameterError, match="--override is blank"):
        plan_manual_promotion(there, 2, "champion", " ")
    with pytest.raises(ParameterError, match="--reason is blank"):
        plan_rejection(there, 2, "")
