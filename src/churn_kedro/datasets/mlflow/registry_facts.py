"""State of a registered model, for monitoring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.datasets.mlflow.registry import ModelRegistry
from churn_kedro.monitoring import RegistryFacts


class RegistryFactsDataset(AbstractDataset[RegistryFacts, RegistryFacts]):
    """Aliases, tags and times of all versions. It is read-only.

    Args:
        model_name: Registered model.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, model_name: str, metadata: dict[str, Any] | None = None) -> None:
        self._model_name = model_name
        self.metadata = metadata

    def load(self) -> RegistryFacts:
        """Read the registry."""
        registry = ModelRegistry(self._model_name, experiment=self._model_name, by="", git_commit="")
        versions = registry.versions()
        return RegistryFacts(
            registry.state(versions),
            {
                int(one.version): datetime.fromtimestamp(one.creation_timestamp / 1000, UTC).isoformat()
                for one in versions
            },
        )

    def save(self, data: RegistryFacts) -> None:
        """Raise an error, since actions on versions write the registry."""
        raise DatasetError("The registry is changed by the gate and by `kedro models`.")

    def _describe(self) -> dict[str, Any]:
        return {"model_name": self._model_name}
