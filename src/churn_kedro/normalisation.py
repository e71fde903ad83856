"""From cells as a file writes them to typed columns, without losing count of anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers import Column, CustomerDeclaration, Labels, Level, match_header

UNREADABLE_COLUMNS = ["row", "column", "reason"]


@dataclass(frozen=True)
class NormalisedCustomers:
    """A typed customer table and what could not be read into it.

    Attributes:
        table: Declared columns under their declared names: features and ids, and the target as 1.0 (positive) or 0.0.
            Number columns are float64, the others text; missing is NaN. The index is that of the raw table.
        unreadable: One row per cell that holds something else than declared: ``row`` (index label), ``column``,
            ``reason``. The cell is missing in ``table``.
        renamed: Declared name to the name in the file, where the two differ.
        undeclared: Columns of the file that the declaration does not mention.
    """

    table: pd.DataFrame
    unreadable: pd.DataFrame
    renamed: dict[str, str]
    undeclared: list[str]


def _as_text(cells: pd.Series) -> pd.Series:
    """Cells as stripped text, whole floats without their ``.0``; missing stays missing."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if pd.api.types.is_float_dtype(cells.dtype):
        # Beyond 2**53 a float no longer tells neighbouring whole numbers apart, and int64 soon overflows.
        whole = cells.notna() & (cells == np.floor(cells)) & (cells.abs() < 2**53)
        text = cells.astype("str").where(cells.notna())
        text[whole] = cells[whole].astype("int64").astype("str")
        return text
    return cells.astype("str").where(cells.notna()).str.strip()


def _missing(text: pd.Series, markers: list[str]) -> pd.Series:
    return text.isna() | text.isin(["", *(marker.strip() for marker in markers)])


def _read_numbers(cells: pd.Series, column: Column) -> tuple[pd.Series, pd.Series]:
    """Numbers and the mask of cells that are neither a finite number nor missing."""
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
        numbers = cells.astype("float64")
        markers = [float(marker) for marker in column.missing if _is_finite_number(marker)]
        numbers = numbers.where(~numbers.isin(markers))
        unreadable = numbers.notna() & ~np.isfinite(numbers)
        return numbers.where(~unreadable), unreadable
    text = _as_text(cells)
    missing = _missing(text, column.missing)
    numbers = pd.to_numeric(text.where(~missing), errors="coerce").astype("float64")
    unreadable = ~missing & ~np.isfinite(numbers)
    return numbers.where(~unreadable), unreadable


def _is_finite_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _equals(text: pd.Series, label: Level) -> pd.Series:
    if isinstance(label, str):
        return text == label.strip()
    return pd.to_numeric(text, errors="coerce") == label


def _read_target(cells: pd.Series, column: Column, labels: Labels) -> tuple[pd.Series, pd.Series]:
    """Target as 1.0 or 0.0, and the mask of cells that are neither label nor missing."""
    text = _as_text(cells)
    missing = _missing(text, column.missing)
    positive, negative = _equals(text, labels.positive), _equals(text, labels.negative)
    target = pd.Series(np.where(positive, 1.0, np.where(negative, 0.0, np.nan)), index=cells.index)
    return target, ~missing & ~positive & ~negative


def normalise(raw: pd.DataFrame, declaration: CustomerDeclaration, *, with_target: bool) -> NormalisedCustomers:
    """Read a raw table into the declared columns and types.

    Args:
        raw: Table as read from a file, cells as text or typed.
        declaration: The table's declaration.
        with_target: Whether the target column is there.

    Returns:
        The typed table with everything that was renamed, left out or could not be read.

    Raises:
        CustomerTableError: A declared column is absent.
    """
    # A byte order mark and stray blanks belong to the file, not to a column's name.
    header = [str(name).strip().lstrip("\ufeff").strip('"') for name in raw.columns]
    raw = raw.set_axis(header, axis=1)
    matched = match_header(header, declaration, with_target=with_target)
    columns: dict[str, pd.Series] = {}
    unreadable: list[pd.DataFrame] = []
    for column in declaration.required_columns(with_target=with_target):
        cells = raw[matched[column.name]]
        if column.role == "target":
            values, faulty = _read_target(cells, column, declaration.labels)
            expected = f"neither {declaration.labels.positive!r} nor {declaration.labels.negative!r}"
        elif column.holds_numbers:
            values, faulty = _read_numbers(cells, column)
            expected = "not a number"
        else:
            text = _as_text(cells)
            values, faulty = text.where(~_missing(text, column.missing)), None
        columns[column.name] = values
        if faulty is not None and faulty.any():
            found = cells[faulty]
            reasons = [f"{column.name}: {value!r} is {expected}" for value in found]
            unreadable.append(pd.DataFrame({"row": found.index, "column": column.name, "reason": reasons}))
    known = {column.name for column in declaration.columns} | set(matched.values())
    return NormalisedCustomers(
        table=pd.DataFrame(columns, index=raw.index),
        unreadable=pd.concat(unreadable, ignore_index=True) if unreadable else pd.DataFrame(columns=UNREADABLE_COLUMNS),
        renamed={name: found for name, found in matched.items() if name != found},
        undeclared=[name for name in header if name not in known],
    )
