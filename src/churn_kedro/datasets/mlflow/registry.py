"""The model registry as a place where one action at a time is done whole, or not at all.

MLflow moves one alias per call and knows no transaction. A registered model that exists only while an action goes on
serves as the lock: its name is a primary key in every store, so only one process can create it. It carries the journal
of the action. Whoever finds the lock of a process that has ended finishes what was begun, or takes it back.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import DatasetError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pydantic import Field, ValidationError

from churn_kedro.base import Parameters
from churn_kedro.registry import Alias, AuditEvent, Change, Move, RefusedActionError, RegistryState
from churn_kedro.reporting import DOCUMENTS_FOLDER

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

logger = logging.getLogger(__name__)

# Tag of the registered model: run whose artifacts are the audit.
AUDIT_RUN_TAG = "audit_run_id"
AUDIT_FOLDER = "audit"
# Beginning of the tags of a version that repeat its part of the audit.
AUDIT_TAG = "audit."
# File of an exported version that tells where it comes from.
EXPORT_FACTS = "version.json"
_LOCK, _RECOVERY = ".changing", ".recovering"
_JOURNAL = "journal."
# A store may hold no longer tag of a registered model.
_TAG_LENGTH = 4000
# Somebody else's action takes a second or two; one of a machine that is gone is given up after this time.
_PATIENCE_SECONDS, _ABANDONED_SECONDS, _POLL_SECONDS = 20.0, 180.0, 0.2
_PAGE = 1000
# Aliases in the order in which they move forward. The champion's move is the one that counts, so what leads to it
# comes before and what follows from it after.
_ORDER: tuple[Alias, ...] = ("previous_champion", "champion", "challenger", "staging")
# Tokens of actions that this process has begun and could neither finish nor take back.
_given_up: set[str] = set()


def find_model_version(model_name: str, wanted: str) -> ModelVersion | None:
    """Find a version by what people call it.

    Args:
        model_name: Registered model.
        wanted: Number, name of an alias, or ``latest``.

    Returns:
        The version; None where there is none.
    """
    client = MlflowClient()
    if wanted == "latest":
        order = ["version_number DESC"]
        newest = client.search_model_versions(f"name = '{model_name}'", max_results=1, order_by=order)
        return newest[0] if newest else None
    try:
        if wanted.isdecimal():
            return client.get_model_version(model_name, wanted)
        return client.get_model_version_by_alias(model_name, wanted)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


class RegistryBusyError(DatasetError):
    """Somebody else is changing the registry."""


class _Journal(Parameters):
    """What an action is about to do, enough to finish it or to take it back."""

    token: str
    host: str
    process: int
    at: str
    event: AuditEvent
    moves: dict[Alias, Move]
    tags: dict[str, str | None] = Field(description="Tags of the version as they are to be.")
    tags_before: dict[str, str | None] = Field(description="The same as they were.")


def _now() -> str:
    # MLflow takes no plus sign in the name of a tag.
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _absent(error: MlflowException) -> bool:
    return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")


def _require_present(state: RegistryState, version: int) -> None:
    if version not in state.tags:
        raise RefusedActionError(f"There is no version {version} of {state.name} any more.")


class ModelRegistry:
    """One registered model: how it stands, what is to be done with it, and what was done.

    Args:
        name: Registered model.
        experiment: Experiment that gets the run with the audit.
        by: Who acts.
        git_commit: Commit of the code that acts.
        artifact_location: Where the experiment keeps its artifacts, should it not exist yet.
    """

    def __init__(
        self, name: str, *, experiment: str, by: str, git_commit: str, artifact_location: str | None = None
    ) -> None:
        self.name = name
        self._experiment = experiment
        self._by = by
        self._git_commit = git_commit
        self._artifact_location = artifact_location
        self._client = MlflowClient()

    def versions(self) -> list[ModelVersion]:
        """Every version, the oldest first, in one call for each thousand."""
        found: list[ModelVersion] = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{self.name}'", max_results=_PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))

    def state(self, versions: Sequence[ModelVersion] | None = None) -> RegistryState:
        """How the registry stands.

        Args:
            versions: All versions, where they are known already.

        Raises:
            DatasetError: There is no such registered model.
        """
        model = self._model()
        return RegistryState(
            name=self.name,
            aliases={alias: int(version) for alias, version in model.aliases.items()},
            tags={
                int(version.version): dict(version.tags or {})
                for version in (self.versions() if versions is None else versions)
            },
        )

    def _model(self) -> RegisteredModel:
        try:
            return self._client.get_registered_model(self.name)
        except MlflowException as error:
            if not _absent(error):
                raise
            raise DatasetError(
                f"There is no registered model '{self.name}'. Train a version first: `kedro run`."
            ) from error

    def carry_out(self, plan: Callable[[RegistryState], Change]) -> Change:
        """Do one action: all of it, or nothing.

        Args:
            plan: Says what is to be done, given how the registry stands while nobody else can change it.

        Returns:
            What was done; nothing where ``already`` is set.

        Raises:
            RegistryBusyError: Somebody else is at it.
            DatasetError: It broke off; the message says whether it could be taken back.
            RefusedActionError: The plan refuses.
        """
        try:
            self.recover()
            with self._alone(_LOCK) as token:
                state = self.state()
                change = plan(state)
                _require_present(state, change.version)
                if change.already is None:
                    self._do(change, state, token)
                return change
        except (MlflowException, OSError) as error:
            raise DatasetError(f"The registry of {self.name} failed: {error}. Nothing was changed.") from error

    def settle(self) -> None:
        """Finish or take back what somebody has left half done.

        Raises:
            RegistryBusyError: Somebody is at it.
            DatasetError: The registry does not answer.
        """
        try:
            self.recover()
        except MlflowException as error:
            raise DatasetError(f"The registry of {self.name} failed: {error}. Nothing was changed.") from error

    def delete(self, version: int, reason: str) -> None:
        """Delete a version that has no alias. What it was, stays in the audit.

        Args:
            version: Number.
            reason: Why, for the audit.

        Raises:
            RefusedActionError: The version has an alias by now, or is gone.
            DatasetError: The registry is busy, or does not answer.
        """
        try:
            self.recover()
            with self._alone(_LOCK):
                state = self.state()
                _require_present(state, version)
                held = state.aliases_of(version)
                if held:
                    raise RefusedActionError(f"Version {version} of {self.name} is {held[0]} and is not deleted.")
                event = AuditEvent(
                    at=_now(),
                    by=self._by,
                    action="delete",
                    version=version,
                    moves={},
                    outcome=None,
                    reasons=[reason],
                    git_commit=self._git_commit,
                )
                self._delete_whole(event)
        except (MlflowException, OSError) as error:
            raise DatasetError(f"Version {version} of {self.name} could not be deleted: {error}.") from error

    def _delete_whole(self, event: AuditEvent) -> None:
        """Delete a version, or say in the audit that it was not deleted."""
        version = str(event.version)
        try:
            self._append(event)
            self._client.delete_model_version(self.name, version)
        except (MlflowException, OSError):
            # Only the answer may have been lost.
            if find_model_version(self.name, version) is None:
                return
            self._append(event.model_copy(update={"at": _now(), "result": "undone"}))
            raise

    def history(self) -> list[AuditEvent]:
        """The audit, the oldest event first.

        Raises:
            DatasetError: It was kept, and cannot be read.
        """
        run_id = self._model().tags.get(AUDIT_RUN_TAG)
        if run_id is None:
            return []
        from mlflow.artifacts import download_artifacts

        with tempfile.TemporaryDirectory() as folder:
            try:
                kept = Path(download_artifacts(run_id=run_id, artifact_path=AUDIT_FOLDER, dst_path=folder))
                texts = [path.read_text(encoding="utf-8") for path in sorted(kept.glob("*.json"))]
                return [AuditEvent.model_validate_json(text) for text in texts]
            except (MlflowException, OSError, ValidationError) as error:
                raise DatasetError(
                    f"The audit of {self.name} (run {run_id}, folder {AUDIT_FOLDER}) cannot be read: {error}"
                ) from error

    def events_of(self, state: RegistryState, version: int) -> list[AuditEvent]:
        """What was done with a version itself, from its tags, the oldest event first."""
        tags = state.tags[version]
        return [AuditEvent.model_validate_json(tags[key]) for key in sorted(tags) if key.startswith(AUDIT_TAG)]

    def read_document(self, version: int, name: str) -> str:
        """Read what the last evaluation has attached to a version.

        Args:
            version: Number.
            name: File name.

        Returns:
            The text.

        Raises:
            DatasetError: The version was not evaluated.
        """
        from mlflow.artifacts import download_artifacts

        with tempfile.TemporaryDirectory() as folder:
            try:
                uri = f"models:/{self.name}/{version}/{DOCUMENTS_FOLDER}/{name}"
                return Path(download_artifacts(artifact_uri=uri, dst_path=folder)).read_text(encoding="utf-8")
            except (MlflowException, OSError) as error:
                raise DatasetError(
                    f"Version {version} of {self.name} has no {name}: it was not evaluated. "
                    f"`kedro run --pipelines evaluation --params model_version={version}` writes it."
                ) from error

    def export(self, version: int, folder: Path) -> None:
        """Write a version to a folder that needs nothing else.

        Args:
            version: Number.
            folder: Where; it is made.

        Raises:
            DatasetError: The version's files cannot be read.
        """
        from mlflow.artifacts import download_artifacts

        found = self._client.get_model_version(self.name, str(version))
        uri = f"models:/{self.name}/{version}"
        try:
            shutil.copytree(download_artifacts(artifact_uri=uri), folder)
        except (MlflowException, OSError) as error:
            raise DatasetError(f"The files of version {version} of {self.name} cannot be read: {error}") from error
        facts = {
            "model": self.name,
            "version": version,
            "exported_at": _now(),
            "exported_by": self._by,
            "aliases": self.state().aliases_of(version),
            "run_id": found.run_id,
            "tags": dict(found.tags or {}),
        }
        (folder / EXPORT_FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_explain_export(self.name, version), encoding="utf-8")

    def recover(self) -> None:
        """Finish or take back what a process left half done when it ended. Somebody who is still at it is waited for.

        Raises:
            RegistryBusyError: Somebody is at it for longer than that.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (lock := self._find(_LOCK)) is not None:
            if _is_abandoned(lock):
                self._settle(lock.tags.get("token", ""))
            elif time.monotonic() > deadline:
                raise RegistryBusyError(_describe_lock(self.name, lock, _read_journal(lock)))
            else:
                time.sleep(_POLL_SECONDS)

    def _settle(self, token: str) -> None:
        """Finish or take back what was begun under an abandoned lock, and remove it."""
        try:
            with self._alone(_RECOVERY):
                lock = self._find(_LOCK)
                # Another process may have settled it, and somebody may have begun anew.
                if lock is None or lock.tags.get("token", "") != token:
                    return
                journal = _read_journal(lock)
                if journal is None:
                    # It ended before it had decided on anything.
                    self._remove(_LOCK)
                    return
                finish = self._is_committed(journal)
                logger.warning(
                    "The action '%s' on version %d of %s by %s broke off; it is %s now.",
                    journal.event.action,
                    journal.event.version,
                    self.name,
                    journal.event.by,
                    "finished" if finish else "taken back",
                )
                self._put(self._without_gone(journal), forward=finish)
                self._append(
                    journal.event.model_copy(
                        update={"at": _now(), "by": self._by, "result": "finished_later" if finish else "undone"}
                    )
                )
                self._remove(_LOCK)
        except RegistryBusyError:
            # Another process settles it; the caller looks again.
            time.sleep(_POLL_SECONDS)

    def _without_gone(self, journal: _Journal) -> _Journal:
        """What can still be done of a journal, should somebody have deleted versions of it meanwhile."""
        there = {int(version.version) for version in self.versions()}
        moves = {
            alias: Move(
                before=move.before if move.before in there else None, after=move.after if move.after in there else None
            )
            for alias, move in journal.moves.items()
        }
        tags = journal.tags if journal.event.version in there else {}
        return journal.model_copy(
            update={"moves": moves, "tags": tags, "tags_before": journal.tags_before if tags else {}}
        )

    def _is_committed(self, journal: _Journal) -> bool:
        """Whether the move that counts was made: the champion's, or else the first; without any, whether all was."""
        if not journal.moves:
            version = find_model_version(self.name, str(journal.event.version))
            return version is not None and f"{AUDIT_TAG}{journal.at}" in version.tags
        alias: Alias = "champion" if "champion" in journal.moves else next(iter(journal.moves))
        found = self._client.get_registered_model(self.name).aliases.get(alias)
        return (None if found is None else int(found)) == journal.moves[alias].after

    def _do(self, change: Change, state: RegistryState, token: str) -> None:
        at = _now()
        event = AuditEvent(
            at=at,
            by=self._by,
            action=change.action,
            version=change.version,
            moves=change.moves,
            outcome=change.outcome,
            reasons=change.reasons,
            git_commit=self._git_commit,
        )
        tags = {**change.tags, f"{AUDIT_TAG}{at}": event.model_dump_json()}
        journal = _Journal(
            token=token,
            host=socket.gethostname(),
            process=os.getpid(),
            at=at,
            event=event,
            moves=change.moves,
            tags=tags,
            tags_before={key: state.tags[change.version].get(key) for key in tags},
        )
        self._write_journal(journal)
        try:
            # What cannot be written down is not done.
            self._append(event)
            self._put(journal, forward=True, held=True)
        except _LostLockError:
            # Whoever has it has taken this back, too.
            raise
        except BaseException as error:
            self._take_back(journal, error)
            raise

    def _take_back(self, journal: _Journal, error: BaseException) -> None:
        what = f"The action '{journal.event.action}' on version {journal.event.version} of {self.name}"
        try:
            self._put(journal, forward=False, held=True)
            self._append(journal.event.model_copy(update={"at": _now(), "result": "undone"}))
        except _LostLockError:
            raise
        except BaseException as second:
            # Whoever interrupts this, too, must not leave it without its journal.
            _given_up.add(journal.token)
            raise _HalfDoneError(
                f"{what} broke off ({error}), and the registry does not answer to take it back ({second}). The next "
                "`kedro models` command, or the next promotion, finishes it or takes it back first."
            ) from error
        if isinstance(error, MlflowException | OSError):
            raise DatasetError(f"{what} failed and was taken back: {error}. Nothing was changed.") from error

    def _require_held(self, token: str) -> None:
        """A process that was suspended for minutes may find that another one has settled what it had begun."""
        lock = self._find(_LOCK)
        if lock is None or lock.tags.get("token") != token:
            raise _LostLockError(
                f"This took longer than {_ABANDONED_SECONDS / 60:.0f} minutes, and another process has finished it or "
                "taken it back: `kedro models history` tells which."
            )

    def _put(self, journal: _Journal, *, forward: bool, held: bool = False) -> None:
        """Bring aliases and tags to how they are to be, or to how they were. Doing it twice is doing it once.

        With ``held``, each step is made only while the lock is still the action's own.
        """
        version = str(journal.event.version)
        tags = journal.tags if forward else journal.tags_before
        for alias in _ORDER if forward else reversed(_ORDER):
            if alias not in journal.moves:
                continue
            number = journal.moves[alias].after if forward else journal.moves[alias].before
            if held:
                self._require_held(journal.token)
            if number is None:
                self._client.delete_registered_model_alias(self.name, alias)
            else:
                self._client.set_registered_model_alias(self.name, alias, str(number))
        present = (
            self._client.get_model_version(self.name, version).tags
            if any(value is None for value in tags.values())
            else {}
        )
        if held:
            self._require_held(journal.token)
        for key, value in tags.items():
            if value is not None:
                self._client.set_model_version_tag(self.name, version, key, value)
            elif key in present:
                self._client.delete_model_version_tag(self.name, version, key)

    def _append(self, event: AuditEvent) -> None:
        """Add a file to the audit; none is ever written again."""
        name = f"{event.at.replace(':', '')}-{uuid.uuid4().hex[:6]}.json"
        self._client.log_text(self._audit_run(), event.model_dump_json(indent=2) + "\n", f"{AUDIT_FOLDER}/{name}")

    def _audit_run(self) -> str:
        """Run that holds the audit. It is made while the lock is held, so there is one."""
        known = self._client.get_registered_model(self.name).tags.get(AUDIT_RUN_TAG)
        if known is not None:
            return str(known)
        experiment = self._client.get_experiment_by_name(self._experiment)
        experiment_id = (
            self._client.create_experiment(self._experiment, artifact_location=self._artifact_location)
            if experiment is None
            else experiment.experiment_id
        )
        run = self._client.create_run(experiment_id, run_name="audit", tags={"audit_of": self.name})
        self._client.set_terminated(run.info.run_id)
        self._client.set_registered_model_tag(self.name, AUDIT_RUN_TAG, run.info.run_id)
        return str(run.info.run_id)

    @contextmanager
    def _alone(self, suffix: str) -> Iterator[str]:
        """Hold a lock: a registered model of this name, which only one process can create."""
        token = uuid.uuid4().hex
        holder = {"token": token, "by": self._by, "host": socket.gethostname(), "process": str(os.getpid())}
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._client.create_registered_model(
                    self.name + suffix,
                    tags=holder,
                    description=f"Aliases of {self.name} are being changed. It goes when that is done.",
                )
                break
            except MlflowException as error:
                # Where the other lock goes in the same moment, MLflow says that there is none.
                if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
                    # It may have been created all the same.
                    _given_up.add(token)
                    raise
            other = self._find(suffix)
            if other is not None and other.tags.get("token") == token:
                # The answer to a first request was lost, and MLflow asked once more.
                break
            if other is not None and suffix == _RECOVERY and _is_abandoned(other):
                self._remove(suffix)
            elif time.monotonic() > deadline:
                raise RegistryBusyError(_describe_lock(self.name, other, None))
            else:
                time.sleep(_POLL_SECONDS)
        half_done = False
        try:
            yield token
        except _HalfDoneError:
            half_done = True
            raise
        finally:
            # The journal of what is half done is needed.
            if not half_done:
                self._let_go(suffix, token)

    def _let_go(self, suffix: str, token: str) -> None:
        try:
            lock = self._find(suffix)
            # Whoever was away for too long has lost it to another process.
            if lock is not None and lock.tags.get("token") == token:
                self._remove(suffix)
        except MlflowException as error:
            _given_up.add(token)
            logger.warning("The lock of %s could not be removed (%s); the next action does it.", self.name, error)

    def _find(self, suffix: str) -> RegisteredModel | None:
        try:
            return self._client.get_registered_model(self.name + suffix)
        except MlflowException as error:
            if _absent(error):
                return None
            raise

    def _remove(self, suffix: str) -> None:
        try:
            self._client.delete_registered_model(self.name + suffix)
        except MlflowException as error:
            if not _absent(error):
                raise

    def _write_journal(self, journal: _Journal) -> None:
        text = journal.model_dump_json()
        parts = [text[start : start + _TAG_LENGTH] for start in range(0, len(text), _TAG_LENGTH)]
        for place, part in enumerate(parts):
            self._client.set_registered_model_tag(self.name + _LOCK, f"{_JOURNAL}{place:03}", part)
        # Only now is it complete.
        self._client.set_registered_model_tag(self.name + _LOCK, "journal_parts", str(len(parts)))


def _explain_export(name: str, version: int) -> str:
    return f"""# {name}, version {version}

It loads with MLflow and the packages of `requirements.txt` alone; the project that trained it is not needed.

```
pip install -r requirements.txt
python -c "
import mlflow, pandas
model = mlflow.pyfunc.load_model('.')
print(model.metadata.signature)
print(model.predict(pandas.read_json('input_example.json', orient='split')))
"
```

`{EXPORT_FACTS}` tells where it comes from; `evaluation/` holds report and model card, if it was evaluated.
"""


class _LostLockError(DatasetError):
    """Another process has settled an action that took too long."""


class _HalfDoneError(DatasetError):
    """An action broke off and could not be taken back."""


def _read_journal(lock: RegisteredModel) -> _Journal | None:
    tags = lock.tags
    if "journal_parts" not in tags:
        return None
    parts = [tags[f"{_JOURNAL}{place:03}"] for place in range(int(tags["journal_parts"]))]
    return _Journal.model_validate(json.loads("".join(parts)))


def _is_abandoned(lock: RegisteredModel) -> bool:
    """Whether nobody is at it any more: it was given up here, its process has ended, or it is much too old."""
    holder = lock.tags
    if holder.get("token") in _given_up:
        return True
    if holder.get("host") == socket.gethostname() and not _is_running(int(holder.get("process", "0"))):
        return True
    return bool(time.time() - lock.creation_timestamp / 1000 > _ABANDONED_SECONDS)


def _is_running(process: int) -> bool:
    if os.name == "nt":
        # Signal 0 asks nothing there; it interrupts.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _describe_lock(name: str, lock: RegisteredModel | None, journal: _Journal | None) -> str:
    holder: Mapping[str, Any] = {} if lock is None else lock.tags
    what = "" if journal is None else f" ('{journal.event.action}' on version {journal.event.version})"
    return (
        f"{holder.get('by', 'Somebody')} is changing {name}{what} from process {holder.get('process', '?')} on "
        f"{holder.get('host', '?')}. Nothing was changed. Try again in a moment."
    )
