"""Rows on which a compiled form of a model is compared with the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from churn_estimators.cells import CellReader

# Cells of a customer by column: text, numbers, booleans or None.
Row = Mapping[str, Any]

_N_ROWS, _SEED = 256, 20260101
# Share of the cells that are taken from the examples.
_ORDINARY = 0.7
# Beyond float32, learners of scikit-learn raise an error.
_NUMBERS = (0, 1, -1, -0.0, 0.5, 1e-300, 1e30, -1e30, 2**53 + 1, 10**400, "7", " 12.5 ", "1e2", "many", True)
_TEXTS = ("a level that no table has", " ", 0, 1.0, 2.5, False)
_DATES = ("2024-02-29", "1970-01-01", "2099-12-31", "2024-02-29T12:30:00", "soon")


def generate_rows(
    readers: Iterable[CellReader], levels: Mapping[str, Sequence[Any]], examples: pd.DataFrame
) -> list[Row]:
    """Generate rows of ordinary, missing, unseen, extreme and unreadable cells.

    Args:
        readers: Readers of the columns.
        levels: Levels of columns that have any.
        examples: Raw customers; may be empty.

    Returns:
        The examples, and rows that mix their cells with others. The result is always the same.
    """
    given = rows_of(examples)
    random = np.random.default_rng(_SEED)
    cells: dict[str, list[Any]] = {}
    for reader in readers:
        ordinary = [*levels.get(reader.column, ()), *(row[reader.column] for row in given if reader.column in row)]
        odd = [None, "", *reader.missing, *{"number": _NUMBERS, "text": _TEXTS, "date": _DATES}[reader.cells]]
        ordinary = ordinary or odd
        from_examples = random.random(_N_ROWS) < _ORDINARY
        places = random.integers(0, 2**31, _N_ROWS)
        cells[reader.column] = [
            ordinary[place % len(ordinary)] if usual else odd[place % len(odd)]
            for usual, place in zip(from_examples.tolist(), places.tolist(), strict=True)
        ]
    return [*given, *({name: column[number] for name, column in cells.items()} for number in range(_N_ROWS))]


def rows_of(table: pd.DataFrame) -> list[Row]:
    """Convert a table to rows.

    Args:
        table: Raw customers.

    Returns:
        Cells by column, as JSON writes them: missing is None, dates are text.
    """
    columns = {str(name): [_plain(cell) for cell in column.tolist()] for name, column in table.items()}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _plain(cell: Any) -> Any:
    if cell is None or pd.isna(cell):
        return None
    return cell.isoformat() if isinstance(cell, pd.Timestamp) else cell


def table_of(rows: Sequence[Row], readers: Iterable[CellReader]) -> pd.DataFrame:
    """Convert rows to a table.

    Args:
        rows: Cells by column.
        readers: Readers of the columns.

    Returns:
        Table of objects: no cell is converted because of another one in its column.
    """
    columns = {
        reader.column: pd.Series([row.get(reader.column) for row in rows], dtype=object)
        for reader in readers
        if not rows or any(reader.column in row for row in rows)
    }
    return pd.DataFrame(columns, index=range(len(rows)))
