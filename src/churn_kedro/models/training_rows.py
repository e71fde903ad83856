"""Which customers a version has learned from, so that it is never judged on them unawares."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, SplitManifest, row_digests
from churn_kedro.models.interface import RegisteredModel


def _identifying(declaration: CustomerDeclaration) -> list[str]:
    return [*declaration.id_names, *declaration.feature_names, declaration.target]


def _name(columns: list[str]) -> str:
    """Name of the column of digests: digests over other columns cannot be compared, and must not seem to be."""
    return f"digest_{hashlib.sha256(chr(0).join(columns).encode()).hexdigest()[:12]}"


def digest_training_rows(customers: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Digests of the customers that a model learns from.

    Args:
        customers: Customers with their target.
        declaration: The table's declaration.

    Returns:
        One column of whole numbers, sorted; no row can be read from it.
    """
    columns = _identifying(declaration)
    return pd.DataFrame({_name(columns): np.unique(row_digests(customers[columns]))})


def find_training_rows(
    learned: pd.DataFrame | None, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> np.ndarray | None:
    """Find customers that a version has learned from, by identifiers, features and target together.

    Args:
        learned: What :func:`digest_training_rows` gave when the version was trained; None where nothing was recorded.
        customers: Customers with their target, shape (n, n_columns).
        declaration: The table's declaration.

    Returns:
        Boolean mask of shape (n,); None where it cannot be told: nothing was recorded, or of other columns.
    """
    columns = _identifying(declaration)
    if learned is None or _name(columns) not in learned:
        return None
    return np.isin(row_digests(customers[columns]), learned[_name(columns)].to_numpy())


def find_version_training_rows(
    model: RegisteredModel, test: pd.DataFrame, manifest: SplitManifest, declaration: CustomerDeclaration
) -> np.ndarray | None:
    """Find test customers that a version has learned from.

    Of the split that it was trained on, it knows nobody in the test part, though customers without identifier may be
    alike. Of another one, digests of customers tell; where these were not recorded, those of whole tables.

    Args:
        model: The version, loaded with what it has learned from.
        test: Test customers, shape (n, n_columns).
        manifest: The split that they belong to.
        declaration: The table's declaration.

    Returns:
        Boolean mask of shape (n,); None where it cannot be told.
    """
    own = (manifest.train.digest, manifest.validation.digest)
    if (model.tags.get("train_digest"), model.tags.get("validation_digest")) == own:
        return np.zeros(len(test), dtype=bool)
    seen = find_training_rows(model.learned, test, declaration)
    if seen is None and manifest.test.digest in (model.tags.get("train_digest"), model.tags.get("validation_digest")):
        return np.ones(len(test), dtype=bool)
    return seen
