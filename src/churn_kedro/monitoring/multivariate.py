"""Drift of several columns together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record, training_threads
from churn_kedro.monitoring.counts import MISSING_CODE
from churn_kedro.monitoring.parameters import DriftParameters
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.severity import Severity
from churn_kedro.monitoring.statistics import normal_quantile

_FOLDS = 5
_TREES, _DEPTH, _RATE = 60, 3, 0.2
# Share of the variance that the components of the reconstruction explain.
_EXPLAINED = 0.65
_FEWEST_ROWS = 100
_MOST_NAMED = 5


class JointDrift(Record):
    """How well current and training customers can be told apart by all columns together."""

    rows: dict[str, int] = Field(description="Customers of both samples: reference, current.")
    auc: float = Field(description="Cross-validated ROC-AUC of the classifier: 0.5 is not at all.")
    limit: float = Field(description="ROC-AUC from which it counts as drift.")
    columns: dict[str, float] = Field(
        default_factory=dict, description="Columns by which the classifier tells them apart: shares of its gain."
    )
    reconstruction: float = Field(
        0.0, description="Rise of the mean reconstruction error, in standard deviations of the reference."
    )
    reconstruction_limit: float = Field(0.0, description="Rise from which it counts as drift.")
    severity: Severity = "ok"


def compare_jointly(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    profile: ReferenceProfile,
    parameters: DriftParameters,
    level: float,
    seed: int,
) -> JointDrift | None:
    """Compare two samples of customers by all columns together.

    A classifier of boosted trees is trained to tell them apart; its ROC-AUC is compared with that of chance, whose
    variance is Mann and Whitney's. And principal components of the reference, which describe how its columns go
    together, reconstruct the current customers: the error rises where they go together in another way.

    Args:
        reference: Numbers of bins of a sample of training customers, see
            :func:`churn_kedro.monitoring.counts.code_customers`.
        current: The same of current customers.
        profile: The reference profile.
        parameters: Sizes from which a change counts.
        level: Probability of a false alarm of each test.
        seed: Seed.

    Returns:
        The result; None if a sample has fewer than 100 customers or no column is common.
    """
    names = [name for name in reference.columns if name in current.columns]
    if min(len(reference), len(current)) < _FEWEST_ROWS or not names:
        return None
    auc, gains = _tell_apart(reference[names], current[names], seed)
    deviation = np.sqrt((len(reference) + len(current) + 1) / (12 * len(reference) * len(current)))
    limit = max(parameters.minimum_auc, 0.5 + normal_quantile(level) * float(deviation))
    rise, rise_deviation = _measure_reconstruction(reference[names], current[names], profile, seed)
    rise_limit = max(parameters.minimum_reconstruction, normal_quantile(level) * rise_deviation)
    severity: Severity = "alarm" if auc >= limit else "warning" if rise >= rise_limit else "ok"
    return JointDrift(
        rows={"reference": len(reference), "current": len(current)},
        auc=auc,
        limit=limit,
        columns=gains,
        reconstruction=rise,
        reconstruction_limit=rise_limit,
        severity=severity,
    )


def _tell_apart(reference: pd.DataFrame, current: pd.DataFrame, seed: int) -> tuple[float, dict[str, float]]:
    """Return the cross-validated ROC-AUC of the classifier, and the share of each column in its gain."""
    import xgboost as xgb
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    inputs = pd.concat([reference, current]).to_numpy(dtype=np.float32, copy=True)
    inputs[inputs == MISSING_CODE] = np.nan
    is_current = np.repeat([0, 1], [len(reference), len(current)])
    settings = {
        "objective": "binary:logistic",
        "max_depth": _DEPTH,
        "eta": _RATE,
        "subsample": 0.8,
        "min_child_weight": 5,
        "nthread": training_threads(len(inputs), None),
        "seed": seed,
    }
    names = [f"f{place}" for place in range(inputs.shape[1])]
    answers = np.empty(len(inputs))
    gains = np.zeros(inputs.shape[1])
    for train, test in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(inputs, is_current):
        # Both samples count alike, so that a large reference does not hide the other.
        weight = np.where(is_current[train] == 1, len(reference) / len(current), 1.0)
        matrix = xgb.DMatrix(inputs[train], is_current[train], weight=weight, feature_names=names)
        booster = xgb.train(settings, matrix, num_boost_round=_TREES)
        answers[test] = booster.predict(xgb.DMatrix(inputs[test], feature_names=names))
        found = booster.get_score(importance_type="total_gain")
        gains += [float(np.sum(found.get(name, 0.0))) for name in names]
    ordered = sorted(zip(reference.columns, gains / max(gains.sum(), 1e-12), strict=True), key=lambda one: -one[1])
    return float(roc_auc_score(is_current, answers)), {str(name): float(gain) for name, gain in ordered[:_MOST_NAMED]}


def _measure_reconstruction(
    reference: pd.DataFrame, current: pd.DataFrame, profile: ReferenceProfile, seed: int
) -> tuple[float, float]:
    """Return the rise of the reconstruction error in standard deviations of the reference, and its error by chance."""
    from sklearn.decomposition import PCA

    place = np.random.default_rng(seed).permutation(len(reference))
    half = len(reference) // 2
    learned, held = reference.iloc[place[:half]], reference.iloc[place[half:]]
    tables = [_as_numbers(table, profile) for table in (learned, held, current)]
    mean, deviation = tables[0].mean(axis=0), tables[0].std(axis=0)
    used = deviation > 0
    scaled = [((table - mean) / np.where(used, deviation, 1))[:, used] for table in tables]
    if scaled[0].shape[1] < 2:
        return 0.0, 0.0
    components = PCA(_EXPLAINED, svd_solver="full").fit(scaled[0])
    errors = [
        np.linalg.norm(table - components.inverse_transform(components.transform(table)), axis=1)
        for table in scaled[1:]
    ]
    spread = max(float(errors[0].std()), 1e-12)
    chance = np.sqrt(1 / len(errors[0]) + (errors[1].std() / spread) ** 2 / len(errors[1]))
    return float((errors[1].mean() - errors[0].mean()) / spread), float(chance)


def _as_numbers(codes: pd.DataFrame, profile: ReferenceProfile) -> np.ndarray:
    """Write bins as numbers: ranks of numbers, indicators of groups of levels and of missing cells."""
    columns = []
    for name in codes:
        reference = profile.column(str(name))
        code = codes[name].to_numpy()
        missing = code == MISSING_CODE
        if reference.kind == "level":
            columns.append(np.eye(reference.n_groups)[reference.groups_of(code)])
        else:
            ranks = np.cumsum(reference.counts) - np.asarray(reference.counts) / 2
            ranks = ranks / max(1, sum(reference.counts))
            columns.append(np.where(missing, 0.5, ranks[code])[:, np.newaxis])
            columns.append(missing[:, np.newaxis].astype(float))
    return np.concatenate(columns, axis=1)
