"""Parameters of the active MLflow run, and nested runs."""

from __future__ import annotations

import logging
import os
import posixpath
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.datasets.runtime.processes import HOST_TAG, PROCESS_TAG, describe_process, has_ended
from churn_kedro.training import ChildRun

if TYPE_CHECKING:
    from mlflow import ActiveRun
    from mlflow.entities import Metric, Param, Run

logger = logging.getLogger(__name__)

# Maximum number of logged points of a curve.
MAX_CURVE_POINTS = 100
_SUPPRESS_ADDRESSES = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"
_STATUSES = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
# Tags of user and source, which MLflow sets only on runs that it starts itself.
_INHERITED_TAGS = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit")


def loggable_name(name: str, longest: int) -> str:
    """Replace characters that MLflow rejects in the name of a parameter or metric.

    Args:
        name: Any name.
        longest: Maximum length; of a longer name the middle is removed.

    Returns:
        The name, unchanged if MLflow accepts it.
    """
    allowed = "".join(character if character.isalnum() or character in "_-. /" else "_" for character in name)
    if allowed != posixpath.normpath(allowed) or allowed.startswith(("/", "..")) or allowed == ".":
        # MLflow also rejects names that are not normalised paths.
        allowed = allowed.replace("/", "_").replace(".", "_")
    half = longest // 2
    return allowed if len(allowed) <= longest else f"{allowed[: half - 1]}_{allowed[-half:]}"


def find_running(experiment_id: str) -> list[Run]:
    """Find the runs that are marked as running.

    Args:
        experiment_id: The experiment.

    Returns:
        The runs, oldest first; at most a thousand.
    """
    from mlflow import MlflowClient

    oldest = ["attributes.start_time ASC"]
    return list(MlflowClient().search_runs([experiment_id], "attributes.status = 'RUNNING'", order_by=oldest))


def close_abandoned_runs(experiment_id: str) -> None:
    """Mark the runs of this host whose process has ended as killed.

    Args:
        experiment_id: The experiment.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    for run in find_running(experiment_id):
        if not has_ended(run.data.tags):
            continue
        client.set_terminated(run.info.run_id, "KILLED")
        logger.warning(
            "The run %s (%s) was left running by process %s on %s, which has ended; it is marked as killed now.",
            run.info.run_id,
            run.info.run_name,
            run.data.tags[PROCESS_TAG],
            run.data.tags[HOST_TAG],
        )


def _active_run(what: str) -> ActiveRun:
    import mlflow

    run = mlflow.active_run()
    if run is None:
        raise DatasetError(f"No active MLflow run to log {what} to; use `kedro run`.")
    return run


def _params(values: Mapping[str, Any], prefix: str = "") -> list[Param]:
    from mlflow.entities import Param
    from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH

    return [
        Param(prefix + loggable_name(name, MAX_ENTITY_KEY_LENGTH - len(prefix)), str(value)[:MAX_PARAM_VAL_LENGTH])
        for name, value in values.items()
    ]


class RunParametersDataset(AbstractDataset[dict[str, Any], dict[str, Any]]):
    """Log values as parameters of the active run, in one batch.

    Invalid characters of a name become underscores, and long values are truncated. MLflow rejects a parameter that the
    run already has with another value.

    Args:
        group: Group that the names begin with: ``GROUP/NAME``.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, group: str, metadata: dict[str, Any] | None = None) -> None:
        self._group = group
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Refuse."""
        raise DatasetError("Parameters of a run are write-only; read them in MLflow.")

    def save(self, data: dict[str, Any]) -> None:
        """Log the parameters.

        Args:
            data: Value by name.

        Raises:
            DatasetError: There is no active run, or it has one of the parameters with another value.
        """
        if not self._logging_activated:
            return
        from mlflow import MlflowClient

        run = _active_run("parameters")
        MlflowClient().log_batch(run.info.run_id, params=_params(data, f"{self._group}/"))

    def _describe(self) -> dict[str, Any]:
        return {"group": self._group}


class ChildRunsDataset(AbstractDataset[list[ChildRun], list[ChildRun]]):
    """Record the parts of the active run as nested runs.

    MLflow needs three calls for each: start, log, end.

    Args:
        enabled: Whether to record them.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, enabled: bool = True, metadata: dict[str, Any] | None = None) -> None:
        self._enabled = enabled
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> list[ChildRun]:
        """Refuse."""
        raise DatasetError("Runs are write-only; read them in MLflow.")

    def save(self, data: list[ChildRun]) -> None:
        """Record the runs. The last one ends now, and each of the others where the next one starts.

        Args:
            data: The runs, oldest first.

        Raises:
            DatasetError: There is no active run.
        """
        if not (self._enabled and self._logging_activated):
            return
        from mlflow import MlflowClient

        parent = _active_run("child runs")
        inherited = {key: value for key, value in parent.data.tags.items() if key in _INHERITED_TAGS}
        inherited |= describe_process()
        client = MlflowClient()
        milliseconds = [round(1000 * (child.seconds or 0)) for child in data]
        end = int(time.time() * 1000) - sum(milliseconds)
        with _no_addresses_printed():
            for child, duration in zip(data, milliseconds, strict=True):
                start, end = end, end + duration
                run_id = client.create_run(
                    parent.info.experiment_id,
                    start_time=start,
                    run_name=child.name,
                    tags={**inherited, **child.tags, "mlflow.parentRunId": parent.info.run_id},
                ).info.run_id
                client.log_batch(run_id, metrics=_metrics(child, end), params=_params(child.params))
                client.set_terminated(run_id, _STATUSES[child.status], end_time=end)

    def _describe(self) -> dict[str, Any]:
        return {"enabled": self._enabled}


def _metrics(child: ChildRun, timestamp: int) -> list[Metric]:
    from mlflow.entities import Metric
    from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH

    points = [(name, value, 0) for name, value in child.metrics.items()]
    for name, curve in child.curves.items():
        points += [(name, curve[step], step) for step in _thinned(len(curve))]
    return [Metric(loggable_name(name, MAX_ENTITY_KEY_LENGTH), value, timestamp, step) for name, value, step in points]


def _thinned(n_steps: int) -> Sequence[int]:
    """Return the logged steps of a curve: evenly spaced, including the first and the last."""
    if n_steps <= MAX_CURVE_POINTS:
        return range(n_steps)
    return [round(point * (n_steps - 1) / (MAX_CURVE_POINTS - 1)) for point in range(MAX_CURVE_POINTS)]


@contextmanager
def _no_addresses_printed() -> Iterator[None]:
    """Suppress MLflow's request to the server at the end of each run, which only prints an address."""
    former = os.environ.get(_SUPPRESS_ADDRESSES)
    os.environ[_SUPPRESS_ADDRESSES] = "true"
    try:
        yield
    finally:
        if former is None:
            del os.environ[_SUPPRESS_ADDRESSES]
        else:
            os.environ[_SUPPRESS_ADDRESSES] = former
