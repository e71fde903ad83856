"""Nodes of the fabrication pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, ParameterError
from churn_kedro.fabrication import Ceiling, FabricationParameters, describe_ceiling, fabricate


def fabricate_customers(
    parameters: FabricationParameters, declaration: CustomerDeclaration
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Fabricate customers by a documented random process.

    Args:
        parameters: Shape, size and seed.
        declaration: The table's declaration.

    Returns:
        Labelled customers, new customers without the target, and each labelled customer's true churn probability.

    Raises:
        ParameterError: The use case declares another table; its raw file must not be overwritten.
    """
    customers = fabricate(parameters)
    declared = {column.name for column in declaration.columns}
    absent = sorted(declared - set(customers.labelled.columns))
    if absent:
        raise ParameterError(
            f"The fabricated {parameters.shape} customers lack columns that this use case declares: {absent}. "
            "fabrication.shape imitates the bank or the telco table, no other; nothing was written."
        )
    return customers.labelled, customers.new, customers.truth


def measure_ceiling(customers: pd.DataFrame, truth: pd.DataFrame, declaration: CustomerDeclaration) -> Ceiling:
    """Measure what someone who knows the true probabilities would reach: the best that any model can.

    Args:
        customers: Labelled customers.
        truth: Their true churn probabilities, in the same order.
        declaration: The table's declaration.

    Returns:
        The best reachable metrics.
    """
    labels = (customers[declaration.target] == declaration.labels.positive).to_numpy()
    return describe_ceiling(labels, truth["probability"].to_numpy())
