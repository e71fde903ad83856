"""Model registry with one action at a time.

MLflow moves one alias per call, without transactions and conditions. An action is therefore written to the audit first,
as an intent. Its first call is the commit point: the move of the champion alias, if there is one. All further calls
follow from the intent and are idempotent, so the next action repairs an interrupted one: it completes a committed
action and marks any other as void.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kedro.io import DatasetError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from churn_kedro.datasets.mlflow.audit import ABSENT, Audit, find_registered_model
from churn_kedro.datasets.mlflow.failures import explain_store_failure
from churn_kedro.datasets.mlflow.signatures import SIGNATURE_TAG, sign_version
from churn_kedro.datasets.mlflow.stored_files import find_place, read_stored_files
from churn_kedro.datasets.mlflow.stored_models import load_input_example, load_model, read_verified_file
from churn_kedro.registry import (
    AuditEvent,
    Change,
    CheckResult,
    EventResult,
    RefusedActionError,
    RegistryState,
    check_aliases,
    check_audit,
    check_version,
    explain_lost_files,
)
from churn_kedro.reporting import DOCUMENTS_FOLDER

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from churn_kedro.models import OnnxExport

logger = logging.getLogger(__name__)

# Prefix of the tags of a version with copies of its events.
AUDIT_TAG = "audit."
# File of an exported version with its origin.
EXPORT_FACTS = "version.json"
# An action takes about two seconds. On an unreachable machine, it counts as interrupted after this time.
_WAIT_SECONDS, _INTERRUPTED_SECONDS, _POLL_SECONDS = 20.0, 180.0, 0.2
_PAGE = 1000
# Tokens of the events in progress in this process.
_in_progress: set[str] = set()


def find_model_version(model_name: str, wanted: str) -> ModelVersion | None:
    """Find a version by number, alias or ``latest``.

    Args:
        model_name: Registered model.
        wanted: Number, name of an alias, or ``latest``.

    Returns:
        The version; None if there is none.
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
        if error.error_code in (ABSENT, "INVALID_PARAMETER_VALUE"):
            return None
        raise


class RegistryBusyError(DatasetError):
    """Another process is changing the registry."""


def _now() -> str:
    # MLflow allows no plus sign in the name of a tag.
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class ModelRegistry:
    """A registered model: state, actions and audit.

    Args:
        name: Registered model.
        experiment: Experiment that gets the run with the audit.
        by: User of the actions.
        git_commit: Git commit of the code.
        artifact_location: Artifact location of the experiment, if it does not exist yet.
    """

    def __init__(
        self, name: str, *, experiment: str, by: str, git_commit: str, artifact_location: str | None = None
    ) -> None:
        self.name = name
        self._by = by
        self._git_commit = git_commit
        self._client = MlflowClient()
        self._audit = Audit(self._client, name, experiment, artifact_location)

    def versions(self) -> list[ModelVersion]:
        """Return all versions, oldest first, with one call per thousand."""
        found: list[ModelVersion] = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{self.name}'", max_results=_PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))

    def state(self, versions: Sequence[ModelVersion] | None = None) -> RegistryState:
        """Return the state of the registry.

        Args:
            versions: All versions, if already loaded.

        Raises:
            DatasetError: There is no such registered model.
        """
        model = find_registered_model(self._client, self.name)
        return RegistryState(
            name=self.name,
            aliases={alias: int(version) for alias, version in model.aliases.items()},
            tags={
                int(version.version): dict(version.tags or {})
                for version in (self.versions() if versions is None else versions)
            },
        )

    def apply(self, plan: Callable[[RegistryState], Change]) -> Change:
        """Apply one action: all of it, or nothing.

        Args:
            plan: Function that plans the action for a state of the registry. It is called again if another process
                changes the registry before the action is in the audit.

        Returns:
            The applied change; nothing was done if ``already`` is set.

        Raises:
            RegistryBusyError: Another process is changing the registry for too long.
            DatasetError: The action failed; the message says whether anything was changed.
            RefusedActionError: The plan refuses the action.
        """
        with self._explaining_failures():
            while True:
                events, state = self._read_consistently()
                change = plan(state)
                if change.version not in state.tags:
                    raise RefusedActionError(f"Version {change.version} of {self.name} does not exist any more.")
                if change.already is not None:
                    return change
                event = self._describe(change, len(events) + 1)
                _in_progress.add(event.token)
                try:
                    if self._audit.append(event):
                        self._apply_event(event)
                        return change
                finally:
                    _in_progress.discard(event.token)

    def repair(self) -> list[AuditEvent]:
        """Wait for an action in progress; complete an interrupted one, or mark it as void.

        Returns:
            The audit, without any open event.

        Raises:
            RegistryBusyError: Another process is changing the registry for too long.
            DatasetError: MLflow does not respond.
        """
        waits_for, deadline = 0, 0.0
        with self._explaining_failures():
            while (events := self._audit.read()) and (last := events[-1]).result == "open":
                if _is_interrupted(last):
                    self._close_interrupted(last)
                    continue
                if last.number != waits_for:
                    waits_for, deadline = last.number, time.monotonic() + _WAIT_SECONDS
                elif time.monotonic() > deadline:
                    raise RegistryBusyError(
                        f"{last.by} is changing {self.name} ('{last.action}' on version {last.version}, since "
                        f"{last.at}) from process {last.process} on {last.host}. Nothing was changed. Try again in "
                        "a moment."
                    )
                time.sleep(_POLL_SECONDS)
        return events

    def history(self) -> list[AuditEvent]:
        """Return the audit, oldest event first.

        Raises:
            DatasetError: It cannot be read.
        """
        with self._explaining_failures():
            return self._audit.read()

    def check(self, wanted: str | None = None) -> list[CheckResult]:
        """Check versions, aliases and audit; nothing is changed.

        Args:
            wanted: Number or alias of the version whose files are checked; None: those of all versions.

        Returns:
            One result for each version and alias, and one for the audit.

        Raises:
            DatasetError: MLflow does not respond.
        """
        versions = self.versions()
        state = self.state(versions)
        chosen = None if wanted is None else state.find(wanted)
        numbers, events, unreadable = self._audit.examine()
        return [
            *(
                check_version(self.name, int(one.version), one.tags or {}, read_stored_files(one))
                for one in versions
                if chosen in (None, int(one.version))
            ),
            *check_aliases(state, events),
            check_audit(numbers, events, unreadable),
        ]

    def events_of(self, state: RegistryState, version: int) -> list[AuditEvent]:
        """Return the events of a version from its tags, oldest first."""
        tags = state.tags[version]
        return [AuditEvent.model_validate_json(tags[key]) for key in sorted(tags) if key.startswith(AUDIT_TAG)]

    def read_document(self, version: int, name: str) -> str:
        """Read a document that the last evaluation attached to a version.

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
                self._require_files(version)
                raise DatasetError(
                    f"Version {version} of {self.name} has no {name}: it was not evaluated. "
                    f"`kedro run --pipelines evaluation --params model_version={version}` writes it."
                ) from error

    def export(self, version: int, folder: Path) -> None:
        """Write a version to a self-contained folder.

        Args:
            version: Number.
            folder: Folder to create.

        Raises:
            DatasetError: The version's files cannot be read, or its model file was changed.
        """
        from mlflow.artifacts import download_artifacts

        found = self._client.get_model_version(self.name, str(version))
        read_verified_file(found)
        uri = f"models:/{self.name}/{version}"
        try:
            shutil.copytree(download_artifacts(artifact_uri=uri), folder)
        except (MlflowException, OSError) as error:
            self._require_files(version)
            raise DatasetError(f"The files of version {version} of {self.name} cannot be read: {error}") from error
        self._describe_export(found, folder, _explain_export(self.name, version))

    def export_onnx(self, version: int, folder: Path) -> OnnxExport:
        """Write the model of a version in ONNX, with a description.

        Args:
            version: Number.
            folder: Folder to create.

        Returns:
            What was written.

        Raises:
            DatasetError: The version's model file cannot be read, or was changed.
            ParameterError: The model cannot be written in ONNX.
        """
        from churn_kedro.models import export_to_onnx

        found = self._client.get_model_version(self.name, str(version))
        exported = export_to_onnx(load_model(found), load_input_example(self.name, version))
        folder.mkdir()
        (folder / "model.onnx").write_bytes(exported.model)
        described = json.dumps(exported.description, indent=2, ensure_ascii=False)
        (folder / "model.json").write_text(described + "\n", encoding="utf-8")
        self._describe_export(found, folder, _explain_onnx_export(self.name, version, exported))
        return exported

    def _describe_export(self, found: ModelVersion, folder: Path, explained: str) -> None:
        version = int(found.version)
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
        (folder / "README.md").write_text(explained, encoding="utf-8")

    def _require_files(self, version: int) -> None:
        place, lost = find_place(self._client.get_model_version(self.name, str(version)))
        if lost is not None:
            raise DatasetError(f"{place}: {lost}. {explain_lost_files(self.name, version)}")

    @contextmanager
    def _explaining_failures(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, OSError) as error:
            reason = explain_store_failure(error) or f"{error}."
            raise DatasetError(f"The registry of {self.name} failed. {reason} Nothing was changed.") from error

    def _read_consistently(self) -> tuple[list[AuditEvent], RegistryState]:
        """Read audit and state without an action in between."""
        while True:
            events = self.repair()
            state = self.state()
            if len(self._audit.read()) == len(events):
                return events, state

    def _describe(self, change: Change, number: int) -> AuditEvent:
        return AuditEvent(
            number=number,
            at=_now(),
            by=self._by,
            host=socket.gethostname(),
            process=os.getpid(),
            token=uuid.uuid4().hex,
            action=change.action,
            version=change.version,
            moves=change.moves,
            tags=change.tags,
            outcome=change.outcome,
            reasons=change.reasons,
            git_commit=self._git_commit,
        )

    def _apply_event(self, event: AuditEvent) -> None:
        """Execute the calls of an action whose intent is in the audit."""
        what = f"The action '{event.action}' on version {event.version} of {self.name}"
        failure: BaseException | None = None
        try:
            self._sign(event)
            result = self._complete(event, "done")
        except BaseException as error:
            failure = error
            try:
                result = self._close_interrupted(event)
            except (MlflowException, OSError) as second:
                raise DatasetError(
                    f"{what} was interrupted ({error}), and MLflow does not respond ({second}). The next action on "
                    "the registry completes it or marks it as void; `kedro models history` then shows which."
                ) from error
            if not isinstance(error, MlflowException | OSError):
                raise
        if result == "void":
            cause = failure or f"it took longer than {_INTERRUPTED_SECONDS / 60:.0f} minutes"
            raise DatasetError(f"{what} failed: {cause}. Nothing was changed.") from failure

    def _sign(self, event: AuditEvent) -> None:
        """Sign the version that becomes champion, before the alias moves: the service follows it at once."""
        move = event.moves.get("champion")
        version = None if move is None or move.after is None else find_model_version(self.name, str(move.after))
        signature = None if version is None else sign_version(version)
        if version is not None and signature is not None:
            self._client.set_model_version_tag(self.name, str(version.version), SIGNATURE_TAG, signature)

    def _close_interrupted(self, event: AuditEvent) -> EventResult:
        """Complete a committed action; mark any other as void."""
        result = self._audit.read_result(event)
        if result != "open":
            return result
        is_own = event.token in _in_progress
        if self._is_decided(event):
            result = self._complete(event, "done" if is_own else "finished_later")
        else:
            result = self._audit.close(event.model_copy(update={"result": "void", "closed_by": self._by}))
        if not is_own:
            logger.warning(
                "The action '%s' on version %d of %s by %s was interrupted; it is %s now.",
                event.action,
                event.version,
                self.name,
                event.by,
                "void" if result == "void" else "completed",
            )
        return result

    def _is_decided(self, event: AuditEvent) -> bool:
        """Whether the first call of an action took effect."""
        version = find_model_version(self.name, str(event.version))
        if event.action == "delete":
            return version is None
        if not event.moves:
            return version is not None and _audit_tag(event) in version.tags
        alias, move = next(iter(event.moves.items()))
        found = self._client.get_registered_model(self.name).aliases.get(alias)
        return (None if found is None else int(found)) == move.after

    def _complete(self, event: AuditEvent, result: EventResult) -> EventResult:
        """Execute all calls of an action in order and close its event, unless another process has closed it."""
        closed = event.model_copy(update={"result": result, "closed_by": self._by})
        for call in self._calls(closed):
            # While this process was suspended, another one may have closed the event.
            if (present := self._audit.read_result(event)) != "open":
                return present
            call()
        return self._audit.close(closed)

    def _calls(self, event: AuditEvent) -> Iterator[Callable[[], object]]:
        """Return the calls of an action. The first one is the commit point; all are idempotent."""
        present = {int(version.version) for version in self.versions()}
        if event.action == "delete":
            if event.version in present:
                yield partial(self._client.delete_model_version, self.name, str(event.version))
            return
        for alias, move in event.moves.items():
            if move.after in present:
                yield partial(self._client.set_registered_model_alias, self.name, alias, str(move.after))
            else:
                yield partial(self._client.delete_registered_model_alias, self.name, alias)
        if event.version in present:
            yield partial(self._write_tags, event)

    def _write_tags(self, event: AuditEvent) -> None:
        version = str(event.version)
        self._client.set_model_version_tag(self.name, version, _audit_tag(event), event.model_dump_json())
        for key, value in event.tags.items():
            if value is None:
                self._client.delete_model_version_tag(self.name, version, key)
            else:
                self._client.set_model_version_tag(self.name, version, key, value)


def _audit_tag(event: AuditEvent) -> str:
    return f"{AUDIT_TAG}{event.at}"


def _explain_export(name: str, version: int) -> str:
    return f"""# {name}, version {version}

It can be loaded with MLflow and the packages of `requirements.txt`, without the project that trained it.

```
pip install -r requirements.txt
python -c "
import mlflow, pandas
model = mlflow.pyfunc.load_model('.')
print(model.metadata.signature)
print(model.predict(pandas.read_json('input_example.json', orient='split')))
"
```

`{EXPORT_FACTS}` describes its origin; `evaluation/` contains report and model card, if it was evaluated.
"""


def _explain_onnx_export(name: str, version: int, exported: OnnxExport) -> str:
    if exported.reason:
        inputs = f"""The input is that of the trees: `model.json` says how each of its columns is computed from the
customer table. The treatment of the table is not part of the file, since {exported.reason}."""
    else:
        inputs = """Each column of the customer table is an input of shape (n, 1): a double, NaN where missing, or text
without blanks around it, empty where missing. `model.json` lists them."""
    return f"""# {name}, version {version}, in ONNX

{inputs}

```
pip install onnxruntime
python -c "
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession('model.onnx', options)
print([(one.name, one.type, one.shape) for one in session.get_inputs()])
"
```

The output is calibrated. The decision is not part of the file: `model.json` has the threshold of the probability.
On {exported.n_rows} rows, the largest difference from the registered model is {exported.largest_difference:.1g}.
With several threads, ONNX Runtime adds the trees in another order, so the last digits differ.
`{EXPORT_FACTS}` describes the origin of the version.
"""


def _is_interrupted(event: AuditEvent) -> bool:
    """Return whether the process of an open event has ended or failed, or the event is too old."""
    if event.host == socket.gethostname():
        if event.process == os.getpid():
            return event.token not in _in_progress
        if not _is_running(event.process):
            return True
    return (datetime.now(UTC) - datetime.fromisoformat(event.at)).total_seconds() > _INTERRUPTED_SECONDS


def _is_running(process: int) -> bool:
    if os.name == "nt":
        # On Windows, signal 0 is Ctrl-C and would interrupt the process.
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
