"""Tables larger than memory, read and written in partitions by Dask."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import UserInputError
from churn_kedro.customers import PART, LargeTables, read_delimited
from churn_kedro.datasets.files import made_again, open_filesystem
from churn_kedro.datasets.runtime.dask_cluster import connect
from churn_kedro.datasets.table_parts import RawTablePartsDataset
from churn_kedro.datasets.tables import TEXT_SUFFIXES, RawTableDataset, suffix_of, translate_errors

if TYPE_CHECKING:
    import dask.dataframe as dd

# Size of a partition before it is unpacked; one takes about ten times as much memory.
_BLOCK_BYTES = 64 << 20
_SAMPLE_BYTES = 200_000
# Characters of a header that a message shows.
_SHOWN = 200
# Fewer customers give no folds.
_FEWEST = 100

logger = logging.getLogger(__name__)


class LargeTableDataset(RawTablePartsDataset):
    """A raw table, or folder of tables, in partitions. It is read-only.

    Args:
        filepath: Local path or fsspec URL of a Parquet or text file, or of a folder of them.
        sample_rows: Rows of the sample; None or empty: the table is read into memory, so nothing is loaded here.
        arguments: Further arguments of :class:`churn_kedro.datasets.RawTablePartsDataset`.
    """

    def __init__(self, *, filepath: str, sample_rows: int | str | None = None, **arguments: Any) -> None:
        self._sample_rows = _as_rows(sample_rows)
        self._url = filepath
        self._credentials = arguments.get("credentials")
        super().__init__(filepath=filepath, **arguments)

    def _require_format(self, filepath: str) -> None:
        if self._sample_rows is not None:
            super()._require_format(filepath)

    def require_file(self) -> None:
        """Raise an error if there is nothing to read; without effect if the table is read into memory."""
        if self._sample_rows is not None:
            super().require_file()

    def load(self) -> Any:
        """Begin to read the table.

        Returns:
            The Dask table ``raw``; nothing if the table is read into memory.

        Raises:
            DatasetError: The file is absent or empty, neither Parquet nor text, or there is no cluster.
        """
        if self._sample_rows is None:
            return {}
        self.require_file()
        connect()
        return {"raw": self._open()}

    def _open(self) -> dd.DataFrame:
        import dask
        import dask.dataframe as dd

        paths = self._paths()
        urls = [str(self._filesystem.unstrip_protocol(path)) for path in paths]
        suffixes = {suffix_of(path) for path in paths}
        # With pandas 3, text columns are the same in partitions and in memory.
        with translate_errors(self._url), dask.config.set({"dataframe.convert-string": False}):
            if suffixes == {".parquet"}:
                return dd.read_parquet(urls, blocksize=_BLOCK_BYTES, storage_options=self._credentials)
            if suffixes <= set(TEXT_SUFFIXES):
                return self._open_text(urls)
        raise DatasetError(
            f"{self._url} contains {', '.join(sorted(suffixes))}; a table larger than memory (sample_rows) is read "
            "from Parquet files or from text files."
        )

    def _open_text(self, urls: list[str]) -> dd.DataFrame:
        import dask
        import dask.dataframe as dd
        from dask.bytes import read_bytes

        start, files = read_bytes(
            urls, delimiter=b"\n", blocksize=_BLOCK_BYTES, sample=_SAMPLE_BYTES, **(self._credentials or {})
        )
        header, _, rest = start.partition(b"\n")
        self._require_same_header(header)
        read = dask.delayed(_read_block, pure=True)
        blocks = [
            read(block, b"" if place == 0 else header + b"\n", self._encoding, self._delimiter)
            for file in files
            for place, block in enumerate(file)
        ]
        first_lines = header + b"\n" + rest[: rest.rfind(b"\n") + 1]
        layout = _read_block(first_lines, b"", self._encoding, self._delimiter).iloc[:0]
        return dd.from_delayed(blocks, meta=layout, verify_meta=False)

    def _require_same_header(self, header: bytes) -> None:
        """Require that all text files begin with the same line, which names the columns of all blocks."""
        for path in self._paths():
            found = self._filesystem.cat_file(path, end=_SAMPLE_BYTES).partition(b"\n")[0]
            if found.rstrip(b"\r") != header.rstrip(b"\r"):
                raise DatasetError(
                    f"{path} has the header {found[:_SHOWN].decode(errors='replace')!r}, other files before it in the "
                    f"folder {header[:_SHOWN].decode(errors='replace')!r}. All files of a table need the same columns "
                    "in the same order."
                )


def _read_block(block: bytes, header: bytes, encoding: str | None, delimiter: str | None) -> pd.DataFrame:
    return read_delimited(header + block, encoding, delimiter)


class SampledTableDataset(LargeTableDataset):
    """A raw table in memory: all of it, or a random sample of a table larger than memory. It is read-only.

    Args:
        filepath: Local path or fsspec URL.
        sample_rows: Rows of the sample; None or empty: all rows.
        random_state: Seed of the sample.
        arguments: Further arguments of :class:`churn_kedro.datasets.RawTableDataset`.
    """

    def __init__(
        self, *, filepath: str, sample_rows: int | str | None = None, random_state: int = 42, **arguments: Any
    ) -> None:
        super().__init__(filepath=filepath, sample_rows=sample_rows, **arguments)
        self._random_state = random_state

    def _require_format(self, filepath: str) -> None:
        if self._sample_rows is None and self._is_folder():
            raise DatasetError(
                f"{filepath} is a folder. A training table in many files is read in partitions: add the number of rows "
                "of the sample, `--params sample_rows=200000` (docs/large_tables.md)"
            )
        if self._sample_rows is None:
            RawTableDataset._require_format(self, filepath)
        else:
            super()._require_format(filepath)

    def require_file(self) -> None:
        """Raise an error if there is nothing to read."""
        if self._sample_rows is None:
            RawTableDataset.require_file(self)
        else:
            super().require_file()

    def load(self) -> Any:
        """Read the table or draw the sample.

        Returns:
            The rows with a new index; all cells of a text file as text.

        Raises:
            DatasetError: The file is absent, empty or unreadable, or there is no cluster.
        """
        if self._sample_rows is None:
            return RawTableDataset.load(self)
        frame = super().load()["raw"]
        rows = len(frame)
        logger.info("A sample of %s of %s rows is drawn.", f"{min(rows, self._sample_rows):,}", f"{rows:,}")
        if self._sample_rows < rows:
            frame = frame.sample(frac=self._sample_rows / rows, random_state=self._random_state)
        return frame.compute().reset_index(drop=True)


class PreparedTableDataset(AbstractDataset[LargeTables, LargeTables]):
    """A prepared table larger than memory, as a folder of Parquet files with a subfolder for each part of the split.

    A table whose writing was interrupted is not loaded.

    Args:
        filepath: Folder: local path or fsspec URL.
        sample_rows: None or empty: tables are read into memory, so nothing is loaded or saved.
        made_by: Pipeline that writes the table, for the message if it is absent.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        sample_rows: int | str | None = None,
        made_by: str = "",
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._sample_rows = _as_rows(sample_rows)
        self._made_by = made_by
        self._credentials = credentials
        self.metadata = metadata

    def load(self) -> LargeTables:
        """Begin to read the table.

        Returns:
            The parts by name; empty if tables are read into memory.

        Raises:
            DatasetError: The table is absent or incomplete, or there is no cluster.
        """
        if self._sample_rows is None:
            return {}
        if not self._exists():
            raise DatasetError(f"The folder {self._filepath} has no complete table. {made_again(self._made_by)}")
        connect()
        import dask
        import dask.dataframe as dd

        folders = [str(path).rstrip("/") for path in self._filesystem.ls(f"{self._filepath}/table", detail=False)]
        with dask.config.set({"dataframe.convert-string": False}):
            return {
                path.rpartition(f"/{PART}=")[2]: dd.read_parquet(
                    self._filesystem.unstrip_protocol(path),
                    storage_options=self._credentials,
                    dataset={"partitioning": None},
                )
                for path in folders
                if f"/{PART}=" in path
            }

    def save(self, data: LargeTables) -> None:
        """Compute the partitions and write them.

        Args:
            data: The Dask table ``prepared``; without effect if it is absent.

        Raises:
            DatasetError: Workers were lost, or there is no cluster.
        """
        if not data:
            return
        connect()
        with suppress(FileNotFoundError):
            self._filesystem.rm(self._marker)
        from distributed import KilledWorker

        try:
            data["prepared"].to_parquet(
                self._url,
                partition_on=[PART],
                overwrite=True,
                write_index=False,
                storage_options=self._credentials,
            )
        except KilledWorker as error:
            raise DatasetError(
                f"Dask workers were lost while a partition of {self._filepath} was computed, the last one after "
                "several attempts. The usual reason is their memory limit: use workers with more memory, or smaller "
                "files."
            ) from error
        except UserInputError as error:
            # Of a worker that read a partition.
            raise DatasetError(str(error)) from error
        self._filesystem.pipe_file(self._marker, b"")

    @property
    def _url(self) -> str:
        return str(self._filesystem.unstrip_protocol(f"{self._filepath}/table"))

    @property
    def _marker(self) -> str:
        return f"{self._filepath}/complete"

    def _exists(self) -> bool:
        return bool(self._filesystem.exists(self._marker))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _as_rows(value: int | str | None) -> int | None:
    """Read the number of rows of a sample; an empty text or null is none."""
    if value in (None, "", "null", "None"):
        return None
    if not str(value).isdecimal() or int(value) < _FEWEST:
        raise DatasetError(f"sample_rows is {value!r}; expected a whole number of at least {_FEWEST}, or null.")
    return int(value)
