"""MLflow's global state, borrowed and given back; versions in a registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow.models.model import ModelInfo

from churn_kedro.datasets.mlflow.models import TrackedModelDataset
from churn_kedro.models.interface import TrainedModel


@contextmanager
def mlflow_at(uri: str) -> Iterator[None]:
    """Point MLflow at a store, for tracking and registry.

    MLflow also writes the address to the environment, where processes started later would find it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            yield
        finally:
            while mlflow.active_run():
                mlflow.end_run()
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type] # forgets the address
            mlflow.set_registry_uri(None)  # type: ignore[arg-type]


def register_trained(trained: TrainedModel, name: str, project: Path) -> ModelInfo:
    """Register a version as a training run does.

    Args:
        trained: Its model.
        name: Registered model.
        project: Folder of the project.

    Returns:
        What MLflow knows of the logged model.
    """
    dataset = TrackedModelDataset(
        name="churn_model",
        registered_model_name=name,
        use_case="test",
        declaration={"description": "Customers"},
        project_path=project.as_posix(),
    )
    with mlflow.start_run():
        dataset.save(trained)
    assert isinstance(dataset.model_info, ModelInfo)
    return dataset.model_info
