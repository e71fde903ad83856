"""Kinds of change by name: covariate shift, label shift and concept drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.monitoring.drift import ColumnDrift
from churn_kedro.monitoring.multivariate import JointDrift
from churn_kedro.monitoring.performance import ScoreCounts
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.realised import RealisedPerformance, adjust_prior

ShiftName = Literal["covariate shift", "label shift", "concept drift"]
_ITERATIONS, _CONVERGED = 200, 1e-7
# Change of the share of leavers that is called a shift.
_SMALLEST_PRIOR_CHANGE = 0.03


class Shift(Record):
    """Whether there is a kind of change."""

    name: ShiftName
    found: bool | None = Field(description="None: it cannot be told without outcomes.")
    basis: str = Field(description="Test that it rests on, with its result.")
    meaning: str = Field(description="What it means for the decision.")


def name_shifts(
    columns: Sequence[ColumnDrift],
    joint: JointDrift | None,
    scores: ScoreCounts | None,
    realised: RealisedPerformance | None,
    profile: ReferenceProfile,
) -> list[Shift]:
    """Tell apart covariate shift, label shift and concept drift.

    Moreno-Torres et al., Pattern Recognition 45, 2012.

    Args:
        columns: Drift of the columns.
        joint: Drift of all columns together.
        scores: Current predictions; None for other tasks than binary.
        realised: Quality from outcomes, if there are any.
        profile: The reference profile.

    Returns:
        One result for each kind; none if nothing was examined.
    """
    relation = None if realised is None else realised.relation
    if realised is None and not any(one.rows for one in columns):
        return []
    drifted = [one for one in columns if one.severity != "ok"]
    moved = bool(drifted) or (joint is not None and joint.severity != "ok")
    return [
        _covariate_shift(columns, joint, moved, None if relation is None else relation.found),
        _label_shift(scores, realised, profile),
        _concept_drift(realised, moved, [one.name for one in columns if one.is_broken]),
    ]


def _covariate_shift(
    columns: Sequence[ColumnDrift], joint: JointDrift | None, moved: bool, broken: bool | None
) -> Shift:
    if not any(one.rows for one in columns):
        return Shift(
            name="covariate shift",
            found=None,
            basis="no predictions in the window",
            meaning="Present customers are unknown.",
        )
    drifted = [one for one in columns if one.severity != "ok"]
    parts = [f"{len(drifted)} columns differ from the training data" if len(drifted) != 1 else "1 column differs"]
    if joint is not None:
        parts.append(f"a classifier tells current from training customers with ROC-AUC {joint.auc:.3f}")
    if not moved:
        meaning = "The customers are those that the model knows."
    elif broken is False:
        meaning = "Other customers than in training; for them, the probabilities still hold, so decisions stay right."
    else:
        meaning = (
            "Other customers than in training. As long as the relation of columns and outcome is the same, the "
            "probabilities hold for customers like those of the training, and are extrapolated for others."
        )
    return Shift(name="covariate shift", found=moved, basis="; ".join(parts), meaning=meaning)


def _label_shift(scores: ScoreCounts | None, realised: RealisedPerformance | None, profile: ReferenceProfile) -> Shift:
    before = profile.positive_rate
    relation = None if realised is None else realised.relation
    if before is None:
        return Shift(
            name="label shift",
            found=None,
            basis="it is examined for two classes only",
            meaning="Compare the share of each class with that of the training.",
        )
    if realised is not None and relation is not None and "positive_rate" in realised.metrics:
        rate = realised.metrics["positive_rate"]
        changed = (rate.low > before or rate.high < before) and abs(rate.value - before) >= _SMALLEST_PRIOR_CHANGE
        found = changed and relation.found and relation.explained_by_prior
        return Shift(
            name="label shift",
            found=found,
            basis=f"{rate.value:.1%} left ({rate.low:.1%} to {rate.high:.1%}), {before:.1%} in training; "
            + (
                "probabilities adjusted to this share fit the outcomes in all groups"
                if found
                else "this share alone does not explain the outcomes"
                if changed
                else "no change beyond chance"
            ),
            meaning="More or fewer customers leave, of the same kind as before: the ranking stays right, the "
            "probabilities do not. Calibrate again, and choose the threshold again."
            if found
            else "No need to adjust the probabilities to another share of leavers.",
        )
    estimate = None if scores is None or not scores.total else estimate_prior(scores, before)
    return Shift(
        name="label shift",
        found=None,
        basis="no outcomes yet"
        + (
            ""
            if estimate is None
            else f"; if only the share of leavers has changed, it is {estimate:.1%} now ({before:.1%} in training)"
        ),
        meaning="It can be told from a change of the customers by outcomes only.",
    )


def _concept_drift(realised: RealisedPerformance | None, moved: bool, broken: Sequence[str]) -> Shift:
    relation = None if realised is None else realised.relation
    if relation is None:
        return Shift(
            name="concept drift",
            found=None,
            basis="no outcomes, or too few",
            meaning="Estimates without outcomes assume that there is none: they cannot see it.",
        )
    found: bool | None = relation.found and not relation.explained_by_prior
    first = relation.columns[0] if relation.columns else None
    basis = (
        f"observed and predicted shares differ by {relation.gap:.3f} on average in groups of the probability "
        f"(chi-squared test, p {relation.p_value:.2g})"
    )
    if first is not None:
        basis += f", and by {first.gap:.3f} in groups of {first.name} (p {first.p_value:.2g})"
    if found and broken:
        found = None
        meaning = f"Outcomes differ from the predictions, and {', '.join(broken)} differs altogether: correct the data."
    elif not found:
        meaning = "Customers with the same columns leave as often as the model says."
    else:
        same = "" if moved else ", although the customers are the same"
        meaning = f"Customers with the same columns behave differently than in training{same}. Train a new model."
    return Shift(name="concept drift", found=found, basis=basis, meaning=meaning)


def estimate_prior(scores: ScoreCounts, before: float) -> float:
    """Estimate the share of leavers without outcomes, if only this share has changed.

    Saerens, Latinne and Decaestecker, Neural Computation 14, 2002: the likelihood is maximised by expectation and
    maximisation in turn.

    Args:
        scores: Current predictions.
        before: Share of leavers in training, between 0 and 1.

    Returns:
        The share.
    """
    customers = scores.customers.sum(axis=0)
    mean = np.divide(scores.expected.sum(axis=0), customers, out=np.zeros(len(customers)), where=customers > 0)
    share = before
    for _ in range(_ITERATIONS):
        adjusted = float((adjust_prior(mean, before, share) * customers).sum() / customers.sum())
        if abs(adjusted - share) < _CONVERGED:
            break
        share = adjusted
    return share
