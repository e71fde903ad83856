"""Figures, one as a file or several in a folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview

from churn_kedro.datasets.files import open_filesystem, written_whole
from churn_kedro.datasets.tables import log_copy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FiguresDataset(AbstractDataset["Figure | Mapping[str, Figure]", dict[str, bytes]]):
    """Figures as PNG files, and as artifacts of the MLflow run.

    kedro-datasets has a dataset of figures as well, but its module imports ``matplotlib.pyplot``, and kedro-mlflow
    instantiates all datasets of the catalog at the start of each run.

    Args:
        filepath: File of a single figure, ending in ``.png``, or folder of several, used for nothing else. Local path
            or fsspec URL.
        dpi: Pixels per inch.
        artifact_path: Folder in the MLflow run's artifacts that gets a copy; none without.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        dpi: float = 100,
        artifact_path: str | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._dpi = dpi
        self._artifact_path = artifact_path
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def save(self, data: Figure | Mapping[str, Figure]) -> None:
        """Write the figures and log them to the active MLflow run; a folder is emptied first.

        Args:
            data: One figure, or figures by file name.
        """
        if isinstance(data, Mapping):
            if self._filesystem.exists(str(self._filepath)):
                self._filesystem.rm(str(self._filepath), recursive=True)
            figures = {self._filepath / name: figure for name, figure in data.items()}
        else:
            figures = {self._filepath: data}
        for path, figure in figures.items():
            picture = io.BytesIO()
            # Without matplotlib's version in the metadata, equal figures have equal bytes.
            figure.savefig(picture, format="png", dpi=self._dpi, metadata={"Software": None})
            with written_whole(self._filesystem, path) as partial, self._filesystem.open(partial, "wb") as file:
                file.write(picture.getvalue())
            if self._artifact_path is not None and self._logging_activated:
                log_copy(self._filesystem, str(path), self._artifact_path)

    def load(self) -> dict[str, bytes]:
        """Read the pictures.

        Returns:
            PNG by file name without suffix, in order of the names; empty if there are none.
        """
        root = str(self._filepath)
        paths = [root] if self._filesystem.isfile(root) else sorted(self._filesystem.glob(f"{root}/*.png"))
        return {PurePosixPath(path).stem: self._filesystem.cat_file(path) for path in paths}

    def preview(self) -> ImagePreview:
        """Combine all figures in one image, for Kedro-Viz.

        Returns:
            One image, base64-encoded.
        """
        pictures = list(self.load().values())
        sheet = pictures[0] if len(pictures) == 1 else _combine_images(pictures)
        return ImagePreview(base64.b64encode(sheet).decode("ascii"))

    def _exists(self) -> bool:
        return bool(self.load())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _combine_images(pictures: list[bytes]) -> bytes:
    """Combine PNG images in one, two per row."""
    from matplotlib.image import imread

    from churn_kedro.reporting import PlainTextFigure

    n_rows = max(1, -(-len(pictures) // 2))
    sheet = PlainTextFigure(figsize=(12.8, 4.8 * n_rows), layout="constrained")
    for position, picture in enumerate(pictures, start=1):
        axes = sheet.add_subplot(n_rows, 2, position)
        axes.imshow(imread(io.BytesIO(picture)))
        axes.set_axis_off()
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()
