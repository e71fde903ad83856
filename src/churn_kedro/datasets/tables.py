"""Customer tables as files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
import numpy as np
import pandas as pd
from fsspec.implementations.local import LocalFileSystem
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from churn_kedro.customers import READING, CustomerTableError, Reading, TableParts, read_delimited, read_header
from churn_kedro.datasets.files import made_again, open_filesystem, written_whole

_SLICE_ROWS = 500_000
_OWN_SUFFIXES = (".csv", ".parquet")
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_EXCEL_SUFFIXES = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods")
# Begin of a cell that a spreadsheet reads as a formula, also in full-width letters.
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Numbers, and dashes for missing: no formulas.
_HARMLESS = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?%?|-+", re.IGNORECASE)
RAW_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", *_EXCEL_SUFFIXES)


class TableDataset(AbstractDataset[pd.DataFrame | TableParts, pd.DataFrame]):
    """A table written by this project, in the format of its file suffix, ``.csv`` or ``.parquet``.

    Writes are atomic: if a run is killed, the previous file stays in place.

    Args:
        filepath: Local path or fsspec URL.
        expected: Description of the file and of the setting of its path, for the message if it is absent.
        made_by: Pipeline that writes the table, for the message if it is absent or damaged.
        artifact_path: Folder in the MLflow run's artifacts for a copy; None: no copy.
        escape_formulas: Whether text that a spreadsheet would read as a formula gets an apostrophe in a ``.csv`` file;
            for tables that people open, not for those that are read again.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.

    Raises:
        DatasetError: The suffix is neither of the two.
    """

    def __init__(
        self,
        *,
        filepath: str,
        expected: str = "",
        made_by: str = "",
        artifact_path: str | None = None,
        escape_formulas: bool = False,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        require_suffix(self._filepath.suffix, _OWN_SUFFIXES, filepath)
        self._expected = expected or made_again(made_by)
        self._artifact_path = artifact_path
        self._escape_formulas = escape_formulas
        # Name that kedro-mlflow sets when tracking is off for a pipeline.
        self._logging_activated = True
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read the table.

        Returns:
            The rows in file order with a new index.

        Raises:
            DatasetError: The file is absent, empty, or not in the format of its suffix.
        """
        path = str(self._filepath)
        require_content(self._filesystem, path, self._expected)
        with translate_errors(path, self._expected), self._filesystem.open(path, "rb") as file:
            return pd.read_parquet(file) if self._filepath.suffix.lower() == ".parquet" else pd.read_csv(file)

    def save(self, data: pd.DataFrame | TableParts) -> None:
        """Write the table without its index, and log a copy to the active MLflow run if configured.

        Args:
            data: Any table; of one in parts, only a part is in memory.

        Raises:
            DatasetError: A column has different types in the parts, or the file is not ``.parquet``.
        """
        if isinstance(data, TableParts):
            self._save_parts(data)
        else:
            with written_whole(self._filesystem, self._filepath) as path, self._filesystem.open(path, "wb") as file:
                if self._filepath.suffix.lower() == ".parquet":
                    _write_parquet(data, file)
                else:
                    written = escape_formulas(data) if self._escape_formulas else data
                    written.to_csv(file, index=False, lineterminator=_line_end(written))
        if self._artifact_path is not None and self._logging_activated:
            log_copy(self._filesystem, str(self._filepath), self._artifact_path)

    def _save_parts(self, data: TableParts) -> None:
        if self._filepath.suffix.lower() != ".parquet":
            raise DatasetError(f"{self._filepath}: a table in parts is written as .parquet only.")
        # The file is complete before the target is opened: object stores keep what was written before an error.
        with tempfile.TemporaryDirectory() as folder:
            complete = _write_parts(data, Path(folder))
            with written_whole(self._filesystem, self._filepath) as path:
                self._filesystem.put_file(str(complete), path)

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz.

        Args:
            nrows: Number of rows.

        Returns:
            The rows in the format of Kedro-Viz.
        """
        return _preview(self.load(), nrows)

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class RawTableDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A raw table of another program: delimited text, Parquet or an Excel sheet. It is read-only.

    Args:
        filepath: Local path or fsspec URL; the suffix determines the format.
        encoding: Character encoding of a text file; None: detected.
        delimiter: Delimiter of a text file; None: detected.
        sheet: Name or index of an Excel sheet; None: the first one.
        header_only: Load only the column names; None if there is no file.
        expected: Description of the file and of the setting of its path, for the message if it is absent.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.

    Raises:
        DatasetError: The suffix is unknown.
    """

    def __init__(
        self,
        *,
        filepath: str,
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | int = 0,
        header_only: bool = False,
        expected: str = "",
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._require_format(filepath)
        self._encoding = encoding
        self._delimiter = delimiter
        self._sheet = sheet
        self._header_only = header_only
        self._expected = expected
        self.metadata = metadata

    def load(self) -> Any:
        """Read the table.

        Returns:
            The rows in file order with a new index; all cells of a text file as text. ``attrs["reading"]`` describes
            how the file was read (:class:`churn_kedro.customers.reading.Reading`). With ``header_only``, the column
            names.

        Raises:
            DatasetError: The file is absent, empty, or unreadable; the message contains the line.
        """
        if self._header_only and not self._exists():
            return None
        self.require_file()
        path = str(self._filepath)
        with translate_errors(path):
            return self._read_header(path) if self._header_only else self._read(path)

    def require_file(self) -> None:
        """Raise an error if the file is absent or empty; without effect if only the header is read.

        Raises:
            DatasetError: The file is absent or empty.
        """
        if not self._header_only:
            require_content(self._filesystem, str(self._filepath), self._expected)

    def _require_format(self, filepath: str) -> None:
        require_suffix(self._filepath.suffix, RAW_SUFFIXES, filepath)

    def _read(self, path: str) -> pd.DataFrame:
        suffix = suffix_of(path)
        if suffix in TEXT_SUFFIXES:
            return read_delimited(self._filesystem.cat_file(path), self._encoding, self._delimiter)
        with self._filesystem.open(path, "rb") as file:
            if suffix == ".parquet":
                table, read_as = pd.read_parquet(file), "parquet"
            else:
                table, read_as = _read_sheet(file, self._sheet), "excel"
        table = without_nested_cells(table.reset_index(drop=True))
        table.attrs[READING] = Reading(format=read_as).model_dump()
        return table

    def _read_header(self, path: str) -> list[str]:
        suffix = suffix_of(path)
        if suffix in TEXT_SUFFIXES:
            return read_header(self._filesystem.cat_file(path, end=1_000_000), self._encoding, self._delimiter)
        if suffix == ".parquet":
            import pyarrow.parquet as pq

            with self._filesystem.open(path, "rb") as file:
                return list(pq.read_schema(file).names)
        return [str(name) for name in self._read(path).columns]

    def save(self, data: pd.DataFrame) -> None:
        """Raise an error, since raw files are read-only."""
        raise DatasetError(f"{self._filepath} is a raw table and read-only.")

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz.

        Args:
            nrows: Number of rows.

        Returns:
            The rows in the format of Kedro-Viz.
        """
        loaded = self.load()
        if isinstance(loaded, list | None):
            loaded = pd.DataFrame({"column": loaded or []})
        return _preview(loaded if isinstance(loaded, pd.DataFrame) else next(iter(loaded)), nrows)

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "header_only": self._header_only}


def without_nested_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Convert lists, structures and bytes to text, since they are not valid in a customer table.

    Args:
        table: Table as read from a file, which is changed.

    Returns:
        The table.
    """
    for name, dtype in table.dtypes.items():
        first = table[name].dropna().head(1)
        if dtype.kind == "O" and len(first) and isinstance(first.iloc[0], (list, tuple, dict, bytes, np.ndarray)):
            table[name] = table[name].astype("str")
    return table


def _read_sheet(file: Any, sheet: str | int) -> pd.DataFrame:
    with pd.ExcelFile(file, engine="calamine") as book:
        if sheet not in book.sheet_names and not isinstance(sheet, int):
            raise CustomerTableError(
                f"There is no sheet {sheet!r}; the file has {', '.join(map(repr, book.sheet_names))}. Name one of "
                "them: --sheet when onboarding, `sheet` of the catalog entry."
            )
        return book.parse(sheet)


def read_sheet_headers(filepath: str) -> dict[str, list[str]]:
    """Read the first row of each sheet of an Excel file.

    Args:
        filepath: Local path.

    Returns:
        Names of the columns by sheet, in the order of the file; empty for another format.

    Raises:
        DatasetError: The file is not in the format of its suffix.
    """
    if not filepath.lower().endswith(_EXCEL_SUFFIXES):
        return {}
    with translate_errors(filepath), pd.ExcelFile(filepath, engine="calamine") as book:
        return {
            str(sheet): [str(name).strip() for name in book.parse(sheet, nrows=0).columns] for sheet in book.sheet_names
        }


def log_copy(filesystem: fsspec.AbstractFileSystem, path: str, artifact_path: str) -> None:
    """Log a file to the active MLflow run.

    Args:
        filesystem: File system of the file.
        path: Path in the file system.
        artifact_path: Folder in the run's artifacts.
    """
    import mlflow

    if mlflow.active_run() is None:
        return
    if "file" in filesystem.protocol:
        mlflow.log_artifact(path, artifact_path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(path).name
        filesystem.get_file(path, str(copy))
        mlflow.log_artifact(str(copy), artifact_path)


def suffix_of(path: str) -> str:
    """Return the suffix of a path in lower case, by which the format of a file is known."""
    return PurePosixPath(path).suffix.lower()


def require_suffix(suffix: str, allowed: tuple[str, ...], filepath: str) -> None:
    """Require a known format.

    Args:
        suffix: Suffix of the file.
        allowed: Known suffixes.
        filepath: The path, for the message.

    Raises:
        DatasetError: The suffix is not known.
    """
    if suffix.lower() not in allowed:
        raise DatasetError(
            f"'{filepath}' ends in '{suffix}'; expected a file name that ends in {', '.join(allowed[:-1])} or "
            f"{allowed[-1]}."
        )


def require_content(filesystem: fsspec.AbstractFileSystem, path: str, expected: str) -> None:
    """Require a file that is not empty.

    Args:
        filesystem: File system of the file.
        path: Path in the file system.
        expected: What is expected, for the message.

    Raises:
        DatasetError: The file is absent or empty.
    """
    if not filesystem.isfile(path):
        shown = path if isinstance(filesystem, LocalFileSystem) else filesystem.unstrip_protocol(path)
        raise DatasetError(f"File {shown} does not exist. {expected}".rstrip())
    if filesystem.size(path) == 0:
        raise DatasetError(f"The file {path} is empty, without header. {expected}".rstrip())


def _write_parquet(data: pd.DataFrame, file: IO[bytes]) -> None:
    """Write a table; a large one in slices, since its conversion takes as much memory as the table."""
    if len(data) <= _SLICE_ROWS:
        data.to_parquet(file, index=False, compression="lz4")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.Schema.from_pandas(data, preserve_index=False)
    with pq.ParquetWriter(file, schema, compression="lz4") as writer:
        for begin in range(0, len(data), _SLICE_ROWS):
            part = data.iloc[begin : begin + _SLICE_ROWS]
            writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))


def _write_parts(data: TableParts, folder: Path) -> Path:
    """Write a table in parts to a file in a folder.

    The type of a column is known after the last part (whole numbers with a missing one are floats), so the parts are
    stored first.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts: list[Path] = []
    schemas: list[pa.Schema] = []
    for number, part in enumerate(data):
        parts.append(folder / f"{number}.parquet")
        try:
            table = pa.Table.from_pandas(part, preserve_index=False).replace_schema_metadata()
            schemas = [pa.unify_schemas([*schemas, table.schema], promote_options="permissive")]
        except (pa.ArrowException, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise CustomerTableError(
                f"The rows up to {part.index[-1] + 1:,} cannot be stored in a table: {reason}. Convert the column in "
                "the source, such as with CAST in a query."
            ) from error
        pq.write_table(table, parts[-1], compression="lz4")
    complete = folder / "complete.parquet"
    with pq.ParquetWriter(complete, *schemas, compression="lz4") as writer:
        for path in parts:
            writer.write_table(pq.read_table(path).cast(*schemas))
            path.unlink()
    return complete


def _texts(cells: pd.Series) -> pd.Series:
    """The cells as text, or of a categorical column its categories only."""
    return (cells.cat.categories.to_series() if isinstance(cells.dtype, pd.CategoricalDtype) else cells).astype("str")


def _line_end(table: pd.DataFrame) -> str:
    """Choose the end of lines: a carriage return in a cell is quoted only if it is part of it."""
    texts = [table.iloc[:, position] for position, dtype in enumerate(table.dtypes) if dtype.kind == "O"]
    found = any(_texts(cells).str.contains("\r", regex=False, na=False).any() for cells in texts)
    return "\r\n" if found or any("\r" in str(name) for name in table.columns) else "\n"


def escape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Put an apostrophe before text that a spreadsheet would read as a formula, in cells and names of columns.

    Args:
        table: Any table.

    Returns:
        The table, with columns of text where a cell had to be changed.
    """
    columns = []
    for position, dtype in enumerate(table.dtypes):
        cells = table.iloc[:, position]
        if dtype.kind == "O" and _texts(cells).str.match(_FORMULA.pattern, na=False).any():
            cells = cells.astype(object).map(_escape_formula)
        columns.append(cells)
    names = [_escape_formula(name) for name in table.columns]
    return pd.concat(columns, axis=1).set_axis(names, axis=1) if columns else table


def _escape_formula(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and _FORMULA.match(cell) and not _HARMLESS.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


@contextmanager
def translate_errors(path: str, advice: str = "") -> Iterator[None]:
    """Add the file name to errors of the readers, and what to do.

    Args:
        path: The file.
        advice: What to do.

    Raises:
        DatasetError: The file cannot be read.
    """
    try:
        yield
    except CustomerTableError as error:
        raise DatasetError(f"{path}: {error}") from error
    except Exception as error:  # Each reader raises errors of different types.
        reason = str(error).strip().rstrip(".")
        raise DatasetError(
            f"The file {path} cannot be read in the format of its suffix: {reason}. {advice}".rstrip()
        ) from error


def _preview(table: pd.DataFrame, nrows: int) -> TablePreview:
    rows = table.head(nrows).astype(object)
    return TablePreview(rows.where(rows.notna(), None).to_dict(orient="split"))
