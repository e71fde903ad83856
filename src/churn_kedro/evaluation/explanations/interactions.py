"""Columns whose effects depend on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.evaluation.explanations.explained_customers import ExplainedCustomers
from churn_kedro.evaluation.explanations.interface import ROUNDING, SEED, take_sample
from churn_kedro.evaluation.explanations.shap_values import has_trees
from churn_kedro.features import source_columns
from churn_kedro.models import unwrap

# What exact interactions may take, in leaves times depth times inputs times customers: about 3 s on two cores.
_AFFORDABLE_INTERACTIONS = 100_000_000
_FEWEST_INTERACTING, _MOST_INTERACTING = 30, 1_000
# Numbers that XGBoost may return at once.
_INTERACTION_CELLS = 20_000_000
# A guess of a column's partner compares customers whose own cells are alike, in groups of at least so many.
_LEAST_ALIKE, _MOST_GROUPS = 10, 10


@dataclass(frozen=True)
class Interactions:
    """SHAP interaction values: how much of a contribution depends on another column.

    Attributes:
        values: Shape (n, n_columns, n_columns, n_outputs). Symmetric; each column's row sums to its contribution.
        columns: Column names.
    """

    values: np.ndarray
    columns: list[str]

    @property
    def strengths(self) -> pd.DataFrame:
        """Mean absolute interaction of each two columns, both halves, summed over outputs; shape (columns, columns).

        The diagonal, what a column does by itself, is 0.
        """
        means = 2 * np.abs(self.values).mean(axis=0).sum(axis=-1)
        np.fill_diagonal(means, 0.0)
        return pd.DataFrame(means, index=self.columns, columns=self.columns)


def explain_interactions(
    estimator: Any, customers: pd.DataFrame, random_state: int = SEED, budget: int = _AFFORDABLE_INTERACTIONS
) -> Interactions | None:
    """Exact SHAP interaction values of XGBoost for as many customers as can be afforded.

    Lundberg et al., Nature MI 2, 2020. Their cost grows with leaves, depth, inputs and customers; from these, not from
    a clock, follows how many customers are taken, so that the same model gives the same values everywhere.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns; a seeded sample is taken.
        random_state: Seed of the sample.
        budget: Leaves times depth times inputs times customers.

    Returns:
        In customer columns; None for any other model than XGBoost, and where too few customers are affordable.
    """
    features, model = unwrap(estimator)
    if not has_trees(model):
        return None
    origins = np.array(list(source_columns(features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    trees = model.get_booster().get_dump()
    leaves = sum(tree.count("leaf=") for tree in trees)
    depth = max(len(line) - len(line.lstrip("\t")) for tree in trees for line in tree.splitlines())
    n_classes = int(getattr(model, "n_classes_", 2))
    n_outputs = n_classes if n_classes > 2 else 1
    most = min(
        budget // max(1, leaves * max(1, depth) * len(origins)),
        _INTERACTION_CELLS // (n_outputs * (len(origins) + 1) ** 2),
        _MOST_INTERACTING,
    )
    if most < min(_FEWEST_INTERACTING, len(customers)):
        return None
    import xgboost as xgb

    inputs = features.transform(take_sample(customers, most, random_state))
    matrix = xgb.DMatrix(inputs, feature_types=model.feature_types, enable_categorical=True)
    found = model.get_booster().predict(matrix, pred_interactions=True)
    width = len(origins) + 1
    by_output = found.reshape(len(inputs), -1, width, width)[..., :-1, :-1]
    # Of each two columns, all inputs of the one with all inputs of the other.
    belongs = (origins[:, np.newaxis] == np.array(columns)).astype(by_output.dtype)
    return Interactions(np.moveaxis(belongs.T @ by_output @ belongs, 1, -1), columns)


@dataclass(frozen=True)
class Partner:
    """The column that another one acts together with.

    Attributes:
        column: Its name.
        exact: Whether the interaction was computed, or else guessed from the spread of the contributions.
    """

    column: str
    exact: bool


def find_partners(
    explained: ExplainedCustomers, columns: Sequence[str], interactions: Interactions | None
) -> dict[str, Partner]:
    """For each column, find the one that its contributions depend on most.

    Without interaction values it is guessed, as shap does: among customers whose cells in the column are alike, the
    contributions of the column should be alike, too; the partner is the column that goes most with what differs.

    Args:
        explained: Explained customers.
        columns: Columns that need a partner.
        interactions: Exact interaction values, if they could be computed.

    Returns:
        By column name; a column that acts alone has none.
    """
    partners = {}
    for column in columns:
        if interactions is not None and column in interactions.columns:
            strengths = interactions.strengths[column]
        else:
            strengths = _guess_interactions(explained, column)
        if len(strengths) and strengths.max() > ROUNDING:
            partners[column] = Partner(str(strengths.idxmax()), exact=interactions is not None)
    return partners


def _guess_interactions(explained: ExplainedCustomers, column: str) -> pd.Series:
    """Share of what differs in a column's contributions among customers alike, that goes with each other column."""
    one = explained.strongest_output(column)
    contribution = pd.Series(one.values[:, one.columns.index(column)])
    codes = {name: _codes(explained, name) for name in one.columns}
    own = codes[column]
    if own.nunique() > _MOST_GROUPS:
        n_groups = int(np.clip(len(own) // _LEAST_ALIKE, 1, _MOST_GROUPS))
        own = pd.qcut(own, n_groups, labels=False, duplicates="drop")
    groups = own.fillna(-1)
    rest = contribution - contribution.groupby(groups).transform("mean")
    whole = float((rest**2).sum())
    if whole <= ROUNDING * float((contribution**2).sum()):
        return pd.Series(dtype=np.float64)
    explained_share = {}
    for name, other in codes.items():
        if name == column:
            continue
        ranks = other.fillna(other.median() if other.notna().any() else 0.0)
        removed = 0.0
        for _, members in rest.groupby(groups):
            cells = ranks[members.index]
            if len(members) >= _LEAST_ALIKE and cells.nunique() > 1 and float(members.std()) > 0:
                removed += float(np.corrcoef(members, cells)[0, 1] ** 2 * (members**2).sum())
        explained_share[name] = removed / whole
    return pd.Series(explained_share)


def _codes(explained: ExplainedCustomers, column: str) -> pd.Series:
    """Ranks of numbers and dates, positions of levels; NaN where missing."""
    cells = explained.cells[column]
    if explained.axes[column] == "level":
        return cells.map({level: place for place, level in enumerate(explained.levels[column])}).astype(np.float64)
    return cells.rank()
