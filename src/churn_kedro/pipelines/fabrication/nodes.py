"""Nodes of the fabrication pipeline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.pipelines.fabrication.shapes import SHAPES, fabricate, fabricate_part
from churn_kedro.pipelines.fabrication.shapes.ceiling import SampleReport, describe_ceiling, describe_value_ceiling
from churn_kedro.pipelines.fabrication.shapes.interface import FabricationParameters


def fabricate_customers(
    parameters: FabricationParameters, declaration: CustomerDeclaration
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Generate customers by a documented random process.

    Args:
        parameters: Shape, size, seed and planted change.
        declaration: The table's declaration.

    Returns:
        Labelled customers, new customers without the target, and the true probabilities or expected values of the
        labelled ones.

    Raises:
        ParameterError: The use case declares another table, whose raw file must not be overwritten, or the planted
            change does not fit the shape's columns.
    """
    customers = fabricate(parameters)
    declared = {column.name for column in declaration.columns}
    absent = sorted(declared - set(customers.labelled.columns))
    if absent:
        raise ParameterError(
            f"The fabricated {parameters.shape} customers lack columns that this use case declares: {absent}. "
            f"Expected a use case with one of these tables: {', '.join(SHAPES)}; nothing was written."
        )
    return customers.labelled, customers.new, customers.truth


def fabricate_large_customers(parameters: FabricationParameters) -> dict[str, Callable[[], pd.DataFrame]]:
    """Generate a table in many files, one after the other.

    Args:
        parameters: Shape, seed, planted change, and size of the table.

    Returns:
        A function for each file, which draws its customers when it is written; none without such a table.
    """
    parts = 0 if parameters.large is None else parameters.large.parts
    return {f"part-{part:05d}": partial(fabricate_part, parameters, part) for part in range(parts)}


def measure_ceiling(customers: pd.DataFrame, truth: pd.DataFrame, declaration: CustomerDeclaration) -> SampleReport:
    """Compute the metrics of the true probabilities or expected values, the upper limit of any model.

    Args:
        customers: Labelled customers.
        truth: True probabilities or expected values, in the same order; empty if unknown.
        declaration: The table's declaration.

    Returns:
        Best possible metrics of the task; only the number of customers if the truth is unknown.
    """
    target = customers[declaration.target]
    if truth.empty:
        return SampleReport(rows=len(target))
    if declaration.labels is None:
        return describe_value_ceiling(target.to_numpy(), truth["expected_value"].to_numpy())
    labels = (target == declaration.labels.positive).to_numpy()
    return describe_ceiling(labels, truth["probability"].to_numpy())
