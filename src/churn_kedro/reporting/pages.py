"""Templates and embedded pictures, shared by all pages."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
else:
    Environment = Any

# Special characters of Markdown, escaped by a backslash.
_MARKED = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"} | {"&": "&amp;", "$": r"\$"})


class Verbatim(str):
    """Text of a Markdown code block, which is not escaped."""

    __slots__ = ()


def html_templates() -> Environment:
    """Return the environment of the HTML templates.

    Returns:
        The environment: texts are escaped, and undefined names are errors.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("churn_kedro.reporting"), autoescape=True, undefined=StrictUndefined)


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
    escaped = " ".join(text.split()).translate(_MARKED)
    # Underscores within words need no escape.
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", escaped)


def embed_picture(png: bytes) -> str:
    """Encode a picture as a data URI.

    Args:
        png: PNG file.

    Returns:
        A data URI.
    """
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
