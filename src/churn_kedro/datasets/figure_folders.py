"""Several figures in one folder."""

from __future__ import annotations

import base64
import io
from pathlib import PurePosixPath

from kedro_datasets._typing import ImagePreview
from kedro_datasets.matplotlib import MatplotlibDataset


class FiguresDataset(MatplotlibDataset):
    """Figures of one evaluation, saved by file name; their folder holds nothing else.

    Kedro's own dataset saves them, but previews only a single one.
    """

    def load(self) -> dict[str, bytes]:
        """Read the pictures.

        Returns:
            PNG by file name without its ending, in order of the names; none where there are none.
        """
        paths = sorted(self._fs.glob(f"{self._get_load_path()}/*.png"))
        return {PurePosixPath(path).stem: self._fs.cat_file(path) for path in paths}

    def preview(self) -> ImagePreview:
        """All figures of the folder on one sheet, for Kedro-Viz.

        Returns:
            One image, base64-encoded.
        """
        from matplotlib.image import imread

        from churn_kedro.reporting import PlainTextFigure

        images = [imread(io.BytesIO(picture)) for picture in self.load().values()]
        n_rows = max(1, -(-len(images) // 2))
        sheet = PlainTextFigure(figsize=(12.8, 4.8 * n_rows), layout="constrained")
        for position, image in enumerate(images, start=1):
            axes = sheet.add_subplot(n_rows, 2, position)
            axes.imshow(image)
            axes.set_axis_off()
        buffer = io.BytesIO()
        sheet.savefig(buffer, format="png", dpi=80)
        return ImagePreview(base64.b64encode(buffer.getvalue()).decode("ascii"))
