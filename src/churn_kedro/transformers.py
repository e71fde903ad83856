"""Transformers that scikit-learn lacks.

This module travels with every logged model, so that the model loads where churn_kedro is not installed. It imports
nothing but numpy, pandas and scikit-learn, and nothing of churn_kedro.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted


class NumberReader(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Reads columns as numbers, also where a raw file left text among them.

    A cell that is no finite number (a blank, a marker for "missing") becomes NaN, which XGBoost treats as missing.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Remember the columns.

        Args:
            X: Table of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.
        """
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Read the columns.

        Args:
            X: Table of shape (n_samples, n_features), numbers or text.

        Returns:
            float64 array of the same shape.
        """
        check_is_fitted(self, "n_features_in_")
        numbers = np.empty(X.shape, dtype=np.float64)
        for position in range(X.shape[1]):
            cells = X.iloc[:, position]
            if not pd.api.types.is_numeric_dtype(cells.dtype):
                cells = pd.to_numeric(cells, errors="coerce")
            numbers[:, position] = cells.to_numpy(dtype=np.float64, na_value=np.nan)
        # XGBoost refuses a table with an infinite number, and no customer has one.
        numbers[np.isinf(numbers)] = np.nan
        return numbers
