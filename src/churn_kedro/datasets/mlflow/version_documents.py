"""Documents, description and metrics on a registered version."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.reporting import DOCUMENTS_FOLDER, VersionDocuments


class VersionDocumentsDataset(AbstractDataset[VersionDocuments, VersionDocuments]):
    """Attaches what an evaluation found to the registered version: the last evaluation is the one that shows.

    Every evaluation's own run keeps its documents; those beside the model are replaced.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> VersionDocuments:
        """Refuse."""
        raise DatasetError("What is attached to a version is read with `kedro models info` and `kedro models card`.")

    def save(self, data: VersionDocuments) -> None:
        """Attach documents, then description and tags.

        Args:
            data: What belongs to the version.
        """
        if not self._logging_activated:
            return
        from mlflow import MlflowClient

        client = MlflowClient()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in data.files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            client.log_model_artifacts(data.model_id, folder, DOCUMENTS_FOLDER)
        client.update_model_version(data.model_name, str(data.version), description=data.description)
        present = client.get_model_version(data.model_name, str(data.version)).tags
        for key, value in data.tags.items():
            if value is not None:
                client.set_model_version_tag(data.model_name, str(data.version), key, value)
            elif key in present:
                client.delete_model_version_tag(data.model_name, str(data.version), key)

    def _describe(self) -> dict[str, Any]:
        return {}
