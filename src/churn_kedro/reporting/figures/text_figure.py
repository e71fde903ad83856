"""Figure without mathtext. Importing this module imports matplotlib."""

from __future__ import annotations

import warnings
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.text import Text

from churn_kedro.base import escape_controls


class PlainTextFigure(MatplotlibFigure):
    """A figure that renders text without mathtext, since names may contain dollar signs."""

    def draw(self, renderer: Any) -> None:
        """Draw the figure.

        Args:
            renderer: matplotlib's.
        """
        for text in self.findobj(Text):
            text.set_parse_math(False)
            text.set_text(escape_controls(text.get_text(), keep_lines=True))
        # Ticks may be created while drawing. A warning about a glyph that the font lacks contains the character.
        with rc_context({"text.parse_math": False}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
            super().draw(renderer)
