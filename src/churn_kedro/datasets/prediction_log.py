"""The prediction log: one row per prediction, of batches, streams and the service."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from pydantic_core import to_json

from churn_kedro.base import hide_secrets, split_credentials
from churn_kedro.campaigns import LoggedBatch, LoggedPrediction

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

# Environment variable with the key of private columns.
PRIVATE_KEY_VARIABLE = "CHURN_PRIVATE_KEY"
# A statement of PostgreSQL has at most 32,767 parameters.
_ROWS_PER_STATEMENT = 1_000
_ROWS_PER_BLOCK = 50_000
_BUSY_SECONDS = 30
_TABLE = "predictions"


class PredictionLog:
    """A database table of predictions.

    Args:
        url: SQLAlchemy address: SQLite or PostgreSQL.
        private_columns: Columns whose cells are stored as keyed hashes (HMAC-SHA256).
        private_ids: Whether the same applies to ``customer_id``.
        key: Key of the hashes.

    Raises:
        DatasetError: There are private columns and no key, or the database is of another kind.
    """

    def __init__(
        self,
        url: str,
        private_columns: Collection[str] = (),
        *,
        private_ids: bool = False,
        key: str | None = None,
    ) -> None:
        if (private_columns or private_ids) and not key:
            raise DatasetError(
                f"The declaration has private columns, and {PRIVATE_KEY_VARIABLE} is not set: the prediction log "
                "stores their hashes with this key. Set it to a secret of at least 16 characters, the same wherever "
                "this use case is scored."
            )
        self._url = url
        self._private = frozenset(private_columns)
        self._private_ids = private_ids
        self._key = (key or "").encode()
        self._engine: Engine | None = None
        self._table: Table | None = None

    def append(self, predictions: Iterable[LoggedPrediction]) -> int:
        """Store predictions in one transaction.

        Args:
            predictions: The predictions; those whose id is in the table are left out.

        Returns:
            Number of new rows.

        Raises:
            DatasetError: The database does not accept them.
        """
        return self._insert(map(self._as_row, predictions))

    def append_table(self, predictions: pd.DataFrame, features: pd.DataFrame) -> int:
        """Store the predictions of a table, without an object for each.

        Args:
            predictions: As in :class:`LoggedBatch`.
            features: As in :class:`LoggedBatch`.

        Returns:
            Number of new rows.

        Raises:
            DatasetError: The database does not accept them.
        """
        return self._insert(self._rows(predictions, features))

    def _rows(self, table: pd.DataFrame, features: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
        for begin in range(0, len(table), _ROWS_PER_BLOCK):
            part = table.iloc[begin : begin + _ROWS_PER_BLOCK]
            cells = features.iloc[begin : begin + _ROWS_PER_BLOCK].copy()
            for name in self._private.intersection(cells.columns):
                cells[name] = cells[name].astype(object).map(self._hide)
            written = cells.to_json(orient="records", lines=True, date_format="iso", double_precision=15)
            values = {name: _plain_cells(part[name]) for name in part}
            values["features"] = written.rstrip("\n").split("\n")
            if "customer_id" in values:
                values["customer_id"] = [self._identify(cell) for cell in values["customer_id"]]
            yield from zip(*(values.get(name, [None] * len(part)) for name in _columns()), strict=True)

    def delete_before(self, time: str) -> int:
        """Delete old predictions.

        Args:
            time: ISO 8601 in UTC; predictions made before it are deleted.

        Returns:
            Number of deleted rows.

        Raises:
            DatasetError: The database does not respond.
        """
        engine, table = self._open()
        with _explained(self._url), engine.begin() as connection:
            return int(connection.execute(table.delete().where(table.c.predicted_at < time)).rowcount)

    def read(self, *, since: str | None = None, model_version: int | None = None) -> pd.DataFrame:
        """Read predictions.

        Args:
            since: ISO 8601 in UTC: earliest time; None: all.
            model_version: Version; None: all.

        Returns:
            The rows by time, with ``features`` as dictionaries.

        Raises:
            DatasetError: The database does not respond.
        """
        from sqlalchemy import select

        engine, table = self._open()
        query = select(table).order_by(table.c.predicted_at, table.c.prediction_id)
        if since is not None:
            query = query.where(table.c.predicted_at >= since)
        if model_version is not None:
            query = query.where(table.c.model_version == model_version)
        with _explained(self._url), engine.connect() as connection:
            rows = pd.read_sql(query, connection)
        return rows.assign(features=[json.loads(cells) for cells in rows["features"]], holdout=rows["holdout"] == 1)

    def iterate(
        self, *, since: str | None = None, until: str | None = None, model_version: int | None = None
    ) -> Iterator[LoggedBatch]:
        """Read predictions in blocks, so that memory does not grow with their number.

        Args:
            since: ISO 8601 in UTC: earliest time; None: from the first.
            until: Latest time; None: to the last.
            model_version: Version; None: all.

        Yields:
            Predictions by time, with the cells of the model's columns.

        Raises:
            DatasetError: The database does not respond.
        """
        from sqlalchemy import select

        engine, table = self._open()
        query = select(table).order_by(table.c.predicted_at, table.c.prediction_id)
        if since is not None:
            query = query.where(table.c.predicted_at >= since)
        if until is not None:
            query = query.where(table.c.predicted_at <= until)
        if model_version is not None:
            query = query.where(table.c.model_version == model_version)
        with _explained(self._url), engine.connect().execution_options(stream_results=True) as connection:
            for rows in pd.read_sql(query, connection, chunksize=_ROWS_PER_BLOCK):
                if len(rows):
                    features = _read_cells(rows.pop("features"))
                    yield LoggedBatch(rows.assign(holdout=rows["holdout"] == 1), features)

    def identify(self, customers: pd.Series) -> pd.Series:
        """Write identifiers as the log stores them.

        Args:
            customers: Identifiers as text.

        Returns:
            The identifiers, or their hashes if they are private.
        """
        return customers.map(self._identify, na_action="ignore")

    def count(self) -> int:
        """Return the number of predictions.

        Raises:
            DatasetError: The database does not respond.
        """
        from sqlalchemy import func, select

        engine, table = self._open()
        with _explained(self._url), engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _as_row(self, prediction: LoggedPrediction) -> tuple[Any, ...]:
        cells, customer = prediction.features, prediction.customer_id
        if self._private:
            cells = {name: self._hide(cell) if name in self._private else cell for name, cell in cells.items()}
        row = list(_attributes(prediction))
        # Several times as fast as the module json, which matters to a service that logs each request.
        row[_FEATURES] = to_json(cells, inf_nan_mode="null", fallback=_plain).decode()
        row[_CUSTOMER] = self._identify(customer)
        return tuple(row)

    def _identify(self, customer: str | None) -> str | None:
        if customer is None or self._private_ids:
            return self._hide(customer)
        # PostgreSQL stores no text with a NUL.
        return customer.replace("\0", "")

    def _hide(self, cell: Any) -> str | None:
        """Hash a cell; whole numbers as integers, so that 1 and 1.0 have one hash."""
        plain = _plain(cell)
        if plain is None:
            return None
        text = str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]

    def _insert(self, rows: Iterator[tuple[Any, ...]]) -> int:
        engine, _ = self._open()
        names = _columns()
        mark = "?" if engine.dialect.name == "sqlite" else "%s"
        one = f"({', '.join([mark] * len(names))})"
        new = 0
        with _explained(self._url), engine.begin() as connection:
            while block := list(islice(rows, _ROWS_PER_STATEMENT)):
                # SQLite has no network; for PostgreSQL, one statement with many rows saves a round trip for each.
                together = engine.dialect.name != "sqlite"
                values = ", ".join([one] * len(block)) if together else one
                parameters: Any = tuple(chain.from_iterable(block)) if together else block
                statement = (
                    f"INSERT INTO {_TABLE} ({', '.join(names)}) VALUES {values} "  # noqa: S608 - constants only
                    "ON CONFLICT (prediction_id) DO NOTHING"
                )
                new += max(0, connection.exec_driver_sql(statement, parameters).rowcount)
        return new

    def _open(self) -> tuple[Engine, Table]:
        if self._engine is None or self._table is None:
            with _explained(self._url):
                self._engine, self._table = _connect(self._url)
        return self._engine, self._table


def _read_cells(lines: pd.Series) -> pd.DataFrame:
    """Read the cells of customers, one JSON object a line."""
    return pd.DataFrame(json.loads(f"[{','.join(lines)}]"))


def _columns() -> list[str]:
    return list(LoggedPrediction.__slots__)


_attributes = attrgetter(*_columns())
_FEATURES, _CUSTOMER = _columns().index("features"), _columns().index("customer_id")


def _plain_cells(cells: pd.Series) -> list[Any]:
    """Convert a column to values that a database has; missing becomes None."""
    if not cells.isna().any():
        return cells.tolist()
    return cells.astype(object).where(cells.notna(), None).tolist()


def _plain(cell: Any) -> Any:
    """Convert a cell to a value that JSON has; missing becomes None."""
    if hasattr(cell, "item"):
        cell = cell.item()
    if hasattr(cell, "isoformat"):
        return None if cell != cell else cell.isoformat()
    return None if isinstance(cell, float) and cell != cell else cell


def _connect(url: str) -> tuple[Engine, Table]:
    from sqlalchemy import (
        BigInteger,
        Boolean,
        Column,
        Float,
        Index,
        MetaData,
        Table,
        Text,
        create_engine,
        event,
    )

    kind = url.split(":", 1)[0].split("+")[0]
    if kind not in ("sqlite", "postgresql"):
        raise DatasetError(
            f"The prediction log is {kind or 'empty'}; expected an address of SQLite (sqlite:///FILE) or PostgreSQL "
            "(postgresql+DRIVER://…) in CHURN_PREDICTION_LOG."
        )
    if kind == "sqlite":
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            # Readers and a writer do not block each other, and a commit is one write.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
    else:
        engine = create_engine(url, pool_pre_ping=True)
    table = Table(
        _TABLE,
        MetaData(),
        Column("prediction_id", Text, primary_key=True),
        Column("source", Text, nullable=False),
        Column("batch_id", Text, nullable=False),
        Column("customer_id", Text),
        Column("predicted_at", Text, nullable=False),
        Column("model_name", Text, nullable=False),
        Column("model_version", BigInteger, nullable=False),
        Column("features", Text, nullable=False),
        Column("score", Float(53)),
        Column("decision", Text),
        Column("expected_value", Float(53)),
        Column("risk_band", Text),
        Column("holdout", Boolean, nullable=False),
        Column("treatment", Text),
        Column("latency_ms", Float(53)),
        sqlite_with_rowid=False,
    )
    Index("predictions_by_customer", table.c.customer_id)
    Index("predictions_by_time", table.c.predicted_at)
    _create(engine, table)
    return engine, table


def _create(engine: Engine, table: Table) -> None:
    """Create the table if it is absent; of two processes that do so at once, one fails and finds it."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import DBAPIError

    try:
        table.create(engine, checkfirst=True)
    except DBAPIError:
        if not inspect(engine).has_table(_TABLE):
            raise


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Name the database in errors, without its password."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, ImportError, OSError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise DatasetError(
            f"The prediction log {split_credentials(url).without_credentials} does not work: "
            f"{hide_secrets(str(reason))}. Check its disk or server; the address is CHURN_PREDICTION_LOG, by default a "
            "SQLite file in 07_model_output."
        ) from error


class PredictionLogDataset(AbstractDataset[LoggedBatch, pd.DataFrame]):
    """The prediction log in the catalog: saving appends, loading returns all rows.

    Args:
        url: SQLAlchemy address: SQLite or PostgreSQL.
        declaration: The table's declaration (``customers`` of the parameters), with its private columns.
        enabled: Whether predictions are stored.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        url: str,
        declaration: Mapping[str, Any] | None = None,
        enabled: bool = True,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._url = url
        self._columns = list((declaration or {}).get("columns", []))
        self._enabled = enabled
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read all predictions, see :meth:`PredictionLog.read`."""
        log = self._open()
        try:
            return log.read()
        finally:
            log.close()

    def save(self, data: LoggedBatch) -> None:
        """Append predictions; those that are stored already are left out.

        Args:
            data: Predictions of a part of a batch.
        """
        if not self._enabled:
            return
        log = self._open()
        try:
            log.append_table(data.predictions, data.features)
        finally:
            log.close()

    def _open(self) -> PredictionLog:
        return open_prediction_log(self._url, self._columns, os.environ)

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"url": split_credentials(self._url).without_credentials}


def open_prediction_log(
    url: str, columns: Iterable[Mapping[str, Any]], environment: Mapping[str, str]
) -> PredictionLog:
    """Open the log of a declared table.

    Args:
        url: SQLAlchemy address.
        columns: Declared columns, as in ``customers.columns`` of the parameters.
        environment: Environment variables, with the key of private columns.

    Returns:
        The log.

    Raises:
        DatasetError: There are private columns and no key.
    """
    private = [column for column in columns if column.get("private")]
    return PredictionLog(
        url,
        [column["name"] for column in private],
        private_ids=any(column.get("role") == "id" for column in private),
        key=environment.get(PRIVATE_KEY_VARIABLE),
    )
