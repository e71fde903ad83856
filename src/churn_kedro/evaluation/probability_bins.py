"""Bins of predicted probabilities, in which predictions are compared with observed outcomes."""

from __future__ import annotations

import numpy as np


def bin_probabilities(predicted: np.ndarray, n_bins: int) -> np.ndarray:
    """Assign customers to bins of about equal size by increasing probability.

    Equal probabilities share a bin, so the result does not depend on the order of the table.

    Args:
        predicted: Predicted probability of each customer, shape (n,), n at least 1.
        n_bins: Number of bins; some stay empty if few distinct probabilities occur.

    Returns:
        Index of each customer's bin, from 0, shape (n,).

    Examples:
        >>> import numpy as np
        >>> bin_probabilities(np.array([0.9, 0.1, 0.1, 0.4]), n_bins=2).tolist()
        [1, 0, 0, 1]
    """
    _, inverse, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    # A group of equal probabilities is assigned to the bin of its middle.
    middles = np.cumsum(counts) - counts / 2
    return np.floor(middles * n_bins / len(predicted)).astype(np.int64)[inverse.reshape(-1)]


def group_by_probability(predicted: np.ndarray, n_bins: int) -> list[np.ndarray]:
    """Return the positions of the customers in each bin of :func:`bin_probabilities`.

    Args:
        predicted: Predicted probability of each customer, shape (n,), n at least 1.
        n_bins: Number of bins.

    Returns:
        One array for each nonempty bin, by increasing probability.

    Examples:
        >>> import numpy as np
        >>> [group.tolist() for group in group_by_probability(np.array([0.9, 0.1, 0.1, 0.4]), n_bins=2)]
        [[1, 2], [0, 3]]
    """
    bins = bin_probabilities(predicted, n_bins)
    return [np.flatnonzero(bins == number) for number in np.unique(bins)]
