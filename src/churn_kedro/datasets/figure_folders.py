"""Figures, one as a file or several in a folder."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FiguresDataset(AbstractDataset["Figure | Mapping[str, Figure]", dict[str, bytes]]):
    """Figures as local PNG files.

    kedro-datasets has a dataset of figures as well, but its module imports ``matplotlib.pyplot``, and kedro-mlflow
    instantiates all datasets of the catalog at the start of each run.

    Args:
        filepath: File of a single figure, ending in ``.png``, or folder of several, used for nothing else.
        dpi: Pixels per inch.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, filepath: str, dpi: float = 100, metadata: dict[str, Any] | None = None) -> None:
        # Name under which kedro-mlflow looks for what to log.
        self._filepath = Path(filepath)
        self._dpi = dpi
        self.metadata = metadata

    def save(self, data: Figure | Mapping[str, Figure]) -> None:
        """Write the figures; a folder is emptied first.

        Args:
            data: One figure, or figures by file name.
        """
        if isinstance(data, Mapping):
            shutil.rmtree(self._filepath, ignore_errors=True)
            figures = {self._filepath / name: figure for name, figure in data.items()}
        else:
            figures = {self._filepath: data}
        for path, figure in figures.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without matplotlib's version in the metadata, equal figures have equal bytes.
            figure.savefig(path, format="png", dpi=self._dpi, metadata={"Software": None})

    def load(self) -> dict[str, bytes]:
        """Read the pictures.

        Returns:
            PNG by file name without suffix, in order of the names; empty if there are none.
        """
        paths = [self._filepath] if self._filepath.is_file() else sorted(self._filepath.glob("*.png"))
        return {path.stem: path.read_bytes() for path in paths}

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
