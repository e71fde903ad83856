"""A tracking store of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from tests.mlflow_store import mlflow_at


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a SQLite database for MLflow; all tests share it."""
    return f"sqlite:///{(tmp_path_factory.mktemp('mlflow') / 'mlflow.db').as_posix()}"


@pytest.fixture
def tracking(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """URI of an MLflow store, with an experiment for this test set."""
    with mlflow_at(store):
        experiment = mlflow.create_experiment(request.node.nodeid, artifact_location=(tmp_path / "artifacts").as_uri())
        mlflow.set_experiment(experiment_id=experiment)
        yield store
