"""Each statistic against scipy, or worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial import distance

from churn_kedro.monitoring import statistics
from churn_kedro.monitoring.counts import count_column
from churn_kedro.monitoring.profiles import bin_sorted, choose_edges, profile_column

RANDOM = np.random.default_rng(3)


def _counts(rows: int, shares: list[float]) -> np.ndarray:
    return RANDOM.multinomial(rows, shares).astype(float)


@pytest.mark.parametrize("shares", [[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
def test_the_divergence_is_the_square_of_scipys_distance(shares: list[float]) -> None:
    first, second = statistics.shares(_counts(500, shares)), statistics.shares(_counts(800, [0.3, 0.3, 0.4]))

    found = float(statistics.jensen_shannon_divergence(first, second))

    assert found == pytest.approx(distance.jensenshannon(first, second, base=2) ** 2, abs=1e-12)


def test_the_stability_index_is_that_of_its_formula_with_a_floor_for_empty_bins() -> None:
    found = statistics.population_stability_index(np.array([0.5, 0.5, 0.0]), np.array([0.4, 0.5, 0.1]))

    expected = (0.4 - 0.5) * np.log(0.4 / 0.5) + (0.1 - 1e-4) * np.log(0.1 / 1e-4)
    assert found == pytest.approx(expected)


def test_kolmogorov_smirnov_of_numbers_in_bins_is_scipys_of_the_bins() -> None:
    reference, current = RANDOM.normal(size=800), RANDOM.normal(0.2, 1.0, size=500)
    edges = choose_edges(np.sort(reference))
    places = [np.searchsorted(edges, numbers) for numbers in (reference, current)]
    counts = [bin_sorted(np.sort(numbers), edges) for numbers in (reference, current)]

    found, p_value = statistics.kolmogorov_smirnov(*counts)

    expected = stats.ks_2samp(*places, method="asymp")
    assert found == pytest.approx(expected.statistic)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_kolmogorov_smirnov_of_few_values_is_that_of_the_values() -> None:
    reference, current = RANDOM.integers(0, 10, 700).astype(float), RANDOM.integers(0, 9, 400).astype(float)
    edges = choose_edges(np.sort(reference))

    found, _ = statistics.kolmogorov_smirnov(bin_sorted(np.sort(reference), edges), bin_sorted(np.sort(current), edges))

    assert found == pytest.approx(stats.ks_2samp(reference, current).statistic)


def test_chi_squared_is_scipys_of_the_categories_that_occur() -> None:
    reference, current = np.array([50.0, 30.0, 0.0, 20.0]), np.array([40.0, 45.0, 0.0, 15.0])

    found = statistics.chi_squared(reference, current)

    expected = stats.chi2_contingency(np.stack([reference, current])[:, [0, 1, 3]], correction=False)
    assert found == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("shift", [0.0, 0.5, 5.0])
def test_wasserstein_is_nearly_scipys_and_exact_beyond_the_reference(shift: float) -> None:
    reference, current = RANDOM.normal(size=5000), RANDOM.normal(shift, 1.0, size=4000)
    profile = profile_column(pd.Series(reference), "x", "number")
    counted = count_column(pd.Series(current), profile)

    found = statistics.wasserstein(
        np.array(profile.edges), np.array(profile.counts, dtype=float), counted.counts, counted.beyond
    )

    assert found == pytest.approx(stats.wasserstein_distance(reference, current), abs=0.02)


def test_the_test_of_a_share_is_fishers_exact_one() -> None:
    found = statistics.share_p_value(10, 1000, 30, 900)

    expected = stats.fisher_exact([[30, 870], [10, 990]], alternative="greater").pvalue
    assert found == pytest.approx(expected)


def test_holms_correction_is_that_of_statsmodels_by_hand() -> None:
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1; the last one is raised to the one before.
    assert statistics.correct_p_values([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])


def test_the_approximation_for_large_samples_is_near_the_simulation() -> None:
    population = np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05])
    simulated = statistics.simulate_divergence(population, 20_000, 50_000, seed=7).quantile(0.999)

    assert statistics.approximate_quantile(6, 20_000, 50_000, 0.999) == pytest.approx(simulated, rel=0.15)


@pytest.mark.slow
def test_two_samples_of_one_population_exceed_the_quantile_as_often_as_it_says() -> None:
    population = np.full(16, 1 / 16)
    limit = statistics.simulate_divergence(population, 8000, 1000, seed=5).quantile(0.95)
    random = np.random.default_rng(6)
    first = random.multinomial(8000, population, size=4000) / 8000
    second = random.multinomial(1000, population, size=4000) / 1000

    share = float((statistics.jensen_shannon_divergence(first, second) > limit).mean())

    assert share == pytest.approx(0.05, abs=0.012)
