"""Exact tree explanations in the columns that people know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some customers.

    Attributes:
        values: Contribution of each column to the log-odds of leaving, before calibration; shape (n, n_columns).
        base: Log-odds of an average training customer.
        inputs: What the model saw: numbers, and levels as their position; shape (n, n_columns).
        columns: Column names.
    """

    values: np.ndarray
    base: float
    inputs: np.ndarray
    columns: list[str]


def explain(estimator: Any, customers: pd.DataFrame) -> Explanation:
    """Explain scores exactly (TreeSHAP as XGBoost implements it; Lundberg et al., Nature MI 2, 2020).

    Args:
        estimator: A fitted churn estimator.
        customers: Raw customer columns, n rows.

    Returns:
        One value per customer and column; a row's values and the base sum to the model's log-odds.
    """
    import xgboost as xgb

    from churn_kedro.models import boosted_trees

    features, classifier = boosted_trees(estimator)
    inputs = np.asarray(features.transform(customers))
    matrix = xgb.DMatrix(inputs, feature_types=classifier.feature_types, enable_categorical=True)
    contributions = classifier.get_booster().predict(matrix, pred_contribs=True)
    return Explanation(
        values=contributions[:, :-1],
        base=float(contributions[0, -1]),
        inputs=inputs,
        columns=[str(name) for name in features.get_feature_names_out()],
    )


def tree_importance(estimator: Any) -> pd.Series:
    """Share of each column in the loss that all splits of the trees removed (total gain).

    Args:
        estimator: A fitted churn estimator.

    Returns:
        Shares that sum to 1, largest first, by column name; a column never split on has 0.
    """
    from churn_kedro.models import boosted_trees

    features, classifier = boosted_trees(estimator)
    names = [str(name) for name in features.get_feature_names_out()]
    gains = classifier.get_booster().get_score(importance_type="total_gain")
    shares = pd.Series([gains.get(f"f{position}", 0.0) for position in range(len(names))], index=names)
    total = shares.sum()
    return (shares / total if total > 0 else shares).sort_values(ascending=False, kind="stable")
