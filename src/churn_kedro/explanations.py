"""Exact tree explanations in the columns that people know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.features import source_columns


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some customers for one output of the model.

    Attributes:
        values: Contribution of each column to the output, before calibration; shape (n, n_columns).
        base: Output for an average training customer.
        inputs: What the model saw: numbers, and levels as their position; of a column that became several inputs, the
            one that contributes most; shape (n, n_columns).
        columns: Column names.
        output: What the contributions add up to, for people.
    """

    values: np.ndarray
    base: float
    inputs: np.ndarray
    columns: list[str]
    output: str = "the log-odds of leaving"


def explain(estimator: Any, customers: pd.DataFrame, output: str = "the log-odds of leaving") -> Explanation:
    """Explain the scores of a model with one output exactly.

    Args:
        estimator: A fitted estimator of task binary or regression.
        customers: Raw customer columns, n rows.
        output: What the trees' sum is, for people.

    Returns:
        One value per customer and column; a row's values and the base sum to the model's log-odds, or to the predicted
        number.
    """
    inputs, columns, contributions = _contributions(estimator, customers)
    return Explanation(contributions[:, :-1], float(contributions[0, -1]), inputs, columns, output)


def explain_classes(estimator: Any, customers: pd.DataFrame, classes: Sequence[str]) -> list[Explanation]:
    """Explain the scores of a model with an output for each class exactly.

    Args:
        estimator: A fitted estimator of task multiclass.
        customers: Raw customer columns, n rows.
        classes: Labels in the order of their codes.

    Returns:
        An explanation for each class; a row's values and the base sum to the class's logit, of which softmax makes the
        probability.
    """
    inputs, columns, contributions = _contributions(estimator, customers)
    return [
        Explanation(contributions[:, code, :-1], float(contributions[0, code, -1]), inputs, columns, f"logit of {name}")
        for code, name in enumerate(classes)
    ]


def _contributions(estimator: Any, customers: pd.DataFrame) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Inputs, columns, and the columns' contributions with the base last (n, outputs if many, n_columns + 1).

    TreeSHAP as XGBoost implements it; Lundberg et al., Nature MI 2, 2020. Contributions add up, so that of a column is
    the sum of those of the inputs that were made of it.
    """
    import xgboost as xgb

    from churn_kedro.models import boosted_trees

    features, trees = boosted_trees(estimator)
    inputs = features.transform(customers)
    matrix = xgb.DMatrix(inputs, feature_types=trees.feature_types, enable_categorical=True)
    contributions = trees.get_booster().predict(matrix, pred_contribs=True)
    origins = np.array(list(source_columns(features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    made_of = [np.flatnonzero(origins == column) for column in columns]
    together = np.stack([contributions[..., places].sum(axis=-1) for places in made_of], axis=-1)
    strength = np.abs(contributions).reshape(-1, contributions.shape[-1]).sum(axis=0)
    shown = [places[strength[places].argmax()] for places in made_of]
    return inputs[:, shown], columns, np.concatenate([together, contributions[..., -1:]], axis=-1)


def tree_importance(estimator: Any) -> pd.Series:
    """Share of each column in the loss that all splits of the trees removed (total gain).

    Args:
        estimator: A fitted estimator.

    Returns:
        Shares that sum to 1, largest first, by column name; a column never split on has 0.
    """
    from churn_kedro.models import boosted_trees

    features, trees = boosted_trees(estimator)
    origins = list(source_columns(features).values())
    gains = trees.get_booster().get_score(importance_type="total_gain")
    by_input = pd.Series([gains.get(f"f{position}", 0.0) for position in range(len(origins))], index=origins)
    shares = by_input.groupby(level=0, sort=False).sum()
    total = shares.sum()
    return (shares / total if total > 0 else shares).sort_values(ascending=False, kind="stable")
