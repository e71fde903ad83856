"""The value of a contact: costs, worth of a saved customer, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

# Decisions in lists and answers.
CONTACT, NO_CONTACT = "contact", "no_contact"


class Costs(Protocol):
    """Costs of a contact, and the probability of saving a customer."""

    @property
    def contact_cost(self) -> float:
        """Money spent on every contacted customer."""
        ...

    @property
    def offer_cost(self) -> float:
        """Money spent on every contacted customer who takes the offer."""
        ...

    @property
    def save_probability(self) -> float:
        """Probability that a contacted customer who would leave takes the offer and stays."""
        ...


def worth_contacting(values: np.ndarray, costs: Costs) -> np.ndarray:
    """Find the customers for whom a contact pays if they are certain to leave.

    Args:
        values: Money that each customer is worth if saved, shape (n,).
        costs: Costs, and the probability of saving a customer.

    Returns:
        True or False per customer, shape (n,).
    """
    worth: np.ndarray = costs.save_probability * (values - costs.offer_cost) > costs.contact_cost
    return worth


def expected_profit(probability: np.ndarray, values: np.ndarray, costs: Costs) -> np.ndarray:
    """Compute the expected profit of contacting each customer.

    A contacted customer who would leave takes the offer and stays with the probability of saving; one who would stay
    takes the offer as well.

    Args:
        probability: Probability of leaving, or 1 for customers who left and 0 for those who stayed, shape (n,).
        values: Money that each customer is worth if saved, shape (n,).
        costs: Costs, and the probability of saving a customer.

    Returns:
        Money, shape (n,).

    Examples:
        >>> value = ContactValue(contact_cost=2, offer_cost=20, save_probability=0.5, value=420)
        >>> expected_profit(np.array([1.0, 0.5, 0.0]), np.full(3, 420.0), value).tolist()
        [198.0, 88.0, -22.0]
    """
    saved = costs.save_probability * (values - costs.offer_cost)
    profit: np.ndarray = probability * saved - (1 - probability) * costs.offer_cost - costs.contact_cost
    return profit


def decide(probability: np.ndarray, threshold: float, eligible: np.ndarray | None = None) -> np.ndarray:
    """Decide whom to contact.

    Args:
        probability: Probability of leaving, shape (n,).
        threshold: Decision threshold.
        eligible: Whether each customer may be contacted at all, shape (n,); None: all.

    Returns:
        True or False per customer, shape (n,): the probability reaches the threshold, and the customer is eligible.
    """
    contact: np.ndarray = probability >= threshold
    return contact if eligible is None else contact & eligible


@dataclass(frozen=True)
class ContactValue:
    """Costs of a contact, and the value of a saved customer. All money is in one currency.

    Attributes:
        contact_cost: Money spent on every contacted customer.
        offer_cost: Money spent on every contacted customer who takes the offer.
        save_probability: Probability that a contacted customer who would leave takes the offer and stays.
        value: Money that a saved customer is worth; with ``column``, money per unit of it.
        column: Column of the table; None: all customers have the same value.
        fill_value: Number of the column where it is missing.

    Examples:
        >>> value = ContactValue(2, 20, 0.5, 12, column="monthly", fill_value=30)
        >>> value.of(pd.DataFrame({"monthly": [35.0, None]})).tolist()
        [420.0, 360.0]
    """

    contact_cost: float
    offer_cost: float
    save_probability: float
    value: float
    column: str | None = None
    fill_value: float | None = None

    def of(self, customers: pd.DataFrame) -> np.ndarray:
        """Return the value of each customer if saved.

        Args:
            customers: Typed customers, n rows. Where the column is absent or a cell is missing, its fill value applies.

        Returns:
            Money, float64 array of shape (n,).
        """
        if self.column is None or self.column not in customers.columns:
            return self.of_numbers(np.full(len(customers), np.nan))
        return self.of_numbers(customers[self.column].to_numpy(dtype=np.float64, na_value=np.nan))

    def of_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """Return the value of each customer if saved.

        Args:
            numbers: Numbers of the column, shape (n,); NaN where missing. Without a column, only their count matters.

        Returns:
            Money, float64 array of shape (n,).
        """
        if self.column is None:
            return np.full(len(numbers), float(self.value))
        fill = np.nan if self.fill_value is None else float(self.fill_value)
        return np.asarray(np.where(np.isnan(numbers), fill, numbers) * self.value)
