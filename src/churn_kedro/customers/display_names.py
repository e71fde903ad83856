"""Names of columns, levels and classes in reports, from their descriptions and labels in the declaration."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from churn_estimators.cells import is_number
from churn_kedro.base import one_line
from churn_kedro.customers.declaration import Column, CustomerDeclaration, level_text


@dataclass(frozen=True)
class DisplayNames:
    """Names for readers. A column, level or class without a declared name keeps its own.

    Attributes:
        columns: Name of each declared column.
        levels: Labels of the levels of a column, by the text of the level.
        classes: Name of each class of the target, by the text of its label.
        numeric: Columns of numbers or dates without declared levels.
        phrases: How a cell of a column is said as a reason: text with ``{value}``, or by the text of the level.
        suggestions: What to offer or ask a customer for whom a column is the strongest reason.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    numeric: frozenset[str] = frozenset()
    phrases: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    suggestions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, declaration: CustomerDeclaration) -> DisplayNames:
        """Derive the names from a declaration.

        Args:
            declaration: The table's declaration.

        Returns:
            For each column, its description up to the first comma, semicolon, bracket or end of a sentence, unless
            two columns share it. The classes of task binary are ``stayed`` and ``left``.
        """
        titles = {column.name: _title(column) for column in declaration.columns}
        shared = {title for title, count in Counter(titles.values()).items() if count > 1}
        levels = {column.name: column.level_labels for column in declaration.columns}
        named = levels[declaration.target]
        classes = {str(label): named.get(level_text(label), str(label)) for label in declaration.classes}
        if declaration.task == "binary":
            classes = dict(zip(classes, ("stayed", "left"), strict=True))
        return cls(
            columns={name: name if title in shared else title for name, title in titles.items()},
            levels=levels,
            classes=classes,
            numeric=frozenset(
                column.name
                for column in declaration.columns
                if column.cells in ("number", "date") and not column.levels
            ),
            phrases={column.name: column.phrase for column in declaration.features if column.phrase is not None},
            suggestions={
                column.name: column.suggestion for column in declaration.features if column.suggestion is not None
            },
        )

    def column(self, name: str) -> str:
        """Return the name of a column."""
        return self.columns.get(name, name)

    def level(self, column: str, text: str) -> str:
        """Return the label of a level, given its column and its text."""
        return self.levels.get(column, {}).get(text, text)

    def outcome(self, label: str) -> str:
        """Return the name of a class, given the text of its label."""
        return self.classes.get(label, label)

    def say(self, column: str, text: str) -> str:
        """Say what a cell of a customer is, in the declared words.

        Args:
            column: Name of the column.
            text: Number, date or level as text, or ``missing``.

        Returns:
            The declared phrase; without one, the text of :meth:`group`.
        """
        phrase = self.phrases.get(column)
        if text == "missing" or phrase is None:
            return f"{self.column(column)} is not known" if text == "missing" else self.group(column, text)
        if isinstance(phrase, str):
            return phrase.replace("{value}", self.level(column, text))
        return phrase.get(text) or self.group(column, text)

    def group(self, column: str, text: str) -> str:
        """Describe a group of customers.

        Args:
            column: Column by which the group is defined.
            text: Level, range such as ``45 to 60``, or ``missing``.

        Returns:
            Text such as ``Country of residence: Germany`` or ``Age in years 45 to 60``.
        """
        is_range = column in self.numeric and not is_number(text.replace(",", ""))
        if is_range or text == "missing":
            return f"{self.column(column)} {text}"
        return f"{self.column(column)}: {self.level(column, text)}"


def _title(column: Column) -> str:
    title = re.split(r"[;(]|[.,] ", one_line(column.description))[0].strip(" .,")
    return title or column.name


# Names as in the file.
FILE_NAMES = DisplayNames()
