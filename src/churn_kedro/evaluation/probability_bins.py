"""Bins of probabilities, in which what was said is set against what happened."""

from __future__ import annotations

import numpy as np


def bin_probabilities(said: np.ndarray, n_bins: int) -> np.ndarray:
    """Put customers into bins of about equally many, by rising probability.

    Customers of whom the same is said are in one bin, so the order of the table does not count.

    Args:
        said: Probability of each customer, shape (n,), at least one.
        n_bins: Bins; with few different probabilities, some of them stay empty.

    Returns:
        Number of each customer's bin, from 0, shape (n,).
    """
    _, inverse, counts = np.unique(said, return_inverse=True, return_counts=True)
    # A group of equal probabilities goes where its middle is.
    middles = np.cumsum(counts) - counts / 2
    return np.floor(middles * n_bins / len(said)).astype(np.int64)[inverse.reshape(-1)]


def group_by_probability(said: np.ndarray, n_bins: int) -> list[np.ndarray]:
    """Positions of the customers of each bin of :func:`bin_probabilities`.

    Args:
        said: Probability of each customer, shape (n,), at least one.
        n_bins: Bins.

    Returns:
        One array for each bin that has customers, by rising probability.
    """
    bins = bin_probabilities(said, n_bins)
    return [np.flatnonzero(bins == number) for number in np.unique(bins)]
