"""Customer tables as CSV or Parquet files."""

from __future__ import annotations

from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from churn_kedro.datasets.files import open_filesystem, written_whole

_SUFFIXES = (".csv", ".parquet")


class TableDataset(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A table whose format follows from its file's ending, ``.csv`` or ``.parquet``.

    A run that is killed leaves the former file in place: a new one replaces it only when it is complete.

    Args:
        filepath: Local path or fsspec URL.
        as_text: Read the cells of a CSV file as they stand, without guessing types or missing values.
        expected: What the file is and how to name another, for the message when it is absent.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.

    Raises:
        DatasetError: The ending is neither of the two.
    """

    def __init__(
        self,
        *,
        filepath: str,
        as_text: bool = False,
        expected: str = "",
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        if self._filepath.suffix.lower() not in _SUFFIXES:
            raise DatasetError(
                f"'{filepath}' ends in '{self._filepath.suffix}'; a table file must end in .csv or .parquet."
            )
        self._as_text = as_text
        self._expected = expected
        self.metadata = metadata

    @property
    def _is_parquet(self) -> bool:
        return self._filepath.suffix.lower() == ".parquet"

    def load(self) -> pd.DataFrame:
        """Read the table.

        Returns:
            The rows in file order under a fresh index.

        Raises:
            DatasetError: The file is absent, empty, or not of the format its ending promises.
        """
        path = str(self._filepath)
        if not self._filesystem.isfile(path):
            raise DatasetError(f"There is no file {path}. {self._expected}".rstrip())
        if self._filesystem.size(path) == 0:
            raise DatasetError(f"The file {path} is empty: not even a header. {self._expected}".rstrip())
        try:
            with self._filesystem.open(path, "rb") as file:
                if self._is_parquet:
                    return pd.read_parquet(file)
                if self._as_text:
                    # utf-8-sig drops a byte order mark.
                    return pd.read_csv(file, dtype="str", na_filter=False, encoding="utf-8-sig", index_col=False)
                return pd.read_csv(file)
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"The file {path} is not UTF-8 text (byte {error.start}). Save it as UTF-8 and try again."
            ) from error
        except ValueError as error:
            raise DatasetError(
                f"The file {path} cannot be read as {self._filepath.suffix.lower().lstrip('.')}: {error}"
            ) from error

    def save(self, data: pd.DataFrame) -> None:
        """Write the table without its index.

        Args:
            data: Any table.
        """
        with written_whole(self._filesystem, self._filepath) as path, self._filesystem.open(path, "wb") as file:
            if self._is_parquet:
                data.to_parquet(file, index=False)
            else:
                data.to_csv(file, index=False)

    def preview(self, nrows: int = 20) -> TablePreview:
        """First rows, for Kedro-Viz.

        Args:
            nrows: Rows to show.

        Returns:
            The rows as Kedro-Viz draws them.
        """
        rows = self.load().head(nrows).astype(object)
        return TablePreview(rows.where(rows.notna(), None).to_dict(orient="split"))

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "as_text": self._as_text}
