"""Conversion of raw cells to typed columns, with a record of every change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_estimators.cells import (
    TEXT,
    ReadColumn,
    UnreadablePolicy,
    as_text,
    join_unreadable,
    list_unreadable,
    read_levels,
)
from churn_kedro.customers.declaration import Column, CustomerDeclaration, CustomerTableError, Level, match_header

# Words that often mean "missing"; they are levels unless they are declared as missing.
MISSING_WORDS = frozenset(
    {"?", "-", "--", ".", "n/a", "na", "nan", "none", "nil", "null", "#n/a", "missing", "unknown", "undefined"}
    | {"not available", "not applicable", "not provided", "unspecified"}
)

logger = logging.getLogger(__name__)

# Unreadable cells that an error lists.
_LISTED = 5


@dataclass(frozen=True)
class NamedCustomers:
    """The declared columns of a raw table under their declared names.

    Attributes:
        raw: The table as the file writes it.
        cells: Raw cells of the declared columns. The index is that of the raw table, without repeated header rows.
        renamed: Declared name to the name in the file, where the two differ.
        undeclared: Columns of the file that are not declared.
        empty_unnamed_columns: Number of columns without name and values, which are left out.
        header_rows: Index labels of rows that repeat the header, which are left out.
    """

    raw: pd.DataFrame
    cells: pd.DataFrame
    renamed: dict[str, str]
    undeclared: list[str]
    empty_unnamed_columns: int
    header_rows: list[int]


@dataclass(frozen=True)
class NormalisedCustomers:
    """A typed customer table and the cells that could not be converted.

    Attributes:
        named: The raw cells.
        table: Declared columns under their declared names; the target is the code of its class or a number. Number
            columns are float64, dates datetime64, the others text; missing is NaN or NaT. The index is that of the raw
            cells.
        unreadable: One row per cell that does not have the declared type: ``row`` (index label), ``column``,
            ``reason``. The cell is missing in ``table``. Empty where the declared policy is ``missing``.
        suspected_missing: Column to the words in it that often mean "missing" and are not declared so, with their
            counts.
    """

    named: NamedCustomers
    table: pd.DataFrame
    unreadable: pd.DataFrame
    suspected_missing: dict[str, dict[str, int]]


def _read_classes(cells: pd.Series, column: Column, declaration: CustomerDeclaration) -> tuple[ReadColumn, str]:
    """Convert labels of the target to codes: positions in the list of classes.

    Words match in upper or lower case, unless labels differ in nothing else.
    """
    classes = declaration.classes
    text = read_levels(cells, column.missing)
    positions, distinct = pd.factorize(text)
    levels = pd.Series(distinct, dtype=TEXT)
    words = [label.strip() for label in classes if isinstance(label, str)]
    if words:
        one_spelling = len({word.casefold() for word in words}) == len(words)
        found = levels.str.casefold() if one_spelling else levels
        keys: list[Level] = [word.casefold() for word in words] if one_spelling else list(words)
    else:
        found, keys = declaration.cell_reader(column).read(levels).values, classes
    codes = np.full(len(levels) + 1, np.nan)
    for code, key in enumerate(keys):
        codes[:-1][(found == key).to_numpy(dtype=bool)] = code
    # factorize codes missing cells as -1, which indexes the last code: NaN.
    target = pd.Series(codes[positions], index=cells.index)
    labels = [repr(label) for label in classes]
    expected = f"neither {' nor '.join(labels)}" if len(classes) == 2 else f"none of {', '.join(labels)}"
    return ReadColumn(target, target.isna() & text.notna()), expected


def _read_column(cells: pd.Series, column: Column, declaration: CustomerDeclaration) -> tuple[ReadColumn, str]:
    """Return the typed column, and the predicate of its unreadable cells."""
    if column.role == "target" and declaration.classes:
        return _read_classes(cells, column, declaration)
    reader = declaration.cell_reader(column)
    return reader.read(cells), reader.expected


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


def clean_header(raw: pd.DataFrame) -> list[str]:
    """Return the names of the columns without a byte order mark, quotation marks and blanks around them.

    Args:
        raw: Table as read from a file.

    Returns:
        The names in the order of the file.
    """
    return [str(name).strip().lstrip("\ufeff").strip('"').strip() for name in raw.columns]


def require_distinct_names(header: Sequence[str]) -> None:
    """Require that no name of a column is repeated; columns may be without a name.

    Args:
        header: Names as returned by :func:`clean_header`.

    Raises:
        CustomerTableError: A name is repeated.
    """
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise CustomerTableError(
            f"The file has more than one column named {', '.join(map(repr, repeated))} (ignoring blanks around names): "
            "rename or remove the others."
        )


def name_columns(raw: pd.DataFrame, declaration: CustomerDeclaration, *, with_target: bool) -> NamedCustomers:
    """Find the declared columns in a raw table.

    Args:
        raw: Table as read from a file.
        declaration: The table's declaration.
        with_target: Whether the target column is required. If not, a column of role value is taken where there is one.

    Returns:
        The raw cells under their declared names, and what was renamed or left out.

    Raises:
        CustomerTableError: A declared column is absent.
    """
    header = clean_header(raw)
    header_rows = find_header_rows(raw)
    named = raw.set_axis(header, axis=1)
    body = named.drop(index=header_rows) if len(header_rows) else named
    matched = match_header(header, declaration, with_target=with_target)
    optional = [column.name for column in declaration.columns if column.role == "value" and column.name not in matched]
    matched |= {name: name for name in optional if header.count(name) == 1}
    known = {column.name for column in declaration.columns} | set(matched.values())
    unnamed = [position for position, name in enumerate(header) if not name]
    empty = [position for position in unnamed if (as_text(body.iloc[:, position]).fillna("") == "").all()]
    return NamedCustomers(
        raw=raw,
        cells=body[list(matched.values())].set_axis(list(matched), axis=1),
        renamed={name: in_file for name, in_file in matched.items() if name != in_file},
        undeclared=[name for position, name in enumerate(header) if name not in known and position not in empty],
        empty_unnamed_columns=len(empty),
        header_rows=[int(label) for label in header_rows],
    )


def find_known_outcomes(named: NamedCustomers, declaration: CustomerDeclaration) -> pd.Series:
    """Find customers to score whose outcome is in the table, such as training customers or those who have left.

    Args:
        named: The raw cells; the table may have the target column.
        declaration: The table's declaration.

    Returns:
        Whether the target is not missing, for each row; false where the table has no such column.
    """
    header = clean_header(named.raw)
    target = next(column for column in declaration.columns if column.role == "target")
    try:
        # Other columns of the training table may be absent.
        alone = declaration.model_copy(update={"columns": [target]})
        in_file = match_header(header, alone, with_target=True)[target.name]
    except CustomerTableError:
        return pd.Series(False, index=named.cells.index)
    cells = named.raw.iloc[:, header.index(in_file)].loc[named.cells.index]
    return read_levels(cells, target.missing).notna()


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


def apply_policy(unreadable: pd.DataFrame, policy: UnreadablePolicy) -> pd.DataFrame:
    """Apply the declared policy to unreadable cells.

    Args:
        unreadable: One row per unreadable cell: ``row`` (index label), ``column``, ``reason``.
        policy: What to do with them.

    Returns:
        The cells whose rows are to be set aside: all, or none where unreadable cells count as missing.

    Raises:
        CustomerTableError: The policy is to refuse them.
    """
    if unreadable.empty or policy == "set_aside":
        return unreadable
    if policy == "refuse":
        listed = "\n".join(
            f"  row {row + 1}, {reason}" for row, reason in unreadable[["row", "reason"]].values[:_LISTED]
        )
        raise CustomerTableError(
            f"{len(unreadable):,} cells cannot be read, the first of them:\n{listed}\nCorrect the file, or set "
            "`unreadable` in parameters/customers.yml to set_aside or missing."
        )
    for column, count in unreadable["column"].value_counts().items():
        logger.warning("%s: %d cells cannot be read and count as missing.", column, count)
    return unreadable.iloc[:0]


def normalise(raw: pd.DataFrame, declaration: CustomerDeclaration, *, with_target: bool) -> NormalisedCustomers:
    """Convert a raw table to the declared columns and types.

    Args:
        raw: Table as read from a file, cells as text or typed.
        declaration: The table's declaration.
        with_target: Whether the target column is required.

    Returns:
        The typed table, and what was renamed, left out or could not be converted.

    Raises:
        CustomerTableError: A declared column is absent; or a cell cannot be read, and the declared policy is to refuse
            it.

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
        >>> normalised.named.renamed, normalised.unreadable["reason"].tolist()
        ({'Age': 'AGE'}, ["Age: 'young' is not a number"])
    """
    named = name_columns(raw, declaration, with_target=with_target)
    columns: dict[str, pd.Series] = {}
    unreadable: list[pd.DataFrame] = []
    for column in declaration.required_columns(with_target=with_target):
        cells = named.cells[column.name]
        read, expected = _read_column(cells, column, declaration)
        columns[column.name] = read.values
        if read.unreadable is not None and read.unreadable.any():
            unreadable.append(list_unreadable(cells[read.unreadable], column.name, expected))
    table = pd.DataFrame(columns, index=named.cells.index)
    return NormalisedCustomers(
        named=named,
        table=table,
        unreadable=apply_policy(join_unreadable(unreadable), declaration.unreadable),
        suspected_missing=_find_suspected_missing(table, declaration),
    )
