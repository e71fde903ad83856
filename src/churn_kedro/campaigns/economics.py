"""Expected profit of a retention campaign.

Every contacted customer receives an offer for staying. The expected profit is that of Neslin, Gupta, Kamakura, Lu and
Mason, "Defection detection: measuring and understanding the predictive accuracy of customer churn models", *Journal of
Marketing Research* 43 (2006), without fixed costs, which do not depend on the threshold; see ``docs/campaigns.md``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from churn_estimators.value import ContactValue, expected_profit, worth_contacting
from churn_kedro.base import ParameterError
from churn_kedro.campaigns.parameters import Economics, ValueColumn
from churn_kedro.customers import CustomerTableError

logger = logging.getLogger(__name__)

# Relative tolerance of limits, since spending is a sum of rounded floats.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ThresholdSteps:
    """Decision thresholds in descending order, and the customers flagged at each.

    A customer is flagged where the probability is at or above the threshold. There are k distinct probabilities.

    Attributes:
        thresholds: Descending thresholds, shape (k + 1,). The first flags no customer, the last flags all; those
            between lie midway between neighbouring probabilities.
        order: Positions of the customers by descending probability, shape (n,).
        flagged: Number of customers flagged at each threshold, integers, shape (k + 1,).
    """

    thresholds: np.ndarray
    order: np.ndarray
    flagged: np.ndarray

    def accumulate(self, amounts: np.ndarray) -> np.ndarray:
        """Sum an amount over the customers flagged at each threshold.

        Args:
            amounts: Amount of each customer, in the original order, shape (n,).

        Returns:
            Sums, shape (k + 1,); the first is 0.
        """
        sums = np.zeros(len(self.order) + 1, dtype=np.result_type(amounts, np.int64))
        np.cumsum(amounts[self.order], out=sums[1:])
        at_thresholds: np.ndarray = sums[self.flagged]
        return at_thresholds


@dataclass(frozen=True)
class ProfitCurve:
    """Profit and spending of a campaign at each threshold.

    Attributes:
        thresholds: Descending thresholds, shape (k + 1,), as in :class:`ThresholdSteps`.
        contacted_share: Share of the customers that is contacted, in [0, 1], shape (k + 1,).
        profit: Expected profit in money per customer of the table, contacted or not, shape (k + 1,); the first is 0.
        spending: Expected spending in money per customer of the table, contacted or not, shape (k + 1,).
    """

    thresholds: np.ndarray
    contacted_share: np.ndarray
    profit: np.ndarray
    spending: np.ndarray

    def affordable(self, economics: Economics) -> np.ndarray:
        """Find the thresholds within capacity and budget.

        Args:
            economics: Both limits.

        Returns:
            True or False for each threshold, shape (k + 1,); the first is True.
        """
        within: np.ndarray = self.within_capacity(economics) & self.within_budget(economics)
        return within

    def within_capacity(self, economics: Economics) -> np.ndarray:
        """Find the thresholds within the capacity.

        Args:
            economics: The capacity.

        Returns:
            True or False for each threshold, shape (k + 1,); the first is True.
        """
        limit = np.inf if economics.capacity is None else economics.capacity
        within: np.ndarray = self.contacted_share <= limit
        return within

    def within_budget(self, economics: Economics) -> np.ndarray:
        """Find the thresholds whose expected spending is within the budget.

        Args:
            economics: The budget.

        Returns:
            True or False for each threshold, shape (k + 1,); the first is True.
        """
        limit = np.inf if economics.budget is None else economics.budget * (1 + _ROUNDING)
        within: np.ndarray = self.spending <= limit
        return within


def fit_contact_value(economics: Economics, customers: pd.DataFrame) -> ContactValue:
    """Compute the value of a contact as the model uses it, with the number that replaces a missing value.

    A missing value is replaced by the median of these customers, so that a missing cell excludes nobody from contact.
    Values of 0 or less are unchanged: such a customer is not worth a contact.

    Args:
        economics: Costs, and one value for all or the column with the values.
        customers: Training customers, typed, with that column as numbers.

    Returns:
        Costs and value of a contact.

    Raises:
        ParameterError: The table has no such column; the message names the nearest ones.
        CustomerTableError: A cell is not a finite number, or all cells are missing.

    Examples:
        >>> economics = Economics(
        ...     contact_cost=2, offer_cost=20, save_probability=0.5, value=ValueColumn(column="monthly", factor=12)
        ... )
        >>> fit_contact_value(economics, pd.DataFrame({"monthly": [30.0, 40.0, None]})).fill_value
        35.0
    """
    costs = (economics.contact_cost, economics.offer_cost, economics.save_probability)
    if not isinstance(economics.value, ValueColumn):
        return ContactValue(*costs, value=float(economics.value))
    name = economics.value.column
    if name not in customers.columns:
        columns = [str(column) for column in customers.columns]
        nearest = get_close_matches(name, columns, n=3, cutoff=0.5)
        raise ParameterError(
            f"economics.value.column is '{name}', which is not a column of the customer table ("
            + (f"nearest: {', '.join(map(repr, nearest))}" if nearest else f"it has: {', '.join(columns)}")
            + "). Correct the name in campaigns.economics."
        )
    cells = customers[name]
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    unknown = np.isnan(numbers)
    invalid = (unknown & cells.notna().to_numpy()) | np.isinf(numbers)
    if invalid.any():
        raise CustomerTableError(
            f"Column '{name}' (campaigns.economics.value.column) must have numbers, but {invalid.sum()} of "
            f"{len(cells)} cells are not finite numbers, such as '{cells[invalid].iloc[0]}'. Name another column, or "
            "correct the cells."
        )
    if unknown.all():
        raise CustomerTableError(
            f"Column '{name}' (campaigns.economics.value.column) must have numbers, but all {len(cells)} cells are "
            "empty. Name another column, or set campaigns.economics.value to one number."
        )
    median = float(np.median(numbers[~unknown]))
    if unknown.any():
        logger.warning(
            "%d of %d customers have no %s: their value is imputed by the median, %g.",
            unknown.sum(),
            len(numbers),
            name,
            median * economics.value.factor,
        )
    return ContactValue(*costs, value=economics.value.factor, column=name, fill_value=median)


def campaign_economics(value: ContactValue, limits: Economics | None) -> Economics:
    """Combine the costs and values by which a model decides with the limits of a campaign.

    Args:
        value: Costs and value of a contact, as in the model.
        limits: Parameters with capacity, budget and currency; None: no limits.

    Returns:
        The economics of a campaign with the model.
    """
    worth = value.value if value.column is None else ValueColumn(column=value.column, factor=value.value)
    return Economics(
        currency=None if limits is None else limits.currency,
        contact_cost=value.contact_cost,
        offer_cost=value.offer_cost,
        save_probability=value.save_probability,
        value=worth,
        capacity=None if limits is None else limits.capacity,
        budget=None if limits is None else limits.budget,
    )


def break_even_probabilities(values: np.ndarray, economics: Economics) -> np.ndarray:
    """Compute the probability of leaving above which a contact pays in expectation.

    Args:
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        float64 array of shape (n,): values in [0, 1), or infinity for a customer who is never worth a contact.

    Examples:
        >>> economics = Economics(contact_cost=2, offer_cost=20, save_probability=0.5, value=420)
        >>> break_even_probabilities(np.array([420.0, 60.0, 20.0]), economics).tolist()
        [0.1, 0.55, inf]
    """
    # Where a contact can pay, the denominator is positive: it exceeds the sum of the costs.
    worth = worth_contacting(values, economics)
    difference = economics.save_probability * (values - economics.offer_cost) + economics.offer_cost
    costs = np.full(len(values), economics.offer_cost + economics.contact_cost)
    probabilities: np.ndarray = np.divide(costs, difference, out=np.full(len(values), np.inf), where=worth)
    return probabilities


def break_even(economics: Economics) -> float | None:
    """Compute the probability of leaving above which a contact pays, where all customers have the same value.

    Args:
        economics: Costs, value, and the probability of saving a customer.

    Returns:
        A number in [0, 1), or None where the value is a column, see :func:`break_even_probabilities`.
    """
    if isinstance(economics.value, ValueColumn):
        return None
    return float(break_even_probabilities(np.array([economics.value]), economics)[0])


def campaign_profit(target: np.ndarray, contacted: np.ndarray, values: np.ndarray, economics: Economics) -> float:
    """Compute the expected profit of a campaign among customers whose target is known.

    Customers who are never worth a contact count as not contacted.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        contacted: Whether each customer is contacted, True or False, shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        Money in total; 0 without contacts.

    Examples:
        >>> economics = Economics(contact_cost=2, offer_cost=20, save_probability=0.5, value=420)
        >>> target, values = np.array([1, 0, 0]), np.full(3, 420.0)
        >>> campaign_profit(target, np.array([True, True, False]), values, economics)  # 0.5 * 400 - 2, and -20 - 2
        176.0
    """
    worth = contacted & worth_contacting(values, economics)
    return float(expected_profit(target, values, economics)[worth].sum())


def contact_spending(target: np.ndarray, economics: Economics) -> np.ndarray:
    """Compute the expected spending on each customer whose target is known, if contacted.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        Money, shape (n,).
    """
    spending: np.ndarray = economics.contact_cost + economics.offer_cost * np.where(
        target == 1, economics.save_probability, 1.0
    )
    return spending


def threshold_steps(probability: np.ndarray) -> ThresholdSteps:
    """Compute all thresholds that give distinct decisions.

    Thresholds lie midway between neighbouring probabilities, so that decisions on new customers with similar
    probabilities are the same; the lowest one lies midway between the smallest probability and 0. The first threshold
    flags no customer: it is 1, or 1.00000012 where a probability is 1, which is finite as scikit-learn requires.

    Args:
        probability: Probability of leaving, values in [0, 1], shape (n,), at least one.

    Returns:
        Thresholds, and the customers in the order in which they are flagged.

    Examples:
        >>> steps = threshold_steps(np.array([0.25, 0.75, 0.75]))
        >>> steps.thresholds.tolist(), steps.flagged.tolist()
        ([1.0, 0.5, 0.125], [0, 2, 3])
        >>> steps.accumulate(np.array([1, 10, 100])).tolist()
        [0, 110, 111]
    """
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order].astype(np.float64)
    last_of_group = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    upper = ranked[last_of_group]
    lower = np.append(upper[1:], 0.0)
    midway = (lower + upper) / 2
    # The midpoint of two adjacent floats is rounded to one of them, possibly the lower.
    between = np.where(midway > lower, midway, upper)
    # The next float32 above 1, since uncalibrated trees return float32.
    highest = 1.0 if upper[0] < 1 else float(np.nextafter(np.float32(1), np.float32(2)))
    return ThresholdSteps(thresholds=np.append(highest, between), order=order, flagged=np.append(0, last_of_group + 1))


def profit_curve(
    target: np.ndarray,
    probability: np.ndarray,
    values: np.ndarray,
    economics: Economics,
    eligible: np.ndarray | None = None,
) -> ProfitCurve:
    """Compute expected profit, contacts and spending at each threshold.

    Customers who are not eligible are contacted at no threshold. Capacity and budget are not applied; see
    :meth:`ProfitCurve.affordable`.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,), at least one customer.
        probability: Calibrated probability of leaving, values in [0, 1], shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.
        eligible: Whether each customer may be contacted, shape (n,); None: those who can be worth a contact.

    Returns:
        The curve over all thresholds of :func:`threshold_steps`.

    Examples:
        >>> economics = Economics(contact_cost=2, offer_cost=20, save_probability=0.5, value=420)
        >>> target, probability = np.array([1, 0, 0]), np.array([0.75, 0.5, 0.25])
        >>> curve = profit_curve(target, probability, np.full(3, 420.0), economics)
        >>> curve.profit.round(2).tolist(), curve.spending.round(2).tolist()
        ([0.0, 66.0, 58.67, 51.33], [0.0, 4.0, 11.33, 18.67])
    """
    steps = threshold_steps(probability)
    contacted = worth_contacting(values, economics) if eligible is None else eligible
    # Contacts and accepted offers are counted before multiplying by costs, so that spending is exact.
    contacts = steps.accumulate(contacted)
    leavers = steps.accumulate(contacted & (target == 1))
    takers = economics.save_probability * leavers + (contacts - leavers)
    profits = np.where(contacted, expected_profit(target, values, economics), 0.0)
    return ProfitCurve(
        thresholds=steps.thresholds,
        contacted_share=contacts / len(target),
        profit=steps.accumulate(profits) / len(target),
        spending=(economics.contact_cost * contacts + economics.offer_cost * takers) / len(target),
    )
