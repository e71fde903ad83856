"""From raw customer columns to what XGBoost sees of them, as the declaration and the configured treatments ask.

The whole treatment is one scikit-learn pipeline that is fitted on training customers only. Its first step reads and
encodes; clipping, filling, binning, scaling and selecting follow where they are configured, and are absent otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError, training_threads
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features.column_readers import build_reading
from churn_kedro.features.columns import LEVELS, TreatedColumn, native_names, treat_columns
from churn_kedro.features.numeric_steps import (
    build_binning,
    build_clipping,
    build_filling,
    build_scaling,
    build_selection,
)
from churn_kedro.features.outliers import find_training_outliers
from churn_kedro.features.parameters import (
    FeatureParameters,
    ImputationParameters,
    RowOutlierParameters,
    SelectionParameters,
)
from churn_kedro.features.sources import source_columns

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = [
    "EncodedCustomers",
    "FeatureParameters",
    "ImputationParameters",
    "RowOutlierParameters",
    "SelectionParameters",
    "TrainingInputs",
    "build_features",
    "encode_training_customers",
    "find_training_outliers",
    "fit_features",
    "source_columns",
]

# Fillings that are learned from the column itself.
_LEARNED_FILLS = frozenset({"median", "mean", "most_frequent"})


@dataclass(frozen=True)
class TrainingInputs:
    """What XGBoost sees of the training customers, and the transformer that gives it of any others.

    Attributes:
        transformer: Fitted on the training customers.
        values: Inputs of the training customers, float64, shape (n_customers, n_inputs). Target encodings are
            cross-fitted here, so they are not what ``transformer.transform`` gives of the same customers.
        sources: Name of each input, in order, to the customer column or derived column it was made of.
        types: XGBoost feature type of each input: ``"c"`` for a category, ``"q"`` for a quantity.
    """

    transformer: Pipeline
    values: np.ndarray
    sources: dict[str, str]
    types: list[str]


@dataclass(frozen=True)
class EncodedCustomers:
    """What the model sees of customers, for people to look at.

    Attributes:
        table: One column an input.
        sources: Name of each input to the column it was made of.
    """

    table: pd.DataFrame
    sources: dict[str, str]


def build_features(declaration: CustomerDeclaration, parameters: FeatureParameters) -> Pipeline:
    """Build the unfitted treatment.

    Args:
        declaration: The table's declaration.
        parameters: Treatments by kind, strange rows, selection.

    Returns:
        A transformer from raw customer columns to a float array of shape (n_customers, n_inputs). Unless treated
        otherwise, numbers are what they are, levels are their position in the declared order (numbers that are
        categories: in ascending order), and what is missing or unknown is NaN.

    Raises:
        ParameterError: A treatment does not fit its column.
    """
    from sklearn.pipeline import Pipeline

    columns = treat_columns(declaration, parameters)
    steps = {
        "read": build_reading(columns, declaration, parameters),
        "clip": build_clipping(columns),
        "fill": build_filling(columns, parameters),
        "bin": build_binning(columns),
        "scale": build_scaling(columns),
        "select": build_selection(columns, declaration.task, parameters),
    }
    present = [(name, step) for name, step in steps.items() if step is not None]
    for _, step in present[:-1]:
        # The next step finds its columns by name.
        step.set_output(transform="pandas")
    return Pipeline(present)


def fit_features(
    train: pd.DataFrame, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> TrainingInputs:
    """Learn the treatment from the training customers and apply it to them.

    Args:
        train: Training customers with their target.
        declaration: The table's declaration.
        parameters: Treatments by kind, strange rows, selection.

    Returns:
        Inputs of the training customers, and the fitted transformer.

    Raises:
        ParameterError: A treatment does not fit its column, or cannot be learned from these customers.
    """
    from churn_estimators.transformers import ImportanceSelector, UnlearnableColumnError

    columns = treat_columns(declaration, parameters)
    transformer = build_features(declaration, parameters)
    target = train[declaration.target].to_numpy()
    values: Any = train[declaration.feature_names]
    try:
        for name, step in transformer.steps:
            if name == "select" and parameters.selection is not None:
                _require_choice(values, parameters.selection)
            if isinstance(step, ImportanceSelector):
                step.set_params(estimator__n_jobs=training_threads(len(train), None))
            values = step.fit_transform(values, target)
            if name == "read" and len(transformer.steps) > 1:
                _require_numbers(values, columns)
        sources = source_columns(transformer)
    except UnlearnableColumnError as error:
        raise ParameterError(
            f"The configured treatment cannot be learned from the {len(train)} training customers: {error}. Change its "
            "treatment in parameters/customers.yml or the one of its kind in parameters/features.yml."
        ) from error
    except ValueError as error:
        if "are not unique" in str(error):
            raise ParameterError(f"Two model inputs would have the same name; rename a column. {error}") from error
        raise
    native = native_names(columns)
    types = ["c" if name in native else "q" for name in sources]
    return TrainingInputs(transformer, np.asarray(values, dtype=np.float64), sources, types)


def _require_numbers(values: pd.DataFrame, columns: list[TreatedColumn]) -> None:
    """Imputers and scalers of scikit-learn would drop or distort a column without a number."""
    from churn_estimators.transformers import UnlearnableColumnError

    for column in columns:
        treatment = column.treatment
        scaled = treatment.missing == "keep" and treatment.scaling not in ("none", None)
        learned = column.reading not in LEVELS and (scaled or treatment.missing in _LEARNED_FILLS)
        if learned and values[column.numbers].isna().all(axis=None):
            raise UnlearnableColumnError(column.name, "holds no number")


def _require_choice(values: pd.DataFrame, selection: SelectionParameters) -> None:
    if selection.number is not None and selection.number > values.shape[1]:
        raise ParameterError(
            f"features.selection.number asks for {selection.number} of {values.shape[1]} inputs: lower it, or set "
            "features.selection to null."
        )
    if selection.threshold is not None:
        variances = values.to_numpy(dtype=np.float64)
        largest = float(np.nanvar(variances[:, ~np.isnan(variances).all(axis=0)], axis=0).max(initial=0.0))
        if largest <= selection.threshold:
            raise ParameterError(
                f"features.selection would keep nothing: no input has a variance above {selection.threshold:g}; the "
                f"largest is {largest:g}."
            )


def encode_training_customers(
    train: pd.DataFrame, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> EncodedCustomers:
    """Show what the model sees of the training customers.

    Args:
        train: Training customers with their target.
        declaration: The table's declaration.
        parameters: Treatments by kind, strange rows, selection.

    Returns:
        The inputs under the customers' index, and what each was made of.

    Raises:
        ParameterError: A treatment does not fit its column, or cannot be learned from these customers.
    """
    inputs = fit_features(train, declaration, parameters)
    table = pd.DataFrame(inputs.values, index=train.index, columns=list(inputs.sources), copy=False)
    return EncodedCustomers(table, inputs.sources)
