"""Reports of many runs: one JSON file each in a folder."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.utils import load_obj
from pydantic import BaseModel, ValidationError

from churn_kedro.datasets.files import open_filesystem, written_whole


class ReportFolderDataset(AbstractDataset[Any, Any]):
    """A report, added as a file to a folder and as an artifact to the MLflow run.

    Args:
        filepath: Local path or fsspec URL of the folder.
        key: Attribute of the report that is the name of its file.
        artifact_path: Folder in the MLflow run's artifacts that gets a copy; the name of the folder by default.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        key: str,
        artifact_path: str | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._key = key
        self._artifact_path = artifact_path or self._filepath.name
        self._saved: BaseModel | None = None
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> Any:
        """Return the report that was saved in this run.

        Raises:
            DatasetError: There is none.
        """
        if self._saved is None:
            raise DatasetError(f"This run has saved no report; those of other runs are in {self._filepath}.")
        return self._saved

    def save(self, data: Any) -> None:
        """Write the report, and log it to the active MLflow run.

        Args:
            data: The report, a pydantic model.
        """
        text = data.model_dump_json(indent=2) + "\n"
        name = f"{getattr(data, self._key)}.json"
        with (
            written_whole(self._filesystem, self._filepath / name) as path,
            self._filesystem.open(path, "wb") as file,
        ):
            file.write(text.encode())
        self._saved = data
        if self._logging_activated:
            import mlflow

            if mlflow.active_run() is not None:
                mlflow.log_text(text, f"{self._artifact_path}/{name}")

    def _exists(self) -> bool:
        return self._saved is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class EarlierReportsDataset(AbstractDataset[Any, list[Any]]):
    """The reports in a folder of :class:`ReportFolderDataset`. It is read-only.

    Args:
        filepath: Local path or fsspec URL of the folder.
        model: Import path of the pydantic class.
        order: Attribute of the report with its time, ISO 8601.
        most_recent: Number of reports that are loaded.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        model: str,
        order: str,
        most_recent: int = 1000,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._model = model
        self._order = order
        self._most_recent = most_recent
        self.metadata = metadata

    def load(self) -> list[Any]:
        """Read the latest reports.

        Returns:
            Reports by time; none if there is no folder yet.

        Raises:
            DatasetError: A file is not a report.
        """
        folder = str(self._filepath)
        # A folder of an object store that was just made may be in no cache of listings.
        self._filesystem.invalidate_cache(folder)
        if not self._filesystem.isdir(folder):
            return []
        model: type[BaseModel] = load_obj(self._model)
        reports = []
        for path in sorted(self._filesystem.ls(folder, detail=False)):
            if not str(path).endswith(".json"):
                continue
            try:
                reports.append(model.model_validate_json(self._filesystem.cat_file(path)))
            except ValidationError as error:
                raise DatasetError(
                    f"The file {path} is not a {model.__name__}: {error.errors(include_url=False)[0]['msg']}. Delete "
                    "it, to go on without it."
                ) from error
        return sorted(reports, key=lambda report: str(getattr(report, self._order)))[-self._most_recent :]

    def save(self, data: Any) -> None:
        """Raise an error, since reports are saved one by one."""
        raise DatasetError(f"The reports in {self._filepath} are read-only.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
