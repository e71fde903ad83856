"""Backtest of a retention campaign on customers whose outcome is known, against other policies.

Profit is that of :mod:`churn_kedro.campaigns.economics`. The threshold was chosen in training on other customers, so
its profit here is not biased by the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from churn_estimators.value import ContactValue, expected_profit, worth_contacting
from churn_kedro.base import Record
from churn_kedro.campaigns.economics import (
    ProfitCurve,
    break_even,
    campaign_economics,
    contact_spending,
    profit_curve,
    threshold_steps,
)
from churn_kedro.campaigns.parameters import Economics, ValueColumn
from churn_kedro.customers import Column, CustomerDeclaration, DisplayNames
from churn_kedro.evaluation import BootstrapParameters, Estimate, resample_counts
from churn_kedro.models import ScoredCustomers

PolicyName = Literal["nobody", "everybody", "random", "rule", "perfect"]
Lever = Literal["contact_cost", "offer_cost", "save_probability", "value"]
# Points of a curve that are kept.
_POINTS = 200
# Factors by which each number of the economics is multiplied.
_FACTORS = (0.5, 0.75, 1.25, 1.5, 2.0)
_LEVERS: tuple[Lever, ...] = ("contact_cost", "offer_cost", "save_probability", "value")
# Minimum training customers of a level in a rule on one column, and maximum number of levels.
_FEWEST_OF_LEVEL, _MOST_LEVELS = 30, 50
# Shares of the customers in the steps of a campaign.
_STEP_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
# Relative tolerance of limits, since spending is a sum of rounded floats.
_ROUNDING = 1e-9


class CampaignPoint(Record):
    """Profit and spending at a decision threshold."""

    threshold: float = Field(description="Decision threshold.")
    contacted_share: float = Field(description="Share of the customers that is contacted.")
    profit_per_customer: float = Field(description="Expected profit per customer of the table, contacted or not.")
    spending_per_customer: float = Field(description="Expected spending per customer of the table, contacted or not.")


class ChosenPoint(Record):
    """Profit and spending at the model's threshold."""

    threshold: float = Field(description="Decision threshold of the model.")
    contacted: int = Field(description="Customers contacted.")
    contacted_share: float = Field(description="Their share.")
    profit_per_customer: Estimate = Field(description="Expected profit per customer of the table, with its interval.")
    total_profit: float = Field(description="Expected profit in total.")
    spending_per_customer: float = Field(description="Expected spending per customer of the table.")
    total_spending: float = Field(description="Expected spending in total.")
    within_capacity: bool | None = Field(description="Whether it is within the capacity; null without one.")
    within_budget: bool | None = Field(description="Whether it is within the budget; null without one.")
    note: str | None = Field(description="Note about the limits, in words.")


class ContactStep(Record):
    """Number of leavers found, cost and return of contacting the customers with the highest probabilities."""

    contacted: int = Field(description="Customers contacted, highest probability first.")
    found: int = Field(description="Leavers among them.")
    spending: float = Field(description="Expected spending in total.")
    returns: float = Field(description="Expected value of the saved customers in total, before spending.")
    by_model: bool = Field(description="Whether these are the customers whom the model decides to contact.")

    @property
    def profit(self) -> float:
        """Expected profit in total."""
        return self.returns - self.spending


class Alternative(Record):
    """Another policy of choosing customers to contact."""

    policy: PolicyName = Field(description="Name of the policy.")
    title: str = Field(description="Title of the policy, such as 'Everybody'.")
    description: str = Field(description="Description of the policy in a sentence.")
    contacted_share: float = Field(description="Share of the customers that is contacted.")
    profit_per_customer: Estimate = Field(description="Expected profit per customer of the table, with its interval.")
    model_advantage: Estimate = Field(
        description="Profit of the model minus that of this policy, on the same resamples (paired), per customer."
    )
    spending_per_customer: float = Field(description="Expected spending per customer of the table.")
    affordable: bool = Field(description="Whether it is within capacity and budget.")


class SensitivityPoint(Record):
    """Sensitivity of the profit to one number of the economics."""

    lever: Lever = Field(description="Name of the number.")
    factor: float = Field(description="Factor by which it is multiplied.")
    number: float = Field(description="The multiplied number; for a value column, the factor of the column.")
    profit_at_threshold: float = Field(description="Profit per customer at the model's threshold.")
    best_threshold: float | None = Field(
        description="Best threshold on these customers; null where no customer is worth a contact."
    )
    best_profit: float = Field(description="Profit per customer at the best threshold.")
    note: str | None = Field(description="Note, in words.")


class CampaignReport(Record):
    """Backtest of a campaign by the model's decisions on the test customers."""

    rows: int = Field(description="Customers.")
    leavers: int = Field(description="Those who left.")
    economics: Economics = Field(description="Costs and value.")
    break_even: float | None = Field(
        description="Probability above which a contact pays; null where the value is a column."
    )
    chosen: ChosenPoint = Field(description="At the model's threshold.")
    best: CampaignPoint = Field(
        description="At the best threshold on these customers within the limits; optimistic, since it is chosen here."
    )
    alternatives: list[Alternative] = Field(description="Other policies.")
    steps: list[ContactStep] = Field(
        default_factory=list, description="Contacts of increasing numbers of customers, and by the model's decisions."
    )
    curve: list[CampaignPoint] = Field(description="Points by descending threshold, subsampled.")
    sensitivity: list[SensitivityPoint] = Field(description="Sensitivity to the numbers of the economics.")
    confidence: float = Field(description="Coverage of the intervals.")
    how: str = Field(description="Explanation of the numbers, in words.")


@dataclass(frozen=True)
class _KnownCustomers:
    """Customers whose target is known, with the profit and spending of contacting each.

    Attributes:
        target: 1 for those who left, shape (n,).
        values: Money that each is worth if saved, shape (n,).
        profits: Expected profit of contacting each, shape (n,).
        spending: Expected spending on each, shape (n,).
        worth: Whether each can be worth a contact, shape (n,).
        economics: Costs, value and limits.
    """

    target: np.ndarray
    values: np.ndarray
    profits: np.ndarray
    spending: np.ndarray
    worth: np.ndarray
    economics: Economics

    @classmethod
    def of(cls, target: np.ndarray, values: np.ndarray, economics: Economics) -> _KnownCustomers:
        """Compute profits and spending."""
        return cls(
            target,
            values,
            expected_profit(target, values, economics),
            contact_spending(target, economics),
            worth_contacting(values, economics),
            economics,
        )

    def within_capacity(self, contacts: float) -> bool:
        """Check whether a number of contacts is within the capacity."""
        limit = self.economics.capacity
        return limit is None or contacts / len(self.target) <= limit * (1 + _ROUNDING)

    def within_budget(self, spending: float) -> bool:
        """Check whether total spending is within the budget."""
        limit = self.economics.budget
        return limit is None or spending / len(self.target) <= limit * (1 + _ROUNDING)

    def affordable_part(self, contact: np.ndarray) -> float:
        """Return the share of contacts within capacity and budget; 1: all of them."""
        allowed = [1.0]
        limits = ((self.economics.capacity, contact.sum()), (self.economics.budget, self.spending @ contact))
        for limit, wanted in limits:
            if limit is not None and wanted > 0:
                allowed.append(limit * len(self.target) / float(wanted))
        return min(allowed)


@dataclass(frozen=True)
class _Policy:
    """A policy of choosing customers to contact.

    Attributes:
        name: Name of the policy.
        title: Title of the policy.
        description: Description of the policy in a sentence.
        contact: Probability with which each customer is contacted, shape (n,).
    """

    name: PolicyName
    title: str
    description: str
    contact: np.ndarray


def measure_campaign(
    scores: ScoredCustomers,
    test: pd.DataFrame,
    train: pd.DataFrame,
    declaration: CustomerDeclaration,
    value: ContactValue,
    limits: Economics | None,
    bootstrap: BootstrapParameters,
) -> CampaignReport:
    """Backtest a campaign by the model's decisions against other policies.

    The policies are: contact nobody; contact everybody who can be worth a contact; contact as many customers as the
    model at random; contact by a rule on one column, fitted on the training customers; and contact with perfect
    knowledge of the outcome. Rule and perfect knowledge are limited to capacity and budget. Intervals come from shared
    bootstrap resamples of the test customers, so that the model's advantage is paired; thresholds, shares and the rule
    are fixed.

    Args:
        scores: Target and prediction of each test customer, task binary, with the decision threshold.
        test: The same customers in the same order, normalised.
        train: Training customers of the model, with their target.
        declaration: The table's declaration.
        value: Costs and value of a contact, by which the model decides.
        limits: Parameters with capacity and budget; None: no limits.
        bootstrap: Resamples, coverage and seed.

    Returns:
        The report.

    Raises:
        ValueError: Scores and customers differ in number, or the scores are not of a binary model with a threshold.
    """
    threshold = _require_decisions(scores, test)
    economics = campaign_economics(value, limits)
    campaign = _KnownCustomers.of(scores.target, value.of(test), economics)
    contacted = scores.decision
    training = _KnownCustomers.of(train[declaration.target].to_numpy(), value.of(train), economics)
    everybody = campaign.worth.astype(np.float64)
    policies = [
        _Policy("nobody", "Nobody", "No campaign.", np.zeros(len(test))),
        _Policy("everybody", "Everybody", "Every customer who can be worth a contact.", everybody),
        _contact_at_random(contacted, campaign.worth),
        _contact_by_rule(training, train, test, campaign, declaration),
        _contact_leavers(campaign),
    ]
    means = _resample(campaign, [contacted.astype(np.float64), *(policy.contact for policy in policies)], bootstrap)
    profit = [float(campaign.profits @ contact) for contact in (contacted, *(policy.contact for policy in policies))]
    curve = profit_curve(scores.target, scores.prediction, campaign.values, economics, _eligible(scores))
    place = len(np.unique(scores.prediction[scores.prediction >= threshold]))
    best = int(np.where(curve.affordable(economics), curve.profit, -np.inf).argmax())
    return CampaignReport(
        rows=len(test),
        leavers=int((scores.target == 1).sum()),
        economics=economics,
        break_even=break_even(economics),
        chosen=_describe_chosen(contacted, threshold, campaign, means[:, 0], bootstrap.confidence),
        best=_point(curve, best),
        alternatives=[
            _compare(policy, campaign, (profit[0], profit[number]), means[:, [0, number]], bootstrap.confidence)
            for number, policy in enumerate(policies, start=1)
        ],
        steps=_list_steps(scores, campaign),
        curve=[
            _point(curve, kept, threshold if kept == place else None) for kept in _select_points(curve, {place, best})
        ],
        sensitivity=_vary(scores, campaign),
        confidence=bootstrap.confidence,
        how=(
            "Profit is expected profit per customer of the table, contacted or not; intervals are "
            f"{100 * bootstrap.confidence:g} % bootstrap intervals over the {len(test):,} test customers. The model's "
            "threshold was chosen in training on other customers, so its profit here is unbiased; that of the best "
            "threshold on these customers is optimistic. Costs and values are those of the model"
            f"{_explain_difference(economics, limits)}. Customers whose value cannot pay for a contact are not "
            f"contacted by {'any' if scores.eligible is not None else 'any other'} policy."
        ),
    )


def _eligible(scores: ScoredCustomers) -> np.ndarray:
    return np.ones(len(scores.target), dtype=bool) if scores.eligible is None else scores.eligible


def _explain_difference(economics: Economics, configured: Economics | None) -> str:
    """Return a clause that names numbers of the configuration that differ from those of the model."""
    if configured is None:
        return ""
    numbers = economics.model_dump(mode="json")
    changed = [name for name, value in configured.model_dump(mode="json").items() if value != numbers[name]]
    if not changed:
        return ""
    return f"; {', '.join(changed)} in campaigns.economics differ from them, and apply after the next training"


def _require_decisions(scores: ScoredCustomers, test: pd.DataFrame) -> float:
    """Check that the scores are decisions on the table, and return their threshold."""
    if scores.task != "binary" or scores.threshold is None:
        raise ValueError(
            f"a campaign needs task binary with a decision threshold, found task {scores.task} and threshold "
            f"{scores.threshold}"
        )
    if len(test) != len(scores.target):
        raise ValueError(
            f"scores are of {len(scores.target)} customers, the table has {len(test)}; pass the table that was scored"
        )
    return scores.threshold


def _point(curve: ProfitCurve, place: int, threshold: float | None = None) -> CampaignPoint:
    return CampaignPoint(
        threshold=float(curve.thresholds[place]) if threshold is None else threshold,
        contacted_share=float(curve.contacted_share[place]),
        profit_per_customer=float(curve.profit[place]),
        spending_per_customer=float(curve.spending[place]),
    )


def _list_steps(scores: ScoredCustomers, campaign: _KnownCustomers) -> list[ContactStep]:
    """List the results of contacting a growing share of the customers, and those whom the model decides to contact.

    Customers with the same probability are contacted together, so a step has at most its share of the customers.
    """
    eligible = _eligible(scores)
    steps = threshold_steps(scores.prediction)
    contacts = steps.accumulate(eligible.astype(np.float64))
    chosen = {int(scores.decision.sum()): scores.decision}
    for share in _STEP_SHARES:
        place = int(np.searchsorted(contacts, share * len(eligible) * (1 + _ROUNDING), side="right")) - 1
        contacted = eligible & (scores.prediction >= steps.thresholds[place])
        # The step of the model is kept where a share contacts as many.
        chosen.setdefault(int(contacted.sum()), contacted)
    return [
        ContactStep(
            contacted=number,
            found=int((contact & (scores.target == 1)).sum()),
            spending=float(campaign.spending @ contact),
            returns=float((campaign.profits + campaign.spending) @ contact),
            by_model=bool((contact == scores.decision).all()),
        )
        for number, contact in sorted(chosen.items())
        if number
    ]


def _select_points(curve: ProfitCurve, kept: set[int]) -> list[int]:
    """Positions on the curve, evenly spaced in contacts, including both ends and the given ones."""
    last = len(curve.thresholds) - 1
    if last < _POINTS:
        return list(range(last + 1))
    wanted = np.linspace(0, curve.contacted_share[-1], _POINTS - len(kept) - 1)
    even = np.searchsorted(curve.contacted_share, wanted).tolist()
    return sorted({0, last, *even, *kept})


def _contact_at_random(contacted: np.ndarray, worth: np.ndarray) -> _Policy:
    share = contacted.sum() / worth.sum() if worth.any() else 0.0
    return _Policy(
        "random", "As many by chance", "As many customers as the model contacts, drawn by chance.", share * worth
    )


def _contact_leavers(campaign: _KnownCustomers) -> _Policy:
    """Contact profitable leavers, the most profitable first, within the limits."""
    order = np.argsort(-campaign.profits, kind="stable")
    order = order[(campaign.target[order] == 1) & (campaign.profits[order] > 0)]
    most = len(order)
    n_customers, economics = len(campaign.target), campaign.economics
    if economics.capacity is not None:
        most = min(most, int(economics.capacity * n_customers * (1 + _ROUNDING)))
    if economics.budget is not None:
        spent = np.cumsum(campaign.spending[order])
        most = min(most, int(np.searchsorted(spent, economics.budget * n_customers * (1 + _ROUNDING), side="right")))
    contact = np.zeros(n_customers)
    contact[order[:most]] = 1.0
    return _Policy(
        "perfect",
        "Perfect knowledge",
        "Only customers who leave, as if the outcome were known: an upper bound for every model.",
        contact,
    )


@dataclass(frozen=True)
class _Bins:
    """The bins of a column in a rule, fitted on training customers.

    Attributes:
        column: Name of the column.
        cuts: Ascending cuts of numbers, or of dates as numbers; None where the bins are levels.
        levels: Levels with a bin each; None where the bins are ranges.
        written: Text of each cut or level.
    """

    column: str
    cuts: np.ndarray | None
    levels: list[object] | None
    written: list[str]

    @classmethod
    def fit(cls, cells: pd.Series, column: Column) -> _Bins:
        """Find the deciles of numbers and dates, or the frequent levels of other columns."""
        if column.cells == "text" or column.levels:
            counts = cells.value_counts()
            frequent = counts[counts >= _FEWEST_OF_LEVEL].index[:_MOST_LEVELS]
            declared = [level for level in column.levels if level in frequent]
            levels = [*declared, *(level for level in frequent if level not in declared)]
            return cls(column.name, None, levels, [_write(level) for level in levels])
        numbers = _as_numbers(cells)
        known = numbers[~np.isnan(numbers)]
        cuts = np.unique(np.quantile(known, np.arange(1, 10) / 10, method="higher")) if len(known) else np.empty(0)
        cuts = cuts[cuts > known.min()] if len(known) else cuts
        if column.cells == "date":
            written = [str(pd.Timestamp(int(cut), unit="us").date()) for cut in cuts]
        else:
            written = [_write(float(cut)) for cut in cuts]
        return cls(column.name, cuts, None, written)

    @property
    def n_bins(self) -> int:
        """Number of bins, including those of missing values and of other levels."""
        return len(self.written) + 2

    def place(self, cells: pd.Series) -> np.ndarray:
        """Return the bin of each customer; missing values are in the last, other levels in the last but one."""
        missing = cells.isna().to_numpy()
        if self.levels is not None:
            positions = {level: number for number, level in enumerate(self.levels)}
            places = cells.map(positions).to_numpy(dtype=np.float64, na_value=np.nan)
            places = np.where(np.isnan(places), len(self.levels), places)
        else:
            numbers = np.where(missing, 0.0, _as_numbers(cells))
            places = np.searchsorted(self.cuts if self.cuts is not None else np.empty(0), numbers, side="right")
        bins: np.ndarray = np.where(missing, self.n_bins - 1, places).astype(np.int64)
        return bins

    def describe(self, chosen: np.ndarray, names: DisplayNames) -> str:
        """Describe the chosen bins in words."""
        column = names.column(self.column)
        if self.levels is not None:
            written = [names.level(self.column, text) for text in self.written]
            parts = [text for text, is_chosen in zip(written, chosen, strict=False) if is_chosen]
            parts += ["any rarer level"] if chosen[-2] else []
            parts += ["missing"] if chosen[-1] else []
            return f"“{column}” {_either(parts)}"
        ranges = []
        bounds = [None, *self.written, None]
        number = 0
        while number < self.n_bins - 1:
            if not chosen[number]:
                number += 1
                continue
            first = number
            while number < self.n_bins - 1 and chosen[number]:
                number += 1
            ranges.append(_range(bounds[first], bounds[number]))
        return f"“{column}” {_either([*ranges, *(['missing'] if chosen[-1] else [])])}"


def _range(low: str | None, high: str | None) -> str:
    if low is None:
        return "anything" if high is None else f"below {high}"
    return f"at least {low}" if high is None else f"from {low} to below {high}"


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _write(level: object) -> str:
    if isinstance(level, (int, float)):
        return f"{level:,.0f}" if float(level).is_integer() or abs(level) >= 1000 else f"{level:,.4g}"
    return str(level)


def _as_numbers(cells: pd.Series) -> np.ndarray:
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        dates = cells.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _contact_by_rule(
    training: _KnownCustomers,
    train: pd.DataFrame,
    test: pd.DataFrame,
    campaign: _KnownCustomers,
    declaration: CustomerDeclaration,
) -> _Policy:
    """Contact by the best rule on one column: the bins with a profit on the training customers."""
    best: tuple[float, _Bins, np.ndarray] | None = None
    for column in declaration.features:
        bins = _Bins.fit(train[column.name], column)
        profit, chosen = _choose_bins(bins.place(train[column.name]), bins.n_bins, training)
        if chosen.any() and (best is None or profit > best[0]):
            best = profit, bins, chosen
    if best is None:
        return _Policy(
            "rule",
            "No rule pays",
            "No rule on one column has a positive profit on the training customers.",
            np.zeros(len(test)),
        )
    _, bins, chosen = best
    words = bins.describe(chosen, DisplayNames.of(declaration))
    contact = (chosen[bins.place(test[bins.column])] & campaign.worth).astype(np.float64)
    within = campaign.affordable_part(contact)
    return _Policy(
        "rule",
        "Best rule on one column",
        f"Customers with {words}: the rule on one column with the highest profit on the training customers"
        f"{'' if within == 1 else f'; a random {within:.1%} of them, within the limits'}.",
        within * contact,
    )


def _choose_bins(places: np.ndarray, n_bins: int, training: _KnownCustomers) -> tuple[float, np.ndarray]:
    """Choose profitable bins, the most profitable per contact first, within the limits; return their total profit."""
    profits, spending, contacts = (
        np.bincount(places, weights=np.where(training.worth, amounts, 0.0), minlength=n_bins)
        for amounts in (training.profits, training.spending, np.ones(len(places)))
    )
    each = profits / np.maximum(contacts, 1)
    chosen = np.zeros(n_bins, dtype=bool)
    for number in np.argsort(-each, kind="stable"):
        wanted = chosen.copy()
        wanted[number] = True
        if (
            profits[number] > 0
            and training.within_capacity(contacts[wanted].sum())
            and training.within_budget(spending[wanted].sum())
        ):
            chosen = wanted
    return float(profits[chosen].sum()), chosen


def _resample(campaign: _KnownCustomers, contacts: Sequence[np.ndarray], bootstrap: BootstrapParameters) -> np.ndarray:
    """Profit per customer of each policy on each resample, shape (n_resamples, n_policies)."""
    amounts = campaign.profits[:, np.newaxis] * np.stack(contacts, axis=1)
    blocks = resample_counts(len(campaign.target), bootstrap)
    return np.concatenate([counts @ amounts for counts in blocks]) / len(campaign.target)


def _interval(value: float, resampled: np.ndarray, confidence: float) -> Estimate:
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high))


def _describe_chosen(
    contacted: np.ndarray, threshold: float, campaign: _KnownCustomers, resampled: np.ndarray, confidence: float
) -> ChosenPoint:
    n_customers, economics = len(contacted), campaign.economics
    profit, spending = float(campaign.profits[contacted].sum()), float(campaign.spending[contacted].sum())
    share = float(contacted.mean())
    within_capacity = campaign.within_capacity(float(contacted.sum()))
    within_budget = campaign.within_budget(spending)
    broken = []
    if not within_capacity and economics.capacity is not None:
        broken.append(
            f"contacts {100 * share:.1f} % of these customers, above the capacity of {100 * economics.capacity:.1f} %"
        )
    if not within_budget and economics.budget is not None:
        broken.append(f"spends {spending / n_customers:.2f} per customer, above the budget of {economics.budget:.2f}")
    note = None if contacted.any() else "No customer is contacted."
    if broken:
        note = f"The threshold {'; it '.join(broken)}. Contact customers by rank and stop at the limit."
    return ChosenPoint(
        threshold=threshold,
        contacted=int(contacted.sum()),
        contacted_share=share,
        profit_per_customer=_interval(profit / n_customers, resampled, confidence),
        total_profit=profit,
        spending_per_customer=spending / n_customers,
        total_spending=spending,
        within_capacity=None if economics.capacity is None else within_capacity,
        within_budget=None if economics.budget is None else within_budget,
        note=note,
    )


def _compare(
    policy: _Policy,
    campaign: _KnownCustomers,
    totals: tuple[float, float],
    resampled: np.ndarray,
    confidence: float,
) -> Alternative:
    n_customers = len(campaign.target)
    models, own = totals[0] / n_customers, totals[1] / n_customers
    spending, contacts = float(campaign.spending @ policy.contact), float(policy.contact.sum())
    return Alternative(
        policy=policy.name,
        title=policy.title,
        description=policy.description,
        contacted_share=contacts / n_customers,
        profit_per_customer=_interval(own, resampled[:, 1], confidence),
        model_advantage=_interval(models - own, resampled[:, 0] - resampled[:, 1], confidence),
        spending_per_customer=spending / n_customers,
        affordable=campaign.within_capacity(contacts) and campaign.within_budget(spending),
    )


def _vary(scores: ScoredCustomers, campaign: _KnownCustomers) -> list[SensitivityPoint]:
    """Measure the profit as each number of the economics varies; numbers that are 0 are left out."""
    points = []
    for lever in _LEVERS:
        for factor in _FACTORS:
            changed, number = _change(campaign.economics, lever, factor)
            if number != 0:
                values = campaign.values * factor if lever == "value" else campaign.values
                point = _measure_changed(scores, values, changed, (lever, factor, number))
                if lever == "save_probability" and campaign.economics.save_probability * factor > 1:
                    point = point.model_copy(update={"note": "Limited to a probability of 1."})
                points.append(point)
    return points


def _change(economics: Economics, lever: Lever, factor: float) -> tuple[Economics, float]:
    """Return economics with one number changed, without validation, and that number."""
    if lever == "value":
        if isinstance(economics.value, ValueColumn):
            value = economics.value.model_copy(update={"factor": economics.value.factor * factor})
            return economics.model_copy(update={"value": value}), value.factor
        return economics.model_copy(update={"value": economics.value * factor}), economics.value * factor
    number = getattr(economics, lever) * factor
    number = min(number, 1.0) if lever == "save_probability" else number
    return economics.model_copy(update={lever: number}), number


def _measure_changed(
    scores: ScoredCustomers, values: np.ndarray, economics: Economics, what: tuple[Lever, float, float]
) -> SensitivityPoint:
    lever, factor, number = what
    if not worth_contacting(values, economics).any():
        return SensitivityPoint(
            lever=lever,
            factor=factor,
            number=number,
            profit_at_threshold=0.0,
            best_threshold=None,
            best_profit=0.0,
            note="No customer is worth a contact, even one who is certain to leave.",
        )
    eligible = None if scores.eligible is not None else _eligible(scores)
    curve = profit_curve(scores.target, scores.prediction, values, economics, eligible)
    threshold = 0.0 if scores.threshold is None else scores.threshold
    place = len(np.unique(scores.prediction[scores.prediction >= threshold]))
    affordable = curve.affordable(economics)
    best = int(np.where(affordable, curve.profit, -np.inf).argmax())
    note = None
    if best == 0:
        note = "No threshold has a positive profit: no customer is contacted."
    elif not affordable[place]:
        note = "The model's threshold exceeds capacity or budget."
    return SensitivityPoint(
        lever=lever,
        factor=factor,
        number=number,
        profit_at_threshold=float(curve.profit[place]),
        best_threshold=float(curve.thresholds[best]),
        best_profit=float(curve.profit[best]),
        note=note,
    )
