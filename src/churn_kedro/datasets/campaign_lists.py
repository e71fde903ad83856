"""The campaign list as CSV and as an Excel workbook."""

from __future__ import annotations

import io
import logging
from datetime import datetime
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from churn_kedro.datasets.files import written_whole
from churn_kedro.datasets.tables import TableDataset, require_content, translate_errors

logger = logging.getLogger(__name__)

_WIDEST = 70
# The time of creation is part of a workbook; a constant keeps equal lists equal.
_CREATED = datetime(2000, 1, 1)
_FORMATS = {"probability": "0.0%", "expected_value": "#,##0.00"}


class CampaignListDataset(TableDataset):
    """A list of customers, written twice: as ``.csv``, and beside it as ``.xlsx`` with the same content.

    Text that a spreadsheet would read as a formula stays text: in the CSV file it gets an apostrophe, in the workbook
    it is stored as text.

    Args:
        filepath: Local path or fsspec URL, ``.csv``.
        workbook_rows: Maximum number of customers in the workbook, at most 1,048,575, which a sheet can hold.
        made_by: Pipeline that writes the list, for the message if it is absent.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        workbook_rows: int = 100_000,
        made_by: str = "",
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            filepath=filepath, made_by=made_by, escape_formulas=True, credentials=credentials, metadata=metadata
        )
        if self._filepath.suffix.lower() != ".csv":
            raise DatasetError(f"'{filepath}' ends in '{self._filepath.suffix}'; expected .csv.")
        self._workbook_rows = workbook_rows

    def load(self) -> pd.DataFrame:
        """Read the list from its workbook, in which text is unchanged.

        Returns:
            The rows in order; empty if neither file is there, as for tasks that have no campaign.

        Raises:
            DatasetError: The workbook is absent, and the CSV file is not.
        """
        path = str(self._filepath.with_suffix(".xlsx"))
        if not self._filesystem.isfile(path) and not self._exists():
            return pd.DataFrame()
        require_content(self._filesystem, path, self._expected)
        with translate_errors(path, self._expected), self._filesystem.open(path, "rb") as file:
            return pd.read_excel(file, engine="calamine")

    def save(self, data: pd.DataFrame) -> None:  # type: ignore[override]  # a list is never in parts
        """Write both files; a table without columns removes them.

        Args:
            data: The list.
        """
        workbook = self._filepath.with_suffix(".xlsx")
        if not len(data.columns):
            for path in (str(self._filepath), str(workbook)):
                if self._filesystem.isfile(path):
                    self._filesystem.rm_file(path)
            return
        super().save(data)
        if len(data) > self._workbook_rows:
            logger.warning(
                "%s has the first %s of %s customers (workbook_rows of the catalog entry); the CSV file has all.",
                workbook.name,
                f"{self._workbook_rows:,}",
                f"{len(data):,}",
            )
        content = _as_workbook(data.head(self._workbook_rows))
        with written_whole(self._filesystem, workbook) as path, self._filesystem.open(path, "wb") as file:
            file.write(content)


def _as_workbook(table: pd.DataFrame) -> bytes:
    import xlsxwriter

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": False,
    }
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties({"created": _CREATED})
        sheet = book.add_worksheet("campaign")
        head = book.add_format({"bold": True, "bottom": 1})
        formats = {name: book.add_format({"num_format": _FORMATS[name]}) for name in _FORMATS}
        columns = [_cells(table.iloc[:, place]) for place in range(table.shape[1])]
        sheet.freeze_panes(1, 0)
        for place, (name, cells) in enumerate(zip(table.columns, columns, strict=True)):
            longest = max([len(str(name)), *(len(cell) for cell in cells[:1000] if isinstance(cell, str))])
            sheet.set_column(place, place, min(_WIDEST, longest + 2), formats.get(str(name)))
        if len(table.columns) and len(table):
            sheet.autofilter(0, 0, len(table), len(table.columns) - 1)
        for place, name in enumerate(table.columns):
            sheet.write_string(0, place, str(name), head)
        for row, values in enumerate(zip(*columns, strict=True), start=1):
            for place, cell in enumerate(values):
                if isinstance(cell, str):
                    sheet.write_string(row, place, cell)
                elif cell is not None:
                    sheet.write_number(row, place, cell, formats.get(str(table.columns[place])))
    return content.getvalue()


def _cells(column: pd.Series) -> list[str | int | float | None]:
    """Cells as text or finite numbers; missing is None."""
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return [None if pd.isna(cell) else cell for cell in column.tolist()]
    return [None if pd.isna(cell) or cell == "" else str(cell) for cell in column.astype(object).tolist()]
