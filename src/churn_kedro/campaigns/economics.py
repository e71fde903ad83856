"""Expected profit of a retention campaign.

Every contacted customer is offered something for staying. The expected profit is the one of Neslin, Gupta, Kamakura, Lu
and Mason, "Defection detection: measuring and understanding the predictive accuracy of customer churn models", *Journal
of Marketing Research* 43 (2006), without their fixed costs, which no threshold changes. ``docs/profit.md`` explains it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.campaigns.parameters import Economics, ValueColumn
from churn_kedro.customers import CustomerTableError

logger = logging.getLogger(__name__)

# Spending is a sum of decimal numbers, which binary floats only come near to.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ThresholdSteps:
    """Who is flagged as a decision threshold falls: nobody first, then one group of equal probability after the other.

    A customer is flagged where the probability is at or above the threshold. There are k distinct probabilities.

    Attributes:
        thresholds: Falling thresholds, shape (k + 1,). The first flags nobody, the last flags everyone; those between
            lie midway between neighbouring probabilities.
        order: Positions of the customers by falling probability, shape (n,).
        flagged: Number of customers flagged at each threshold, whole numbers, shape (k + 1,).
    """

    thresholds: np.ndarray
    order: np.ndarray
    flagged: np.ndarray

    def accumulate(self, amounts: np.ndarray) -> np.ndarray:
        """Add up an amount over the customers flagged at each threshold.

        Args:
            amounts: Amount of each customer, in their original order, shape (n,).

        Returns:
            Sums, shape (k + 1,); the first is 0.
        """
        sums = np.zeros(len(self.order) + 1, dtype=np.result_type(amounts, np.int64))
        np.cumsum(amounts[self.order], out=sums[1:])
        reached: np.ndarray = sums[self.flagged]
        return reached


@dataclass(frozen=True)
class ProfitCurve:
    """What a campaign brings at each threshold, from contacting nobody on.

    Attributes:
        thresholds: Falling thresholds, shape (k + 1,), as in :class:`ThresholdSteps`.
        contacted_share: Share of the customers that is contacted, in [0, 1], shape (k + 1,).
        profit: Expected profit in money per customer of the table, contacted or not, shape (k + 1,); the first is 0.
        spending: Expected spending in money per customer of the table, contacted or not, shape (k + 1,).
    """

    thresholds: np.ndarray
    contacted_share: np.ndarray
    profit: np.ndarray
    spending: np.ndarray

    def affordable(self, economics: Economics) -> np.ndarray:
        """Which thresholds stay within capacity and budget.

        Args:
            economics: Both limits.

        Returns:
            True or False for each threshold, shape (k + 1,); the first is True.
        """
        within: np.ndarray = self.within_capacity(economics) & self.within_budget(economics)
        return within

    def within_capacity(self, economics: Economics) -> np.ndarray:
        """Which thresholds contact no larger share than there is capacity for.

        Args:
            economics: The capacity.

        Returns:
            True or False for each threshold, shape (k + 1,); the first is True.
        """
        limit = np.inf if economics.capacity is None else economics.capacity
        within: np.ndarray = self.contacted_share <= limit
        return within

    def within_budget(self, economics: Economics) -> np.ndarray:
        """Which thresholds spend no more than the budget, in expectation.

        Args:
            economics: The budget.

        Returns:
            True or False for each threshold, shape (k + 1,); the first is True.
        """
        limit = np.inf if economics.budget is None else economics.budget * (1 + _ROUNDING)
        within: np.ndarray = self.spending <= limit
        return within


def customer_values(economics: Economics, customers: pd.DataFrame) -> np.ndarray:
    """What each customer is worth if saved.

    A customer without a value gets the median of those who have one, and a warning says how many these are. Leaving
    them out would never contact customers of whom merely a cell is missing. A value of 0 or less stands as it is:
    such a customer is not worth a contact.

    Args:
        economics: One value for all, or the column with the values.
        customers: Customers with that column as numbers, shape (n, n_columns).

    Returns:
        Money, float64 array of shape (n,), finite.

    Raises:
        ParameterError: The table has no such column; the message names those nearest to it.
        CustomerTableError: The column holds something else than finite numbers, or no number at all.
    """
    if not isinstance(economics.value, ValueColumn):
        return np.full(len(customers), float(economics.value))
    name = economics.value.column
    if name not in customers.columns:
        columns = [str(column) for column in customers.columns]
        nearest = get_close_matches(name, columns, n=3, cutoff=0.5)
        raise ParameterError(
            f"economics.value.column is '{name}', which is no column of the customer table ("
            + (f"nearest: {', '.join(map(repr, nearest))}" if nearest else f"it has: {', '.join(columns)}")
            + "). Correct the name in campaigns.economics."
        )
    cells = customers[name]
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    unknown = np.isnan(numbers)
    strange = (unknown & cells.notna().to_numpy()) | np.isinf(numbers)
    if strange.any():
        raise CustomerTableError(
            f"Column '{name}' is to tell what a customer is worth, but {strange.sum()} of {len(cells)} cells hold no "
            f"finite number, such as '{cells[strange].iloc[0]}'. Name a column of numbers in "
            "campaigns.economics.value.column, or correct the cells."
        )
    if len(numbers) and unknown.all():
        raise CustomerTableError(
            f"Column '{name}' is to tell what a customer is worth, but all {len(cells)} cells are empty. Name another "
            "column in campaigns.economics.value.column, or give one number as campaigns.economics."
            "value."
        )
    if unknown.any():
        median = float(np.median(numbers[~unknown]))
        logger.warning(
            "%d of %d customers have no %s: they count as worth the median of the others, %g.",
            unknown.sum(),
            len(numbers),
            name,
            median * economics.value.factor,
        )
        numbers = np.where(unknown, median, numbers)
    values: np.ndarray = numbers * economics.value.factor
    return values


def worth_contacting(values: np.ndarray, economics: Economics) -> np.ndarray:
    """Which customers would be worth a contact if they were certain to leave.

    No campaign would contact the others, at whatever threshold.

    Args:
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        True or False per customer, shape (n,).
    """
    worth: np.ndarray = economics.save_probability * (values - economics.offer_cost) > economics.contact_cost
    return worth


def break_even_probabilities(values: np.ndarray, economics: Economics) -> np.ndarray:
    """Probability of leaving above which a contact pays in expectation.

    Args:
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        float64 array of shape (n,): values in [0, 1), or infinity for a customer who is never worth a contact.
    """
    # Where a contact is worth it, the denominator is above 0: it is more than the two costs together.
    worth = worth_contacting(values, economics)
    difference = economics.save_probability * (values - economics.offer_cost) + economics.offer_cost
    costs = np.full(len(values), economics.offer_cost + economics.contact_cost)
    probabilities: np.ndarray = np.divide(costs, difference, out=np.full(len(values), np.inf), where=worth)
    return probabilities


def break_even(economics: Economics) -> float | None:
    """Probability of leaving above which a contact pays in expectation, where all customers are worth the same.

    Args:
        economics: Costs, value, and the probability of saving a customer.

    Returns:
        A number in [0, 1), or None where the value is a column: each customer then has another one, see
        :func:`break_even_probabilities`.
    """
    if isinstance(economics.value, ValueColumn):
        return None
    return float(break_even_probabilities(np.array([economics.value]), economics)[0])


def campaign_profit(target: np.ndarray, contacted: np.ndarray, values: np.ndarray, economics: Economics) -> float:
    """Expected profit of contacting some customers whose target is known.

    Customers who are never worth a contact count as not contacted.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        contacted: Whether each customer is contacted, True or False, shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        Money in total; 0 where nobody is contacted.
    """
    worth = contacted & worth_contacting(values, economics)
    return float(_profits(target, values, economics)[worth].sum())


def contact_profits(target: np.ndarray, values: np.ndarray, economics: Economics) -> np.ndarray:
    """Expected profit of contacting each customer whose target is known.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        Money, shape (n,); 0 for customers who are never worth a contact, since no campaign contacts them.
    """
    return np.where(worth_contacting(values, economics), _profits(target, values, economics), 0.0)


def contact_spending(target: np.ndarray, values: np.ndarray, economics: Economics) -> np.ndarray:
    """Expected spending on each customer whose target is known, if contacted.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        Money, shape (n,); 0 for customers who are never worth a contact.
    """
    takes = np.where(target == 1, economics.save_probability, 1.0)
    spending = economics.contact_cost + economics.offer_cost * takes
    return np.where(worth_contacting(values, economics), spending, 0.0)


def _profits(target: np.ndarray, values: np.ndarray, economics: Economics) -> np.ndarray:
    """Expected profit of each customer if contacted, shape (n,)."""
    saved = economics.save_probability * (values - economics.offer_cost)
    profits: np.ndarray = np.where(target == 1, saved, -economics.offer_cost) - economics.contact_cost
    return profits


def threshold_steps(probability: np.ndarray) -> ThresholdSteps:
    """All thresholds that tell customers apart.

    Midway between two neighbouring probabilities, a threshold is as far as can be from either, so new customers like
    them are decided alike; the lowest one lies midway between the smallest probability and 0. The first threshold is
    1, or 1.00000012 where someone has a probability of 1: it is finite, scikit-learn takes it, and it flags nobody.

    Args:
        probability: Probability of leaving, values in [0, 1], shape (n,), at least one.

    Returns:
        Thresholds, and the customers in the order in which they are flagged.
    """
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order].astype(np.float64)
    last_of_group = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    upper = ranked[last_of_group]
    lower = np.append(upper[1:], 0.0)
    midway = (lower + upper) / 2
    # Between two neighbouring floats there is none, and the midpoint may come out as the lower one.
    between = np.where(midway > lower, midway, upper)
    # Exact in single precision, too, in which uncalibrated trees answer: rounded to 1, it would flag.
    nobody = 1.0 if upper[0] < 1 else float(np.nextafter(np.float32(1), np.float32(2)))
    return ThresholdSteps(thresholds=np.append(nobody, between), order=order, flagged=np.append(0, last_of_group + 1))


def profit_curve(target: np.ndarray, probability: np.ndarray, values: np.ndarray, economics: Economics) -> ProfitCurve:
    """Expected profit, contacts and spending at each threshold.

    Customers who are never worth a contact count as not contacted, at every threshold. Capacity and budget limit
    nothing here; :meth:`ProfitCurve.affordable` says which thresholds keep to them.

    Args:
        target: 1 for customers who left, 0 for those who stayed, shape (n,), at least one customer.
        probability: Calibrated probability of leaving, values in [0, 1], shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        economics: Costs, and the probability of saving a customer.

    Returns:
        The curve over all thresholds of :func:`threshold_steps`.
    """
    steps = threshold_steps(probability)
    contacted = worth_contacting(values, economics)
    # Contacts and takers are counted, not summed up in money, so that spending is exact for any number of customers.
    contacts = steps.accumulate(contacted)
    leavers = steps.accumulate(contacted & (target == 1))
    takers = economics.save_probability * leavers + (contacts - leavers)
    profits = np.where(contacted, _profits(target, values, economics), 0.0)
    return ProfitCurve(
        thresholds=steps.thresholds,
        contacted_share=contacts / len(target),
        profit=steps.accumulate(profits) / len(target),
        spending=(economics.contact_cost * contacts + economics.offer_cost * takers) / len(target),
    )
