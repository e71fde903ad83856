"""What a model says on average as one column varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.evaluation.explanations.explained_customers import AxisKind, cells_as_text, column_axes, order_levels
from churn_kedro.evaluation.explanations.interface import ExplanationParameters, take_sample
from churn_kedro.models import predict

_GRID_POINTS, _MOST_LEVELS = 20, 12


@dataclass(frozen=True)
class PartialDependence:
    """What a model says on average when one column is set to the same cell for everyone.

    Attributes:
        column: Name of the column.
        axis: How its cells are drawn.
        grid: Cells, shape (n_points,): numbers, dates, or levels as text.
        mean: Mean answer at each point, shape (n_points, n_outputs).
        low: 10th percentile of the customers' answers, shape (n_points, n_outputs).
        high: 90th percentile of the customers' answers, shape (n_points, n_outputs).
        observed: Cells of the customers themselves, missing ones left out.
        customers: Customers whose cells were varied.
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
    """Vary one column over a grid of raw cells and leave all others as they are.

    Friedman, Annals of Statistics 29, 2001; percentiles of the individual curves after Goldstein et al., Journal of
    Computational and Graphical Statistics 24, 2015. Where columns go together, some of the customers so made exist
    nowhere.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns; a seeded sample is taken of many.
        columns: Features to vary.
        declaration: The table's declaration.
        parameters: Most customers, and the seed.

    Returns:
        For each column the model's answers: probability of leaving, of each class, or the number. Numbers and dates are
        varied between their 1st and 99th percentile, levels over the twelve most frequent ones.
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
        answers = predict(estimator, copies.assign(**{column: varied}), declaration.task)
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
    """Cells to set a column to, of the column's type."""
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
    # Cells that occur, so that a column of whole numbers stays one.
    points = known.quantile(np.linspace(0.01, 0.99, _GRID_POINTS), interpolation="nearest")
    return points.drop_duplicates().reset_index(drop=True)
