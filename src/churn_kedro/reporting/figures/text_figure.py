"""Figure without mathtext. Importing this module imports matplotlib."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.text import Text


class PlainTextFigure(MatplotlibFigure):
    """A figure that renders text without mathtext, since names may contain dollar signs."""

    def draw(self, renderer: Any) -> None:
        """Draw the figure.

        Args:
            renderer: matplotlib's.
        """
        for text in self.findobj(Text):
            text.set_parse_math(False)
        super().draw(renderer)
