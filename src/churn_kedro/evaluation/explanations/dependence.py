"""Partial dependence of the prediction on one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.evaluation.explanations.explained_customers import AxisKind, cells_as_text, column_axes, order_levels
from churn_kedro.evaluation.explanations.interface import ExplanationParameters, take_sample

_GRID_POINTS, _MOST_LEVELS = 20, 12


@dataclass(frozen=True)
class PartialDependence:
    """Partial dependence: mean prediction when one column is set to the same value for all customers.

    Attributes:
        column: Name of the column.
        axis: Kind of its axis.
        grid: Values of the column, shape (n_points,): numbers, dates, or levels as text.
        mean: Mean prediction at each point, shape (n_points, n_outputs).
        low: 10th percentile of the individual predictions, shape (n_points, n_outputs).
        high: 90th percentile of the individual predictions, shape (n_points, n_outputs).
        observed: Observed values of the column, without missing ones.
        customers: Number of customers.
    """

    column: str
    axis: AxisKind
    grid: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    observed: np.ndarray
    customers: int


def partial_dependence(
    estimator: Any,
    customers: pd.DataFrame,
    columns: Sequence[str],
    declaration: CustomerDeclaration,
    parameters: ExplanationParameters,
) -> list[PartialDependence]:
    """Compute the partial dependence of the prediction on raw columns, one at a time.

    Friedman, Annals of Statistics 29, 2001; percentiles of the individual curves after Goldstein et al., Journal of
    Computational and Graphical Statistics 24, 2015. If columns are correlated, some of the resulting rows are
    unrealistic.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns; a large table is sampled.
        columns: Features to vary.
        declaration: The table's declaration.
        parameters: Maximum number of customers, and the seed.

    Returns:
        Partial dependence of each column, in the unit of the prediction: probability of leaving, of each class, or
        number. Numbers and dates vary between their 1st and 99th percentile, levels over the twelve most frequent ones.
    """
    chosen = take_sample(customers, parameters.max_grid_customers, parameters.random_state)
    table = chosen[declaration.feature_names]
    axes = column_axes(declaration)
    found = []
    for column in columns:
        grid = _grid(customers[column], axes[column], column, declaration)
        if not len(grid):
            continue
        copies = pd.concat([table] * len(grid), ignore_index=True)
        varied = pd.Series(np.repeat(grid.to_numpy(), len(table)), dtype=grid.dtype)
        answers = estimator.scores(copies.assign(**{column: varied}))
        curves = answers.reshape(len(grid), len(table), -1)
        low, high = np.quantile(curves, [0.1, 0.9], axis=1)
        levels = axes[column] == "level"
        found.append(
            PartialDependence(
                column,
                axes[column],
                (cells_as_text(grid) if levels else grid).to_numpy(),
                curves.mean(axis=1),
                low,
                high,
                (cells_as_text(chosen[column]) if levels else chosen[column]).dropna().to_numpy(),
                len(table),
            )
        )
    return found


def _grid(cells: pd.Series, axis: AxisKind, column: str, declaration: CustomerDeclaration) -> pd.Series:
    """Return the grid of a column, in the type of the column."""
    known = cells.dropna()
    if axis == "level":
        texts = cells_as_text(known)
        frequent = texts.value_counts().index[:_MOST_LEVELS]
        levels = [level for level in order_levels(texts, column, declaration) if level in frequent]
        first = known.groupby(texts).first()
        return pd.Series([first[level] for level in levels], dtype=known.dtype)
    distinct = known.drop_duplicates().sort_values()
    if len(distinct) <= _GRID_POINTS:
        return distinct.reset_index(drop=True)
    # Only observed values, so that integer columns stay integers.
    points = known.quantile(np.linspace(0.01, 0.99, _GRID_POINTS), interpolation="nearest")
    return points.drop_duplicates().reset_index(drop=True)
