"""Content digests of tables."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd


def table_digest(table: pd.DataFrame) -> str:
    """Compute a digest of column names, types and cells, in row order; the index is ignored.

    Args:
        table: Any table of numbers, dates and text.

    Returns:
        32 hexadecimal characters (SHA-256, truncated to the length that MLflow stores as a dataset digest).

    Examples:
        >>> table = pd.DataFrame({"id": ["a", "b"], "age": [30.0, 41.0]})
        >>> table_digest(table)
        '82bad478d681f54a9fe5c360c5420d3c'
        >>> table_digest(table.set_index(pd.Index([7, 8]))) == table_digest(table)
        True
    """
    digest = hashlib.sha256()
    for position, dtype in enumerate(table.dtypes):
        digest.update(f"{table.columns[position]}\0{dtype}\0{len(table)}\0".encode())
        _digest_cells(digest, table.iloc[:, position])
    return digest.hexdigest()[:32]


class TableDigest:
    """Digest of a table that is read in parts: of column names, cells and their order, whatever the parts.

    Examples:
        >>> table = pd.DataFrame({"id": ["a", "b", "c"], "age": [30.0, 41.0, None]})
        >>> whole, parts = TableDigest(), TableDigest()
        >>> whole.update(table)
        >>> parts.update(table[:1])
        >>> parts.update(table[1:])
        >>> whole.hexdigest() == parts.hexdigest()
        True
    """

    def __init__(self) -> None:
        self._columns: dict[str, tuple[hashlib._Hash, hashlib._Hash]] = {}
        self._rows = 0

    def update(self, part: pd.DataFrame) -> None:
        """Add rows.

        Args:
            part: The next rows; all parts have the same columns.
        """
        self._rows += len(part)
        for position in range(part.shape[1]):
            key = f"{position}\0{part.columns[position]}"
            lengths, content = self._columns.setdefault(key, (hashlib.sha256(), hashlib.sha256()))
            cells = part.iloc[:, position]
            if cells.dtype.kind in "iub" and isinstance(cells.dtype, np.dtype):
                # A part of whole numbers with a missing one is of floats.
                cells = cells.astype(np.float64)
            _digest_cells(content, cells, lengths)

    def hexdigest(self) -> str:
        """Return 32 hexadecimal characters."""
        whole = hashlib.sha256(f"{self._rows}".encode())
        for key, (lengths, content) in self._columns.items():
            whole.update(key.encode() + lengths.digest() + content.digest())
        return whole.hexdigest()[:32]


def row_digests(table: pd.DataFrame) -> np.ndarray:
    """Compute a digest of each row, by which equal rows of other tables are found.

    Args:
        table: Any table of numbers, dates and text. The digest depends on names, order and cells of the columns; equal
            integers, floats and booleans have the same digest.

    Returns:
        uint64 array of shape (n,).

    Examples:
        >>> whole, decimal = pd.DataFrame({"age": [30, 41]}), pd.DataFrame({"age": [41.0, 30.0]})
        >>> row_digests(whole).tolist()
        [12897095274646150226, 2643033632791796601]
        >>> bool((row_digests(whole) == row_digests(decimal)[::-1]).all())
        True
    """
    plain = pd.DataFrame(
        {str(name): cells.astype("float64") if cells.dtype.kind in "iub" else cells for name, cells in table.items()}
    )
    of_names = int.from_bytes(hashlib.sha256("\0".join(plain.columns).encode()).digest()[:8], "big")
    of_cells = np.asarray(pd.util.hash_pandas_object(plain, index=False, categorize=True), dtype=np.uint64)
    return of_cells ^ np.uint64(of_names)


def _digest_cells(digest: hashlib._Hash, cells: pd.Series, of_lengths: hashlib._Hash | None = None) -> None:
    if isinstance(cells.dtype, pd.StringDtype):
        import pyarrow as pa
        import pyarrow.compute as pc

        text = pa.chunked_array(pa.array(cells.array, type=pa.large_string())).combine_chunks()
        # Lengths (-1: missing) and characters identify the cells, independent of Arrow's memory layout.
        lengths = pc.fill_null(pc.binary_length(text), -1)
        (of_lengths or digest).update(lengths.to_numpy(zero_copy_only=False).astype(np.int64).data)
        # The buffer of a missing cell may hold arbitrary characters.
        filled = pc.fill_null(text, "") if text.null_count else text
        _, offsets, characters = filled.buffers()
        if characters is not None and len(filled):
            bounds = np.frombuffer(offsets, dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
            digest.update(memoryview(characters)[bounds[0] : bounds[-1]])
    elif cells.dtype.kind in "fiubmM" and isinstance(cells.dtype, np.dtype):
        values = np.ascontiguousarray(cells.to_numpy())
        # NaN has many bit patterns, and zero has two.
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), np.nan, values) + 0.0
        digest.update(values.view(np.uint8).data)
    else:
        digest.update(np.asarray(pd.util.hash_pandas_object(cells, index=False)).data)
