"""Templates and embedded pictures, shared by all pages."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churn_kedro.base import escape_controls, one_line

if TYPE_CHECKING:
    from jinja2 import Environment
else:
    Environment = Any

# Special characters of Markdown, escaped by a backslash.
_MARKED = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"} | {"&": "&amp;", "$": r"\$"})


# Addresses become links without any brackets, and these beginnings of a line become lists.
_ADDRESS = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_LIST_ITEM = re.compile(r"^(\d{0,9})([-+.)])(?=\s|$)")


class Verbatim(str):
    """Text of a Markdown code block, which is not escaped."""

    __slots__ = ()


def html_templates() -> Environment:
    """Return the environment of the HTML templates.

    Returns:
        The environment: texts are escaped, and undefined names are errors.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("churn_kedro.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        # Markup, which macros return, is a class of its own.
        finalize=lambda value: escape_controls(value, keep_lines=True) if type(value) is str else value,
    )


def markdown_templates() -> Environment:
    """Return the environment of the Markdown templates.

    Returns:
        The environment: texts except :class:`Verbatim` are escaped, and undefined names are errors.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("churn_kedro.reporting"),
        autoescape=False,  # noqa: S701 - that escapes HTML; finalize escapes Markdown, and HTML with it.
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Verbatim) else escape_markdown(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def escape_markdown(text: str) -> str:
    """Escape text for a line or a table cell of Markdown.

    Args:
        text: Any text.

    Returns:
        One line; HTML in it is shown as text.
    """
    escaped = one_line(text).translate(_MARKED)
    # Underscores within words need no escape.
    escaped = re.sub(r"(?<=\w)\\_(?=\w)", "_", escaped)
    return _LIST_ITEM.sub(r"\1\\\2", _ADDRESS.sub(r"\\\g<0>", escaped))


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        source: Data URI.
        caption: Caption; empty: none.
    """

    source: str
    caption: str = ""

    @classmethod
    def of(cls, png: bytes, caption: str = "") -> Picture:
        """Embed a PNG file."""
        return cls(f"data:image/png;base64,{base64.b64encode(png).decode()}", caption)
