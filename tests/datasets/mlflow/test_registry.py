"""The registry applies an action whole or not at all, one at a time, and keeps who did what.

Faults are tried at every call with SQLite. With a server above PostgreSQL, only what may differ there is tried again.
"""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from churn_kedro.datasets.mlflow import registry as registry_module
from churn_kedro.datasets.mlflow.audit import AUDIT_RUN_TAG
from churn_kedro.datasets.mlflow.registry import AUDIT_TAG, ModelRegistry, RegistryBusyError
from churn_kedro.registry.gate import Promotion, plan_decision
from churn_kedro.registry.lifecycle import (
    AuditEvent,
    Change,
    Move,
    RefusedActionError,
    RegistryState,
    plan_deletion,
    plan_manual_promotion,
    plan_rejection,
    plan_retirement,
    plan_rollback,
    require_champion,
)
from tests.mlflow_store import mlflow_at
from tests.servers import FailingLine

Plan = Callable[[RegistryState], Change]

SQLITE = "sqlite"
SERVER = pytest.param("server", marks=pytest.mark.slow)
# How a registry stands, without what an audit adds to it.
State = tuple[dict[str, int], dict[int, dict[str, str]]]


@dataclass(frozen=True)
class Place:
    """A registered model of four versions that have passed the gate, in some store."""

    uri: str
    artifacts: str | None
    name: str

    def registry(self, by: str = "Ann") -> ModelRegistry:
        return ModelRegistry(
            self.name, experiment=f"{self.name}-audit", by=by, git_commit="abc", artifact_location=self.artifacts
        )

    def state(self) -> State:
        state = self.registry().state()
        tags = {
            version: {key: value for key, value in own.items() if not key.startswith(AUDIT_TAG)}
            for version, own in state.tags.items()
        }
        return dict(state.aliases), tags

    def leftovers(self) -> list[str]:
        """Other registered models of this name: an action leaves none."""
        found = MlflowClient().search_registered_models(f"name LIKE '{self.name}%'")
        return [model.name for model in found if model.name != self.name]

    def put_back(self, before: State, *, new_audit: bool = True) -> None:
        """Make aliases and tags what they were, not through the registry, and begin a new audit or keep the present."""
        client, (aliases, tags) = MlflowClient(), self.state()
        if new_audit:
            client.delete_registered_model_tag(self.name, AUDIT_RUN_TAG)
        for alias in aliases.keys() | before[0].keys():
            if alias not in before[0]:
                client.delete_registered_model_alias(self.name, alias)
            elif aliases.get(alias) != before[0][alias]:
                client.set_registered_model_alias(self.name, alias, str(before[0][alias]))
        for version, own in tags.items():
            for key in own.keys() - before[1][version].keys():
                client.delete_model_version_tag(self.name, str(version), key)
            for key, value in before[1][version].items():
                if own.get(key) != value:
                    client.set_model_version_tag(self.name, str(version), key, value)


def new_place(uri: str, folder: Path) -> Place:
    name = f"m{uuid.uuid4().hex[:10]}"
    place = Place(uri, None if uri.startswith("http") else (folder / "artifacts").as_uri(), name)
    client = MlflowClient()
    client.create_registered_model(name)
    run = client.create_run(client.create_experiment(name, artifact_location=place.artifacts))
    for number in range(1, 5):
        source = f"{run.info.artifact_uri}/model{number}"
        client.create_model_version(name, source=source, run_id=run.info.run_id, tags={"decision": "promoted"})
    return place


@pytest.fixture(autouse=True)
def _few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }.items():
        monkeypatch.setenv(name, value)


# For claims that concern the store or the network.
both_stores = pytest.mark.parametrize("place", [SQLITE, SERVER], indirect=True)


@pytest.fixture(params=[SQLITE])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    uri = request.getfixturevalue("store" if request.param == SQLITE else "server")
    with mlflow_at(uri):
        yield new_place(uri, tmp_path)


def promote(version: int) -> Plan:
    return lambda now: plan_manual_promotion(now, version)


def after_events(events: Sequence[AuditEvent], begin: Mapping[str, int] | None = None) -> dict[str, int]:
    """Aliases that follow from an audit alone, or from a part of it that begins with these."""
    aliases = dict(begin or {})
    for event in events:
        assert event.result in ("done", "finished_later", "void")
        for alias, move in event.moves.items() if event.result != "void" else ():
            if move.after is None:
                aliases.pop(alias, None)
            else:
                aliases[alias] = move.after
    return aliases


@pytest.mark.slow
@both_stores
def test_a_promotion_moves_all_aliases_and_the_registry_stands_as_planned(place: Place) -> None:
    registry = place.registry()
    registry.apply(promote(1))
    registry.apply(lambda now: plan_manual_promotion(now, 2, "challenger"))

    change = registry.apply(promote(2))

    assert change.moves == {
        "champion": Move(before=1, after=2),
        "challenger": Move(before=2, after=None),
        "previous_champion": Move(before=None, after=1),
    }
    assert registry.state().aliases == {"champion": 2, "previous_champion": 1}
    assert place.leftovers() == []
    assert registry.apply(promote(2)).already == "version 2 is champion already"


@pytest.mark.slow
def test_a_rollback_brings_back_the_former_champion_and_twice_is_as_once(place: Place) -> None:
    registry = place.registry()
    registry.apply(promote(1))
    registry.apply(promote(2))

    first = registry.apply(lambda now: plan_rollback(now, registry.history()))
    state, events = place.state(), registry.history()
    second = registry.apply(lambda now: plan_rollback(now, registry.history()))

    assert first.moves["champion"] == Move(before=2, after=1)
    assert state[0] == {"champion": 1}
    assert second.already is not None
    assert second.already.startswith("rolled back to version 1 already")
    assert (place.state(), registry.history()) == (state, events)


@pytest.mark.slow
def test_the_audit_lists_user_action_time_and_reason_in_order(place: Place) -> None:
    place.registry("Ann").apply(promote(1))
    place.registry("Bob").apply(lambda now: plan_manual_promotion(now, 2, override="no time"))
    place.registry("Cid").apply(lambda now: plan_rollback(now, [], "complaints"))
    place.registry("Dan").apply(lambda now: plan_retirement(now, 2, "2026-01-01", "unfair"))

    events = place.registry().history()

    assert [(one.by, one.action, one.version, one.reasons) for one in events] == [
        ("Ann", "promote", 1, []),
        ("Bob", "promote", 2, ["the gate was overridden: no time"]),
        ("Cid", "rollback", 2, ["complaints"]),
        ("Dan", "retire", 2, ["unfair"]),
    ]
    assert [one.outcome for one in events] == [None, "overridden", "rolled_back", None]
    assert {(one.result, one.git_commit) for one in events} == {("done", "abc")}
    assert sorted(one.at for one in events) == [one.at for one in events]
    assert events[1].moves == {
        "champion": Move(before=1, after=2),
        "previous_champion": Move(before=None, after=1),
    }
    assert after_events(events) == place.state()[0] == {"champion": 1}


@pytest.mark.slow
def test_a_version_carries_its_part_of_the_audit_and_what_became_of_it(place: Place) -> None:
    registry = place.registry()
    registry.apply(promote(1))
    registry.apply(lambda now: plan_manual_promotion(now, 2, "staging"))
    registry.apply(lambda now: plan_rejection(now, 2, "unfair"))

    state = registry.state()

    assert [event.action for event in registry.events_of(state, 2)] == ["promote", "reject"]
    assert registry.events_of(state, 2) == [event for event in registry.history() if event.version == 2]
    assert state.tags[2]["decision"] == "rejected"
    assert state.tags[1]["decision"] == "promoted"
    assert registry.events_of(state, 3) == []


@pytest.mark.slow
def test_a_deleted_version_is_gone_and_what_it_was_is_known(place: Place) -> None:
    registry = place.registry()
    registry.apply(lambda now: plan_manual_promotion(now, 3, "staging"))
    registry.apply(lambda now: plan_retirement(now, 3, "2026-01-01"))

    registry.apply(lambda now: plan_deletion(now, 3, "older than 90 days"))

    assert sorted(registry.state().tags) == [1, 2, 4]
    events = [event for event in registry.history() if event.version == 3]
    assert [(event.action, event.reasons) for event in events] == [
        ("promote", []),
        ("retire", []),
        ("delete", ["older than 90 days"]),
    ]
    with pytest.raises(RefusedActionError, match=r"Version 3 of .* does not exist"):
        registry.apply(lambda now: plan_deletion(now, 3, "again"))
    assert len(registry.history()) == 3
    assert place.leftovers() == []


def test_a_version_with_an_alias_is_not_deleted(place: Place) -> None:
    registry = place.registry()
    registry.apply(promote(1))
    events = registry.history()

    with pytest.raises(RefusedActionError, match="is champion and is not deleted"):
        registry.apply(lambda now: plan_deletion(now, 1, "old"))

    assert 1 in registry.state().tags
    assert registry.history() == events


def test_a_plan_that_refuses_leaves_no_trace(place: Place) -> None:
    registry = place.registry()
    registry.apply(promote(1))
    before = place.state(), registry.history()

    with pytest.raises(RefusedActionError, match="is the champion"):
        registry.apply(lambda now: plan_rejection(now, 1, "no"))

    assert (place.state(), registry.history()) == before
    assert place.leftovers() == []


@pytest.mark.slow
@both_stores
def test_a_reason_may_be_long_and_in_any_script(place: Place) -> None:
    reason = "zu alt, 太旧, \U0001f9ea; " * 600

    place.registry("Жанна").apply(lambda now: plan_manual_promotion(now, 1, override=reason))

    [event] = place.registry().history()
    assert event.by == "Жанна"
    assert event.reasons == [f"the gate was overridden: {reason}"]


WRITES = ("create", "delete", "log", "set")


class FlakyClient:
    """An MLflow client that some calls of fail.

    Args:
        client: The client.
        failing: The calls that fail, counted from 1.
        after: Whether a failing call has taken effect: only its answer is lost. Only calls that change something are
            counted then, since any other one is the same as a call that fails before its effect.
    """

    def __init__(self, client: MlflowClient, failing: range, *, after: bool) -> None:
        self._wrapped, self._failing, self._after = client, failing, after
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._wrapped, name)

        def call(*arguments: Any, **named: Any) -> Any:
            is_counted = not self._after or name.startswith(WRITES)
            self.calls += is_counted
            is_dead = len(self._failing) > 1
            if self.calls not in self._failing or not (is_counted or is_dead):
                return function(*arguments, **named)
            if self._after:
                with suppress(MlflowException):
                    function(*arguments, **named)
            raise MlflowException("API request failed: connection lost")

        return call


def use_client(registry: ModelRegistry, client: Any) -> None:
    """Let a registry and its audit make their calls through this client."""
    registry._client = registry._audit._client = client


OTHERS = ("rollback", "reject", "retire")


def plan_of(action: str) -> tuple[Plan, Plan]:
    """What brings a registry to where the action begins, and the action."""
    plans: dict[str, Plan] = {
        "override": lambda now: plan_manual_promotion(now, 2, override="no time"),
        "rollback": lambda now: plan_rollback(now, []),
        "reject": lambda now: plan_rejection(now, 3, "no"),
        "retire": lambda now: plan_retirement(now, 4, "2026-01-01"),
    }
    return promote(2 if action == "rollback" else 1), plans[action]


def start(place: Place, action: str, *, new_audit: bool = True) -> tuple[State, State, Plan]:
    """How the registry stands before and after an action, which is yet to be done."""
    prepare, plan = plan_of(action)
    registry = place.registry()
    registry.apply(promote(1))
    registry.apply(prepare)
    registry.apply(lambda now: plan_manual_promotion(now, 4, "challenger"))
    before = place.state()
    registry.apply(plan)
    after = place.state()
    assert before != after
    place.put_back(before, new_audit=new_audit)
    return before, after, plan


def check_whole(place: Place, before: State, after: State, *, new_audit: bool = True) -> tuple[bool, list[AuditEvent]]:
    """The next action finds everything as before or as after, and works.

    Whether the broken one was done, and the last two events. In the end all is as before again.
    """
    registry = place.registry("Eve")

    registry.apply(lambda now: plan_manual_promotion(now, 3, "staging"))

    # The event of the broken action, if it came so far, and the one of this action; those before are Ann's.
    events = [event for event in registry.history()[-2:] if event.by != "Ann"]
    aliases, tags = place.state()
    assert aliases.pop("staging") == 3
    assert (aliases, tags) in (before, after)
    assert place.leftovers() == []
    assert after_events(events, before[0]) == {**aliases, "staging": 3}
    place.put_back(before, new_audit=new_audit)
    return (aliases, tags) == after, events


def break_each_call(place: Place, action: str, *, dead: bool, after_effect: bool, new_audit: bool = True) -> list[bool]:
    """Let each call of an action fail in turn, with those that create the audit or without. Whether it was done."""
    before, after, plan = start(place, action, new_audit=new_audit)
    outcomes: list[bool] = []
    while True:
        call = len(outcomes) + 1
        registry = place.registry("Bob")
        flaky = FlakyClient(MlflowClient(), range(call, 10_000 if dead else call + 1), after=after_effect)
        use_client(registry, flaky)
        message = None
        try:
            registry.apply(plan)
        except DatasetError as error:
            message = str(error)
        done, _ = check_whole(place, before, after, new_audit=new_audit)
        if flaky.calls < call:
            assert message is None
            return outcomes
        assert message is not None or done
        if message is not None and "Nothing was changed" in message:
            assert not done
        outcomes.append(done)


failing_calls = [
    pytest.mark.parametrize("after_effect", [False, True], ids=["before_effect", "after_effect"]),
    pytest.mark.parametrize("dead", [False, True], ids=["one_call_lost", "network_dead"]),
]


@pytest.mark.slow
@failing_calls[0]
@failing_calls[1]
def test_a_first_action_of_which_any_call_fails_is_whole_after_the_next_one(
    store: str, tmp_path: Path, dead: bool, after_effect: bool
) -> None:
    with mlflow_at(store):
        outcomes = break_each_call(new_place(store, tmp_path), "override", dead=dead, after_effect=after_effect)

    assert len(outcomes) > 8
    # What fails early is not done; once only the event is left to close, it is.
    assert not outcomes[3]
    assert outcomes[-1]


@pytest.mark.slow
@failing_calls[0]
@failing_calls[1]
@pytest.mark.parametrize("action", OTHERS)
def test_any_other_action_of_which_any_call_fails_is_whole_after_the_next_one(
    store: str, tmp_path: Path, action: str, dead: bool, after_effect: bool
) -> None:
    with mlflow_at(store):
        outcomes = break_each_call(
            new_place(store, tmp_path), action, dead=dead, after_effect=after_effect, new_audit=False
        )

    assert outcomes[-1]
    if after_effect:
        # The first call that changes something writes the intent. If only its answer is lost, the action goes on.
        assert len(outcomes) > 3
        assert outcomes[0] is not dead
    else:
        assert len(outcomes) > 8
        assert not any(outcomes[:6])


@pytest.mark.slow
def test_the_same_with_a_server_above_postgresql(server: str, tmp_path: Path) -> None:
    with mlflow_at(server):
        outcomes = break_each_call(new_place(server, tmp_path), "override", dead=False, after_effect=True)

    assert len(outcomes) > 8
    assert not outcomes[3]
    assert outcomes[-1]


@pytest.mark.slow
@pytest.mark.parametrize("after_effect", [False, True], ids=["before_effect", "after_effect"])
def test_a_deletion_of_which_any_call_fails_is_reported_correctly(
    store: str, tmp_path: Path, after_effect: bool
) -> None:
    deleted: list[bool] = []
    with mlflow_at(store):
        while True:
            place, call = new_place(store, tmp_path), len(deleted) + 1
            place.registry().apply(promote(1))
            registry = place.registry("Bob")
            flaky = FlakyClient(MlflowClient(), range(call, call + 1), after=after_effect)
            use_client(registry, flaky)
            try:
                registry.apply(lambda now: plan_deletion(now, 4, "old"))
                is_told = True
            except DatasetError:
                is_told = False
            assert is_told == (4 not in place.state()[1])
            place.registry().repair()
            assert is_told == (4 not in place.state()[1])
            results = [event.result for event in place.registry().history() if event.action == "delete"]
            assert (results[-1:] == ["done"]) == is_told
            assert place.leftovers() == []
            if flaky.calls < call:
                break
            deleted.append(is_told)

    # Intent, deletion and result change something; a lost answer of any of them is found out.
    assert deleted == [True] * 3 if after_effect else deleted.count(False) > 4


@contextmanager
def broken_by_hand(registry: ModelRegistry, method: str) -> Iterator[None]:
    """Interrupt every call of this method of the client."""
    client = registry._client

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            if name == method:
                raise KeyboardInterrupt
            return getattr(client, name)

    use_client(registry, Interrupted())
    yield
    use_client(registry, client)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["log_batch", "set_registered_model_alias", "set_model_version_tag"])
def test_an_action_interrupted_twice_leaves_nothing_half_done(store: str, tmp_path: Path, method: str) -> None:
    with mlflow_at(store):
        place = new_place(store, tmp_path)
        before, after, plan = start(place, "override")
        registry = place.registry("Bob")

        with broken_by_hand(registry, method), pytest.raises((KeyboardInterrupt, DatasetError)):
            registry.apply(plan)

        check_whole(place, before, after)


def decided(place: Place, version: int, champion: int | None) -> Plan:
    promotion = Promotion(
        model_name=place.name,
        version=version,
        alias="champion",
        expected_champion=champion,
        outcome="promoted",
        reasons=["+ better"],
        tags={"decision": "promoted"},
    )
    return lambda now: plan_decision(now, promotion)


def at_once(place: Place, plans: Sequence[Plan]) -> list[Change | Exception]:
    """Apply plans at the same moment, each by another person."""
    barrier = threading.Barrier(len(plans))

    def act(number: int) -> Change | Exception:
        registry = place.registry(f"person {number}")
        registry.state()
        barrier.wait(timeout=60)
        try:
            return registry.apply(plans[number])
        except (RefusedActionError, DatasetError) as error:
            return error

    with ThreadPoolExecutor(len(plans)) as pool:
        return list(pool.map(act, range(len(plans))))


@pytest.mark.slow
@both_stores
def test_of_two_promotions_at_once_one_wins_and_the_other_is_refused(place: Place) -> None:
    place.registry().apply(promote(1))

    for _ in range(3):
        champion = place.state()[0]["champion"]
        first, second = sorted({1, 2, 3} - {champion})
        results = at_once(place, [decided(place, first, champion), decided(place, second, champion)])

        [done] = [result for result in results if isinstance(result, Change)]
        [refused] = [result for result in results if isinstance(result, RefusedActionError)]
        aliases = place.state()[0]
        assert aliases == {"champion": done.version, "previous_champion": champion}
        assert f"The champion has changed: version {done.version} is champion" in str(refused)
        assert after_events(place.registry().history()) == aliases
        assert place.leftovers() == []


@pytest.mark.slow
@both_stores
def test_of_two_equal_promotions_at_once_one_is_done_and_the_other_has_nothing_left_to_do(place: Place) -> None:
    place.registry().apply(promote(1))

    def plan(now: RegistryState) -> Change:
        # As `kedro models promote` does.
        if now.aliases.get("champion") != 2:
            require_champion(now, 1)
        return plan_manual_promotion(now, 2)

    results = at_once(place, [plan, plan])

    told = [result.already for result in results if isinstance(result, Change)]
    assert sorted(told, key=str) == [None, "version 2 is champion already"]
    assert [event.version for event in place.registry().history()] == [1, 2]


# It imports once and forks for each command that it reads: processes start at once, and end as processes do.
ACTOR = """
import json, os, random, signal, sys, time, traceback
import mlflow
from kedro.io import DatasetError
from mlflow import MlflowClient
from churn_kedro.datasets.mlflow.registry import ModelRegistry
from churn_kedro.registry.lifecycle import RefusedActionError, plan_manual_promotion

place = json.loads(sys.argv[1])


def registry(by):
    return ModelRegistry(
        place["name"],
        experiment=place["name"] + "-audit",
        by=by,
        git_commit="abc",
        artifact_location=place["artifacts"],
    )


class Deadly:
    def __init__(self, client, last):
        self._wrapped, self._left = client, last

    def __getattr__(self, name):
        function = getattr(self._wrapped, name)

        def call(*arguments, **named):
            found = function(*arguments, **named)
            # What a process leaves behind does not depend on what it reads.
            self._left -= name.startswith(("create", "delete", "log", "set"))
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call


def die(call):
    mine = registry("Bob")
    mine._client = mine._audit._client = Deadly(MlflowClient(), call)
    mine.apply(lambda now: plan_manual_promotion(now, 2, override="no time"))


def try_over(uri):
    # 0: done; 1: broke off, and nothing was changed; 2: broke off.
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        registry("Bob").apply(lambda now: plan_manual_promotion(now, 2, override="no time"))
    except DatasetError as error:
        os._exit(1 if "Nothing was changed" in str(error) else 2)


def work(number, begin):
    mine, done = registry(f"person {number}"), 0
    time.sleep(max(0, begin - time.time()))
    for turn in range(3):
        version = random.Random(number * 10 + turn).randint(1, 4)
        change = mine.apply(lambda now: plan_manual_promotion(now, version))
        done += change.already is None
    os._exit(done)


print("ready", flush=True)
for line in sys.stdin:
    command = json.loads(line)
    children = []
    for number in range(command.get("workers", 1)):
        child = os.fork()
        if child == 0:
            try:
                if "workers" in command:
                    work(number, command["begin"])
                elif "uri" in command:
                    try_over(command["uri"])
                else:
                    die(command["call"])
            except BaseException:
                traceback.print_exc()
                os._exit(99)
            os._exit(0)
        children.append(child)
    print(json.dumps([os.waitpid(child, 0)[1] for child in children]), flush=True)
"""


class Actor:
    """Starts processes that act on a registry."""

    def __init__(self, place: Place, folder: Path) -> None:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": place.uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._errors = folder / "errors.txt"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", ACTOR, json.dumps({"name": place.name, "artifacts": place.artifacts})],
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._errors.read_text(encoding="utf-8")
        return line

    def ask(self, **command: Any) -> list[int]:
        """How each process ended, as ``os.waitpid`` says it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._read()))

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8")

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(timeout=30)


@pytest.fixture
def actor(place: Place, tmp_path: Path) -> Iterator[Actor]:
    acting = Actor(place, tmp_path)
    yield acting
    acting.close()


@pytest.mark.slow
def test_an_action_of_a_killed_process_is_completed_or_void_after_the_next_one(place: Place, actor: Actor) -> None:
    before, after, _ = start(place, "override")
    outcomes: list[bool] = []
    finished: list[int] = []
    while True:
        [status] = actor.ask(call=len(outcomes) + 1)
        if not os.WIFSIGNALED(status):
            assert status == 0, actor.errors
            break
        done, events = check_whole(place, before, after)
        if any(event.result == "finished_later" and event.closed_by == "Eve" for event in events):
            assert done
            finished.append(len(outcomes))
        outcomes.append(done)

    # Once the champion has moved, it is completed; until then it is void.
    assert outcomes == sorted(outcomes)
    assert 3 < outcomes.count(False) < len(outcomes) - 2
    assert finished


@both_stores
@pytest.mark.slow
def test_eight_processes_at_once_leave_aliases_that_follow_from_the_audit(place: Place, actor: Actor) -> None:
    import time

    place.registry().apply(promote(1))

    statuses = actor.ask(workers=8, begin=time.time() + 2)

    codes = [os.waitstatus_to_exitcode(status) for status in statuses]
    assert all(0 <= code <= 3 for code in codes), actor.errors
    events = place.registry().history()
    assert len(events) == 1 + sum(codes)
    assert sum(codes) > 2
    assert {event.result for event in events} == {"done"}
    assert after_events(events) == place.state()[0]
    assert place.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("place", [SERVER], indirect=True)
@pytest.mark.parametrize("lose_answer", [False, True], ids=["requests_dropped", "last_answer_lost"])
def test_a_network_that_fails_in_the_midst_leaves_the_registry_whole(
    place: Place, actor: Actor, lose_answer: bool
) -> None:
    before, after, _ = start(place, "override", new_audit=False)
    outcomes: list[bool] = []
    while True:
        # Every other request here, and those between them in the other case.
        requests = 2 * len(outcomes) + int(lose_answer)
        with FailingLine(place.uri, requests, lose_answer=lose_answer) as line:
            [status] = actor.ask(uri=line.uri)
            broke = line.is_dead
        code = os.waitstatus_to_exitcode(status)
        done, _ = check_whole(place, before, after, new_audit=False)
        if not broke:
            assert (code, done) == (0, True), actor.errors
            break
        assert code in (0, 1, 2), actor.errors
        assert done or code != 0
        assert not (done and code == 1)
        outcomes.append(done)

    assert len(outcomes) > 6
    assert not outcomes[2]
    assert outcomes[-1]


def test_there_is_no_registry_before_the_first_training(tracking: str) -> None:
    with pytest.raises(DatasetError, match=r"There is no registered model 'nobody'. Train a version first"):
        ModelRegistry("nobody", experiment="e", by="Ann", git_commit="abc").apply(promote(1))

    assert MlflowClient().search_registered_models("name LIKE 'nobody%'") == []


class WatchedClient:
    """An MLflow client that is followed call by call.

    Args:
        client: The client.
        before_call: Called with the number of each call, counted from 1, before it is made.
    """

    def __init__(self, client: MlflowClient, before_call: Callable[[int], None]) -> None:
        self._wrapped, self._before_call = client, before_call
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._wrapped, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            self._before_call(self.calls)
            return function(*arguments, **named)

        return call


@pytest.mark.slow
def test_the_move_of_the_champion_is_the_first_change_and_there_is_always_one_champion(place: Place) -> None:
    before, after, plan = start(place, "override")
    seen: list[State] = []
    registry = place.registry("Bob")
    use_client(registry, WatchedClient(MlflowClient(), lambda _: seen.append(place.state())))

    registry.apply(plan)

    champions = [aliases["champion"] for aliases, _ in seen]
    assert champions == sorted(champions)
    assert set(champions) == {1, 2}
    assert all(state == before for state, champion in zip(seen, champions, strict=True) if champion == 1)
    assert seen[-1] == after


@pytest.mark.slow
@pytest.mark.parametrize("is_first", [True, False], ids=["first_action", "later_action"])
def test_whenever_another_process_acts_in_between_one_action_comes_first(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    monkeypatch.setattr(registry_module, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(registry_module, "_POLL_SECONDS", 0.0)
    won: list[str] = []
    with mlflow_at(store):
        while True:
            place = new_place(store, tmp_path)
            if not is_first:
                place.registry().apply(promote(1))
            champion = None if is_first else 1
            told: dict[str, Change | Exception] = {}

            def act(by: str, version: int, client: Any) -> None:
                registry = place.registry(by)  # noqa: B023 - called before the next turn
                use_client(registry, client)
                try:
                    told[by] = registry.apply(decided(place, version, champion))  # noqa: B023
                except (DatasetError, RefusedActionError) as error:
                    told[by] = error  # noqa: B023

            def intervene(call: int) -> None:
                if call == len(won) + 1:
                    act("Eve", 3, MlflowClient())

            watched = WatchedClient(MlflowClient(), intervene)
            act("Bob", 2, watched)
            if watched.calls <= len(won):
                break
            [winner] = [by for by, result in told.items() if isinstance(result, Change)]
            won.append(winner)
            loser = told["Bob" if winner == "Eve" else "Eve"]
            events = place.registry().history()
            assert place.leftovers() == []
            assert [event.by for event in events if event.number > int(not is_first)] == [winner]
            assert {event.result for event in events} == {"done"}
            assert place.state()[0]["champion"] == {"Bob": 2, "Eve": 3}[winner]
            assert after_events(events) == place.state()[0]
            # Refused on the new state; or the event of the first one is open for longer than an action is waited for.
            expected = "The champion has changed" if winner == "Eve" else "Bob is changing"
            assert expected in str(loser) or (watched.calls == len(won) and "came first" in str(loser))

    # Until Bob's intent is in the audit Eve comes first, afterwards Bob does.
    assert won == sorted(won, reverse=True)
    assert set(won) == {"Bob", "Eve"}


@pytest.mark.slow
def test_an_open_event_of_another_machine_is_waited_for_and_void_once_it_is_too_old(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.registry().apply(promote(1))
    before = place.state()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "elsewhere")
        gone = place.registry("Bob")
        flaky = FlakyClient(MlflowClient(), range(8, 10_000), after=False)
        use_client(gone, flaky)
        with pytest.raises(DatasetError, match="The next action on the registry completes it or marks it as void"):
            gone.apply(promote(2))
    monkeypatch.setattr(registry_module, "_WAIT_SECONDS", 0.1)

    with pytest.raises(RegistryBusyError, match=r"Bob is changing .* \('promote' on version 2, .* on elsewhere"):
        place.registry().apply(promote(3))
    assert place.state() == before
    assert place.registry().history()[-1].result == "open"
    monkeypatch.setattr(registry_module, "_INTERRUPTED_SECONDS", 0.0)
    place.registry().apply(promote(3))

    assert [event.result for event in place.registry().history()] == ["done", "void", "done"]
    assert place.state()[0] == {"champion": 3, "previous_champion": 1}


@pytest.mark.slow
def test_what_an_interrupted_action_left_undone_is_skipped_for_versions_that_were_deleted_meanwhile(
    place: Place,
) -> None:
    place.registry().apply(promote(1))
    registry = place.registry("Bob")
    with broken_by_hand(registry, "set_model_version_tag"), pytest.raises(KeyboardInterrupt):
        registry.apply(promote(2))
    MlflowClient().delete_model_version(place.name, "1")

    place.registry("Eve").apply(promote(3))

    assert place.state()[0] == {"champion": 3, "previous_champion": 2}
    assert [event.result for event in place.registry().history()] == ["done", "finished_later", "done"]


class SuspendedClient:
    """An MLflow client whose process is suspended before its nth call, until another one has repaired the registry.

    Args:
        client: The client.
        place: The registry.
        last_look: The process is suspended before it reads the audit for the nth time, counted from 1.
    """

    def __init__(self, client: MlflowClient, place: Place, last_look: int) -> None:
        self._wrapped, self._place, self._last_look = client, place, last_look
        self.looks = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._wrapped, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if name == "get_run":
                self.looks += 1
                if self.looks == self._last_look:
                    self._suspend()
            return function(*arguments, **named)

        return call

    def _suspend(self) -> None:
        # To the other process, the suspended one looks as if it had ended.
        kept = set(registry_module._in_progress)
        registry_module._in_progress.clear()
        self._place.registry("Eve").repair()
        registry_module._in_progress.update(kept)


@pytest.mark.slow
def test_a_process_suspended_for_too_long_finds_its_event_closed_and_changes_nothing_more(place: Place) -> None:
    registry = place.registry()
    registry.apply(promote(1))
    registry.apply(promote(2))
    before = place.state()
    place.put_back(before)
    results, messages = set(), set()
    for look in range(1, 30):
        suspended = place.registry("Bob")
        client = SuspendedClient(MlflowClient(), place, look)
        use_client(suspended, client)
        try:
            suspended.apply(promote(3))
            done = True
        except DatasetError as error:
            messages.add(str(error))
            done = False
        aliases, _ = place.state()
        events = place.registry().history()
        assert place.leftovers() == []
        assert aliases == after_events(events, before[0])
        assert aliases == ({"champion": 3, "previous_champion": 2} if done else before[0])
        results.add(events[-1].result)
        place.put_back(before)
        if client.looks < look:
            break

    assert done
    assert results == {"done", "void", "finished_later"}
    assert len(messages) == 1
    assert "it took longer than 3 minutes. Nothing was changed" in messages.pop()
