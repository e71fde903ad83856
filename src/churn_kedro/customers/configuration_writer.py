"""Writing of configuration files.

Names, levels and paths of a customer table are data: this is the only place that writes configuration, it quotes them,
and reads its output back.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from churn_kedro.base import one_line
from churn_kedro.customers.declaration import CustomerTableError

# Keys and positions that lead to a value.
KeyPath = tuple[str | int, ...]
Comments = Mapping[KeyPath, Sequence[str]]

# Characters of a line of a comment, and lines of a comment.
_WIDTH, _LINES = 112, 3
# Single words need no quotation marks; all other text gets them, also where YAML does not require it.
_PLAIN = re.compile(r"[^\W\d_][\w.-]*")
_TYPED_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"})
_MISSING = re.compile(r"\\*\?\?\?")
_INTERPOLATION = re.compile(r"(\\*)\$\{")
# Some builds of PyYAML have no parser in C.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Dumper(yaml.SafeDumper):
    """YAML with indented lists, lists of words on one line, and invisible characters as escapes."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        # Without this, marks that reverse the direction of text would be written as they are.
        self.allow_unicode = False
        super().write_double_quoted(text, False)
        self.allow_unicode = True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    escaped = escape_interpolation(text)
    plain = _PLAIN.fullmatch(escaped) and escaped.casefold() not in _TYPED_WORDS
    style = None if plain else "'" if escaped.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", escaped, style=style)


def _represent_list(dumper: _Dumper, values: Sequence[Any]) -> yaml.SequenceNode:
    flow = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flow)


def _represent_mapping(dumper: _Dumper, values: Mapping[str, Any]) -> yaml.MappingNode:
    # The domain of a numeric column.
    flow = set(values) <= {"min", "max"}
    return dumper.represent_mapping("tag:yaml.org,2002:map", values.items(), flow_style=flow)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(dict, _represent_mapping)


def escape_interpolation(text: str) -> str:
    r"""Escape what OmegaConf, which loads the configuration, would replace: interpolations, and ``???`` for missing.

    Args:
        text: Any text.

    Returns:
        Text that OmegaConf resolves to the given one.

    Examples:
        >>> print(escape_interpolation("${oc.env:HOME}"), escape_interpolation("\\${a}"), escape_interpolation("???"))
        \${oc.env:HOME} \\\${a} \???
    """
    if _MISSING.fullmatch(text):
        return f"\\{text}"
    return _INTERPOLATION.sub(lambda found: found[1] * 2 + r"\${", text)


def write_configuration(values: Mapping[str, Any], comments: Comments) -> str:
    """Write a configuration file. What the configuration loader reads from it equals the values.

    Args:
        values: Content; texts are data, and interpolations in them are escaped.
        comments: Lines above a value by its path; the empty path is the beginning of the file. An empty line is left
            blank.

    Returns:
        YAML text.

    Raises:
        CustomerTableError: A value has no form in YAML. The message names it.
    """
    text = yaml.dump(values, Dumper=_Dumper, allow_unicode=True, width=float("inf"), sort_keys=False)
    if _load(text) != values:
        raise CustomerTableError(_explain_unwritable(values))
    lines = text.splitlines()
    places = _lines_of(yaml.compose(text, Loader=_Loader))
    for path in sorted(comments, key=lambda path: (places[path], len(path)), reverse=True):
        line = lines[places[path]]
        indent = line[: len(line) - len(line.lstrip(" "))]
        lines[places[path] : places[path]] = [
            f"{indent}{line}" if line else "" for one in comments[path] for line in _comment(one)
        ]
    commented = "\n".join(lines) + "\n"
    if _load(commented) != values:
        raise RuntimeError("a comment has changed the configuration")
    return commented


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(one_line(text), _WIDTH, max_lines=_LINES, placeholder=" …")] or [""]


def _load(text: str) -> Any:
    """Read YAML as the configuration loader does; None where it cannot be read."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    except (OmegaConfBaseException, yaml.YAMLError, ValueError):
        return None


def _lines_of(node: yaml.Node | None, path: KeyPath = ()) -> dict[KeyPath, int]:
    """Line of each value by its path."""
    found: dict[KeyPath, int] = {}
    if node is None:
        return found
    found[path] = node.start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            found |= _lines_of(value, (*path, key.value)) | {(*path, key.value): key.start_mark.line}
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            found |= _lines_of(value, (*path, position))
    return found


def _explain_unwritable(values: Mapping[str, Any]) -> str:
    for path, leaf in _leaves(values):
        if _load(yaml.dump({"value": leaf}, Dumper=_Dumper, allow_unicode=True)) != {"value": leaf}:
            where = ".".join(map(str, path))
            return (
                f"{where} is {leaf!r}, which cannot be written to a configuration file: it has characters without a "
                "form in YAML. Rename it in the table. Nothing was written."
            )
    return "The table has too many columns or levels for a configuration file. Nothing was written."


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path, value
    else:
        for key, one in inner:
            yield from _leaves(one, (*path, key))
