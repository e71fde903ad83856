"""Raw tables that are read part by part."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from churn_kedro.base import rows_bar, terminal
from churn_kedro.customers import CustomerTableError, TableParts, describe_changed_columns, iterate_delimited
from churn_kedro.datasets.tables import (
    RAW_SUFFIXES,
    TEXT_SUFFIXES,
    RawTableDataset,
    require_content,
    suffix_of,
    translate_errors,
    without_nested_cells,
)

logger = logging.getLogger(__name__)

_LOG_SECONDS = 15.0


class RawTablePartsDataset(RawTableDataset):
    """A raw table of another program, or a folder of such files, read part by part. It is read-only.

    Text files are read in blocks and Parquet files in batches of rows; an Excel sheet is read whole.

    Args:
        filepath: Local path or fsspec URL of a file, or of a folder, whose files are read in alphabetical order.
        part_rows: Maximum number of rows of a part.
        arguments: Further arguments of :class:`churn_kedro.datasets.RawTableDataset`; with ``header_only``, the column
            names of the first file are loaded.

    Raises:
        DatasetError: The suffix is unknown.
    """

    def __init__(self, *, filepath: str, part_rows: int = 100_000, **arguments: Any) -> None:
        super().__init__(filepath=filepath, **arguments)
        self._part_rows = part_rows

    def load(self) -> Any:
        """Begin to read the table.

        Returns:
            The parts, which are read when they are iterated; all cells of a text file are text. With ``header_only``,
            the column names of the first file.

        Raises:
            DatasetError: The file is absent or empty, or the folder has no table.
        """
        if not self._header_only:
            self.require_file()
            return TableParts(self._iterate)
        if not self._exists():
            return None
        path = self._paths()[0]
        with translate_errors(path):
            return self._read_header(path)

    def require_file(self) -> None:
        """Raise an error if there is nothing to read; without effect if only the header is read.

        Raises:
            DatasetError: The file is absent or empty, or the folder has no table.
        """
        for path in [] if self._header_only else self._paths():
            require_content(self._filesystem, path, self._expected)

    def _require_format(self, filepath: str) -> None:
        if not self._is_folder():
            super()._require_format(filepath)

    def _is_folder(self) -> bool:
        return not self._filepath.suffix and bool(self._filesystem.isdir(str(self._filepath)))

    def _paths(self) -> list[str]:
        if not self._is_folder():
            return [str(self._filepath)]
        found = sorted(str(path) for path in self._filesystem.ls(str(self._filepath), detail=False))
        tables = [
            path
            for path in found
            if PurePosixPath(path).suffix.lower() in RAW_SUFFIXES
            and not PurePosixPath(path).name.startswith((".", "_"))
        ]
        if not tables:
            raise DatasetError(
                f"The folder {self._filepath} has no table ({', '.join(RAW_SUFFIXES)}). {self._expected}".rstrip()
            )
        return tables

    def _iterate(self) -> Iterator[pd.DataFrame]:
        paths = self._paths()
        sizes = [int(self._filesystem.size(path)) for path in paths]
        progress = _ScoringProgress(sum(sizes))
        columns: list[str] | None = None
        try:
            for path, size in zip(paths, sizes, strict=True):
                with translate_errors(path):
                    for part, share in self._read_file(path, size):
                        found = [str(name) for name in part.columns]
                        if columns is not None and found != columns:
                            raise CustomerTableError(describe_changed_columns(columns, found, "in this file"))
                        columns = found
                        yield part
                        progress.advance(len(part), share * size)
        finally:
            progress.stop()

    def _read_file(self, path: str, size: int) -> Iterator[tuple[pd.DataFrame, float]]:
        """Yield parts of at most ``part_rows`` rows, each with its share of the file."""
        suffix = suffix_of(path)
        if suffix == ".parquet":
            yield from self._read_parquet(path)
        elif suffix in TEXT_SUFFIXES:
            with self._filesystem.open(path, "rb") as file:
                before = 0
                for block in iterate_delimited(file, self._encoding, self._delimiter):
                    done = min(int(file.tell()), size)
                    yield from self._slice(block, (done - before) / max(1, size))
                    before = done
        else:
            yield from self._slice(self._read(path), 1.0)

    def _read_parquet(self, path: str) -> Iterator[tuple[pd.DataFrame, float]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # With pre-buffering, PyArrow keeps what it has read until the file is closed.
        with self._filesystem.open(path, "rb") as opened, pq.ParquetFile(opened, pre_buffer=False) as file:
            rows = file.metadata.num_rows
            for batch in file.iter_batches(batch_size=self._part_rows):
                part = pa.Table.from_batches([batch]).to_pandas(split_blocks=True).reset_index(drop=True)
                yield without_nested_cells(part), len(part) / rows
            if not rows:
                yield file.schema_arrow.empty_table().to_pandas(), 1.0

    def _slice(self, table: pd.DataFrame, share: float) -> Iterator[tuple[pd.DataFrame, float]]:
        for begin in range(0, max(1, len(table)), self._part_rows):
            part = table.iloc[begin : begin + self._part_rows]
            yield part, share * len(part) / max(1, len(table))

    def _exists(self) -> bool:
        return self._is_folder() or super()._exists()


class _ScoringProgress:
    """Rows, rows per second and time left: a bar on a terminal, log lines elsewhere.

    A table of one part is too small for either.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._rows = 0
        self._bytes = 0.0
        self._began = self._logged = time.perf_counter()
        self._bar = rows_bar() if terminal().is_terminal else None
        if self._bar is not None:
            self._bar.add_task("customers", total=max(1, total_bytes), rows=0, speed=0)

    def advance(self, rows: int, n_bytes: float) -> None:
        """Count a part."""
        self._rows += rows
        self._bytes += n_bytes
        now = time.perf_counter()
        speed = self._rows / max(1e-9, now - self._began)
        if self._bar is not None:
            self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=self._bytes, rows=self._rows, speed=speed)
        elif now - self._logged > _LOG_SECONDS:
            self._logged = now
            left = (now - self._began) * (self._total - self._bytes) / max(1.0, self._bytes)
            logger.info("%s rows, %s rows/s, about %.0f s left", f"{self._rows:,}", f"{speed:,.0f}", left)

    def stop(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()
