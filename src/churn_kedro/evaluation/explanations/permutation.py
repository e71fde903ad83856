"""How much of what a model does rests on each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from churn_kedro.customers import TASKS, CustomerDeclaration, Score
from churn_kedro.evaluation.explanations.interface import ROUNDING, ExplanationParameters, take_sample
from churn_kedro.evaluation.explanations.shap_values import has_trees
from churn_kedro.features import source_columns
from churn_kedro.models import Learning, predict, unwrap

# What an importance is a share of: the gain of the trees' splits, or the loss that shuffling a column adds.
ImportanceMeasure = Literal["gain", "shuffling"]
# Answers of the model that shuffling all columns may take, and the fewest customers it is done among.
_SHUFFLED_ANSWERS, _FEWEST_SHUFFLED = 400_000, 200


@dataclass(frozen=True)
class PermutationImportance:
    """What shuffling each column does to the loss.

    Attributes:
        loss: Without shuffling.
        score: Which loss.
        rises: Loss after shuffling minus loss, shape (n_columns, n_repeats), by column name.
        customers: Customers among whom columns were shuffled.
    """

    loss: float
    score: Score
    rises: pd.DataFrame
    customers: int

    @property
    def means(self) -> pd.Series:
        """Mean rise by column name, largest first."""
        return self.rises.mean(axis=1).sort_values(ascending=False, kind="stable")

    @property
    def spreads(self) -> pd.Series:
        """Standard deviation of the rises by column name, as :attr:`means` is ordered."""
        return self.rises.std(axis=1, ddof=0)[self.means.index]

    @property
    def shares(self) -> pd.Series:
        """Share of each column in all rises, largest first; a column whose shuffling raises nothing has 0."""
        means = self.rises.mean(axis=1)
        return _shares(means.where(means > ROUNDING * self.loss, 0.0))


def permutation_importance(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ExplanationParameters
) -> PermutationImportance:
    """How much the loss rises when the cells of one column are shuffled among the customers.

    Breiman, Machine Learning 45, 2001. Columns that say the same share what they are worth: shuffling one leaves the
    model the other.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Customers with their target; of many, or where there are many columns, a seeded sample is taken.
        declaration: The table's declaration.
        parameters: Most customers, number of shuffles and seed.

    Returns:
        Rises of log loss, in nats, or of the root mean squared error.
    """
    task, names, n_repeats = declaration.task, declaration.feature_names, parameters.n_repeats
    affordable = max(_FEWEST_SHUFFLED, _SHUFFLED_ANSWERS // (len(names) * n_repeats))
    chosen = take_sample(customers, min(parameters.max_permuted, affordable), parameters.random_state)
    learning = Learning(task, TASKS[task].score, n_classes=len(declaration.classes))
    random = np.random.default_rng(parameters.random_state)
    table, target = chosen[names], chosen[declaration.target].to_numpy()
    loss = learning.measure(target, predict(estimator, table, task))
    # All shuffles of a column are scored at once: of an ensemble, a call costs more than the rows.
    copies = pd.concat([table] * n_repeats, ignore_index=True)
    rises = {}
    for name in names:
        cells = [table[name].iloc[random.permutation(len(table))] for _ in range(n_repeats)]
        answers = predict(estimator, copies.assign(**{name: pd.concat(cells, ignore_index=True)}), task)
        rises[name] = [learning.measure(target, part) - loss for part in np.split(answers, n_repeats)]
    return PermutationImportance(loss, learning.score, pd.DataFrame.from_dict(rises, orient="index"), len(chosen))


def share_importance(estimator: Any, shuffled: PermutationImportance) -> tuple[pd.Series, ImportanceMeasure]:
    """How much of what a model does rests on each column.

    Args:
        estimator: A fitted estimator.
        shuffled: What shuffling its columns did; XGBoost's own trees tell without it.

    Returns:
        Shares that sum to 1 (all 0 where nothing matters), largest first, by column name; and what they are shares of.
    """
    if has_trees(unwrap(estimator)[1]):
        return tree_importance(estimator), "gain"
    return shuffled.shares, "shuffling"


def tree_importance(estimator: Any) -> pd.Series:
    """Share of each column in the loss that all splits of XGBoost's trees removed (total gain).

    Args:
        estimator: A fitted estimator whose model is XGBoost's.

    Returns:
        Shares that sum to 1, largest first, by column name; a column never split on has 0.
    """
    features, trees = unwrap(estimator)
    origins = list(source_columns(features).values())
    gains = trees.get_booster().get_score(importance_type="total_gain")
    by_input = pd.Series([gains.get(f"f{position}", 0.0) for position in range(len(origins))], index=origins)
    return _shares(by_input.groupby(level=0, sort=False).sum())


def _shares(amounts: pd.Series) -> pd.Series:
    total = amounts.sum()
    return (amounts / total if total > 0 else amounts).sort_values(ascending=False, kind="stable")
