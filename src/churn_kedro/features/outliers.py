"""Outliers that are left out of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features.column_readers import Branch, isolation_forest, read_all_numbers, read_columns
from churn_kedro.features.columns import READINGS, fences_of, group_columns, treat_columns
from churn_kedro.features.parameters import FeatureParameters


def find_training_outliers(
    train: pd.DataFrame, declaration: CustomerDeclaration, parameters: FeatureParameters
) -> pd.Series:
    """Find the outliers with action ``drop``, which are left out of training.

    Args:
        train: Training customers; fences and forest are fitted on them.
        declaration: The table's declaration.
        parameters: Treatments by kind, row outliers.

    Returns:
        Boolean mask under the customers' index. A missing number is not an outlier.

    Raises:
        ParameterError: A treatment does not fit its column, or cannot be fitted on these customers.
    """
    from churn_estimators.transformers import OutlierFences, UnlearnableColumnError

    columns = treat_columns(declaration, parameters)
    outlying = np.zeros(len(train), dtype=bool)
    for reading in READINGS:
        here = [column for column in columns if column.reading == reading]
        for (method, threshold), group in group_columns(here, fences_of("drop")).items():
            names = [column.name for column in group]
            numbers = pd.DataFrame(_read(train, read_columns(group)), columns=names)
            try:
                outlying |= OutlierFences(method, threshold, "flag").fit(numbers).outside(numbers).any(axis=1)
            except UnlearnableColumnError as error:
                raise ParameterError(
                    f"Outliers cannot be dropped from the {len(train)} training customers: {error}. Change "
                    "treatment.outliers of the column in parameters/customers.yml, or features.numeric.outliers."
                ) from error
    if parameters.row_outliers is not None and parameters.row_outliers.action == "drop":
        rows = _read(train, read_all_numbers(columns))
        outlying |= np.asarray(isolation_forest(parameters.row_outliers).fit_predict(rows)) == -1
    return pd.Series(outlying, index=train.index)


def _read(train: pd.DataFrame, branch: Branch) -> np.ndarray:
    numbers: Any = train[branch.raw_columns]
    for step in branch.steps:
        numbers = step.fit_transform(numbers)
    return np.asarray(numbers)
