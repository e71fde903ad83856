"""Nodes of the fabrication pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.pipelines.fabrication.shapes import SHAPES, fabricate
from churn_kedro.pipelines.fabrication.shapes.ceiling import SampleReport, describe_ceiling, describe_value_ceiling
from churn_kedro.pipelines.fabrication.shapes.interface import FabricationParameters


def fabricate_customers(
    parameters: FabricationParameters, declaration: CustomerDeclaration
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Fabricate customers by a documented random process.

    Args:
        parameters: Shape, size and seed.
        declaration: The table's declaration.

    Returns:
        Labelled customers, new customers without the target, and the truth about the labelled ones.

    Raises:
        ParameterError: The use case declares another table; its raw file must not be overwritten.
    """
    customers = fabricate(parameters)
    declared = {column.name for column in declaration.columns}
    absent = sorted(declared - set(customers.labelled.columns))
    if absent:
        raise ParameterError(
            f"The fabricated {parameters.shape} customers lack columns that this use case declares: {absent}. "
            f"fabrication.shape imitates one of these tables and no other: {', '.join(SHAPES)}; nothing was written."
        )
    return customers.labelled, customers.new, customers.truth


def measure_ceiling(customers: pd.DataFrame, truth: pd.DataFrame, declaration: CustomerDeclaration) -> SampleReport:
    """Measure what someone who knows the truth would reach: the best that any model can.

    Args:
        customers: Labelled customers.
        truth: What their labels were drawn from, in the same order; empty where nobody knows.
        declaration: The table's declaration.

    Returns:
        The best reachable metrics of the task; the number of customers alone where the truth is not known.
    """
    target = customers[declaration.target]
    if truth.empty:
        return SampleReport(rows=len(target))
    if declaration.labels is None:
        return describe_value_ceiling(target.to_numpy(), truth["expected_value"].to_numpy())
    labels = (target == declaration.labels.positive).to_numpy()
    return describe_ceiling(labels, truth["probability"].to_numpy())
