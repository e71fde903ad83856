"""Values of Evidently 0.7.23 and NannyML 0.13.1, recorded, since neither installs beside this project.

The data is made by formulas, so that it is the same everywhere.
"""

import numpy as np
import pandas as pd
import pytest

from churn_kedro.monitoring import statistics
from churn_kedro.monitoring.counts import count_column
from churn_kedro.monitoring.performance import ScoreCounts, measure_counts
from churn_kedro.monitoring.profiles import profile_column

GOLDEN = 0.6180339887


def _table(rows: int, shift: float, shares: list[float]) -> pd.DataFrame:
    place = np.arange(rows)
    number = np.round(50 + 10 * np.sin(place * 0.7) + (place % 97) / 10 + shift, 3)
    level = np.array(["a", "b", "c"])[np.searchsorted(np.cumsum(shares), (place * GOLDEN) % 1.0)]
    return pd.DataFrame({"number": number, "level": level})


REFERENCE, CURRENT = _table(2000, 0.0, [0.5, 0.3, 0.2]), _table(1500, 2.5, [0.4, 0.35, 0.25])


def test_distances_of_levels_are_those_of_evidently() -> None:
    profile = profile_column(REFERENCE["level"], "level", "level")
    before = statistics.shares(np.array(profile.counts, dtype=float))
    after = statistics.shares(count_column(CURRENT["level"], profile).counts)

    # ValueDrift(method="psi") and (method="jensenshannon"), the latter with natural logarithms.
    assert statistics.population_stability_index(before, after) == pytest.approx(0.04109775630614808, rel=1e-9)
    distance = float(np.sqrt(statistics.jensen_shannon_divergence(before, after) * np.log(2)))
    assert distance == pytest.approx(0.0716079487051337, rel=1e-9)


def test_distances_of_numbers_in_bins_are_nearly_those_of_evidently() -> None:
    profile = profile_column(REFERENCE["number"], "number", "number")
    counted = count_column(CURRENT["number"], profile)
    before = np.array(profile.counts, dtype=float)

    moved = statistics.wasserstein(np.array(profile.edges), before, counted.counts, counted.beyond)
    _, p_value = statistics.kolmogorov_smirnov(before, counted.counts)

    # ValueDrift(method="wasserstein"), in standard deviations, and the p-value of (method="ks").
    assert moved / REFERENCE["number"].std() == pytest.approx(0.32503866280444516, rel=0.01)
    assert p_value == pytest.approx(1.6788073429999172e-11, rel=1.0)
    assert p_value > 1.6788073429999172e-11


def test_estimates_without_outcomes_are_those_of_nannyml() -> None:
    place = np.arange(3000, 6000)
    probability = np.round(((place * GOLDEN) % 1.0) ** 2.2, 6)
    counts = ScoreCounts()
    counts.add(probability, probability >= 0.3)

    found = measure_counts(counts.expected, counts.customers - counts.expected)

    # CBPE without calibration, one chunk.
    recorded = {"roc_auc": 0.880946, "f1": 0.703643, "accuracy": 0.782441, "precision": 0.612512, "recall": 0.826630}
    assert {name: float(found[name]) for name in recorded} == pytest.approx(recorded, abs=5e-6)
