"""Distances between two histograms, and what they are by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Simulated pairs of samples, from whose mean and variance the distribution of a divergence is fitted.
_SIMULATED = 1_000
# Share that replaces an empty bin in the population stability index.
_EMPTY_SHARE = 1e-4


def shares(counts: np.ndarray) -> np.ndarray:
    """Divide counts by their sum.

    Args:
        counts: Counts of the bins in the last dimension.

    Returns:
        float64 array of the same shape; zeros where the sum is 0.
    """
    total = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros(np.shape(counts)), where=total > 0))


def jensen_shannon_divergence(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the Jensen-Shannon divergence with logarithms of base 2.

    Lin, IEEE Transactions on Information Theory 37, 1991. Its square root is a distance, see
    ``scipy.spatial.distance.jensenshannon``.

    Args:
        first: Shares of the bins in the last dimension.
        second: The same bins.

    Returns:
        Divergence, 0 (equal) to 1 (no common bin).

    Examples:
        >>> float(jensen_shannon_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])))
        1.0
    """
    from scipy.special import rel_entr

    middle = (first + second) / 2
    nats = (rel_entr(first, middle) + rel_entr(second, middle)).sum(axis=-1) / 2
    return np.asarray(np.clip(nats / np.log(2), 0.0, 1.0))


def population_stability_index(reference: np.ndarray, current: np.ndarray) -> float:
    """Compute the population stability index; an empty bin has a share of 0.0001.

    Args:
        reference: Shares of the bins, shape (n_bins,).
        current: Shares of the same bins.

    Returns:
        The index; by a common rule of thumb, values below 0.1 are small and above 0.25 large.

    Examples:
        >>> round(population_stability_index(np.array([0.5, 0.5]), np.array([0.6, 0.4])), 4)
        0.0405
    """
    used = (reference > 0) | (current > 0)
    before, after = np.maximum(reference[used], _EMPTY_SHARE), np.maximum(current[used], _EMPTY_SHARE)
    return float(((after - before) * np.log(after / before)).sum())


@dataclass(frozen=True)
class DivergenceByChance:
    """Distribution of the Jensen-Shannon divergence of two samples of one population.

    It is approximated by a gamma distribution with the mean and variance of simulated pairs of samples: asymptotically
    the divergence is a scaled chi-squared variable.

    Attributes:
        mean: Mean of the divergence.
        variance: Its variance.
    """

    mean: float
    variance: float

    def quantile(self, probability: float) -> float:
        """Return the divergence that two samples exceed with a probability of ``1 - probability``."""
        from scipy.stats import gamma

        if self.variance <= 0 or self.mean <= 0:
            return self.mean
        return float(gamma.ppf(probability, self.mean**2 / self.variance, scale=self.variance / self.mean))

    def p_value(self, divergence: float) -> float:
        """Return the probability of at least this divergence."""
        from scipy.stats import gamma

        if self.variance <= 0 or self.mean <= 0:
            return 1.0 if divergence <= self.mean else 0.0
        return float(gamma.sf(divergence, self.mean**2 / self.variance, scale=self.variance / self.mean))


def simulate_divergence(population: np.ndarray, n_reference: int, n_current: int, seed: int) -> DivergenceByChance:
    """Simulate the divergence of two samples of one population.

    Args:
        population: Shares of the bins, shape (n_bins,).
        n_reference: Size of the first sample.
        n_current: Size of the second sample.
        seed: Seed of the simulation.

    Returns:
        Its distribution.
    """
    random = np.random.default_rng(seed)
    first = random.multinomial(n_reference, population, size=_SIMULATED) / max(1, n_reference)
    second = random.multinomial(n_current, population, size=_SIMULATED) / max(1, n_current)
    simulated = jensen_shannon_divergence(first, second)
    return DivergenceByChance(float(simulated.mean()), float(simulated.var(ddof=1)))


def approximate_quantile(n_bins: int, n_reference: int, n_current: int, probability: float) -> float:
    """Approximate the divergence that two large samples of one population exceed with ``1 - probability``.

    For large samples, the divergence times 8 log(2) / (1 / n_reference + 1 / n_current) is a chi-squared variable.

    Args:
        n_bins: Number of bins.
        n_reference: Size of the first sample.
        n_current: Size of the second sample.
        probability: Probability.

    Returns:
        The divergence.
    """
    from scipy.stats import chi2

    scale = (1 / n_reference + 1 / n_current) / (8 * np.log(2))
    return float(chi2.ppf(probability, max(1, n_bins - 1)) * scale)


def kolmogorov_smirnov(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Compare two samples of numbers in bins by the Kolmogorov-Smirnov test.

    Args:
        reference: Counts of the bins in ascending order, shape (n_bins,).
        current: Counts of the same bins.

    Returns:
        Largest difference of the distribution functions at the edges of the bins, and its asymptotic p-value, which is
        conservative for numbers in bins.
    """
    from scipy.stats import kstwo

    n, m = int(reference.sum()), int(current.sum())
    if not n or not m:
        return 0.0, 1.0
    largest = float(np.abs(np.cumsum(reference) / n - np.cumsum(current) / m).max())
    return largest, float(np.clip(kstwo.sf(largest, max(1, round(n * m / (n + m)))), 0.0, 1.0))


def chi_squared(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """Compare the frequencies of categories in two samples by the chi-squared test of homogeneity.

    Args:
        reference: Counts of the categories, shape (n_categories,).
        current: Counts of the same categories.

    Returns:
        Statistic and p-value; 0 and 1 where there is at most one category.
    """
    from scipy.stats import chi2_contingency

    table = np.stack([reference, current])[:, (reference + current) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 0.0, 1.0
    found = chi2_contingency(table, correction=False)
    return float(found.statistic), float(found.pvalue)


def wasserstein(edges: np.ndarray, reference: np.ndarray, current: np.ndarray, beyond: float) -> float:
    """Compute the Wasserstein distance of two samples of numbers in bins.

    Within a bin, the difference of the distribution functions is interpolated linearly, as if the numbers were spread
    evenly.

    Args:
        edges: Edges of the bins, ascending, shape (n_edges,). Bin i has numbers above edge i - 1 and up to edge i.
        reference: Counts of the bins, shape (n_edges + 1,).
        current: Counts of the bins.
        beyond: Sum of the distances of the current numbers below the first and above the last edge.

    Returns:
        The distance, in the unit of the numbers.
    """
    n, m = reference.sum(), current.sum()
    if not n or not m or not len(edges):
        return 0.0
    difference = (np.cumsum(reference)[:-1] / n) - (np.cumsum(current)[:-1] / m)
    left, right, width = difference[:-1], difference[1:], np.diff(edges)
    same_sign = left * right >= 0
    total = np.abs(left) + np.abs(right)
    area = np.where(
        same_sign,
        total / 2,
        np.divide(left**2 + right**2, 2 * total, out=np.zeros_like(total), where=total > 0),
    )
    return float((area * width).sum() + beyond / m)


def normal_quantile(tail: float) -> float:
    """Return the number that a standard normal variable exceeds with a probability.

    Args:
        tail: The probability.

    Returns:
        The number.
    """
    from scipy.stats import norm

    return float(norm.isf(tail))


def share_p_value(before: int, n_before: int, after: int, n_after: int) -> float:
    """Test whether a share has risen, by Fisher's exact test.

    Args:
        before: Cells of the kind in the reference.
        n_before: All cells of the reference.
        after: Cells of the kind now.
        n_after: All cells now.

    Returns:
        One-sided p-value.
    """
    from scipy.stats import hypergeom

    # Of all cells of the kind, at least `after` are among the current ones.
    return float(hypergeom.sf(after - 1, n_before + n_after, before + after, n_after))


def correct_p_values(p_values: list[float]) -> list[float]:
    """Correct p-values for the number of tests by Holm's method.

    Holm, Scandinavian Journal of Statistics 6, 1979.

    Args:
        p_values: p-values of all tests.

    Returns:
        Corrected p-values in the same order.

    Examples:
        >>> correct_p_values([0.01, 0.5, 0.02])
        [0.03, 0.5, 0.04]
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    found = np.empty(len(p_values))
    found[order] = corrected
    return [float(one) for one in found]
