"""Customer tables as inputs of an MLflow run."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pandas as pd
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from churn_kedro.base import hide_secrets
from churn_kedro.customers import TableParts, table_digest

_TYPES = {"f": DataType.double, "i": DataType.long, "u": DataType.long, "b": DataType.boolean, "M": DataType.datetime}


class TableInput(MetaDataset):
    """Name, source, columns, size and digest of a table.

    MLflow's description of a DataFrame reads each cell of a text column in Python (half a minute for a million
    customers) and computes the digest of the first rows only; here, columns are described by type and the digest covers
    all rows.

    Args:
        table: The table, or one that was read to the end in parts.
        source: Path or URL it was read from or written to; its password is not logged.
        name: Display name.
    """

    def __init__(self, table: pd.DataFrame | TableParts, source: str, name: str) -> None:
        if isinstance(table, TableParts):
            kinds, digest = table.columns, table.digest
            self._shape = (table.rows, len(kinds))
        else:
            kinds = {str(column): dtype.kind for column, dtype in zip(table.columns, table.dtypes, strict=True)}
            digest = table_digest(table)
            self._shape = table.shape
        with warnings.catch_warnings():
            # Suppress MLflow's warning that two of its sources match a local path.
            warnings.simplefilter("ignore", UserWarning)
            resolved = resolve_dataset_source(hide_secrets(source))
        columns: list[ColSpec | TensorSpec] = [
            ColSpec(_TYPES.get(kind, DataType.string), column) for column, kind in kinds.items()
        ]
        super().__init__(resolved, name=name, digest=digest, schema=Schema(columns))

    @property
    def profile(self) -> dict[str, int]:
        """Numbers of rows and cells."""
        rows, columns = self._shape
        return {"num_rows": rows, "num_elements": rows * columns}

    def to_dict(self) -> dict[str, Any]:
        """Describe the table for the tracking server.

        Returns:
            Name, digest, source, schema and profile, as text.
        """
        return {**super().to_dict(), "profile": json.dumps(self.profile)}
