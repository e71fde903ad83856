"""Storage of a table in parts, for a matrix on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.training import PartFolder


class ParquetParts:
    """Parquet files in a dedicated local folder.

    Args:
        folder: The folder; created with the first part, and removed with its content.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def cache_prefix(self) -> str:
        """Path prefix of XGBoost's cache files."""
        return str(self._folder / "cache")

    def clear(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, part: int, table: pd.DataFrame) -> None:
        """Write a part.

        Args:
            part: Its number.
            table: Numbers.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        table.to_parquet(self._folder / f"part-{part:05d}.parquet", index=False)

    def read(self, part: int) -> pd.DataFrame:
        """Read a part.

        Args:
            part: Its number.

        Returns:
            The table as it was written.
        """
        return pd.read_parquet(self._folder / f"part-{part:05d}.parquet")


class PartsDataset(AbstractDataset[PartFolder, PartFolder]):
    """A folder for parts of a table.

    Args:
        folder: Local path; XGBoost maps its files into memory.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, folder: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(folder)
        self.metadata = metadata

    def load(self) -> PartFolder:
        """Return the folder.

        Returns:
            The folder.
        """
        return ParquetParts(self._folder)

    def save(self, data: PartFolder) -> None:
        """Refuse."""
        raise DatasetError("Parts are written one by one.")

    def _describe(self) -> dict[str, Any]:
        return {"folder": str(self._folder)}
