"""Random draws that several shapes share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TextArray = NDArray[Any]
"""One-dimensional array of `str`."""


def indicator(condition: pd.Series[bool]) -> FloatArray:
    """Return 1.0 where the condition holds and 0.0 elsewhere."""
    return condition.to_numpy().astype(np.float64)


def draw_unique_codes(rng: np.random.Generator, count: int, possible: int) -> IntArray:
    """Draw distinct integers.

    Args:
        rng: Source of randomness.
        count: Number of integers wanted.
        possible: Integers come from 0 to `possible` - 1; must be well above `count`.

    Returns:
        Shape (count,); in the order of their first draw, so a smaller count gives a prefix.
    """
    codes = np.empty(0, dtype=np.int64)
    while len(codes) < count:
        codes = pd.unique(np.concatenate([codes, rng.integers(possible, size=count)]))
    return codes[:count]


def draw_yes_no(rng: np.random.Generator, probability_of_yes: FloatArray) -> TextArray:
    """Draw "Yes" with each customer's own probability, otherwise "No"."""
    return np.where(rng.random(len(probability_of_yes)) < probability_of_yes, "Yes", "No")


def draw_category(rng: np.random.Generator, categories: tuple[int | str, ...], weights: FloatArray) -> NDArray[Any]:
    """Draw one category per customer.

    Args:
        rng: Source of randomness.
        categories: The k values to choose from.
        weights: Shape (n, k); each customer's positive relative weights of the categories.

    Returns:
        Shape (n,); drawn values.
    """
    cumulative = np.cumsum(weights, axis=1)
    threshold = rng.random(len(weights)) * cumulative[:, -1]
    drawn: NDArray[Any] = np.asarray(categories)[(threshold[:, np.newaxis] >= cumulative).sum(axis=1)]
    return drawn
