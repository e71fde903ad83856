"""Reading of raw cells: the only place where text becomes numbers, dates and levels.

Data processing, batch and online scoring read cells by these functions, so a cell has one meaning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import pandas as pd

CellType = Literal["number", "date", "text"]
# Thousands separators, and the characters that are read as each.
THOUSANDS = {",": ",", ".": r"\.", " ": "[ \u00a0\u202f]", "'": "['\u2019]"}
# What a caller does with a row that has an unreadable cell: leave it out with the reason, raise an error, or treat the
# cell as missing.
UnreadablePolicy = Literal["set_aside", "refuse", "missing"]
UNREADABLE_COLUMNS = ["row", "column", "reason"]
_NOTHING_UNREADABLE = pd.DataFrame(columns=UNREADABLE_COLUMNS)
TEXT = pd.StringDtype(na_value=np.nan)

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_ISO_DATE = r"\d{4}-\d{2}-\d{2}"
# Above 2**53 a float does not represent every whole number, and int64 overflows soon after.
_LARGEST_WHOLE = 2**53
# Of fewer rows, each cell is read by itself, which is faster than calling pandas for every column.
_FEW_ROWS = 50
_CELL_BY_CELL = (np.dtype(object), np.dtype("float64"), np.dtype("int64"), np.dtype(bool), TEXT)


class UnreadableCellsError(ValueError):
    """Cells that do not have the type of their column, where the policy is to refuse them."""


def _level(value: Any) -> Any:
    """A cell of a column of mixed types as text; whole floats without ``.0``."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    return str(value)


def as_text(cells: pd.Series) -> pd.Series:
    """Convert cells to stripped text, whole floats without ``.0``; missing stays missing.

    Args:
        cells: Any column.

    Returns:
        Column of text.

    Examples:
        >>> as_text(pd.Series([1.0, " gold ", True, None], dtype=object)).tolist()
        ['1', 'gold', 'True', nan]
    """
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if cells.dtype == TEXT:
        return cells.str.strip()
    if pd.api.types.is_float_dtype(cells.dtype):
        whole = cells.notna() & (cells == np.floor(cells)) & (cells.abs() < _LARGEST_WHOLE)
        text = cells.astype(TEXT).where(cells.notna())
        text[whole] = cells[whole].astype("int64").astype(TEXT)
        return text
    if cells.dtype == object:
        cells = cells.map(_level, na_action="ignore")
    return cells.astype(TEXT).where(cells.notna()).str.strip()


def is_missing(text: pd.Series, markers: Sequence[str]) -> pd.Series:
    """Find missing cells.

    Args:
        text: Column of stripped text.
        markers: Cells that mean "missing", in addition to blank ones.

    Returns:
        Boolean column.
    """
    return text.isna() | text.isin(["", *(marker.strip() for marker in markers)])


def _is_blank(cell: Any) -> bool:
    return cell is None or (not isinstance(cell, str) and bool(pd.isna(cell)))


@lru_cache
def _amount_pattern(remove: tuple[str, ...], thousands: str, decimal: str) -> re.Pattern[str]:
    """Pattern of a number with removed words before or after it, and with a thousands separator."""
    words = "|".join(re.escape(word.strip()) for word in sorted(remove, key=len, reverse=True))
    word = rf"(?:{words})?\s*"
    separator = THOUSANDS.get(thousands, "")
    grouped = rf"\d{{1,3}}(?:{separator}\d{{2,3}})*{separator}\d{{3}}|" if separator else ""
    # A separator leaves the other marks for decimals.
    mark = {",": r"\.", ".": ",", "": rf"[.{re.escape(decimal)}]"}.get(thousands, "[.,]")
    number = rf"(?P<whole>{grouped}\d+|(?={mark}\d))(?:{mark}(?P<fraction>\d*))?(?P<exponent>e[+-]?\d+)?"
    return re.compile(rf"(\()?\s*([+-]?)\s*{word}([+-]?)\s*{number}\s*{word}(\))?", re.ASCII | re.IGNORECASE)


def _plain_number(text: str, remove: tuple[str, ...], thousands: str, decimal: str) -> str:
    """Text of an amount as a plain number, such as ``-1200.50`` for ``($1,200.50)``; empty for other text."""
    found = _amount_pattern(remove, thousands, decimal).fullmatch(text)
    if found is None or bool(found[1]) != bool(found[found.re.groups]) or (found[2] and found[3]):
        return ""
    minus = "-" in (found[2] + found[3]) or found[1]
    whole = re.sub(r"\D", "", found["whole"])
    return f"{'-' if minus else ''}{whole or '0'}.{found['fraction'] or '0'}{found['exponent'] or ''}"


def _as_number(
    cell: Any,
    missing: Collection[str],
    markers: Collection[float],
    decimal: str,
    remove: tuple[str, ...] = (),
    thousands: str = "",
) -> float | None:
    """A cell as :func:`read_numbers` reads it; NaN: missing, None: unreadable."""
    if isinstance(cell, float | int) and not isinstance(cell, bool):
        try:
            number = float(cell)
        except OverflowError:
            return None
        if math.isinf(number):
            return None
    else:
        text = "" if _is_blank(cell) else str(cell).strip()
        if not text or text in missing:
            return math.nan
        if remove or thousands:
            number = _parse(_plain_number(text, remove, thousands, decimal))
        else:
            number = _parse(text if decimal == "." else text.replace(decimal, "."))
        if not math.isfinite(number):
            return None
    return math.nan if number in markers else number


def _as_level(cell: Any, missing: Collection[str]) -> str | None:
    """A cell as :func:`read_levels` reads it; None: missing."""
    text = "" if _is_blank(cell) else _level(cell).strip()
    return None if not text or text in missing else text


def is_number(text: str) -> bool:
    """Check whether text is a finite number, as :func:`read_numbers` reads it with a decimal point.

    Args:
        text: A cell, level or label.

    Returns:
        True for ``1``, ``-2.5`` and ``1e3``.
    """
    stripped = text.strip()
    return _NUMBER.fullmatch(stripped) is not None and bool(np.isfinite(float(stripped)))


def _numeric_markers(markers: Sequence[str]) -> list[float]:
    return [float(marker) for marker in markers if is_number(marker)]


def _cast_all(text: pd.Series) -> np.ndarray | None:
    """Convert text to numbers by Arrow, which is fast; None where a cell is not a finite number."""
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
    except ImportError:
        return None
    try:
        numbers = np.asarray(pc.cast(pa.chunked_array(pa.array(text.array)), pa.float64()).to_numpy())
    except pa.ArrowInvalid:
        return None
    return None if np.isinf(numbers).any() or np.isnan(numbers).sum() != text.isna().sum() else numbers


def _parse(cell: Any) -> float:
    # float() also accepts infinities, underscores and other scripts' digits.
    return float(cell) if isinstance(cell, str) and _NUMBER.fullmatch(cell) else np.nan


def read_numbers(
    cells: pd.Series,
    missing: Sequence[str] = (),
    decimal: str = ".",
    remove: Sequence[str] = (),
    thousands: str = "",
) -> tuple[pd.Series, pd.Series]:
    """Convert cells to numbers.

    Args:
        cells: Text or numbers.
        missing: Cells that mean "missing".
        decimal: Decimal mark in text; a point is always read as well, unless it is the thousands separator.
        remove: Words or signs before or after the number, such as ``$`` or ``km``, in upper or lower case. With these
            or ``thousands``, a number in parentheses is negative.
        thousands: Thousands separator, a key of ``THOUSANDS``; empty: none. Decimal marks are then the others of comma
            and point.

    Returns:
        float64 column, and the mask of cells that are neither a finite number nor missing; these are NaN.

    Examples:
        >>> numbers, unreadable = read_numbers(pd.Series(["1,5", " 2 ", "?", "", "many"]), ["?"], ",")
        >>> numbers.tolist()
        [1.5, 2.0, nan, nan, nan]
        >>> unreadable.tolist()
        [False, False, False, False, True]
        >>> read_numbers(pd.Series(["$1,200.50", "(3 USD)", "1,2"]), remove=["$", "USD"], thousands=",")[0].tolist()
        [1200.5, -3.0, nan]
    """
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
        numbers = cells.astype("float64")
        unreadable: pd.Series = pd.Series(np.isinf(numbers.to_numpy()), index=cells.index)
    elif remove or thousands:
        words = {marker.strip() for marker in missing}
        amounts = [_as_number(cell, words, (), decimal, tuple(remove), thousands) for cell in cells.tolist()]
        numbers = pd.Series(amounts, index=cells.index, dtype="float64")
        unreadable = pd.Series([amount is None for amount in amounts], index=cells.index, dtype=bool)
    else:
        text = as_text(cells)
        absent = is_missing(text, missing)
        text = text.where(~absent)
        if decimal != ".":
            text = text.str.replace(decimal, ".", regex=False)
        parsed = _cast_all(text)
        if parsed is None:
            parsed = np.array([_parse(cell) for cell in text.tolist()], dtype=np.float64)
        numbers = pd.Series(parsed, index=cells.index)
        unreadable = ~absent & ~np.isfinite(numbers)
    if unreadable.any():
        numbers = numbers.where(~unreadable)
    markers = _numeric_markers(missing)
    return numbers.where(~numbers.isin(markers)) if markers else numbers, unreadable


def read_dates(
    cells: pd.Series, missing: Sequence[str] = (), date_format: str | None = None
) -> tuple[pd.Series, pd.Series]:
    """Convert cells to dates.

    Args:
        cells: Text or dates.
        missing: Cells that mean "missing".
        date_format: strptime codes; None: ISO 8601. Unless the format begins with the year, dates such as 2026-01-31
            are read as well, since programs write them.

    Returns:
        datetime64[us] column without a time zone (in UTC where the cells have one), and the mask of cells that are
        neither a date nor missing; these are NaT.

    Examples:
        >>> dates, unreadable = read_dates(pd.Series(["31.12.2025", "2026-01-01", "soon"]), [], "%d.%m.%Y")
        >>> dates.dt.strftime("%d %B %Y").tolist(), unreadable.tolist()
        (['31 December 2025', '01 January 2026', nan], [False, False, True])
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        dates = cells.dt.tz_convert(None) if isinstance(cells.dtype, pd.DatetimeTZDtype) else cells
        return dates.astype("datetime64[us]"), pd.Series(False, index=cells.index)
    text = as_text(cells)
    absent = is_missing(text, missing)
    text = text.where(~absent)
    read = _to_dates(text, date_format or "ISO8601")
    if date_format is not None and not date_format.startswith("%Y"):
        iso = read.isna() & text.str.match(_ISO_DATE).fillna(False).astype(bool)
        if iso.any():
            read = read.where(~iso, _to_dates(text.where(iso), "ISO8601"))
    return read, ~absent & read.isna()


def _to_dates(text: pd.Series, date_format: str) -> pd.Series:
    read = pd.to_datetime(text, format=date_format, errors="coerce", utc=True)
    return read.dt.tz_convert(None).astype("datetime64[us]")


def read_levels(cells: pd.Series, missing: Sequence[str] = ()) -> pd.Series:
    """Convert cells to text.

    Args:
        cells: Any column.
        missing: Cells that mean "missing".

    Returns:
        Column of text; NaN where missing.
    """
    text = as_text(cells)
    return text.where(~is_missing(text, missing))


@dataclass(frozen=True)
class ReadColumn:
    """A converted column.

    Attributes:
        values: float64, datetime64[us] or text; missing is NaN or NaT.
        unreadable: Mask of the cells that do not have the type; None: every cell can be read.
    """

    values: pd.Series
    unreadable: pd.Series | None


@dataclass(frozen=True)
class CellReader:
    """How the cells of a column are read.

    Attributes:
        column: Name of the column.
        cells: Type of its cells.
        missing: Cells that mean "missing", in addition to blank ones.
        decimal: Decimal mark of numbers in text.
        date_format: strptime codes of dates in text; None: ISO 8601.
        required: Whether the table must have the column; if not, an absent column is missing in every row.
        remove: Words or signs before or after numbers in text.
        thousands: Thousands separator of numbers in text.
    """

    column: str
    cells: CellType
    missing: Sequence[str] = ()
    decimal: str = "."
    date_format: str | None = None
    required: bool = True
    remove: Sequence[str] = ()
    thousands: str = ""

    def read(self, cells: pd.Series) -> ReadColumn:
        """Convert the cells.

        Args:
            cells: Column of any type.

        Returns:
            The typed column.
        """
        if self.cells == "number":
            return ReadColumn(*read_numbers(cells, self.missing, self.decimal, self.remove, self.thousands))
        if self.cells == "date":
            return ReadColumn(*read_dates(cells, self.missing, self.date_format))
        return ReadColumn(read_levels(cells, self.missing), None)

    def read_few(self, cells: list[Any]) -> tuple[Any, np.ndarray | None]:
        """Convert the cells of few rows; the result is that of :meth:`read`.

        Args:
            cells: Cells of a column of numbers or text.

        Returns:
            The typed column as an array, and the mask of unreadable cells; None: every cell can be read.
        """
        values = list(map(self.cell_function(), cells))
        if self.cells == "text":
            return pd.array(values, dtype=TEXT), None
        unreadable = None if None not in values else np.array([value is None for value in values])
        return np.array([math.nan if value is None else value for value in values]), unreadable

    def cell_function(self) -> Callable[[Any], Any]:
        """Return a function that converts one cell; the result is that of :meth:`read`.

        Returns:
            Function of a cell. Text: the level, None where missing. Numbers and dates: the value, NaN or NaT where
            missing, None where unreadable.
        """
        if self.cells == "date":
            return self._read_date
        missing = frozenset(marker.strip() for marker in self.missing)
        if self.cells == "text":
            return partial(_as_level, missing=missing)
        return partial(
            _as_number,
            missing=missing,
            markers=_numeric_markers(self.missing),
            decimal=self.decimal,
            remove=tuple(self.remove),
            thousands=self.thousands,
        )

    def _read_date(self, cell: Any) -> Any:
        dates, unreadable = read_dates(pd.Series([cell], dtype=object), self.missing, self.date_format)
        return None if unreadable.iloc[0] else dates.iloc[0]

    @property
    def expected(self) -> str:
        """Predicate of an unreadable cell, for messages."""
        if self.cells == "number":
            return "not a number"
        return f"not a date of the form {self.date_format or 'YYYY-MM-DD'}"

    def reason(self, cell: Any) -> str:
        """Explain that a cell is unreadable.

        Args:
            cell: An unreadable cell of the column.

        Returns:
            Column, cell and expected type.
        """
        return _reason(cell, self.column, self.expected)

    def explain(self, cells: pd.Series) -> pd.DataFrame:
        """List unreadable cells.

        Args:
            cells: The unreadable cells of the column.

        Returns:
            ``row`` (index label), ``column`` and ``reason`` of each.
        """
        return list_unreadable(cells, self.column, self.expected)


def list_unreadable(cells: pd.Series, column: str, expected: str) -> pd.DataFrame:
    """List unreadable cells with reasons.

    Args:
        cells: The unreadable cells of a column.
        column: Its name.
        expected: Predicate, such as "not a number".

    Returns:
        ``row`` (index label), ``column`` and ``reason`` of each.
    """
    reasons = [_reason(value, column, expected) for value in cells]
    return pd.DataFrame({"row": cells.index, "column": column, "reason": reasons}, columns=UNREADABLE_COLUMNS)


def _reason(cell: Any, column: str, expected: str) -> str:
    return f"{column}: {cell!r} is {expected}"


@dataclass(frozen=True)
class ReadTable:
    """A table of typed columns, and the cells that could not be read.

    Attributes:
        table: Typed columns under the index of the raw table.
        unreadable: One row per cell that does not have the type of its column: ``row`` (index label), ``column``,
            ``reason``. The cell is missing in ``table``.
    """

    table: pd.DataFrame
    unreadable: pd.DataFrame


def join_unreadable(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate lists of unreadable cells.

    Args:
        parts: Lists of single columns.

    Returns:
        One list; empty without parts.
    """
    return pd.concat(parts, ignore_index=True) if parts else _NOTHING_UNREADABLE


def read_table(raw: pd.DataFrame, readers: Sequence[CellReader]) -> ReadTable:
    """Read the cells of a table. Typed columns are read again without change.

    Args:
        raw: Table with the columns of the readers; further columns are ignored.
        readers: One for each column to read.

    Returns:
        The typed columns in the order of the readers.

    Raises:
        ValueError: The table lacks a required column.
    """
    absent = [reader.column for reader in readers if reader.required and reader.column not in raw.columns]
    if absent:
        raise ValueError(
            f"the table lacks the columns {', '.join(map(repr, absent))}; it has {', '.join(map(repr, raw.columns))}"
        )
    columns: dict[str, Any] = {}
    unreadable = []
    for reader in readers:
        if reader.column not in raw.columns:
            columns[reader.column] = np.full(len(raw), np.nan)
            continue
        cells = raw[reader.column]
        if len(raw) < _FEW_ROWS and reader.cells != "date" and cells.dtype in _CELL_BY_CELL:
            columns[reader.column], mask = reader.read_few(cells.tolist())
        else:
            read = reader.read(cells)
            columns[reader.column] = read.values.array
            mask = None if read.unreadable is None else read.unreadable.to_numpy()
        if mask is not None and mask.any():
            unreadable.append(reader.explain(cells[mask]))
    return ReadTable(pd.DataFrame(columns, index=raw.index, copy=False), join_unreadable(unreadable))
