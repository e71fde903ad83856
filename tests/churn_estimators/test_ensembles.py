"""Claims about ensembles of fitted models."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from churn_estimators.calibration import log_odds
from churn_estimators.ensembles import BlendClassifier, BlendRegressor


def learned(n_classes: int) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Inputs, target, and two classifiers that learned different things of it."""
    random = np.random.default_rng(0)
    values = random.normal(size=(200, 3))
    target = np.digitize(values.sum(axis=1) + random.normal(0, 1, 200), [0] if n_classes == 2 else [-1, 1])
    return (
        values,
        target,
        [
            DecisionTreeClassifier(max_depth=3).fit(values, target),
            LogisticRegression().fit(values[:, :3], target),
        ],
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_blend_of_classifiers_is_their_mean_or_a_stack(n_classes: int) -> None:
    values, target, members = learned(n_classes)
    answers = [member.predict_proba(values) for member in members]

    vote = BlendClassifier(members)
    np.testing.assert_allclose(vote.predict_proba(values), (answers[0] + answers[1]) / 2)
    np.testing.assert_array_equal(vote.predict(values), vote.predict_proba(values).argmax(axis=1))
    np.testing.assert_array_equal(vote.classes_, np.arange(n_classes))

    seen = np.column_stack([log_odds(answer) for answer in answers])
    last = LogisticRegression(max_iter=1000).fit(seen, target)
    np.testing.assert_array_equal(BlendClassifier(members, last).predict_proba(values), last.predict_proba(seen))


def test_a_blend_of_regressors_is_their_mean_or_a_stack() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(100, 2))
    target = values.sum(axis=1)
    members = [DecisionTreeRegressor(max_depth=2).fit(values, target), LinearRegression().fit(values, target)]
    answers = np.column_stack([member.predict(values) for member in members])

    np.testing.assert_allclose(BlendRegressor(members).predict(values), answers.mean(axis=1))
    last = LinearRegression(positive=True).fit(answers, target)
    np.testing.assert_array_equal(BlendRegressor(members, last).predict(values), last.predict(answers))


def test_ensembles_do_not_refit_their_members() -> None:
    values, target, members = learned(2)
    before = members[0].predict_proba(values)

    BlendClassifier(members).fit(values, 1 - target)
    BlendRegressor(members).fit(values, 1 - target)

    np.testing.assert_array_equal(members[0].predict_proba(values), before)
