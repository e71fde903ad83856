"""Content digests of tables."""

from __future__ import annotations

import hashlib

import pandas as pd


def table_digest(table: pd.DataFrame) -> str:
    """Digest of a table's column names, types and every cell, in row order; the index does not count.

    Args:
        table: Any table of numbers and text.

    Returns:
        32 hexadecimal characters (SHA-256, shortened to what MLflow stores as a dataset digest).
    """
    digest = hashlib.sha256()
    for name, dtype in zip(table.columns, table.dtypes, strict=True):
        digest.update(f"{name}\0{dtype}\0".encode())
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:32]
