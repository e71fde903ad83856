"""What all pages share: their templates, and pictures within them."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
else:
    Environment = Any

# Characters that mean something to Markdown; a backslash before them takes that away.
_MARKED = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"} | {"&": "&amp;", "$": r"\$"})


class Verbatim(str):
    """Text for a code block of a Markdown page, which is not escaped."""

    __slots__ = ()


def html_templates() -> Environment:
    """Templates of pages that need no other file.

    Returns:
        The environment: every text is escaped, and a name that is not there is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("churn_kedro.reporting"), autoescape=True, undefined=StrictUndefined)


def markdown_templates() -> Environment:
    """Templates of Markdown pages.

    Returns:
        The environment: every text is escaped but :class:`Verbatim`, and a name that is not there is an error.
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
    """Write text so that Markdown shows it as it is, within a line or a cell of a table.

    Args:
        text: Any text.

    Returns:
        One line; raw HTML in it is shown, not obeyed.
    """
    escaped = " ".join(text.split()).translate(_MARKED)
    # Within a word, an underscore marks nothing.
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", escaped)


def embed_picture(png: bytes) -> str:
    """Write a picture as an address that holds it.

    Args:
        png: PNG file.

    Returns:
        A data URI.
    """
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
