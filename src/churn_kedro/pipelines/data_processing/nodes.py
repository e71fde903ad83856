"""Nodes of the data_processing pipeline."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.customers import CustomerDeclaration, Parameters
from churn_kedro.normalisation import NormalisedCustomers, normalise
from churn_kedro.quality import DataQuality, describe_quality, require_few_rejections
from churn_kedro.splits import SplitManifest, SplitParameters, describe_splits, split_customers
from churn_kedro.validation import list_rejected, set_aside_invalid


class DataProcessingParameters(Parameters):
    """Parameters of the data_processing pipeline."""

    max_rejected_share: float = Field(ge=0, le=1, description="Largest share of rows that may break the declaration.")
    split: SplitParameters


def normalise_customers(raw: pd.DataFrame, declaration: CustomerDeclaration) -> NormalisedCustomers:
    """Read names, types and missing values as declared.

    Args:
        raw: Customer table as the file writes it.
        declaration: The table's declaration.

    Returns:
        The typed table and every cell that could not be read.
    """
    return normalise(raw, declaration, with_target=True)


def set_aside_invalid_customers(
    normalised: NormalisedCustomers, raw: pd.DataFrame, declaration: CustomerDeclaration
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Separate customers that break the declaration.

    Args:
        normalised: Typed table and unreadable cells.
        raw: Customer table as the file writes it.
        declaration: The table's declaration.

    Returns:
        Valid customers, broken rules, and the rejected rows as the file writes them with their reasons.
    """
    valid, violations = set_aside_invalid(normalised.table, normalised.unreadable, declaration, with_target=True)
    return valid, violations, list_rejected(raw, violations)


def drop_duplicate_customers(customers: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of rows that are equal in every declared column.

    Args:
        customers: Valid customers.

    Returns:
        Distinct customers.
    """
    return customers.drop_duplicates()


def measure_quality(
    normalised: NormalisedCustomers,
    violations: pd.DataFrame,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
) -> DataQuality:
    """Count what was read, rejected, dropped and kept.

    Args:
        normalised: Typed table and what was renamed or left out.
        violations: Broken rules of the rejected rows.
        customers: Customers that remain.
        declaration: The table's declaration.

    Returns:
        The counts.
    """
    return describe_quality(
        rows_read=len(normalised.table),
        violations=violations,
        kept=customers,
        renamed=normalised.renamed,
        undeclared=normalised.undeclared,
        declaration=declaration,
    )


def accept_customers(
    customers: pd.DataFrame, quality: DataQuality, parameters: DataProcessingParameters
) -> pd.DataFrame:
    """Refuse to go on with a table of which too much was rejected.

    Args:
        customers: Customers that remain.
        quality: Counts of the table.
        parameters: Largest share of rejected rows that is accepted.

    Returns:
        The customers under a fresh index.

    Raises:
        CustomerTableError: Too many rows were rejected, or none is left.
    """
    require_few_rejections(quality, parameters.max_rejected_share)
    return customers.reset_index(drop=True)


def split_by_chance(
    customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: DataProcessingParameters
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, SplitManifest]:
    """Split into train, validation and test with the same share of churners.

    Args:
        customers: Accepted customers.
        declaration: The table's declaration.
        parameters: Shares and seed.

    Returns:
        Train, validation, test, and the manifest that identifies them.

    Raises:
        CustomerTableError: One class is absent, or too rare.
    """
    train, validation, test = split_customers(customers, declaration, parameters.split)
    manifest = describe_splits(train, validation, test, declaration, parameters.split.random_state)
    return train, validation, test, manifest
