"""Conversion of raw cells to typed columns, with a record of every change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import Column, CustomerDeclaration, Level, is_number, match_header

UNREADABLE_COLUMNS = ["row", "column", "reason"]
# Words that often mean "missing"; they are levels unless they are declared as missing.
MISSING_WORDS = frozenset(
    {"?", "-", "--", ".", "n/a", "na", "nan", "none", "nil", "null", "#n/a", "missing", "unknown", "undefined"}
    | {"not available", "not applicable", "not provided", "unspecified"}
)

TEXT = pd.StringDtype(na_value=np.nan)


@dataclass(frozen=True)
class NormalisedCustomers:
    """A typed customer table and the cells that could not be converted.

    Attributes:
        raw: The table as the file writes it.
        table: Declared columns under their declared names; the target is the code of its class or a number. Number
            columns are float64, dates datetime64, the others text; missing is NaN or NaT. The index is that of the raw
            table, without repeated header rows.
        unreadable: One row per cell that does not have the declared type: ``row`` (index label), ``column``,
            ``reason``. The cell is missing in ``table``.
        renamed: Declared name to the name in the file, where the two differ.
        undeclared: Columns of the file that are not declared.
        empty_unnamed_columns: Number of columns without name and values, which are left out.
        header_rows: Index labels of rows that repeat the header, which are left out.
        suspected_missing: Column to the words in it that often mean "missing" and are not declared so, with their
            counts.
    """

    raw: pd.DataFrame
    table: pd.DataFrame
    unreadable: pd.DataFrame
    renamed: dict[str, str]
    undeclared: list[str]
    empty_unnamed_columns: int
    header_rows: list[int]
    suspected_missing: dict[str, dict[str, int]]


@dataclass(frozen=True)
class _Read:
    """A converted column: values, mask of unreadable cells, and the predicate of their message."""

    values: pd.Series
    faulty: pd.Series | None = None
    expected: str = ""


def as_text(cells: pd.Series) -> pd.Series:
    """Convert cells to stripped text, whole floats without ``.0``; missing stays missing.

    Args:
        cells: Any column.

    Returns:
        Column of text.
    """
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if cells.dtype == TEXT:
        return cells.str.strip()
    if pd.api.types.is_float_dtype(cells.dtype):
        # Above 2**53 a float does not represent every whole number, and int64 overflows soon after.
        whole = cells.notna() & (cells == np.floor(cells)) & (cells.abs() < 2**53)
        text = cells.astype(TEXT).where(cells.notna())
        text[whole] = cells[whole].astype("int64").astype(TEXT)
        return text
    return cells.astype(TEXT).where(cells.notna()).str.strip()


def _missing(text: pd.Series, markers: list[str]) -> pd.Series:
    return text.isna() | text.isin(["", *(marker.strip() for marker in markers)])


def _parse_numbers(text: pd.Series) -> pd.Series | None:
    """Convert text to numbers by Arrow, which is fast; return None where a cell is not a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        numbers = pc.cast(pa.chunked_array(pa.array(text.array)), pa.float64())
    except pa.ArrowInvalid:
        return None
    return pd.Series(numbers.to_numpy(), index=text.index)


def read_numbers(cells: pd.Series, missing: list[str], decimal: str) -> tuple[pd.Series, pd.Series]:
    """Convert cells to numbers.

    Args:
        cells: Text or numbers.
        missing: Cells that mean "missing".
        decimal: Decimal mark in text.

    Returns:
        float64 column, and the mask of cells that are neither a finite number nor missing.

    Examples:
        >>> numbers, unreadable = read_numbers(pd.Series(["1,5", " 2 ", "?", "", "many"]), ["?"], ",")
        >>> numbers.tolist()
        [1.5, 2.0, nan, nan, nan]
        >>> unreadable.tolist()
        [False, False, False, False, True]
    """
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
        numbers = cells.astype("float64")
        markers = [float(marker) for marker in missing if is_number(marker)]
        numbers = numbers.where(~numbers.isin(markers)) if markers else numbers
        unreadable = numbers.notna() & ~np.isfinite(numbers)
        return numbers.where(~unreadable), unreadable
    if not missing and decimal == "." and cells.dtype == TEXT:
        parsed = _parse_numbers(cells)
        if parsed is not None and np.isfinite(parsed.to_numpy()).all():
            return parsed, pd.Series(False, index=cells.index)
    text = as_text(cells)
    absent = _missing(text, missing)
    text = text.where(~absent)
    if decimal == ",":
        text = text.str.replace(",", ".", regex=False)
    parsed = _parse_numbers(text)
    numbers = pd.to_numeric(text, errors="coerce").astype("float64") if parsed is None else parsed
    unreadable = ~absent & ~np.isfinite(numbers)
    return numbers.where(~unreadable), unreadable


def read_dates(cells: pd.Series, missing: list[str], date_format: str | None) -> tuple[pd.Series, pd.Series]:
    """Convert cells to dates.

    Args:
        cells: Text or dates.
        missing: Cells that mean "missing".
        date_format: strptime codes; None for ISO 8601.

    Returns:
        datetime64[us] column without a time zone (in UTC where the cells have one), and the mask of cells that are
        neither a date nor missing.
    """
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        dates = cells.dt.tz_convert(None) if isinstance(cells.dtype, pd.DatetimeTZDtype) else cells
        return dates.astype("datetime64[us]"), pd.Series(False, index=cells.index)
    text = as_text(cells)
    absent = _missing(text, missing)
    read = pd.to_datetime(text.where(~absent), format=date_format or "ISO8601", errors="coerce", utc=True)
    dates = read.dt.tz_convert(None).astype("datetime64[us]")
    return dates, ~absent & dates.isna()


def _equals(text: pd.Series, label: Level) -> pd.Series:
    if isinstance(label, str):
        return text == label.strip()
    return pd.to_numeric(text, errors="coerce") == label


def _read_classes(cells: pd.Series, column: Column, classes: list[Level]) -> _Read:
    """Convert labels of the target to codes: positions in the list of classes."""
    text = as_text(cells)
    text = text.where(~_missing(text, column.missing))
    positions, distinct = pd.factorize(text)
    levels = pd.Series(distinct, dtype=TEXT)
    codes = np.full(len(levels) + 1, np.nan)
    for code, label in enumerate(classes):
        codes[:-1][_equals(levels, label).to_numpy(dtype=bool)] = code
    # factorize codes missing cells as -1, which indexes the last code: NaN.
    target = pd.Series(codes[positions], index=cells.index)
    labels = [repr(label) for label in classes]
    expected = f"neither {' nor '.join(labels)}" if len(classes) == 2 else f"none of {', '.join(labels)}"
    return _Read(target, target.isna() & text.notna(), expected)


def _read_column(cells: pd.Series, column: Column, declaration: CustomerDeclaration) -> _Read:
    if column.role == "target" and declaration.classes:
        return _read_classes(cells, column, declaration.classes)
    if column.role == "target" or column.cells == "number":
        numbers, faulty = read_numbers(cells, column.missing, declaration.decimal)
        return _Read(numbers, faulty, "not a number")
    if column.cells == "date":
        dates, faulty = read_dates(cells, column.missing, column.date_format)
        return _Read(dates, faulty, f"not a date of the form {column.date_format or 'YYYY-MM-DD'}")
    text = as_text(cells)
    return _Read(text.where(~_missing(text, column.missing)))


def find_header_rows(raw: pd.DataFrame) -> pd.Index:
    """Find rows that repeat the header, as in concatenated files.

    Args:
        raw: Table as read from a file.

    Returns:
        Their index labels.
    """
    header = [str(name) for name in raw.columns]
    if not len(raw) or not header or raw.iloc[:, 0].dtype != TEXT:
        return raw.index[:0]
    candidates = raw[raw.iloc[:, 0] == header[0]]
    repeated = (candidates.astype(TEXT).fillna("") == header).all(axis=1)
    return candidates.index[repeated.to_numpy(dtype=bool)]


def _find_suspected_missing(table: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, dict[str, int]]:
    suspected = {}
    for column in declaration.features:
        # Where levels are declared, all other words are rejected anyway.
        if column.cells == "text" and not column.levels:
            counts = table[column.name].value_counts()
            words = {str(word): int(count) for word, count in counts.items() if str(word).casefold() in MISSING_WORDS}
            if words:
                suspected[column.name] = words
    return suspected


def normalise(raw: pd.DataFrame, declaration: CustomerDeclaration, *, with_target: bool) -> NormalisedCustomers:
    """Convert a raw table to the declared columns and types.

    Args:
        raw: Table as read from a file, cells as text or typed.
        declaration: The table's declaration.
        with_target: Whether the target column is required.

    Returns:
        The typed table, and what was renamed, left out or could not be converted.

    Raises:
        CustomerTableError: A declared column is absent.

    Examples:
        >>> declaration = CustomerDeclaration.model_validate(
        ...     {
        ...         "description": "Customers of a bank",
        ...         "task": "binary",
        ...         "labels": {"positive": "yes", "negative": "no"},
        ...         "columns": [
        ...             {"name": "Age", "kind": "numeric", "description": "Age in years"},
        ...             {"name": "Left", "role": "target", "description": "Whether the customer left"},
        ...         ],
        ...     }
        ... )
        >>> raw = pd.DataFrame({"AGE": ["41", "young"], "Left": ["yes", "no"]})
        >>> normalised = normalise(raw, declaration, with_target=True)
        >>> normalised.table.to_dict("list")
        {'Age': [41.0, nan], 'Left': [1.0, 0.0]}
        >>> normalised.renamed, normalised.unreadable["reason"].tolist()
        ({'Age': 'AGE'}, ["Age: 'young' is not a number"])
    """
    # A byte order mark, quotation marks and blanks are no part of a column's name.
    header = [str(name).strip().lstrip("\ufeff").strip('"').strip() for name in raw.columns]
    header_rows = find_header_rows(raw)
    named = raw.set_axis(header, axis=1)
    body = named.drop(index=header_rows) if len(header_rows) else named
    matched = match_header(header, declaration, with_target=with_target)
    columns: dict[str, pd.Series] = {}
    unreadable: list[pd.DataFrame] = []
    for column in declaration.required_columns(with_target=with_target):
        cells = body[matched[column.name]]
        read = _read_column(cells, column, declaration)
        columns[column.name] = read.values
        if read.faulty is not None and read.faulty.any():
            faulty = cells[read.faulty]
            reasons = [f"{column.name}: {value!r} is {read.expected}" for value in faulty]
            unreadable.append(pd.DataFrame({"row": faulty.index, "column": column.name, "reason": reasons}))
    table = pd.DataFrame(columns, index=body.index)
    known = {column.name for column in declaration.columns} | set(matched.values())
    unnamed = [position for position, name in enumerate(header) if not name]
    empty = [position for position in unnamed if (as_text(body.iloc[:, position]).fillna("") == "").all()]
    return NormalisedCustomers(
        raw=raw,
        table=table,
        unreadable=pd.concat(unreadable, ignore_index=True) if unreadable else pd.DataFrame(columns=UNREADABLE_COLUMNS),
        renamed={name: in_file for name, in_file in matched.items() if name != in_file},
        undeclared=[name for position, name in enumerate(header) if name not in known and position not in empty],
        empty_unnamed_columns=len(empty),
        header_rows=[int(label) for label in header_rows],
        suspected_missing=_find_suspected_missing(table, declaration),
    )
