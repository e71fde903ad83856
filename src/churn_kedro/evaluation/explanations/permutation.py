"""Permutation importance and gain importance of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_kedro.customers import TASKS, CustomerDeclaration, Score
from churn_kedro.evaluation.explanations.interface import ROUNDING, ExplanationParameters, take_sample
from churn_kedro.evaluation.explanations.shap_values import has_trees
from churn_kedro.features import source_columns
from churn_kedro.models import Learning

# Basis of an importance: gain of the trees' splits, or increase of the loss after permutation.
ImportanceMeasure = Literal["gain", "shuffling"]
# Maximum number of predictions for permutation importance, and minimum number of customers.
_SHUFFLED_ANSWERS, _FEWEST_SHUFFLED = 400_000, 200
# Permutations that take about a second for models other than XGBoost.
_QUICK = ExplanationParameters(max_permuted=500, n_repeats=2)


@dataclass(frozen=True)
class PermutationImportance:
    """Permutation importance of each column.

    Attributes:
        loss: Loss without permutation.
        score: Name of the loss.
        rises: Loss after permutation minus loss, shape (n_repeats,), by column name.
        customers: Number of customers.
    """

    loss: float
    score: Score
    rises: pd.DataFrame
    customers: int

    @property
    def means(self) -> pd.Series:
        """Mean increase of the loss by column name, largest first."""
        return self.rises.mean(axis=1).sort_values(ascending=False, kind="stable")

    @property
    def spreads(self) -> pd.Series:
        """Standard deviation of the increases by column name, in the order of :attr:`means`."""
        return self.rises.std(axis=1, ddof=0)[self.means.index]

    @property
    def shares(self) -> pd.Series:
        """Share of each column in the sum of all increases, largest first; columns without increase have 0."""
        means = self.rises.mean(axis=1)
        return _shares(means.where(means > ROUNDING * self.loss, 0.0))


def permutation_importance(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ExplanationParameters
) -> PermutationImportance:
    """Compute the increase of the loss when the cells of one column are permuted.

    Breiman, Machine Learning 45, 2001. The importance of correlated columns is underestimated, since the model can use
    one in place of the other.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Customers with their target; sampled if there are many customers or columns.
        declaration: The table's declaration.
        parameters: Maximum number of customers, number of permutations and seed.

    Returns:
        Increases of the log loss, in nats, or of the root mean squared error.
    """
    task, names, n_repeats = declaration.task, declaration.feature_names, parameters.n_repeats
    affordable = max(_FEWEST_SHUFFLED, _SHUFFLED_ANSWERS // (len(names) * n_repeats))
    chosen = take_sample(customers, min(parameters.max_permuted, affordable), parameters.random_state)
    learning = Learning(task, TASKS[task].score, n_classes=len(declaration.classes))
    random = np.random.default_rng(parameters.random_state)
    table, target = chosen[names], chosen[declaration.target].to_numpy()
    loss = learning.measure(target, estimator.scores(table))
    # All permutations of a column are scored in one call: for an ensemble, the overhead of a call dominates.
    copies = pd.concat([table] * n_repeats, ignore_index=True)
    rises = {}
    for name in names:
        cells = [table[name].iloc[random.permutation(len(table))] for _ in range(n_repeats)]
        answers = estimator.scores(copies.assign(**{name: pd.concat(cells, ignore_index=True)}))
        rises[name] = [learning.measure(target, part) - loss for part in np.split(answers, n_repeats)]
    return PermutationImportance(loss, learning.score, pd.DataFrame.from_dict(rises, orient="index"), len(chosen))


def share_importance(estimator: Any, shuffled: PermutationImportance) -> tuple[pd.Series, ImportanceMeasure]:
    """Compute the importance of each column as a share.

    Args:
        estimator: A fitted estimator.
        shuffled: Permutation importance; XGBoost does not need it.

    Returns:
        Shares by column name that sum to 1 (or are all 0), largest first, and their basis.
    """
    if has_trees(estimator.learner):
        return tree_importance(estimator), "gain"
    return shuffled.shares, "shuffling"


def column_importance(estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, float]:
    """Compute the importance of each column of a model that was just trained.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Customers with their target, which are sampled for other models than XGBoost.
        declaration: The table's declaration.

    Returns:
        Share of each feature, 0 to 1: of the gain of the trees, or of the increases of the loss after permutation.
    """
    if has_trees(estimator.learner):
        found = tree_importance(estimator)
    else:
        found = permutation_importance(estimator, customers, declaration, _QUICK).shares
    return {name: float(found.get(name, 0.0)) for name in declaration.feature_names}


def tree_importance(estimator: Any) -> pd.Series:
    """Compute the share of each column in the total gain of XGBoost's splits.

    Args:
        estimator: A fitted estimator with an XGBoost model.

    Returns:
        Shares by column name that sum to 1, largest first; columns without split have 0.
    """
    features, trees = estimator.features, estimator.learner
    origins = list(source_columns(features).values())
    gains = trees.get_booster().get_score(importance_type="total_gain")
    by_input = pd.Series([gains.get(f"f{position}", 0.0) for position in range(len(origins))], index=origins)
    return _shares(by_input.groupby(level=0, sort=False).sum())


def _shares(amounts: pd.Series) -> pd.Series:
    total = amounts.sum()
    return (amounts / total if total > 0 else amounts).sort_values(ascending=False, kind="stable")
