"""Scored customers on disk, between the scoring of the parts of a table and what needs all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.campaigns import ScoredPart, ScoredTable, ScoringCounts
from churn_kedro.datasets.files import made_again, open_filesystem, written_whole

_IDS, _CELLS, _ANSWER = "id:", "cell:", "answer:"
_POSITION, _KNOWN = "position", "outcome_known"
_COUNTS, _DIGEST, _NAMES = b"churn_kedro.counts", b"churn_kedro.data_digest", b"churn_kedro.names"
# Text with few distinct values.
_CATEGORIES = (f"{_ANSWER}decision",)


class ScoredTableDataset(AbstractDataset[ScoredPart, ScoredTable]):
    """Scored customers as a Parquet file; those that cannot be scored are in a second one.

    Each save appends a part. The files replace earlier ones after the last part, so if a run is killed, those stay.

    Args:
        filepath: Local path or fsspec URL, ``.parquet``.
        made_by: Pipeline that writes the file, for the message if it is absent.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        made_by: str = "",
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._rejected_path = self._filepath.with_name(f"{self._filepath.stem}_rejected.parquet")
        self._made_by = made_by
        self._writing: _Writers | None = None
        self.metadata = metadata

    def save(self, data: ScoredPart) -> None:
        """Append a part.

        Args:
            data: The part; the first one begins new files, the last one, which has the digest, completes them.
        """
        if data.is_first:
            if self._writing is not None:
                self._writing.abort()
            self._writing = _Writers(self._filesystem, self._filepath, self._rejected_path)
        if self._writing is None:
            raise DatasetError("A part of a scored table was saved without the first one.")
        try:
            self._writing.append(data)
        except BaseException:
            self._writing.abort()
            self._writing = None
            raise
        if data.data_digest is not None:
            self._writing.complete(data.data_digest)
            self._writing = None

    def load(self) -> ScoredTable:
        """Read ids and answers of all customers.

        Returns:
            The table; the cells of the model's columns are read when they are needed.

        Raises:
            DatasetError: The file is absent.
        """
        import pyarrow.parquet as pq

        path = str(self._filepath)
        if not self._exists():
            raise DatasetError(f"File {path} does not exist. {made_again(self._made_by)}".rstrip())
        with self._filesystem.open(path, "rb") as opened:
            metadata = pq.read_metadata(opened)
            # Only task binary has decisions, and PyArrow refuses names that the file lacks.
            categories = [name for name in _CATEGORIES if name in metadata.schema.names]
            file = pq.ParquetFile(opened, metadata=metadata, read_dictionary=categories)
            names = [name for name in file.schema_arrow.names if not name.startswith(_CELLS)]
            facts = metadata.metadata
            table = file.read(columns=names).to_pandas(split_blocks=True, self_destruct=True)
        with self._filesystem.open(str(self._rejected_path), "rb") as opened:
            stored = pq.read_table(opened)
        rejected = stored.to_pandas()
        rejected.columns = pd.Index(json.loads(stored.schema.metadata[_NAMES]), dtype=object)
        table.index = _positions(table.pop(_POSITION))
        return ScoredTable(
            ids=_columns(table, _IDS),
            answer=_columns(table, _ANSWER),
            outcome_known=table[_KNOWN].to_numpy(dtype=bool),
            rejected=rejected,
            counts=ScoringCounts.model_validate_json(facts[_COUNTS]),
            data_digest=facts[_DIGEST].decode(),
            read_customers=self._read_customers,
        )

    def _read_customers(self) -> Iterator[pd.DataFrame]:
        import pyarrow.parquet as pq

        # With pre-buffering, PyArrow keeps what it has read until the file is closed.
        with (
            self._filesystem.open(str(self._filepath), "rb") as opened,
            pq.ParquetFile(opened, pre_buffer=False) as file,
        ):
            names = [name for name in file.schema_arrow.names if name.startswith(_CELLS) or name == _POSITION]
            for group in range(file.num_row_groups):
                part = file.read_row_group(group, columns=names).to_pandas()
                part.index = _positions(part.pop(_POSITION))
                yield _columns(part, _CELLS)

    def _release(self) -> None:
        if self._writing is not None:
            self._writing.abort()
            self._writing = None

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _positions(column: pd.Series) -> pd.Index:
    """Positions in the table, as a range if no customer is left out."""
    numbers = column.to_numpy()
    first, last = (int(numbers[0]), int(numbers[-1])) if len(numbers) else (0, -1)
    return pd.RangeIndex(first, last + 1) if last - first + 1 == len(numbers) else pd.Index(numbers)


def _columns(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    found = [name for name in table.columns if name.startswith(prefix)]
    return table[found].set_axis([name.removeprefix(prefix) for name in found], axis=1)


class _AbortedError(Exception):
    """Leaves the files of an incomplete table."""


class _Writers:
    """Both files while they are written."""

    def __init__(self, filesystem: Any, path: PurePosixPath, rejected_path: PurePosixPath) -> None:
        self._stack = ExitStack()
        self._files = []
        for target in (path, rejected_path):
            partial = self._stack.enter_context(written_whole(filesystem, target))
            self._files.append(self._stack.enter_context(filesystem.open(partial, "wb")))
        self._scored: Any = None
        self._rejected: list[pd.DataFrame] = []
        self._counts = ScoringCounts()

    def append(self, part: ScoredPart) -> None:
        """Write a part."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {_POSITION: part.ids.index.to_numpy(), _KNOWN: part.outcome_known}
        for prefix, table in ((_IDS, part.ids), (_CELLS, part.customers), (_ANSWER, part.answer)):
            columns |= {f"{prefix}{name}": table[name].array for name in table}
        frame = pd.DataFrame(columns)
        if self._scored is None:
            rows = pa.Table.from_pandas(frame, preserve_index=False)
            self._scored = self._stack.enter_context(pq.ParquetWriter(self._files[0], rows.schema, compression="lz4"))
        else:
            rows = pa.Table.from_pandas(frame, schema=self._scored.schema, preserve_index=False)
        self._scored.write_table(rows)
        if len(part.rejected) or not self._rejected:
            self._rejected.append(part.rejected)
        self._counts = self._counts.plus(part.counts)

    def complete(self, data_digest: str) -> None:
        """Finish both files and put them into their places."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._scored.add_key_value_metadata({_COUNTS: self._counts.model_dump_json(), _DIGEST: data_digest})
        rejected = pd.concat(self._rejected, ignore_index=True)
        # Parquet has distinct names and one type per column; a raw table may have neither.
        cells = [
            cells.astype("str") if cells.dtype == object else cells
            for cells in (rejected.iloc[:, place] for place in range(rejected.shape[1]))
        ]
        table = pa.table({str(place): pa.Array.from_pandas(column) for place, column in enumerate(cells)})
        names = json.dumps([str(name) for name in rejected.columns])
        pq.write_table(table.replace_schema_metadata({_NAMES: names}), self._files[1])
        self._stack.close()

    def abort(self) -> None:
        """Remove what was written."""
        with suppress(_AbortedError), self._stack:
            raise _AbortedError
