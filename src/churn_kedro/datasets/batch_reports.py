"""Reports of scored batches: one JSON file each."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError
from pydantic import ValidationError

from churn_kedro.campaigns import BatchReport
from churn_kedro.datasets.files import open_filesystem, written_whole

ARTIFACT_FOLDER = "inference_batches"


class BatchReportDataset(AbstractDataset[BatchReport, BatchReport]):
    """The report of a batch, added as ``<batch id>.json`` to a folder and as an artifact to the MLflow run.

    Args:
        filepath: Local path or fsspec URL of the folder.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._saved: BatchReport | None = None
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> BatchReport:
        """Return the report that was saved in this run.

        Raises:
            DatasetError: There is none.
        """
        if self._saved is None:
            raise DatasetError(f"This run has saved no report; those of other runs are in {self._filepath}.")
        return self._saved

    def save(self, data: BatchReport) -> None:
        """Write the report, and log it to the active MLflow run.

        Args:
            data: The report.
        """
        text = data.model_dump_json(indent=2) + "\n"
        name = f"{data.batch_id}.json"
        target = self._filepath / name
        with written_whole(self._filesystem, target) as path, self._filesystem.open(path, "wb") as file:
            file.write(text.encode())
        self._saved = data
        if self._logging_activated:
            import mlflow

            if mlflow.active_run() is not None:
                mlflow.log_text(text, f"{ARTIFACT_FOLDER}/{name}")

    def _exists(self) -> bool:
        return self._saved is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class EarlierBatchesDataset(AbstractDataset[Any, list[BatchReport]]):
    """The reports of earlier batches in a folder of :class:`BatchReportDataset`. It is read-only.

    Args:
        filepath: Local path or fsspec URL of the folder.
        most_recent: Number of reports that are loaded.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        most_recent: int = 1000,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._most_recent = most_recent
        self.metadata = metadata

    def load(self) -> list[BatchReport]:
        """Read the latest reports.

        Returns:
            Reports by time of scoring; none if there is no folder yet.

        Raises:
            DatasetError: A file is not a report.
        """
        folder = str(self._filepath)
        # A folder of an object store that was just made may be in no cache of listings.
        self._filesystem.invalidate_cache(folder)
        if not self._filesystem.isdir(folder):
            return []
        reports = []
        for path in sorted(self._filesystem.ls(folder, detail=False)):
            if not str(path).endswith(".json"):
                continue
            try:
                reports.append(BatchReport.model_validate_json(self._filesystem.cat_file(path)))
            except ValidationError as error:
                raise DatasetError(
                    f"The file {path} is not a report of a batch: {error.errors(include_url=False)[0]['msg']}. Delete "
                    "it, to go on without it."
                ) from error
        return sorted(reports, key=lambda report: report.scored_at)[-self._most_recent :]

    def save(self, data: Any) -> None:
        """Raise an error, since reports are saved one by one."""
        raise DatasetError(f"The reports in {self._filepath} are read-only.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
