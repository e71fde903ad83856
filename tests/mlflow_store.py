"""MLflow's global state, borrowed and given back."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
import pytest


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
