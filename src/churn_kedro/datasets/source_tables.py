"""Tables of other systems, read in parts through any dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import UserInputError, hide_secrets
from churn_kedro.customers import CustomerTableError, TableParts, describe_changed_columns
from churn_kedro.datasets.mlflow.failures import database_reason, is_wrapped
from churn_kedro.datasets.tables import without_nested_cells


class SourceTableDataset(AbstractDataset[Any, TableParts]):
    """A table of another system, read in parts through any dataset. It is read-only.

    Args:
        dataset: Catalog entry of a dataset that loads a table, an iterable of tables (such as
            ``pandas.SQLQueryDataset`` with ``chunksize``), or partitions by name (``partitions.PartitionedDataset``),
            which are read in alphabetical order.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, dataset: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        # The dataset is built when it is needed: its credentials may be set only where the table is ingested.
        self._dataset = dataset
        self._name = str(dataset.get("type", "")).rpartition(".")[2]
        self.metadata = metadata

    def load(self) -> TableParts:
        """Begin to read the table.

        Returns:
            The parts, which are read when they are iterated. Iteration raises ``DatasetError`` if the source fails or
            its parts have different columns.
        """
        return TableParts(self._iterate)

    def _iterate(self) -> Iterator[pd.DataFrame]:
        columns: list[str] | None = None
        rows = 0
        try:
            for part in _tables(self._build().load()):
                found = [str(name) for name in part.columns]
                if columns is not None and found != columns:
                    raise CustomerTableError(describe_changed_columns(columns, found, f"after {rows:,} rows"))
                columns = found
                yield without_nested_cells(part.reset_index(drop=True))
                rows += len(part)
        except Exception as error:  # Each dataset and driver raises errors of its own.
            raise DatasetError(self._explain(error, rows)) from error

    def _explain(self, error: Exception, rows: int) -> str:
        """Explain a failure in one sentence with what the source is and how far it was read."""
        raised: BaseException = error
        while is_wrapped(raised) and raised.__cause__ is not None:
            raised = raised.__cause__
        if isinstance(raised, UserInputError | DatasetError):
            return hide_secrets(str(raised))
        return hide_secrets(
            f"The source ({self._name}) fails after {rows:,} rows: {database_reason(raised)}. Check its catalog entry "
            "and its credentials, and run the command again."
        )

    def save(self, data: Any) -> None:
        """Raise an error, since sources are read-only."""
        raise DatasetError("A table of another system is read-only.")

    def _build(self) -> AbstractDataset[Any, Any]:
        built: AbstractDataset[Any, Any] = AbstractDataset.from_config("source", self._dataset)
        return built

    def _exists(self) -> bool:
        return bool(self._build().exists())

    def _describe(self) -> dict[str, Any]:
        return {"dataset": self._name}


def _tables(loaded: Any) -> Iterator[pd.DataFrame]:
    """Yield the tables of what a dataset has loaded."""
    if isinstance(loaded, pd.DataFrame):
        yield loaded
    elif isinstance(loaded, Mapping):
        for name in sorted(loaded):
            partition = loaded[name]
            yield from _tables(partition() if callable(partition) else partition)
    elif isinstance(loaded, Iterable) and not isinstance(loaded, str | bytes):
        for one in loaded:
            yield from _tables(one)
    else:
        raise CustomerTableError(
            f"The source loads an object of type {type(loaded).__name__}; expected a pandas table, an iterable of "
            "tables or partitions. Correct the type of `dataset` in its catalog entry."
        )
