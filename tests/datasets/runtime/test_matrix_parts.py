"""A table in parts, on the way into a matrix outside of memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from churn_kedro.datasets.runtime.matrix_parts import ParquetParts, PartsDataset


def test_parts_come_back_digit_by_digit(tmp_path: Path) -> None:
    parts = PartsDataset(folder=str(tmp_path / "deep" / "matrix")).load()
    tables = [
        pd.DataFrame({"f0": [0.1 + number, np.nan, 1e-300], "target": [1, 0, 1]}, index=[7, 8, 9])
        for number in range(3)
    ]
    for number, table in enumerate(tables):
        parts.write(number, table)

    for number in (2, 0, 1, 0):
        pd.testing.assert_frame_equal(parts.read(number), tables[number].reset_index(drop=True))


def test_clearing_leaves_nothing_and_harms_nothing_else(tmp_path: Path) -> None:
    neighbour = tmp_path / "model.skops"
    neighbour.write_text("a model")
    parts = ParquetParts(tmp_path / "matrix")
    parts.write(0, pd.DataFrame({"f0": [1.0]}))
    Path(f"{parts.cache_prefix}-0.page").write_text("a page")
    assert len(list((tmp_path / "matrix").iterdir())) == 2

    parts.clear()
    parts.clear()

    assert list(tmp_path.iterdir()) == [neighbour]


def test_nothing_is_made_before_the_first_part(tmp_path: Path) -> None:
    PartsDataset(folder=str(tmp_path / "matrix")).load()

    assert list(tmp_path.iterdir()) == []


def test_parts_are_not_saved_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Parts are written one by one"):
        PartsDataset(folder=str(tmp_path)).save(ParquetParts(tmp_path))
