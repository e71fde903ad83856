"""Claims about log-odds; the maps are compared with scikit-learn's in tests/training/test_calibration.py."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from churn_estimators.calibration import log_odds


@given(probability=st.lists(st.floats(1e-9, 1 - 1e-9), min_size=1, max_size=8))
def test_sigmoid_of_log_odds_is_the_probability(probability: list[float]) -> None:
    said = np.asarray(probability)

    scores = log_odds(np.column_stack([1 - said, said]))

    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), said, rtol=1e-6)


def test_softmax_of_log_odds_of_several_classes_is_the_probabilities() -> None:
    said = np.random.default_rng(0).dirichlet(np.ones(4), 20)

    scores = log_odds(said)

    assert scores.shape == (20, 4)
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), said, rtol=1e-9)


def test_log_odds_of_probabilities_0_and_1_are_finite() -> None:
    low, high = log_odds(np.array([[1.0, 0.0], [0.0, 1.0]]))

    assert np.isfinite([low, high]).all()
    assert low == pytest.approx(-high, rel=1e-3)
    assert np.isfinite(log_odds(np.array([[1.0, 0.0, 0.0]]))).all()
