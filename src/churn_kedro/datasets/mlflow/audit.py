"""The audit of a registered model: its actions in order, as parameters of one MLflow run.

MLflow rejects changes of a run's parameter, in every store. If two processes append an event with the same number, only
one succeeds; since no event may follow an open one, the audit is also the lock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kedro.io import DatasetError
from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException

from churn_kedro.registry import AuditEvent, EventResult

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

# Tag of the registered model: id of the run that holds its audit.
AUDIT_RUN_TAG = "audit_run_id"
# Suffix of a registered model that exists only while that run is being chosen.
_CHOICE = ".audit"
ABSENT = "RESOURCE_DOES_NOT_EXIST"
_EVENT_KEY = re.compile(r"event\.(\d{6})")
# MLflow truncates longer parameters (at 6000 characters).
_PART_LENGTH = 5000


def find_registered_model(client: MlflowClient, name: str) -> RegisteredModel:
    """Find a registered model.

    Raises:
        DatasetError: There is none of this name.
    """
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        raise DatasetError(f"There is no registered model '{name}'. Train a version first: `kedro run`.") from error


class Audit:
    """Events of one registered model.

    Args:
        client: MLflow client.
        name: Registered model.
        experiment: Experiment that gets the run with the audit.
        artifact_location: Artifact location of the experiment, if it does not exist yet.
    """

    def __init__(self, client: MlflowClient, name: str, experiment: str, artifact_location: str | None) -> None:
        self._client = client
        self._name = name
        self._experiment = experiment
        self._artifact_location = artifact_location
        self._known_run: str | None = None

    def read(self) -> list[AuditEvent]:
        """Return all events, oldest first. Only the last one may be open.

        Raises:
            DatasetError: An event is damaged.
        """
        parameters = self._read_parameters()
        events: list[AuditEvent] = []
        while _event_key(len(events) + 1) in parameters:
            number = len(events) + 1
            try:
                events.append(_read_event(parameters, number))
            except (ValueError, TypeError) as error:
                raise DatasetError(
                    f"Event {number} in the audit of {self._name} is damaged (parameter {_event_key(number)} or "
                    f"{_result_key(number)} of the run {self._find_run()}: {str(error).splitlines()[0]}), so no action "
                    "is possible. Restore MLflow's store from a backup; or delete the tag "
                    f"{AUDIT_RUN_TAG} of the registered model in MLflow's interface (`kedro mlflow ui`); the next "
                    "action then begins a new audit."
                ) from error
        return events

    def examine(self) -> tuple[list[int], list[AuditEvent], list[str]]:
        """Read what can be read.

        Returns:
            Numbers of all events, the readable events, and the names of parameters that cannot be read.
        """
        parameters = self._read_parameters()
        numbers = sorted(int(found[1]) for key in parameters if (found := _EVENT_KEY.fullmatch(key)))
        events, unreadable = [], []
        for number in numbers:
            try:
                events.append(_read_event(parameters, number))
            except (ValueError, TypeError):
                unreadable.append(f"{_event_key(number)} of the run {self._find_run()}")
        return numbers, events, unreadable

    def _read_parameters(self) -> dict[str, str]:
        run_id = self._find_run()
        return {} if run_id is None else dict(self._client.get_run(run_id).data.params)

    def append(self, event: AuditEvent) -> bool:
        """Append an event, unless another process has appended one with this number.

        Returns:
            Whether it was appended.
        """
        text = event.model_dump_json()
        first, *others = (text[start : start + _PART_LENGTH] for start in range(0, len(text), _PART_LENGTH))
        key = _event_key(event.number)
        if event.number == 1:
            self._find_run() or self._choose_run()
            _ignore(ABSENT, lambda: self._client.delete_registered_model(self._name + _CHOICE))
        try:
            self._log({key: first, **{f"{key}.{part}": other for part, other in enumerate(others, start=1)}})
        except MlflowException:
            # The number is taken, or the response was lost.
            found = self.read()
            if len(found) < event.number:
                raise
            return found[event.number - 1].token == event.token
        return True

    def close(self, event: AuditEvent) -> EventResult:
        """Write the result of an event, unless another process has closed it.

        Returns:
            The result in the audit.
        """
        try:
            self._log({_result_key(event.number): json.dumps({"result": event.result, "closed_by": event.closed_by})})
        except MlflowException:
            if (result := self.read_result(event)) == "open":
                raise
            return result
        return event.result

    def read_result(self, event: AuditEvent) -> EventResult:
        """Return the present result of an event."""
        closed = self._client.get_run(str(self._find_run())).data.params.get(_result_key(event.number))
        return "open" if closed is None else json.loads(closed)["result"]

    def _log(self, parameters: dict[str, str]) -> None:
        entities = [Param(key, value) for key, value in parameters.items()]
        self._client.log_batch(str(self._find_run()), params=entities, synchronous=True)

    def _find_run(self) -> str | None:
        if self._known_run is None:
            self._known_run = find_registered_model(self._client, self._name).tags.get(AUDIT_RUN_TAG)
        return self._known_run

    def _choose_run(self) -> str:
        """Create the run of the audit, or use the one that another process creates at the same time.

        MLflow overwrites tags, but rejects a second registered model of one name: the process that creates this model
        chooses the run. It is deleted only after the choice is a tag of the registered model, which takes precedence.
        """
        run_id = self._create_run()
        _ignore(
            "RESOURCE_ALREADY_EXISTS",
            lambda: self._client.create_registered_model(self._name + _CHOICE, tags={AUDIT_RUN_TAG: run_id}),
        )
        choice = _ignore(ABSENT, lambda: self._client.get_registered_model(self._name + _CHOICE))
        if self._find_run() is None and choice is not None:
            self._client.set_registered_model_tag(self._name, AUDIT_RUN_TAG, choice.tags[AUDIT_RUN_TAG])
        chosen = str(self._find_run())
        if chosen != run_id:
            self._client.delete_run(run_id)
        return chosen

    def _create_run(self) -> str:
        while (experiment := self._client.get_experiment_by_name(self._experiment)) is None:
            _ignore(
                "RESOURCE_ALREADY_EXISTS",
                lambda: self._client.create_experiment(self._experiment, artifact_location=self._artifact_location),
            )
        run = self._client.create_run(experiment.experiment_id, run_name="audit", tags={"audit_of": self._name})
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)


def _ignore(error_code: str, call: Callable[[], Any]) -> Any:
    """Call MLflow; return None if it raises the given error."""
    try:
        return call()
    except MlflowException as error:
        if error.error_code != error_code:
            raise
        return None


def _read_event(parameters: Mapping[str, str], number: int) -> AuditEvent:
    """Put an event together from its parameters."""
    text, part = parameters[_event_key(number)], 1
    while (more := parameters.get(f"{_event_key(number)}.{part}")) is not None:
        text, part = text + more, part + 1
    closed = json.loads(parameters.get(_result_key(number), "{}"))
    event = AuditEvent.model_validate(json.loads(text) | closed)
    if datetime.fromisoformat(event.at).tzinfo is None:
        raise ValueError(f"the time {event.at} has no time zone")
    return event


def _event_key(number: int) -> str:
    return f"event.{number:06}"


def _result_key(number: int) -> str:
    return f"result.{number:06}"
