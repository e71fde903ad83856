"""Typed reports as JSON files and MLflow artifacts."""

from __future__ import annotations

import json
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.utils import load_obj
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel, ValidationError

from churn_kedro.datasets.files import made_again, open_filesystem, written_whole


class ReportDataset(AbstractDataset[BaseModel, BaseModel | None]):
    """A pydantic model stored as JSON and validated on loading.

    Args:
        filepath: Local path or fsspec URL.
        model: Import path of the pydantic class.
        artifact_path: Folder in the MLflow run's artifacts that gets a copy; none without.
        made_by: Pipeline that writes the report, for the message if it is absent or damaged.
        missing_ok: Return None instead of raising if the file does not exist yet.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        model: str,
        artifact_path: str | None = None,
        made_by: str = "",
        missing_ok: bool = False,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._model = model
        self._artifact_path = artifact_path
        self._made_by = made_by
        self._missing_ok = missing_ok
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> BaseModel | None:
        """Read the report.

        Returns:
            An instance of the declared class; None if absent and ``missing_ok``.

        Raises:
            DatasetError: The file is absent or not a valid report.
        """
        path = str(self._filepath)
        if not self._exists():
            if self._missing_ok:
                return None
            raise DatasetError(f"File {path} does not exist. {made_again(self._made_by)}".rstrip())
        model: type[BaseModel] = load_obj(self._model)
        try:
            return model.model_validate_json(self._filesystem.cat_file(path))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            advice = "Delete it, to go on without it." if self._missing_ok else made_again(self._made_by)
            raise DatasetError(
                f"The file {path} is not a report of type {model.__name__}: {f'{field}: ' if field else ''}"
                f"{first['msg']}. {advice}".rstrip()
            ) from error

    def save(self, data: BaseModel) -> None:
        """Write the report, and log it to the active MLflow run.

        Args:
            data: An instance of the declared class.
        """
        model: type[BaseModel] = load_obj(self._model)
        if not isinstance(data, model):
            raise DatasetError(f"Expected a {model.__name__}, got {type(data).__name__}.")
        text = data.model_dump_json(indent=2) + "\n"
        with written_whole(self._filesystem, self._filepath) as path, self._filesystem.open(path, "wb") as file:
            file.write(text.encode())
        if self._artifact_path is not None and self._logging_activated:
            import mlflow

            mlflow.log_text(text, f"{self._artifact_path}/{self._filepath.name}")

    def preview(self) -> JSONPreview:
        """Return the report for Kedro-Viz.

        Returns:
            JSON text.
        """
        return JSONPreview(json.dumps(json.loads(self._filesystem.cat_file(str(self._filepath)))))

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "model": self._model}
