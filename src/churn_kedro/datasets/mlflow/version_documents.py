"""Documents, description and metrics on a registered version."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.datasets.mlflow.evaluations import EVALUATION_RUN_TAG
from churn_kedro.reporting import DOCUMENTS_FOLDER, VersionDocuments


class VersionDocumentsDataset(AbstractDataset[VersionDocuments, VersionDocuments]):
    """Attach the results of the latest evaluation to the registered version.

    The run of each evaluation has its own documents; those of the model are replaced. A tag of the version names the
    run, from which the results are loaded.

    Args:
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, metadata: dict[str, Any] | None = None) -> None:
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> VersionDocuments:
        """Refuse."""
        raise DatasetError("The documents are write-only; read them with `kedro models info` and `kedro models card`.")

    def save(self, data: VersionDocuments) -> None:
        """Attach documents, then description and tags.

        Args:
            data: Documents, description and tags.
        """
        if not self._logging_activated:
            return
        import mlflow
        from mlflow import MlflowClient

        client = MlflowClient()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in data.files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            client.log_model_artifacts(data.model_id, folder, DOCUMENTS_FOLDER)
        if data.description is None:
            return
        client.update_model_version(data.model_name, str(data.version), description=data.description)
        present = client.get_model_version(data.model_name, str(data.version)).tags
        run = mlflow.active_run()
        tags = {**data.tags, EVALUATION_RUN_TAG: run.info.run_id if run else None}
        for key, value in tags.items():
            if value is not None:
                client.set_model_version_tag(data.model_name, str(data.version), key, value)
            elif key in present:
                client.delete_model_version_tag(data.model_name, str(data.version), key)

    def _describe(self) -> dict[str, Any]:
        return {}
