"""Tables that are read part by part, so that memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pandas as pd

from churn_kedro.customers.digests import TableDigest


class TableParts:
    """A table in parts. Each iteration reads it from the beginning.

    Args:
        read: Begins to read; each part has its own index, which is replaced.

    Attributes:
        digest: Digest of the content, once it was read to the end; empty before.
        rows: Number of rows, once it was read to the end.
        columns: Names and types of the columns, once it was read to the end.
    """

    def __init__(self, read: Callable[[], Iterable[pd.DataFrame]]) -> None:
        self._read = read
        self.digest = ""
        self.rows = 0
        self.columns: dict[str, str] = {}

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Yield the parts; the index of a row is its position in the table."""
        digest, rows = TableDigest(), 0
        for part in self._read():
            digest.update(part)
            yield part.set_axis(pd.RangeIndex(rows, rows + len(part)), axis=0)
            rows += len(part)
            self.columns = {str(name): dtype.kind for name, dtype in zip(part.columns, part.dtypes, strict=True)}
        self.digest, self.rows = digest.hexdigest(), rows

    def read(self) -> pd.DataFrame:
        """Read all parts, as a table in memory."""
        return pd.concat(list(self))


def as_parts(table: pd.DataFrame | Iterable[pd.DataFrame]) -> TableParts:
    """Divide a table that is in memory, or number the parts of one that is read in parts.

    Args:
        table: The table, or its parts in order.

    Returns:
        The parts.
    """
    if isinstance(table, TableParts):
        return table
    return TableParts(lambda: [table] if isinstance(table, pd.DataFrame) else table)


def describe_changed_columns(columns: Sequence[str], found: Sequence[str], where: str) -> str:
    """Explain that a part of a table has other columns than the parts before.

    Args:
        columns: Columns of the parts before.
        found: Columns of the part.
        where: The part, such as ``on page 3``.

    Returns:
        Sentences.

    Examples:
        >>> describe_changed_columns(["id", "age"], ["id", "years"], "on page 3")
        'The columns change on page 3: without age and with years. All parts of a table need the columns id, age.'
    """
    absent = [name for name in columns if name not in found]
    new = [name for name in found if name not in columns]
    changes = [f"without {', '.join(absent)}"] * bool(absent) + [f"with {', '.join(new)}"] * bool(new)
    return (
        f"The columns change {where}: {' and '.join(changes) or 'another order'}. All parts of a table need the "
        f"columns {', '.join(columns)}."
    )
