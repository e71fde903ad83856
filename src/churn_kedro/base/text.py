"""Text of unknown origin on terminals, in log lines and in comments."""

from __future__ import annotations

import unicodedata

# Joiners form letters of some scripts and emoji; a tab moves the cursor to the right only.
_HARMLESS = "\t\u200c\u200d"


def escape_controls(text: str, *, keep_lines: bool = False) -> str:
    r"""Escape characters that are not visible, such as line breaks, escape codes and marks that reverse the direction.

    Args:
        text: Any text.
        keep_lines: Whether line feeds stay.

    Returns:
        Text that a terminal shows as it is; letters of all scripts, blanks and tabs are unchanged.

    Examples:
        >>> print(escape_controls("Łódź \x1b[31m\u2028"))
        Łódź \x1b[31m\u2028
    """
    if text.isprintable():
        return text
    kept = f"{_HARMLESS}\n" if keep_lines else _HARMLESS
    return "".join(
        character
        if character.isprintable() or character in kept or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def one_line(text: str) -> str:
    r"""Write text on one line: line breaks become blanks, and other control characters are escaped.

    Args:
        text: Any text.

    Returns:
        Text without line breaks of any kind.

    Examples:
        >>> print(one_line("first\r\nsecond\u2029 third\x00"))
        first second third\x00
    """
    return escape_controls(" ".join(text.split()))


def indent_continued(text: str) -> str:
    r"""Indent the lines of a message after the first, so that text in it cannot imitate another message.

    Args:
        text: A message of one or several lines.

    Returns:
        The message, with control characters escaped. Lines that are indented already stay, up to the first one at the
        margin; all lines from there on are indented by the same number of blanks.

    Examples:
        >>> print(indent_continued("Two columns:\n  a\n12:00:00 INFO b"))
        Two columns:
          a
            12:00:00 INFO b
    """
    first, *others = escape_controls(text.replace("\r\n", "\n"), keep_lines=True).split("\n")
    lines = [first]
    at_margin = False
    for line in others:
        at_margin = at_margin or (bool(line) and not line.startswith((" ", "\t")))
        lines.append(f"    {line}" if at_margin and line else line)
    return "\n".join(lines)
