"""Synthetic sample customers with known true probabilities.

The project runs without a download, since this package generates customers in the shape of public tables. Only the
layout and the rounded marginal rates follow the public tables; all rows are drawn from a seeded generator, and the
target from true probabilities (or expected values), which are stored. The metrics of a model can therefore be compared
with the ceiling: the metrics of the true probabilities. The module of each shape documents its process.

The iris flowers are the exception: the table is Fisher's, without known probabilities.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.pipelines.fabrication.shapes.bank import BANK
from churn_kedro.pipelines.fabrication.shapes.ceiling import (
    Ceiling,
    SampleReport,
    ValueCeiling,
    describe_ceiling,
    describe_value_ceiling,
)
from churn_kedro.pipelines.fabrication.shapes.churn import ChurnShape, fabricate_churn
from churn_kedro.pipelines.fabrication.shapes.housing import fabricate_districts
from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, FabricationParameters, ShapeName
from churn_kedro.pipelines.fabrication.shapes.iris import fabricate_flowers
from churn_kedro.pipelines.fabrication.shapes.subscription import SUBSCRIPTION
from churn_kedro.pipelines.fabrication.shapes.telco import TELCO

__all__ = [
    "CHURN_SHAPES",
    "SHAPES",
    "Ceiling",
    "FabricatedCustomers",
    "FabricationParameters",
    "SampleReport",
    "ShapeName",
    "ValueCeiling",
    "describe_ceiling",
    "describe_value_ceiling",
    "fabricate",
    "fabricate_part",
]

CHURN_SHAPES: Final[Mapping[ShapeName, ChurnShape]] = {"bank": BANK, "telco": TELCO, "subscription": SUBSCRIPTION}

SHAPES: Final[Mapping[ShapeName, Callable[[FabricationParameters], FabricatedCustomers]]] = {
    **{name: partial(fabricate_churn, shape) for name, shape in CHURN_SHAPES.items()},
    "housing": fabricate_districts,
    "iris": fabricate_flowers,
}


def fabricate(parameters: FabricationParameters) -> FabricatedCustomers:
    """Draw labelled and new customers with known true probabilities.

    The labelled customers do not depend on `new_rows`. Written with `to_csv(index=False)` the frames read back with the
    same values, provided that the telco TotalCharges column is read as text.

    Args:
        parameters: Shape, numbers of customers, seed and planted change.

    Returns:
        The labelled customers, the new customers, and the true probabilities of the labelled ones.

    Raises:
        ParameterError: The planted change does not fit the shape's columns.
    """
    return SHAPES[parameters.shape](parameters)


def fabricate_part(parameters: FabricationParameters, part: int) -> pd.DataFrame:
    """Draw one part of a table in many files.

    Args:
        parameters: Shape, seed, planted change, and size of the table.
        part: Number of the part, from 0.

    Returns:
        Labelled customers, whose identifiers are in no other part.

    Raises:
        ParameterError: There are too few possible identifiers.
    """
    shape, size = CHURN_SHAPES[parameters.shape], parameters.large
    if size is None or not 0 <= part < size.parts:
        raise ValueError(f"there is no part {part}")
    possible = shape.possible_ids // size.parts
    # Distinct numbers are drawn fast only if there are far more.
    if size.part_rows > possible // 2:
        raise ParameterError(
            f"fabrication.large has {size.parts:,} parts of {size.part_rows:,} customers, but the shape "
            f"{parameters.shape} has identifiers for at most {shape.possible_ids // 2:,}. Lower one of the two."
        )
    # Identifiers of a part leave the same remainder.
    own = replace(shape, possible_ids=possible, identify=lambda codes: shape.identify(codes * size.parts + part))
    alone = parameters.model_copy(
        update={"rows": size.part_rows, "new_rows": 0, "seed": parameters.seed + 1 + part, "large": None}
    )
    return fabricate_churn(own, alone).labelled
