"""The treatment of columns: one scikit-learn pipeline from typed customer columns to model inputs.

It is fitted on training customers only. Its first step encodes; clipping, imputation, binning, scaling and
selection follow where they are configured.
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

# Imputation from the column itself.
_LEARNED_FILLS = frozenset({"median", "mean", "most_frequent"})


@dataclass(frozen=True)
class TrainingInputs:
    """Model inputs of the training customers, and the fitted transformer.

    Attributes:
        transformer: Fitted on the training customers.
        values: Inputs of the training customers, float64, shape (n_customers, n_inputs). Target encodings are
            cross-fitted here, so they differ from ``transformer.transform`` of the same customers.
        sources: Name of each input, in order, to its customer column or derived column.
        types: XGBoost feature type of each input: ``"c"`` for a category, ``"q"`` for a quantity.
    """

    transformer: Pipeline
    values: np.ndarray
    sources: dict[str, str]
    types: list[str]


@dataclass(frozen=True)
class EncodedCustomers:
    """Model inputs of customers as a table, for inspection.

    Attributes:
        table: One column per input.
        sources: Name of each input to its source column.
    """

    table: pd.DataFrame
    sources: dict[str, str]


def build_features(declaration: CustomerDeclaration, parameters: FeatureParameters) -> Pipeline:
    """Build the unfitted treatment.

    Args:
        declaration: The table's declaration.
        parameters: Treatments by kind, row outliers, selection.

    Returns:
        A transformer from typed customer columns to a float array of shape (n_customers, n_inputs). By default, numbers
        are unchanged, levels are their position in the declared order (levels that are numbers: in ascending order),
        and missing or unknown cells are NaN.

    Raises:
        ParameterError: A treatment does not fit its column.
    """
    from sklearn.pipeline import Pipeline

    columns = treat_columns(declaration, parameters)
    steps = {
        "read": build_reading(columns, declaration.task, parameters),
        "clip": build_clipping(columns),
        "fill": build_filling(columns, parameters),
        "bin": build_binning(columns),
        "scale": build_scaling(columns),
        "select": build_selection(columns, declaration.task, parameters),
    }
    present = [(name, step) for name, step in steps.items() if step is not None]
    for _, step in present[:-1]:
        # The next step selects its columns by name.
        step.set_output(transform="pandas")
    return Pipeline(present)


def fit_features(
    train: pd.DataFrame, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> TrainingInputs:
    """Fit the treatment on the training customers and transform them.

    Args:
        train: Training customers with their target.
        declaration: The table's declaration.
        parameters: Treatments by kind, row outliers, selection.

    Returns:
        Inputs of the training customers, and the fitted transformer.

    Raises:
        ParameterError: A treatment does not fit its column, or cannot be fitted on these customers.
    """
    from churn_estimators.transformers import ImportanceSelector, UnlearnableColumnError

    columns = treat_columns(declaration, parameters)
    transformer = build_features(declaration, parameters)
    target = train[declaration.target].to_numpy()
    values: Any = train[declaration.feature_names]
    try:
        for name, step in transformer.steps:
            if name == "select" and parameters.selection is not None:
                _require_selection(values, parameters.selection)
            if isinstance(step, ImportanceSelector):
                step.set_params(estimator__n_jobs=training_threads(len(train), None))
            values = step.fit_transform(values, target)
            if name == "read" and len(transformer.steps) > 1:
                _require_numbers(values, columns)
        sources = source_columns(transformer)
    except UnlearnableColumnError as error:
        raise ParameterError(
            f"The configured treatment cannot be fitted on the {len(train)} training customers: {error}. Change its "
            "treatment in parameters/customers.yml or that of its kind in parameters/features.yml."
        ) from error
    except ValueError as error:
        if "are not unique" in str(error):
            raise ParameterError(f"Two model inputs would have the same name; rename a column. {error}") from error
        raise
    native = native_names(columns)
    types = ["c" if name in native else "q" for name in sources]
    return TrainingInputs(transformer, np.asarray(values, dtype=np.float64), sources, types)


def _require_numbers(values: pd.DataFrame, columns: list[TreatedColumn]) -> None:
    """Check that imputed and scaled columns have a number; scikit-learn would drop or distort an empty column."""
    from churn_estimators.transformers import UnlearnableColumnError

    for column in columns:
        treatment = column.treatment
        scaled = treatment.missing == "keep" and treatment.scaling not in ("none", None)
        needs_numbers = column.reading not in LEVELS and (scaled or treatment.missing in _LEARNED_FILLS)
        if needs_numbers and values[column.numbers].isna().all(axis=None):
            raise UnlearnableColumnError(column.name, "has no number in the training rows")


def _require_selection(values: pd.DataFrame, selection: SelectionParameters) -> None:
    if selection.number is not None and selection.number > values.shape[1]:
        raise ParameterError(
            f"features.selection.number is {selection.number}, but there are only {values.shape[1]} inputs: lower it, "
            "or set features.selection to null."
        )
    if selection.threshold is not None:
        variances = values.to_numpy(dtype=np.float64)
        largest = float(np.nanvar(variances[:, ~np.isnan(variances).all(axis=0)], axis=0).max(initial=0.0))
        if largest <= selection.threshold:
            raise ParameterError(
                f"features.selection would keep no input: the largest variance is {largest:g}, and "
                f"features.selection.threshold is {selection.threshold:g}. Lower it."
            )


def encode_training_customers(
    train: pd.DataFrame, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> EncodedCustomers:
    """Compute the model inputs of the training customers, for inspection.

    Args:
        train: Training customers with their target.
        declaration: The table's declaration.
        parameters: Treatments by kind, row outliers, selection.

    Returns:
        The inputs under the customers' index, and the source column of each.

    Raises:
        ParameterError: A treatment does not fit its column, or cannot be fitted on these customers.
    """
    inputs = fit_features(train, declaration, parameters)
    table = pd.DataFrame(inputs.values, index=train.index, columns=list(inputs.sources), copy=False)
    return EncodedCustomers(table, inputs.sources)
