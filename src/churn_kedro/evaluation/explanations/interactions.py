"""SHAP interaction values."""

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

# Budget of exact interactions, in leaves times depth times inputs times customers: about 3 s on two cores.
_AFFORDABLE_INTERACTIONS = 100_000_000
_FEWEST_INTERACTING, _MOST_INTERACTING = 30, 1_000
# Maximum number of values per call of XGBoost.
_INTERACTION_CELLS = 20_000_000
# The heuristic for partners compares customers with similar cells, in groups of at least this size.
_LEAST_ALIKE, _MOST_GROUPS = 10, 10


@dataclass(frozen=True)
class Interactions:
    """SHAP interaction values: parts of the contributions that depend on two columns.

    Attributes:
        values: Shape (n, n_columns, n_columns, n_outputs). Symmetric; each column's row sums to its contribution.
        columns: Column names.
    """

    values: np.ndarray
    columns: list[str]

    @property
    def strengths(self) -> pd.DataFrame:
        """Mean absolute interaction of each pair of columns, both halves, summed over outputs.

        The shape is (n_columns, n_columns); the diagonal (main effects) is 0.
        """
        means = 2 * np.abs(self.values).mean(axis=0).sum(axis=-1)
        np.fill_diagonal(means, 0.0)
        return pd.DataFrame(means, index=self.columns, columns=self.columns)


def explain_interactions(
    estimator: Any, customers: pd.DataFrame, random_state: int = SEED, budget: int = _AFFORDABLE_INTERACTIONS
) -> Interactions | None:
    """Compute exact SHAP interaction values of XGBoost within a budget.

    Lundberg et al., Nature MI 2, 2020. The number of customers follows from leaves, depth and inputs rather than from
    elapsed time, so the result is reproducible on any machine.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns, from which a seeded sample is drawn.
        random_state: Seed of the sample.
        budget: Leaves times depth times inputs times customers.

    Returns:
        Interactions of raw columns; None unless the model is XGBoost and the budget suffices.
    """
    features, model = estimator.features, estimator.learner
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

    inputs = estimator.inputs(take_sample(customers, most, random_state))
    matrix = xgb.DMatrix(inputs, feature_types=model.feature_types, enable_categorical=True)
    found = model.get_booster().predict(matrix, pred_interactions=True)
    width = len(origins) + 1
    by_output = found.reshape(len(inputs), -1, width, width)[..., :-1, :-1]
    # Sum over all pairs of inputs of the two columns.
    belongs = (origins[:, np.newaxis] == np.array(columns)).astype(by_output.dtype)
    return Interactions(np.moveaxis(belongs.T @ by_output @ belongs, 1, -1), columns)


@dataclass(frozen=True)
class Partner:
    """The column with which another column interacts most.

    Attributes:
        column: Its name.
        exact: Whether the interaction was computed; else it was estimated from the spread of the contributions.
    """

    column: str
    exact: bool


def find_partners(
    explained: ExplainedCustomers, columns: Sequence[str], interactions: Interactions | None
) -> dict[str, Partner]:
    """Find the strongest interaction partner of each column.

    Without interaction values, the partner is estimated as shap does: among customers with similar cells of a column,
    its contributions vary only through interactions; the partner is the column most correlated with this variation.

    Args:
        explained: Explained customers.
        columns: Columns that need a partner.
        interactions: Exact interaction values, if computed.

    Returns:
        Partner by column name; columns without interaction are absent.
    """
    partners = {}
    for column in columns:
        if interactions is not None and column in interactions.columns:
            strengths = interactions.strengths[column]
        else:
            strengths = _estimate_interactions(explained, column)
        if len(strengths) and strengths.max() > ROUNDING:
            partners[column] = Partner(str(strengths.idxmax()), exact=interactions is not None)
    return partners


def _estimate_interactions(explained: ExplainedCustomers, column: str) -> pd.Series:
    """Return the share of a column's variation at similar cells that each other column explains."""
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
    """Encode cells: ranks of numbers and dates, indices of levels; NaN if missing."""
    cells = explained.cells[column]
    if explained.axes[column] == "level":
        return cells.map({level: place for place, level in enumerate(explained.levels[column])}).astype(np.float64)
    return cells.rank()
