"""The choice of the decision threshold on the probability of leaving."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.campaigns.economics import ProfitCurve, ThresholdSteps, break_even, profit_curve, threshold_steps
from churn_kedro.campaigns.parameters import CampaignParameters, Economics, Objective, ValueColumn

logger = logging.getLogger(__name__)


# Threshold where the customers do not determine one.
_NEUTRAL_THRESHOLD = 0.5
# Relative tolerance within which scores are equal.
_ROUNDING = 1e-12


class ThresholdChoice(Record):
    """The decision threshold, and its metrics on the customers it was chosen on."""

    objective: Objective = Field(description="Objective that the threshold maximises.")
    threshold: float = Field(
        ge=0,
        description="A customer is flagged where the probability is at or above it. In [0, 1]; slightly above 1 where "
        "no customer is flagged although a probability is 1.",
    )
    value: float | None = Field(
        description="Value of the objective (profit: per customer; recall_at_precision: the recall); null where it is "
        "undefined for a single class."
    )
    flagged_share: float = Field(ge=0, le=1, description="Share of the customers that is flagged.")
    contacted_share: float = Field(
        ge=0,
        le=1,
        description="Share of the customers that is flagged; objective profit: and is worth a contact.",
    )
    precision: float = Field(ge=0, le=1, description="Share of the flagged who left; 0 where none is flagged.")
    recall: float = Field(ge=0, le=1, description="Share of those who left that is flagged; 0 where none left.")
    profit_per_customer: float | None = Field(
        description="Expected profit in money per customer, contacted or not (objective profit)."
    )
    break_even: float | None = Field(
        description="Probability above which a contact pays in expectation (objective profit, one value for all)."
    )
    reason: str = Field(description="Reason of the choice, in words.")


@dataclass(frozen=True)
class _Counts:
    """Confusion counts at each threshold, each of shape (k + 1,)."""

    true_positive: np.ndarray
    flagged: np.ndarray
    positives: int
    total: int

    @property
    def precision(self) -> np.ndarray:
        return _ratio(self.true_positive, self.flagged)

    @property
    def recall(self) -> np.ndarray:
        return _ratio(self.true_positive, np.full(len(self.flagged), self.positives))

    def scores(self, objective: Objective) -> np.ndarray:
        """Return scikit-learn's metric of this name at each threshold; for recall_at_precision, the recall."""
        hits, flagged = self.true_positive.astype(np.float64), self.flagged.astype(np.float64)
        positives, negatives = float(self.positives), float(self.total - self.positives)
        true_negative = negatives - (flagged - hits)
        match objective:
            case "f1":
                return _ratio(2 * hits, flagged + positives)
            case "accuracy":
                return _ratio(hits + true_negative, np.full(len(hits), float(self.total)))
            case "balanced_accuracy":
                return (hits / positives + true_negative / negatives) / 2
            case "matthews_corrcoef":
                covariance = hits * self.total - flagged * positives
                return _ratio(covariance, np.sqrt(positives * negatives * flagged * (self.total - flagged)))
            case _:
                return self.recall


@dataclass(frozen=True)
class _CampaignLimits:
    """The profit curve, and the limits of the campaign."""

    economics: Economics
    curve: ProfitCurve


@dataclass(frozen=True)
class _Pick:
    """A threshold, its position among the steps, and the reason."""

    position: int
    threshold: float
    reason: str


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients; 0 where the denominator is 0."""
    quotients: np.ndarray = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)
    return quotients


def _first_best(scores: np.ndarray, allowed: np.ndarray) -> int:
    """Position of the highest allowed threshold with the largest score, up to rounding."""
    largest = scores[allowed].max()
    tolerance = _ROUNDING * np.abs(scores).max()
    return int(np.flatnonzero(allowed & (scores >= largest - tolerance))[0])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def choose_threshold(
    target: np.ndarray, probability: np.ndarray, parameters: CampaignParameters, values: np.ndarray | None = None
) -> ThresholdChoice:
    """Choose the decision threshold that maximises the objective.

    A customer is flagged where the probability is at or above the threshold. The candidates are those of
    :func:`churn_kedro.campaigns.economics.threshold_steps`; ties go to the highest. Where there is only one class, or
    all probabilities are equal, the threshold is 0.5; under objective profit, no customer is flagged if 0.5 would
    exceed capacity or budget.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        probability: Calibrated out-of-fold probability of leaving, values in [0, 1], shape (n,).
        parameters: Objective, economics and minimum precision.
        values: Money that each customer is worth if saved, shape (n,), see
            :class:`churn_estimators.value.ContactValue`. Required by objective profit where the value is a
            column; other objectives ignore it.

    Returns:
        The threshold, the value of the objective and the reason.

    Raises:
        ValueError: The arrays differ in shape or have invalid numbers, or the values are required and None.

    Examples:
        >>> target, probability = np.array([0, 0, 1, 1]), np.array([0.125, 0.25, 0.5, 0.75])
        >>> choice = choose_threshold(target, probability, CampaignParameters(objective="f1"))
        >>> choice.threshold, choice.value
        (0.375, 1.0)
        >>> economics = {"contact_cost": 2, "offer_cost": 20, "save_probability": 0.5, "value": 420, "capacity": 0.25}
        >>> parameters = CampaignParameters.model_validate({"objective": "profit", "economics": economics})
        >>> choose_threshold(target, probability, parameters).threshold
        0.625
    """
    target, probability = np.asarray(target), np.asarray(probability, dtype=np.float64)
    _require_customers(target, probability)
    steps = threshold_steps(probability)
    counts = _Counts(steps.accumulate(target), steps.flagged, int(target.sum()), len(target))
    campaign: _CampaignLimits | None = None
    if parameters.objective == "profit" and parameters.economics is not None:
        worth = _require_values(values, parameters.economics, len(target))
        campaign = _CampaignLimits(parameters.economics, profit_curve(target, probability, worth, parameters.economics))
    if counts.positives in (0, counts.total):
        pick = _pick_neutral(steps, probability, campaign, "there is only one class")
    elif np.ptp(probability) == 0:
        pick = _pick_neutral(steps, probability, campaign, "all predicted probabilities are equal")
    elif campaign is not None:
        pick = _pick_by_profit(campaign)
    elif parameters.objective == "recall_at_precision" and parameters.min_precision is not None:
        pick = _pick_by_precision(counts, steps, parameters.min_precision)
    else:
        pick = _pick_by_score(counts, steps, parameters.objective)
    return _describe(pick, counts, campaign, parameters.objective)


def _require_customers(target: np.ndarray, probability: np.ndarray) -> None:
    if target.ndim != 1 or target.shape != probability.shape or not len(target):
        raise ValueError(
            f"target and probability must be of the same shape (n,) with at least one customer, found {target.shape} "
            f"and {probability.shape}"
        )
    if not np.isin(target, (0, 1)).all():
        raise ValueError(f"target must have values 0 and 1 only, found {np.unique(target)[:5].tolist()}")
    # Negated, so that it also raises for NaN.
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probability must have numbers from 0 to 1 only")


def _require_values(values: np.ndarray | None, economics: Economics, n_customers: int) -> np.ndarray:
    if values is None:
        if isinstance(economics.value, ValueColumn):
            raise ValueError(
                f"the value of a customer is in column '{economics.value.column}': pass the value of each customer"
            )
        return np.full(n_customers, economics.value)
    if values.shape != (n_customers,) or not np.isfinite(values).all():
        raise ValueError(f"values must be finite numbers of shape ({n_customers},), found shape {values.shape}")
    return values


def _pick_neutral(
    steps: ThresholdSteps, probability: np.ndarray, campaign: _CampaignLimits | None, doubt: str
) -> _Pick:
    position = int(np.searchsorted(steps.flagged, np.count_nonzero(probability >= _NEUTRAL_THRESHOLD)))
    if campaign is not None and not campaign.curve.affordable(campaign.economics)[position]:
        logger.warning(
            "The decision threshold flags no customer: %s, and %.1f would exceed capacity or budget.",
            doubt,
            _NEUTRAL_THRESHOLD,
        )
        reason = f"No customer is flagged: {doubt}, and {_NEUTRAL_THRESHOLD} would exceed capacity or budget."
        return _Pick(0, float(steps.thresholds[0]), reason)
    logger.warning("The decision threshold is %.1f: %s.", _NEUTRAL_THRESHOLD, doubt)
    return _Pick(position, _NEUTRAL_THRESHOLD, f"{_NEUTRAL_THRESHOLD}, since {doubt}.")


def _pick_by_profit(campaign: _CampaignLimits) -> _Pick:
    curve, economics = campaign.curve, campaign.economics

    def outcome(position: int) -> str:
        return (
            f"{_percent(curve.contacted_share[position])} of the customers are contacted, for an expected profit of "
            f"{curve.profit[position]:.2f} per customer"
        )

    affordable = curve.affordable(economics)
    position = _first_best(curve.profit, affordable)
    unlimited = _first_best(curve.profit, np.full(len(curve.profit), True))
    if not affordable[unlimited]:
        limits = {
            f"capacity of {_percent(economics.capacity or 0)}": curve.within_capacity(economics),
            f"budget of {economics.budget or 0:.2f} per customer": curve.within_budget(economics),
        }
        # Contacts and spending grow as the threshold falls, so the stricter limit is binding.
        strictest = min(within.sum() for within in limits.values())
        binding = " and the ".join(limit for limit, within in limits.items() if within.sum() == strictest)
        limited = "no customer can be contacted at a profit" if position == 0 else outcome(position)
        best = f"{curve.thresholds[unlimited]:.4f}: {outcome(unlimited)}"
        reason = f"Within the {binding}, {limited}. Without limits, at {best}."
    elif position == 0:
        reason = "No threshold has a positive profit: no customer is contacted."
    else:
        reason = f"The highest expected profit: {outcome(position)}."
    if position == 0:
        logger.warning("The decision threshold flags no customer. %s", reason)
    return _Pick(position, float(curve.thresholds[position]), reason)


def _pick_by_precision(counts: _Counts, steps: ThresholdSteps, min_precision: float) -> _Pick:
    precise = counts.precision >= min_precision
    if precise.any():
        position = _first_best(counts.recall, precise)
        reason = (
            f"The highest recall, {_percent(counts.recall[position])}, with a precision of at least "
            f"{_percent(min_precision)}: {counts.true_positive[position]} of {counts.flagged[position]} flagged "
            "customers left."
        )
        return _Pick(position, float(steps.thresholds[position]), reason)
    # The highest precision, and among ties the highest recall.
    highest = counts.precision >= counts.precision.max() * (1 - _ROUNDING)
    position = _first_best(counts.recall, highest)
    reason = (
        f"No threshold reaches a precision of {_percent(min_precision)}. This one has the highest precision, "
        f"{_percent(counts.precision[position])}: {counts.true_positive[position]} of {counts.flagged[position]} "
        "flagged customers left."
    )
    logger.warning("%s", reason)
    return _Pick(position, float(steps.thresholds[position]), reason)


def _pick_by_score(counts: _Counts, steps: ThresholdSteps, objective: Objective) -> _Pick:
    scores = counts.scores(objective)
    position = _first_best(scores, np.full(len(scores), True))
    reason = f"The highest {objective}, {scores[position]:.4f}, of {len(scores)} thresholds."
    return _Pick(position, float(steps.thresholds[position]), reason)


def _describe(pick: _Pick, counts: _Counts, campaign: _CampaignLimits | None, objective: Objective) -> ThresholdChoice:
    position = pick.position
    contacted, profit, value = counts.flagged / counts.total, None, None
    if campaign is not None:
        contacted = campaign.curve.contacted_share
        profit = value = float(campaign.curve.profit[position])
    elif 0 < counts.positives < counts.total:
        value = float(counts.scores(objective)[position])
    return ThresholdChoice(
        objective=objective,
        threshold=pick.threshold,
        value=value,
        flagged_share=float(counts.flagged[position] / counts.total),
        contacted_share=float(contacted[position]),
        precision=float(counts.precision[position]),
        recall=float(counts.recall[position]),
        profit_per_customer=profit,
        break_even=None if campaign is None else break_even(campaign.economics),
        reason=pick.reason,
    )
