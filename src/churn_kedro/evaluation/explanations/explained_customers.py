"""SHAP values of customers together with their raw cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, level_text
from churn_kedro.evaluation.explanations.interface import ExplanationParameters, take_sample
from churn_kedro.evaluation.explanations.shap_values import Explanation, choose_explained, explain, explain_classes

# Kind of the axis of a column: numbers, dates, or one position per level.
AxisKind = Literal["number", "date", "level"]


@dataclass(frozen=True)
class ExplainedCustomers:
    """SHAP values of a sample of customers for each output of the model, together with their raw cells.

    Attributes:
        outputs: One explanation for each output: one, or one for each class.
        cells: Raw cell of each explained column; model input where no raw column exists; shape (n, n_columns).
        axes: Kind of axis of each column.
        levels: Levels of categorical columns, as text and in declared order.
        total: Number of customers before sampling.
    """

    outputs: list[Explanation]
    cells: pd.DataFrame
    axes: dict[str, AxisKind]
    levels: dict[str, list[str]]
    total: int

    @property
    def strengths(self) -> pd.Series:
        """Mean absolute SHAP value by column, summed over the outputs, strongest first."""
        return column_strengths(self.outputs)

    def strongest_output(self, column: str) -> Explanation:
        """The output with the largest mean absolute SHAP value of a column."""
        place = self.outputs[0].columns.index(column)
        return max(self.outputs, key=lambda one: float(np.abs(one.values[:, place]).mean()))


def column_strengths(explanations: Sequence[Explanation]) -> pd.Series:
    """Compute the mean absolute SHAP value of each column.

    Args:
        explanations: One for each output, of the same customers.

    Returns:
        Sums over the outputs by column name, strongest first.
    """
    means = np.sum([np.abs(one.values).mean(axis=0) for one in explanations], axis=0)
    return pd.Series(means, index=explanations[0].columns).sort_values(ascending=False, kind="stable")


def explain_customers(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ExplanationParameters
) -> ExplainedCustomers:
    """Explain a sample of customers, as large as the parameters and the model allow.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns; a large table is sampled. If values are estimated, all of them are the
            background.
        declaration: The table's declaration.
        parameters: Maximum number of customers, and the seed.

    Returns:
        Their explanations and raw cells.
    """
    chosen = choose_explained(estimator, take_sample(customers, parameters.max_explained, parameters.random_state))
    outputs = explain_outputs(estimator, chosen, declaration, customers)
    return with_cells(outputs, chosen, declaration, len(customers))


def explain_outputs(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, background: pd.DataFrame
) -> list[Explanation]:
    """Explain customers of any task.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns.
        declaration: The table's declaration.
        background: Background customers, if values are estimated.

    Returns:
        One explanation for each output.
    """
    match declaration.task:
        case "binary":
            return [explain(estimator, customers, background=background)]
        case "multiclass":
            classes = [str(label) for label in declaration.classes]
            return explain_classes(estimator, customers, classes, background=background)
        case "regression":
            return [explain(estimator, customers, f"the predicted {declaration.target}", background)]


def with_cells(
    outputs: list[Explanation], customers: pd.DataFrame, declaration: CustomerDeclaration, total: int
) -> ExplainedCustomers:
    """Join explanations with the raw cells of the table.

    Args:
        outputs: One explanation for each output.
        customers: The explained customers.
        declaration: The table's declaration.
        total: Number of customers before sampling.

    Returns:
        Explanations and cells.
    """
    raw = customers.reset_index(drop=True)
    kinds = column_axes(declaration)
    cells = {
        name: raw[name] if name in kinds else pd.Series(outputs[0].inputs[:, place])
        for place, name in enumerate(outputs[0].columns)
    }
    axes: dict[str, AxisKind] = {name: kinds.get(name, "number") for name in cells}
    texts = {name: cells_as_text(cells[name]) if axis == "level" else cells[name] for name, axis in axes.items()}
    levels = {name: order_levels(texts[name], name, declaration) for name, axis in axes.items() if axis == "level"}
    return ExplainedCustomers(outputs, pd.DataFrame(texts), axes, levels, total)


def column_axes(declaration: CustomerDeclaration) -> dict[str, AxisKind]:
    """Return the kind of axis of each feature.

    Args:
        declaration: The table's declaration.

    Returns:
        Kind of axis by column name; numbers declared as levels are levels.
    """
    kinds: dict[str, AxisKind] = {"numeric": "number", "date": "date"}
    return {column.name: kinds.get(column.kind or "", "level") for column in declaration.features}


def cells_as_text(cells: pd.Series) -> pd.Series:
    """Format levels as text: 1 instead of 1.0; missing values stay missing.

    Args:
        cells: Levels: text or numbers.

    Returns:
        Objects: text or None.
    """
    return pd.Series([None if pd.isna(cell) else level_text(cell) for cell in cells], index=cells.index, dtype="object")


def order_levels(texts: pd.Series, column: str, declaration: CustomerDeclaration) -> list[str]:
    """List the observed levels of a column in declared order.

    Args:
        texts: Cells as returned by :func:`cells_as_text`.
        column: Name of the column.
        declaration: The table's declaration.

    Returns:
        Observed declared levels, followed by undeclared levels by decreasing frequency.
    """
    frequent = [str(level) for level in texts.value_counts().index]
    declared = [level_text(level) for one in declaration.features if one.name == column for level in one.levels]
    return [level for level in declared if level in frequent] + [level for level in frequent if level not in declared]
