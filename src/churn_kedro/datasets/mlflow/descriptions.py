"""Descriptions of experiment, run and registered model in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_kedro.base import hide_secrets
from churn_kedro.reporting import escape_markdown

if TYPE_CHECKING:
    from mlflow.entities import Run

# Host and port of conf/base/mlflow.yml.
_LOCAL_PAGES = "http://127.0.0.1:5000"
_NOTE_TAG = "mlflow.note.content"
_KIND_TAG = "mlflow.experimentKind"
# MLflow opens such an experiment with runs and models, not with traces of language models.
_MODEL_TRAINING = "custom_model_development"


def describe_experiment(experiment_id: str, description: str) -> None:
    """Describe an experiment and mark it as model training, unless a person has done so.

    Args:
        experiment_id: The experiment.
        description: Plain text.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    known = client.get_experiment(experiment_id).tags
    for tag, value in ((_NOTE_TAG, escape_markdown(description)), (_KIND_TAG, _MODEL_TRAINING)):
        if tag not in known:
            client.set_experiment_tag(experiment_id, tag, value)


def describe_run(run_id: str, name: str, summary: str | None = None) -> None:
    """Name a run, and show its summary as its description.

    Args:
        run_id: The run.
        name: Name.
        summary: Plain text of several lines; None: no description.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    client.update_run(run_id, name=name)
    if summary is not None:
        client.set_tag(run_id, _NOTE_TAG, f"```\n{summary.strip()}\n```")


def describe_registered_model(name: str, description: str) -> None:
    """Describe a registered model, unless it has a description.

    Args:
        name: The registered model.
        description: Plain text.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    if not client.get_registered_model(name).description:
        client.update_registered_model(name, escape_markdown(description))


def run_page(run: Run) -> str:
    """Return the address of a run in MLflow's pages, which open as model training.

    Args:
        run: The run.

    Returns:
        An address of the tracking server, or of the one that ``kedro mlflow ui`` starts.
    """
    import mlflow

    uri = mlflow.get_tracking_uri()
    server = hide_secrets(uri.rstrip("/")) if uri.startswith("http") else _LOCAL_PAGES
    place = f"experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    return f"{server}/#/{place}?workflowType=machine_learning"


def find_registered_version(run_id: str) -> int | None:
    """Find the version that a run has registered; None if there is none."""
    from mlflow import MlflowClient

    versions = MlflowClient().search_model_versions(f"run_id = '{run_id}'")
    return max((int(version.version) for version in versions), default=None)
