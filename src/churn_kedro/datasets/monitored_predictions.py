"""What monitoring examines: logged predictions, the last batch, or a table."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import split_credentials
from churn_kedro.campaigns import LoggedBatch
from churn_kedro.datasets.prediction_log import open_prediction_log
from churn_kedro.datasets.scored_tables import ScoredTableDataset
from churn_kedro.datasets.table_parts import RawTablePartsDataset
from churn_kedro.monitoring import MonitoredPredictions

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


class MonitoredPredictionsDataset(AbstractDataset[MonitoredPredictions, MonitoredPredictions]):
    """The prediction log, and what monitoring examines. It is read-only.

    Args:
        examined: ``log`` for the prediction log, ``batch`` for the last batch, or the path of a table.
        url: SQLAlchemy address of the log: SQLite or PostgreSQL.
        batch: Path of the scored customers of the last batch.
        declaration: The table's declaration (``customers`` of the parameters), with its private columns.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        examined: str,
        url: str,
        batch: str,
        declaration: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._examined = str(examined)
        self._url = url
        self._columns = list((declaration or {}).get("columns", []))
        self._table: AbstractDataset[Any, Any] | None = None
        if self._examined == _BATCH:
            self._table = ScoredTableDataset(filepath=batch, made_by="inference")
        elif self._examined != _LOG:
            self._table = RawTablePartsDataset(
                filepath=self._examined,
                expected="It should be `log`, `batch`, or the path of a table of customers (--params monitored=PATH).",
            )
        self.metadata = metadata

    def load(self) -> MonitoredPredictions:
        """Return the log, the last batch or the table, of which nothing is read yet.

        Raises:
            DatasetError: The batch or the table does not exist.
        """
        log = LoggedPredictions(self._url, self._columns)
        return MonitoredPredictions(log, log if self._table is None else self._table.load())

    def save(self, data: MonitoredPredictions) -> None:
        """Raise an error, since monitoring changes nothing of what it examines."""
        raise DatasetError("The prediction log is written by inference, streams and the service.")

    def _exists(self) -> bool:
        return self._table is None or self._table.exists()

    def _describe(self) -> dict[str, Any]:
        return {"examined": self._examined, "url": split_credentials(self._url).without_credentials}
