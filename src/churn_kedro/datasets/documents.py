"""Documents: pictures and pages."""

from __future__ import annotations

import base64
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview

from churn_kedro.datasets.files import open_filesystem, written_whole
from churn_kedro.datasets.tables import log_copy

Document = bytes | str


class DocumentDataset(AbstractDataset[Document, Document]):
    """A picture (bytes) or page (text), stored as a file and as an artifact of the MLflow run.

    Args:
        filepath: Local path or fsspec URL; ``.png`` is a picture, anything else text.
        artifact_path: Folder in the MLflow run's artifacts that gets a copy; none without.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        artifact_path: str | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._artifact_path = artifact_path
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    @property
    def _is_picture(self) -> bool:
        return self._filepath.suffix.lower() == ".png"

    def load(self) -> Document:
        """Read the document.

        Returns:
            Bytes of a picture, text of a page.

        Raises:
            DatasetError: There is no such file.
        """
        if not self._exists():
            raise DatasetError(f"File {self._filepath} does not exist. Run the pipeline that writes it.")
        content: bytes = self._filesystem.cat_file(str(self._filepath))
        return content if self._is_picture else content.decode("utf-8")

    def save(self, data: Document) -> None:
        """Write the document and log it to the active MLflow run.

        Args:
            data: Bytes of a picture, text of a page.
        """
        content = data.encode("utf-8") if isinstance(data, str) else data
        with written_whole(self._filesystem, self._filepath) as path, self._filesystem.open(path, "wb") as file:
            file.write(content)
        if self._artifact_path is not None and self._logging_activated:
            log_copy(self._filesystem, str(self._filepath), self._artifact_path)

    def preview(self) -> ImagePreview:
        """The picture, for Kedro-Viz.

        Returns:
            Base64 text; empty for a page.
        """
        content = self.load()
        return ImagePreview(base64.b64encode(content).decode() if isinstance(content, bytes) else "")

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
