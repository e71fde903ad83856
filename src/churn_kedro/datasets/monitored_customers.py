"""What monitoring examines: logged predictions, the last batch, or a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import split_credentials
from churn_kedro.campaigns import LoggedBatch, ScoredTable
from churn_kedro.customers import TableParts
from churn_kedro.datasets.prediction_log import open_prediction_log
from churn_kedro.datasets.scored_tables import ScoredTableDataset
from churn_kedro.datasets.table_parts import RawTablePartsDataset

_LOG, _BATCH = "log", "batch"


class LoggedPredictions:
    """Predictions of the log, which are read when they are iterated.

    Args:
        url: SQLAlchemy address of the log.
        columns: Declared columns, as in ``customers.columns`` of the parameters.
    """

    def __init__(self, url: str, columns: list[Mapping[str, Any]]) -> None:
        self._url = url
        self._columns = columns

    def iterate(
        self, *, since: str | None = None, until: str | None = None, model_version: int | None = None
    ) -> Iterator[LoggedBatch]:
        """Read predictions in blocks, see :meth:`churn_kedro.datasets.PredictionLog.iterate`."""
        log = open_prediction_log(self._url, self._columns, os.environ)
        try:
            yield from log.iterate(since=since, until=until, model_version=model_version)
        finally:
            log.close()

    def identify(self, customers: pd.Series) -> pd.Series:
        """Write identifiers as the log stores them."""
        return open_prediction_log(self._url, self._columns, os.environ).identify(customers)


class LoggedPredictionsDataset(AbstractDataset[LoggedPredictions, LoggedPredictions]):
    """The prediction log, to be read in blocks.

    Args:
        url: SQLAlchemy address: SQLite or PostgreSQL.
        declaration: The table's declaration (``customers`` of the parameters), with its private columns.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self, *, url: str, declaration: Mapping[str, Any] | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self._url = url
        self._columns = list((declaration or {}).get("columns", []))
        self.metadata = metadata

    def load(self) -> LoggedPredictions:
        """Return the log; nothing is read yet."""
        return LoggedPredictions(self._url, self._columns)

    def save(self, data: LoggedPredictions) -> None:
        """Raise an error, since scoring writes the log."""
        raise DatasetError("The prediction log is written by inference, streams and the service.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"url": split_credentials(self._url).without_credentials}


class MonitoredCustomersDataset(AbstractDataset[Any, Any]):
    """What monitoring examines.

    Args:
        source: ``log`` for the prediction log, ``batch`` for the last batch, or the path of a table.
        url: SQLAlchemy address of the log.
        batch: Path of the scored customers of the last batch.
        declaration: The table's declaration.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        source: str,
        url: str,
        batch: str,
        declaration: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._source = str(source)
        self._dataset: AbstractDataset[Any, Any]
        if self._source == _LOG:
            self._dataset = LoggedPredictionsDataset(url=url, declaration=declaration)
        elif self._source == _BATCH:
            self._dataset = ScoredTableDataset(filepath=batch, made_by="inference")
        else:
            self._dataset = RawTablePartsDataset(
                filepath=self._source,
                expected="It should be `log`, `batch`, or the path of a table of customers (--params monitored=PATH).",
            )
        self.metadata = metadata

    def load(self) -> LoggedPredictions | ScoredTable | TableParts:
        """Return the log, the scored customers of the last batch, or the table.

        Raises:
            DatasetError: The batch or the table does not exist.
        """
        loaded: LoggedPredictions | ScoredTable | TableParts = self._dataset.load()
        return loaded

    def save(self, data: Any) -> None:
        """Raise an error, since monitoring changes nothing of what it examines."""
        raise DatasetError("The examined customers are read-only.")

    def _exists(self) -> bool:
        return self._dataset.exists()

    def _describe(self) -> dict[str, Any]:
        return {"source": self._source}
