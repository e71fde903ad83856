"""Content digests of tables."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd


def table_digest(table: pd.DataFrame) -> str:
    """Digest of a table's column names, types and every cell, in row order; the index does not count.

    Args:
        table: Any table of numbers, dates and text.

    Returns:
        32 hexadecimal characters (SHA-256, shortened to what MLflow stores as a dataset digest).
    """
    digest = hashlib.sha256()
    for position, dtype in enumerate(table.dtypes):
        digest.update(f"{table.columns[position]}\0{dtype}\0{len(table)}\0".encode())
        _digest_cells(digest, table.iloc[:, position])
    return digest.hexdigest()[:32]


def row_digests(table: pd.DataFrame) -> np.ndarray:
    """A number for each row, by which it is known again in another table; equal rows have equal numbers.

    Args:
        table: Any table of numbers, dates and text. Names, order and cells of its columns count, their types do not
            beyond what they hold.

    Returns:
        uint64 array of shape (n,).
    """
    plain = pd.DataFrame(
        {str(name): cells.astype("float64") if cells.dtype.kind in "iub" else cells for name, cells in table.items()}
    )
    named = int.from_bytes(hashlib.sha256("\0".join(plain.columns).encode()).digest()[:8], "big")
    return np.asarray(pd.util.hash_pandas_object(plain, index=False, categorize=True), dtype=np.uint64) ^ np.uint64(
        named
    )


def _digest_cells(digest: hashlib._Hash, cells: pd.Series) -> None:
    if isinstance(cells.dtype, pd.StringDtype):
        import pyarrow as pa
        import pyarrow.compute as pc

        text = pa.chunked_array(pa.array(cells.array, type=pa.large_string())).combine_chunks()
        # Lengths (-1: missing) and characters tell the cells apart, however Arrow has laid them out in memory.
        lengths = pc.fill_null(pc.binary_length(text), -1)
        digest.update(lengths.to_numpy(zero_copy_only=False).astype(np.int64).data)
        # A missing cell may have characters of its own in memory; a filled one has none.
        filled = pc.fill_null(text, "") if text.null_count else text
        _, offsets, characters = filled.buffers()
        if characters is not None and len(filled):
            bounds = np.frombuffer(offsets, dtype=np.int64)[filled.offset : filled.offset + len(filled) + 1]
            digest.update(memoryview(characters)[bounds[0] : bounds[-1]])
    elif cells.dtype.kind in "fiubmM" and isinstance(cells.dtype, np.dtype):
        values = np.ascontiguousarray(cells.to_numpy())
        # All NaN are one, whatever their bits; so are both zeros.
        if values.dtype.kind == "f":
            values = np.where(np.isnan(values), np.nan, values) + 0.0
        digest.update(values.view(np.uint8).data)
    else:
        digest.update(np.asarray(pd.util.hash_pandas_object(cells, index=False)).data)
