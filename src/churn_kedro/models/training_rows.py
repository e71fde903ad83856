"""Digests of the training rows of a version, by which evaluation detects them among test customers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, SplitManifest, read_customers, row_digests
from churn_kedro.models.interface import RegisteredModel

if TYPE_CHECKING:
    import dask.dataframe as dd


def _identifying(declaration: CustomerDeclaration) -> list[str]:
    return [*declaration.id_names, *declaration.feature_names, declaration.target]


def _name(columns: list[str]) -> str:
    """Return a column name that depends on the digested columns: digests of other columns are not comparable."""
    return f"digest_{hashlib.sha256(chr(0).join(columns).encode()).hexdigest()[:12]}"


def digest_training_rows(
    customers: pd.DataFrame, declaration: CustomerDeclaration, large: dd.DataFrame | None = None
) -> pd.DataFrame:
    """Compute digests of the customers that a model is trained on.

    Args:
        customers: Customers with their target.
        declaration: The table's declaration.
        large: Training part of a prepared table larger than memory, of which the customers are a sample.

    Returns:
        One column of sorted integers, from which no row can be recovered.
    """
    columns = _identifying(declaration)
    digests = row_digests(customers[columns])
    if large is not None:
        digested = large.map_partitions(digest_partition, declaration, meta=("digest", "uint64"))
        digests = np.concatenate([digests, digested.compute().to_numpy()])
    return pd.DataFrame({_name(columns): np.unique(digests)})


def digest_partition(prepared: pd.DataFrame, declaration: CustomerDeclaration) -> pd.Series:
    """Compute digests of the rows of a partition of a prepared table.

    Args:
        prepared: The rows.
        declaration: The table's declaration.

    Returns:
        A digest of each row, comparable with those of customers in memory.
    """
    return pd.Series(row_digests(read_customers(prepared, declaration)[_identifying(declaration)]), name="digest")


def find_training_rows(
    training_rows: pd.DataFrame | None, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> np.ndarray | None:
    """Find customers that a version was trained on, by identifiers, features and target together.

    Args:
        training_rows: Result of :func:`digest_training_rows` at training time; None where it was not recorded.
        customers: Customers with their target, shape (n, n_columns).
        declaration: The table's declaration.

    Returns:
        Boolean mask of shape (n,); None where it is unknown: no digests were recorded, or those of other columns.
    """
    columns = _identifying(declaration)
    if training_rows is None or _name(columns) not in training_rows:
        return None
    return np.isin(row_digests(customers[columns]), training_rows[_name(columns)].to_numpy())


def find_version_training_rows(
    model: RegisteredModel, test: pd.DataFrame, manifest: SplitManifest, declaration: CustomerDeclaration
) -> np.ndarray | None:
    """Find test customers that a version was trained on.

    The test set of the split that it was trained on has none, although customers without identifier may be equal. For
    another split, digests of rows are compared; where these were not recorded, digests of whole tables.

    Args:
        model: The version, loaded with its training rows.
        test: Test customers, shape (n, n_columns).
        manifest: The split that they belong to.
        declaration: The table's declaration.

    Returns:
        Boolean mask of shape (n,); None where it is unknown.
    """
    own = (manifest.train.digest, manifest.validation.digest)
    if (model.tags.get("train_digest"), model.tags.get("validation_digest")) == own:
        return np.zeros(len(test), dtype=bool)
    in_training = find_training_rows(model.training_rows, test, declaration)
    if in_training is None and manifest.test.digest in (
        model.tags.get("train_digest"),
        model.tags.get("validation_digest"),
    ):
        return np.ones(len(test), dtype=bool)
    return in_training


def count_digested(model: RegisteredModel, digests: np.ndarray, declaration: CustomerDeclaration) -> int | None:
    """Count rows that a version was trained on.

    Args:
        model: The version, loaded with its training rows.
        digests: Digests of the rows, see :func:`digest_partition`.
        declaration: The table's declaration.

    Returns:
        Number of rows; None where the training rows were not recorded.
    """
    name = _name(_identifying(declaration))
    if model.training_rows is None or name not in model.training_rows:
        return None
    return int(np.isin(digests, model.training_rows[name].to_numpy()).sum())


def count_new_rows(model: RegisteredModel, customers: pd.DataFrame, declaration: CustomerDeclaration) -> int | None:
    """Count customers that a version was not trained on.

    Args:
        model: The version, loaded with its training rows.
        customers: Customers with their target.
        declaration: The table's declaration.

    Returns:
        Number of customers, of whom some may be its test customers; None where the training rows were not recorded.
    """
    found = find_training_rows(model.training_rows, customers, declaration)
    return None if found is None else int((~found).sum())
