"""Data quality: counts of rejected, repeated and missing values in a customer table."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.normalisation import NormalisedCustomers
from churn_kedro.customers.reading import READING, Reading
from churn_kedro.customers.splits import count_classes

_EXAMPLES = 3


class DataQuality(Record):
    """Counts of rows that were read, rejected, dropped and kept.

    Rows read = repeated headers + rejected + duplicates + kept.
    """

    reading: Reading | None = Field(None, description="Detected properties of a text file; null for other sources.")
    rows_read: int
    header_rows_dropped: int = Field(description="Rows that repeat the header.")
    rows_rejected: int
    rejected_share: float = Field(description="Share of rows that were rejected.")
    rejection_reasons: dict[str, int] = Field(description="Rejected rows per column that broke its declaration.")
    rejection_examples: list[str] = Field(description="Reasons of the first rejected rows.")
    duplicates_dropped: int = Field(description="Rows equal to an earlier one, including the identifier.")
    identical_rows: int = Field(
        description="Rows kept that equal an earlier one, in a table without identifiers: equal customers, or copies."
    )
    repeated_ids: int = Field(
        description="Rows kept that share their identifier, but not all values, with an earlier row."
    )
    rows_kept: int
    classes: dict[str, int] = Field(description="Rows kept by label of the target; empty for a regression.")
    target_mean: float | None = Field(None, description="Mean of the target among the rows kept (regression).")
    missing_cells: dict[str, int] = Field(description="Missing cells in the rows kept, per column that has any.")
    suspected_missing: dict[str, dict[str, int]] = Field(
        description="Column to words that often mean 'missing' and are not declared so, with their counts."
    )
    renamed_columns: dict[str, str] = Field(description="Declared name to the name in the file, where they differ.")
    undeclared_columns: list[str] = Field(description="Columns of the file that are not declared.")
    empty_unnamed_columns: int = Field(description="Columns without a name and without a value.")


def describe_quality(
    *, normalised: NormalisedCustomers, violations: pd.DataFrame, kept: pd.DataFrame, declaration: CustomerDeclaration
) -> DataQuality:
    """Count the rows of a customer table at each step.

    Args:
        normalised: The converted table with its unreadable cells.
        violations: Broken rules of the rejected rows (``row``, ``column``, ``reason``).
        kept: Rows that remain.
        declaration: The table's declaration.

    Returns:
        The counts.
    """
    rows_read = len(normalised.named.raw)
    rejected = violations["row"].nunique()
    per_column = violations.drop_duplicates(["row", "column"])["column"].value_counts()
    first = violations.sort_values("row", kind="stable").head(_EXAMPLES)
    missing = kept.isna().sum()
    reading = normalised.named.raw.attrs.get(READING)
    ids = declaration.id_names
    target = kept[declaration.target]
    return DataQuality(
        reading=None if reading is None else Reading.model_validate(reading),
        rows_read=rows_read,
        header_rows_dropped=len(normalised.named.header_rows),
        rows_rejected=rejected,
        rejected_share=rejected / rows_read if rows_read else 0.0,
        rejection_reasons={str(name): int(count) for name, count in per_column.items()},
        rejection_examples=[
            f"row {row + 1}: {reason}" for row, reason in zip(first["row"], first["reason"], strict=True)
        ],
        duplicates_dropped=rows_read - len(normalised.named.header_rows) - rejected - len(kept),
        identical_rows=0 if ids else int(kept.duplicated().sum()),
        repeated_ids=int(kept.duplicated(ids).sum()) if ids else 0,
        rows_kept=len(kept),
        classes=count_classes(target, declaration),
        target_mean=float(target.mean()) if len(kept) and not declaration.classes else None,
        missing_cells={str(name): int(count) for name, count in missing.items() if count},
        suspected_missing=normalised.suspected_missing,
        renamed_columns=normalised.named.renamed,
        undeclared_columns=normalised.named.undeclared,
        empty_unnamed_columns=normalised.named.empty_unnamed_columns,
    )


def drop_duplicates(customers: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Drop rows that equal an earlier one in every column, including identifiers.

    Without an identifier, equal rows may be different customers and are kept.

    Args:
        customers: Valid customers.
        declaration: The table's declaration.

    Returns:
        Distinct rows, in order and with their index.
    """
    ids = declaration.id_names
    if not ids:
        return customers
    # Only rows with the same identifiers can be equal, which are few.
    shared = customers[customers.duplicated(ids, keep=False)]
    repeated = shared.index[shared.duplicated()]
    return customers.drop(index=repeated) if len(repeated) else customers


def require_few_rejections(quality: DataQuality, max_rejected_share: float) -> None:
    """Check that few rows were rejected.

    Args:
        quality: Counts of the table.
        max_rejected_share: Largest share of rejected rows that is accepted.

    Raises:
        CustomerTableError: The share is larger, or no row is left.
    """
    if quality.rows_kept and quality.rejected_share <= max_rejected_share:
        return
    if not quality.rows_read:
        raise CustomerTableError("The customer table has a header but no rows: there is nothing to train on.")
    columns = ", ".join(f"{name} ({count:,} rows)" for name, count in quality.rejection_reasons.items())
    raise CustomerTableError(
        f"{quality.rows_rejected:,} of {quality.rows_read:,} rows ({quality.rejected_share:.1%}) break the "
        f"declaration; at most {max_rejected_share:.1%} are accepted. Columns at fault: {columns}. For example\n"
        + "".join(f"  {example}\n" for example in quality.rejection_examples)
        + "The file rejected_customers lists the reasons row by row. Correct the table or the declaration in "
        "parameters/customers.yml, or raise data_processing.max_rejected_share."
    )
