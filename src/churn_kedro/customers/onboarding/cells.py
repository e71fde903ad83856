"""The cells of one column, and how its numbers are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from churn_estimators.cells import TEXT, as_text, read_numbers
from churn_kedro.base import one_line
from churn_kedro.customers.declaration import Level
from churn_kedro.customers.normalisation import MISSING_WORDS

# Minimum share of cells that are numbers (dates) for the others to be missing or errors.
MOSTLY = 0.95
_SHOWN = 4
_SAMPLE = 2000

# "None" and "-" are often a level ("no contract"); the other words rarely are.
_CERTAIN_MARKERS = MISSING_WORDS - {"none", "nil", "-", "--", "."}
_CURRENCY_CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|BRL|RUB|TRY|ZAR|MXN"
_CURRENCY = rf"[$€£¥₹₽₺₩₪₫₱₦₴฿]|(?:US|A|C|R|HK|NZ)\$|(?:{_CURRENCY_CODES})|Rs\.?|kr\.?"
# A sign or word of letters such as GB or km/h; longer texts are no units.
_UNIT = rf"%|{_CURRENCY}|[^\W\d_]{{1,9}}(?:/[^\W\d_]{{1,5}})?\.?"
_DIGITS = r"\d(?:[\d.,'\u2019 \u00a0\u202f]*\d)?\.?|[.,]\d+"
_AMOUNT = re.compile(
    rf"\(?\s*[+-]?\s*(?P<before>{_CURRENCY})?\s*[+-]?\s*(?P<digits>{_DIGITS})(?P<blank>\s*)(?P<after>{_UNIT})?\s*\)?",
    re.IGNORECASE,
)
_BLANKS = re.compile("[ \u00a0\u202f]")
_GROUPED = {
    separator: re.compile(rf"\d{{1,3}}(?:{re.escape(separator)}\d{{2,3}})*{re.escape(separator)}\d{{3}}")
    for separator in ",. '"
}
_GROUPED_BY_ANY = re.compile(r"\d{1,3}(?:[., '\u2019\u00a0\u202f]\d{2,3})*[., '\u2019\u00a0\u202f]\d{3}")


@dataclass
class ColumnGuess:
    """The inferred declaration of one column.

    Attributes:
        fields: The column as in the declaration.
        seen: Summary of the values.
        doubts: Guesses that need a review.
        set_aside: Number of rows that are rejected for this column.
    """

    fields: dict[str, Any]
    seen: str
    doubts: list[str] = field(default_factory=list)
    set_aside: int = 0

    @property
    def name(self) -> str:
        """Name of the column."""
        return str(self.fields["name"])


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Attributes:
        decimal: Decimal mark of the table.
        remove: Units and currency signs.
        thousands: Thousands separator; empty: none.
    """

    decimal: str = "."
    remove: tuple[str, ...] = ()
    thousands: str = ""

    def read(self, levels: Sequence[str]) -> pd.Series:
        """Read numbers.

        Args:
            levels: Cells as text.

        Returns:
            Numbers; NaN where a cell is not a number.
        """
        return read_numbers(pd.Series(levels, dtype=TEXT), (), self.decimal, self.remove, self.thousands)[0]


@dataclass(frozen=True)
class Cells:
    """The cells of a column and their counts.

    Attributes:
        name: Name in the file.
        typed: The cells as read.
        text: The cells as text, blanks and markers missing.
        markers: Words that mean "missing", as the file writes them.
        counts: Rows per distinct value, the most frequent first.
        format: How numbers are written.
    """

    name: str
    typed: pd.Series
    text: pd.Series
    markers: list[str]
    counts: pd.Series
    format: NumberFormat

    @property
    def words(self) -> str:
        """The name in lower case, with underscores between words."""
        return "_".join(divide_name(self.name)).casefold()

    @cached_property
    def filled(self) -> int:
        """Number of cells with a value."""
        return int(self.counts.sum())

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.counts)

    @property
    def missing(self) -> int:
        """Number of cells without a value."""
        return len(self.text) - self.filled

    @cached_property
    def levels(self) -> list[str]:
        """The different values as text, the most frequent first."""
        return [str(level) for level in self.counts.index]

    @cached_property
    def numbers(self) -> pd.Series:
        """The different values as numbers; NaN where a value is not a number."""
        return self.format.read(self.levels)

    def share_of(self, chosen: pd.Series | np.ndarray) -> float:
        """Return the share of the filled cells that have one of the chosen different values."""
        return float(self.counts.to_numpy()[np.asarray(chosen, dtype=bool)].sum()) / max(self.filled, 1)

    def list_counted(self, levels: Sequence[str]) -> str:
        """List values with their numbers of rows."""
        shown = ", ".join(f"{one_line(level)!r} ({int(self.counts[level]):,})" for level in levels[:_SHOWN])
        return shown + (f" and {len(levels) - _SHOWN:,} more" if len(levels) > _SHOWN else "")


def listed(words: Sequence[Any]) -> str:
    """List the first of several values.

    Args:
        words: Values.

    Returns:
        ``'a', 'b', 'c', 'd', …``.
    """
    shown = ", ".join(repr(str(word)) for word in words[:_SHOWN])
    return shown + (", …" if len(words) > _SHOWN else "")


def as_level(number: float) -> Level:
    """Return a number as a level of a declaration.

    Args:
        number: A finite number.

    Returns:
        An integer where it is whole.
    """
    return int(number) if float(number).is_integer() else float(number)


def divide_name(name: str) -> list[str]:
    """Divide the name of a column into words.

    Args:
        name: Name such as ``CreditScore``.

    Returns:
        Its words, at least one.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word for word in re.split(r"[^0-9A-Za-z]+", spaced) if word] or [name]


def describe_name(name: str) -> str:
    """Make a description from the name of a column.

    Args:
        name: Name such as ``CreditScore`` or ``total_day_minutes``.

    Returns:
        ``Credit score``, ``Total day minutes``.
    """
    words = [word if word.isupper() and len(word) > 1 else word.lower() for word in divide_name(name)]
    text = one_line(" ".join(words))
    return text[:1].upper() + text[1:]


def summarise_cells(body: pd.DataFrame, name: str, decimal: str) -> Cells:
    """Count the cells of a column, and find how its numbers are written.

    Args:
        body: The table.
        name: The column.
        decimal: Decimal mark of the table.

    Returns:
        The cells.
    """
    cells = body[name]
    text = as_text(cells)
    text = text.where(text != "")
    counts = text.value_counts()
    folded = [str(level).casefold() for level in counts.index]
    markers = [str(level) for level, word in zip(counts.index, folded, strict=True) if word in _CERTAIN_MARKERS]
    if markers:
        text = text.where(~text.isin(markers))
        counts = counts.drop(markers)
    return Cells(name, cells, text, markers, counts, _find_format(counts, decimal))


def find_decimal(body: pd.DataFrame) -> str:
    """Find the decimal mark of a table.

    Args:
        body: The table.

    Returns:
        A comma where a column has numbers with a decimal comma and none has numbers with a decimal point, else a point.
    """
    marks = {_find_mark(as_text(body.iloc[:, position]).dropna().head(_SAMPLE)) for position in range(body.shape[1])}
    return "," if "," in marks and "." not in marks else "."


def _find_mark(sample: pd.Series) -> str:
    """Find the decimal mark of a column; empty where it has no decimals, or where they may be thousands."""
    parsed = [_AMOUNT.fullmatch(cell) for cell in sample if cell]
    digits = [found["digits"] for found in parsed if found is not None]
    if not parsed or len(digits) < MOSTLY * len(parsed):
        return ""
    for mark, other in ((",", "."), (".", ",")):
        having = [text for text in digits if mark in text]
        wholes = [text.partition(mark)[0] for text in having]
        # A mark that occurs once in each number, after all separators; 1,234 may have a thousands separator.
        if (
            any(not re.fullmatch(rf"\d{{1,3}}\{mark}\d{{3}}", text) for text in having)
            and all(text.count(mark) == 1 and other not in text.partition(mark)[2] for text in having)
            and all(re.fullmatch(r"\d*", whole) or _GROUPED_BY_ANY.fullmatch(whole) for whole in wholes)
        ):
            return mark
    return ""


def _find_format(counts: pd.Series, decimal: str) -> NumberFormat:
    """Find units and thousands separators, where they make more of the cells numbers."""
    plain = NumberFormat(decimal)
    levels = [str(level) for level in counts.index]
    sample = levels[:_SAMPLE]
    rows = counts.to_numpy()
    readable = plain.read(sample).notna().to_numpy()
    if readable.all():
        return plain
    parsed = [_AMOUNT.fullmatch(level) for level in sample]
    matched = np.array([found is not None for found in parsed])
    if rows[: len(sample)][matched].sum() < MOSTLY * rows[: len(sample)].sum():
        return plain
    found = [match for match in parsed if match is not None]
    remove = _find_units(found)
    if remove is None:
        return plain
    thousands = _find_thousands([match["digits"] for match in found], decimal)
    given = NumberFormat(decimal, remove, thousands)
    numbers = given.read(levels)
    gained = rows[numbers.notna().to_numpy()].sum() > rows[plain.read(levels).notna().to_numpy()].sum()
    # Two values with a unit, such as "36 months" and "60 months", are levels.
    return given if gained and (not remove or numbers.nunique() > 2) else plain


def _find_units(found: Sequence[re.Match[str]]) -> tuple[str, ...] | None:
    """Return the unit of amounts, in singular and plural; None where they have different ones, or a mere letter."""
    spellings: dict[str, str] = {}
    for place in ("before", "after"):
        words = {match[place].strip() for match in found if match[place]}
        if len({word.casefold().rstrip(".").removesuffix("s") for word in words}) > 1:
            return None
        spellings |= {word.casefold(): word for word in sorted(words)}
    # "7b" is a code.
    attached = {match["after"] for match in found if match["after"] and not match["blank"]}
    if any(re.fullmatch(r"[^\W\d_]", word) for word in attached):
        return None
    return tuple(spellings[key] for key in sorted(spellings))


def _find_thousands(digits: Sequence[str], decimal: str) -> str:
    """Find the thousands separator; empty where there is none or it is unclear."""
    texts = [_BLANKS.sub(" ", text).replace("\u2019", "'") for text in digits]
    for separator in " ',.":
        marks = {",": ".", ".": ","}.get(separator, ".,")
        having = [text for text in texts if separator in text]
        wholes = [re.sub(rf"[{marks}]\d*$", "", text) for text in having]
        if not having or not all(_GROUPED[separator].fullmatch(whole) for whole in wholes):
            continue
        # A single comma or point may be a decimal mark.
        clear = separator in " '" or {separator, decimal} == {",", "."}
        if clear or any(whole != text or text.count(separator) > 1 for whole, text in zip(wholes, having, strict=True)):
            return separator
    # A column with a decimal comma in a table with decimal points.
    commas = [text for text in texts if "," in text]
    return "." if decimal == "." and commas and all(text.count(",") == 1 and "." not in text for text in commas) else ""


def missing_words(levels: Sequence[str]) -> list[str]:
    """Return the levels that often mean "missing".

    Args:
        levels: Levels.

    Returns:
        Those among them.
    """
    return [level for level in levels if level.casefold() in MISSING_WORDS]
