"""Rows with equal or nearly equal features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn_kedro.customers.declaration import Column, CustomerDeclaration

Keys = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_GRID = 100


@dataclass(frozen=True)
class FeatureCodes:
    """Codes of the features of each row.

    Attributes:
        exact: A code for each value, by column.
        near: The same for levels; numbers and dates on a grid of 100 quantiles.
    """

    exact: dict[str, Codes]
    near: dict[str, Codes]


def number_values(column: pd.Series) -> Floats:
    """Convert a numeric or date column to floats.

    Args:
        column: Numbers or dates.

    Returns:
        Its values; missing ones are NaN.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        values = column.to_numpy().astype(np.int64).astype(np.float64)
        values[column.isna().to_numpy()] = np.nan
        return values
    return column.to_numpy(dtype=np.float64)


def has_numbers(column: Column) -> bool:
    """Check whether the values of a column are ordered.

    Args:
        column: A feature.

    Returns:
        True for numbers and dates, False for levels.
    """
    return column.kind in ("numeric", "date")


def grid_edges(values: Floats) -> Floats:
    """Return the edges of a grid of quantiles; few distinct numbers get a cell each.

    Args:
        values: Numbers; NaN is left out.

    Returns:
        Ascending edges.
    """
    known = np.unique(values[~np.isnan(values)])
    if len(known) <= _GRID:
        return known
    return np.unique(np.quantile(values[~np.isnan(values)], np.linspace(0, 1, _GRID + 1)[1:-1]))


def grid_codes(values: Floats, edges: Floats) -> Codes:
    """Find the cell of each number in a grid.

    Args:
        values: Numbers.
        edges: Ascending edges.

    Returns:
        Codes; -1 for NaN.
    """
    codes = np.searchsorted(edges, values, side="right").astype(np.int64)
    codes[np.isnan(values)] = -1
    return codes


def hash_codes(columns: dict[str, Codes]) -> Keys:
    """Combine codes to one key for each row.

    Args:
        columns: Codes by column.

    Returns:
        Keys; equal rows have equal keys.
    """
    return pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy().astype(np.uint64)


def code_features(table: pd.DataFrame, features: Sequence[Column]) -> FeatureCodes:
    """Code the features of each row.

    Args:
        table: Typed customers.
        features: The feature columns.

    Returns:
        The codes.
    """
    exact = {column.name: pd.factorize(table[column.name])[0].astype(np.int64) for column in features}
    near = dict(exact)
    for column in features:
        if has_numbers(column):
            values = number_values(table[column.name])
            near[column.name] = grid_codes(values, grid_edges(values))
    return FeatureCodes(exact, near)


def group_near_duplicates(customers: pd.DataFrame, declaration: CustomerDeclaration) -> Codes:
    """Group rows with equal or nearly equal features, and those with the same identifier.

    Args:
        customers: Typed customers.
        declaration: The table's declaration.

    Returns:
        The group of each row.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    keys = hash_codes(code_features(customers, declaration.features).near)
    alike = pd.factorize(keys)[0].astype(np.int64)
    ids = declaration.id_names
    if not ids or not customers.duplicated(ids).any():
        return alike
    identified = customers.groupby(ids, sort=False, dropna=False).ngroup().to_numpy()
    n_alike, nodes = int(alike.max()) + 1, int(alike.max() + identified.max()) + 2
    edges = coo_matrix((np.ones(len(alike)), (alike, identified + n_alike)), shape=(nodes, nodes))
    groups: Codes = connected_components(edges, directed=False)[1].astype(np.int64)[alike]
    return groups
