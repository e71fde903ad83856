"""Nodes of the ingestion pipeline."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, TableParts, name_columns


def accept_source_customers(source: TableParts, declaration: CustomerDeclaration) -> TableParts:
    """Require the declared columns and at least one row while a table is read.

    Args:
        source: Customer table of the source, in parts.
        declaration: The table's declaration.

    Returns:
        The same rows. Reading them raises ``CustomerTableError`` if a declared column is absent, before the first row,
        or if there are no rows.
    """

    def read() -> Iterator[pd.DataFrame]:
        for number, part in enumerate(source):
            if number == 0:
                name_columns(part, declaration, with_target=True)
            yield part
        if source.rows == 0:
            raise CustomerTableError(
                "The source has no rows, at least one is expected. The table of the last ingestion is unchanged. "
                "Check source_customers in catalog/ingestion.yml: its query, path or parameters."
            )

    return TableParts(read)
