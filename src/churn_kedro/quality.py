"""What was found in a customer table, in numbers."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Parameters

_EXAMPLES = 3


class DataQuality(Parameters):
    """Counts of everything that was read, set aside or dropped; rows read = rejected + duplicates + kept."""

    rows_read: int
    rows_rejected: int
    rejected_share: float = Field(description="Rejected among those read.")
    rejection_reasons: dict[str, int] = Field(description="Rejected rows per column that broke its declaration.")
    rejection_examples: list[str] = Field(description="Reasons of the first rejected rows.")
    duplicates_dropped: int = Field(description="Rows equal to an earlier one in every declared column.")
    rows_kept: int
    positive_share: float = Field(description="Churners among the rows kept.")
    missing_cells: dict[str, int] = Field(description="Missing cells in the rows kept, per column that has any.")
    renamed_columns: dict[str, str] = Field(description="Declared name to the name in the file, where they differ.")
    undeclared_columns: list[str] = Field(description="Columns of the file that the declaration does not mention.")


def describe_quality(
    *,
    rows_read: int,
    violations: pd.DataFrame,
    kept: pd.DataFrame,
    renamed: dict[str, str],
    undeclared: list[str],
    declaration: CustomerDeclaration,
) -> DataQuality:
    """Count what happened to a customer table.

    Args:
        rows_read: Rows of the raw table.
        violations: Broken rules of the rejected rows (``row``, ``column``, ``reason``).
        kept: Rows that remain.
        renamed: Columns found under another name.
        undeclared: Columns of the file that are not declared.
        declaration: The table's declaration.

    Returns:
        The counts.
    """
    rejected = violations["row"].nunique()
    per_column = violations.drop_duplicates(["row", "column"])["column"].value_counts()
    first = violations.sort_values("row", kind="stable").head(_EXAMPLES)
    missing = kept.isna().sum()
    return DataQuality(
        rows_read=rows_read,
        rows_rejected=rejected,
        rejected_share=rejected / rows_read if rows_read else 0.0,
        rejection_reasons={str(name): int(count) for name, count in per_column.items()},
        rejection_examples=[
            f"row {row + 1}: {reason}" for row, reason in zip(first["row"], first["reason"], strict=True)
        ],
        duplicates_dropped=rows_read - rejected - len(kept),
        rows_kept=len(kept),
        positive_share=float(kept[declaration.target].mean()) if len(kept) else 0.0,
        missing_cells={str(name): int(count) for name, count in missing.items() if count},
        renamed_columns=renamed,
        undeclared_columns=undeclared,
    )


def require_few_rejections(quality: DataQuality, max_rejected_share: float) -> None:
    """Refuse a table of which too much was rejected.

    Args:
        quality: Counts of the table.
        max_rejected_share: Largest share of rejected rows that is accepted.

    Raises:
        CustomerTableError: The share is larger, or no row is left.
    """
    if quality.rows_kept and quality.rejected_share <= max_rejected_share:
        return
    if not quality.rows_read:
        raise CustomerTableError("The customer table has a header but no rows: there is nothing to learn from.")
    columns = ", ".join(f"{name} ({count:,} rows)" for name, count in quality.rejection_reasons.items())
    raise CustomerTableError(
        f"{quality.rows_rejected:,} of {quality.rows_read:,} rows ({quality.rejected_share:.1%}) break the "
        f"declaration; at most {max_rejected_share:.1%} are accepted. Columns at fault: {columns}. For example\n"
        + "".join(f"  {example}\n" for example in quality.rejection_examples)
        + "The rejected_customers file gives the reasons row by row. Correct the table, or the declaration in "
        "parameters/customers.yml, or raise data_processing.max_rejected_share."
    )
