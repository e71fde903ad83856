"""Claims about the transformers that travel with a model."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from churn_estimators.transformers import (
    Binner,
    BlendClassifier,
    BlendRegressor,
    CategoryNames,
    Combiner,
    DateReader,
    InformationSelector,
    LevelReader,
    LogOddsClassifier,
    MissingFlags,
    NumberReader,
    OtherColumnsImputer,
    OutlierFences,
    RowOutliers,
    UnlearnableColumnError,
    log_odds,
)

NAN = float("nan")


def read(cells: Any) -> list[float]:
    table = pd.DataFrame({"a": cells})
    numbers: list[float] = NumberReader().fit(table).transform(table)[:, 0].tolist()
    return numbers


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", " 2.5 ", "-3e2"], [1.0, 2.5, -300.0]),
        (["", " ", "NA"], [NAN, NAN, NAN]),
        (["1,5", "one", "0x1"], [NAN, NAN, NAN]),
        ([1, "2", None], [1.0, 2.0, NAN]),
        ([1, 2, 3], [1.0, 2.0, 3.0]),
        ([1.5, None, 2.0], [1.5, NAN, 2.0]),
        (pd.array([1, None, 3], dtype="Int64"), [1.0, NAN, 3.0]),
        (pd.array([1.5, None, 3], dtype="Float32"), [1.5, NAN, 3.0]),
        ([True, False, True], [1.0, 0.0, 1.0]),
        (pd.array([True, None, False], dtype="boolean"), [1.0, NAN, 0.0]),
        (pd.Categorical(["1", "x", None]), [1.0, NAN, NAN]),
        (pd.Categorical([7, None, 8]), [7.0, NAN, 8.0]),
        ([None, None, None], [NAN, NAN, NAN]),
    ],
)
def test_cells_are_read_as_numbers_and_anything_else_is_missing(cells: Any, expected: list[float]) -> None:
    np.testing.assert_array_equal(read(cells), expected)


@given(numbers=st.lists(st.floats(allow_infinity=False), min_size=1, max_size=8))
def test_numbers_survive_being_written_as_text(numbers: list[float]) -> None:
    np.testing.assert_array_equal(read([repr(number) for number in numbers]), numbers)
    np.testing.assert_array_equal(read(numbers), numbers)


def test_columns_keep_position_and_name() -> None:
    table = pd.DataFrame({"b": ["1", "2"], "a": [3.0, 4.0]})
    reader = NumberReader().fit(table)

    assert reader.transform(table).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert reader.get_feature_names_out().tolist() == ["b", "a"]


def test_reading_does_not_modify_the_table() -> None:
    table = pd.DataFrame({"a": ["1", "x"]})
    before = table.copy()

    NumberReader().fit(table).transform(table)

    pd.testing.assert_frame_equal(table, before)


NUMBERS = pd.DataFrame({"a": [2001.0, 2002.0, 2004.0, 2009.0], "b": [1995.0, 1996.0, 1999.0, 1997.0]})
TRANSFORMERS: dict[str, BaseEstimator] = {
    "numbers": NumberReader(),
    "levels": LevelReader(),
    "dates": DateReader([None, None]),
    "combined": Combiner(["c"], ["sum"], [[0, 1]]),
    "flags": MissingFlags(),
    "fences": OutlierFences("zscore", 2, "clip"),
    "rows": RowOutliers(IsolationForest(random_state=0)),
    "filled": OtherColumnsImputer(KNNImputer(), ["a"], max_rows=10, random_state=0),
    "bins": Binner("quantile", bins=2),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transform_before_fit_raises(name: str) -> None:
    with pytest.raises(NotFittedError):
        clone(TRANSFORMERS[name]).transform(NUMBERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_output_has_a_name_and_the_input_is_not_modified(name: str) -> None:
    before = NUMBERS.copy()
    fitted = clone(TRANSFORMERS[name]).fit(NUMBERS)

    assert fitted.transform(NUMBERS).shape == (4, len(fitted.get_feature_names_out()))
    assert list(clone(fitted).set_output(transform="pandas").fit_transform(NUMBERS)) == list(
        fitted.get_feature_names_out()
    )
    pd.testing.assert_frame_equal(NUMBERS, before)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "-2", " 3,25 "], [1.5, -2.0, 3.25]),
        (["1.5", "1.000,5", "1,000.5"], [1.5, NAN, NAN]),
        ([1.5, 2, 3], [1.5, 2.0, 3.0]),
        (pd.Series([1.5, "2,5", None], dtype=object), [1.5, 2.5, NAN]),
    ],
)
def test_a_decimal_comma_is_read_in_text_and_typed_numbers_are_unchanged(cells: Any, expected: list[float]) -> None:
    table = pd.DataFrame({"a": cells})

    np.testing.assert_array_equal(NumberReader(",").fit(table).transform(table)[:, 0], expected)


def positions(levels: Any, cells: Any, **options: Any) -> list[float]:
    reader = LevelReader(levels, **options).fit(pd.DataFrame({"c": cells}))
    found: list[float] = reader.transform(pd.DataFrame({"c": cells}))[:, 0].tolist()
    return found


@pytest.mark.parametrize(
    "cells",
    [
        ["b", " a ", "x", "", None],
        pd.Series(["b", "a", "x", "", None], dtype="str"),
        pd.Categorical(["b", "a", "x", "", None]),
        pd.Series(["b", "a", "x", "", None], dtype="string[pyarrow]"),
    ],
)
def test_levels_are_looked_up_in_any_kind_of_text_column(cells: Any) -> None:
    np.testing.assert_array_equal(positions([["b", "a"]], cells), [0.0, 1.0, NAN, NAN, NAN])


def test_levels_written_as_numbers_are_the_same_levels() -> None:
    assert positions([[0.5, 1, 10]], ["10", "1.0", "0.5"], numbers=True) == [2.0, 1.0, 0.0]
    assert positions([["1", "2"]], [2.0, 1.0]) == [1.0, 0.0]


def test_learned_levels_are_sorted_and_blanks_around_them_do_not_count() -> None:
    reader = LevelReader().fit(pd.DataFrame({"c": ["b ", "a", "b", None]}))

    assert reader.levels_ == [["a", "b"]]


def test_labels_name_the_levels() -> None:
    table = pd.DataFrame({"c": [3.0, 1.0, 7.0]})
    labels = LevelReader([[1, 3]], numbers=True, labels=True).fit(table).transform(table)[:, 0].tolist()

    assert labels[:2] == ["3", "1"]
    assert np.isnan(labels[2])


def test_a_column_without_any_level_has_no_most_frequent_one() -> None:
    with pytest.raises(
        UnlearnableColumnError, match="column 'c' has no level in the training rows to replace missing ones"
    ):
        LevelReader(missing="most_frequent").fit(pd.DataFrame({"c": [None, None]}))


@pytest.mark.slow
@given(numbers=st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=30, unique=True))
def test_clipping_does_not_change_numbers_within_the_fences(numbers: list[float]) -> None:
    table = pd.DataFrame({"a": numbers})
    fences = OutlierFences("zscore", 1.0, "clip").fit(table)
    clipped = fences.transform(table)[:, 0]

    outside = fences.outside(table)[:, 0]
    np.testing.assert_array_equal(clipped[~outside], np.asarray(numbers)[~outside])
    assert (clipped >= fences.lower_).all()
    assert (clipped <= fences.upper_).all()


@pytest.mark.slow
@given(numbers=st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=40, unique=True), bins=st.integers(2, 5))
def test_quantile_bins_of_different_numbers_are_of_equal_size(numbers: list[float], bins: int) -> None:
    table = pd.DataFrame({"a": numbers})
    counts = np.bincount(Binner("quantile", bins).fit(table).transform(table)[:, 0].astype(int), minlength=bins)

    assert counts.max() - counts.min() <= 2


def test_equal_numbers_share_a_bin_even_if_it_grows_large() -> None:
    table = pd.DataFrame({"a": [0.0] * 8 + [1.0, 2.0, 3.0, 4.0]})
    binner = Binner("quantile", bins=4).fit(table)

    assert binner.edges_[0].tolist() == [1.25]
    assert binner.transform(pd.DataFrame({"a": [0.0, 1.0, 4.0]}))[:, 0].tolist() == [0.0, 0.0, 1.0]


@pytest.mark.slow
def test_information_equals_scikit_learns_minus_its_expectation_under_independence() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 400)
    column = np.where(random.random(400) < 0.8, target, 1 - target).astype(float)
    # As many permutations as chance needs to show its mean.
    chance = np.mean([mutual_info_score(random.permutation(column), target) for _ in range(400)])

    selector = InformationSelector(1, ["c"]).fit(pd.DataFrame({"c": column}), target)

    assert selector.scores_[0] == pytest.approx(mutual_info_score(column, target) - chance, abs=5e-4)


def test_imputation_does_not_change_known_numbers() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(30, 3)) * 1e7, columns=["a", "b", "empty"]).assign(empty=NAN)
    table.loc[:4, "a"] = NAN
    imputer = OtherColumnsImputer(KNNImputer(), ["a"], max_rows=20, random_state=1).fit(table)
    filled = imputer.transform(table)[:, 0]

    np.testing.assert_array_equal(filled[5:], table["a"][5:])
    assert np.isfinite(filled).all()
    with pytest.raises(UnlearnableColumnError, match="column 'empty' has no number in the training rows"):
        OtherColumnsImputer(KNNImputer(), ["empty"], max_rows=20, random_state=1).fit(table)


def test_categories_are_written_as_text_and_quantities_stay_numbers() -> None:
    values = np.array([[1.5, 2.0, 0.0], [NAN, 10.0, 1.0]])

    table = CategoryNames([1, 2]).fit(values).transform(values)

    assert table.shape == values.shape
    np.testing.assert_array_equal(table[0], values[:, 0])
    assert table[1].tolist() == ["2.0", "10.0"]
    assert table[2].tolist() == ["0.0", "1.0"]


def test_a_missing_category_becomes_the_text_nan() -> None:
    assert CategoryNames([0]).transform(np.array([[NAN], [1.0]]))[0].tolist() == ["nan", "1.0"]


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
def test_log_odds_classifier_predicts_like_its_estimator(n_classes: int) -> None:
    values, _, (_, logistic) = learned(n_classes)

    wrapped = LogOddsClassifier(logistic)

    np.testing.assert_array_equal(wrapped.predict_proba(values), logistic.predict_proba(values))
    np.testing.assert_array_equal(wrapped.predict(values), logistic.predict(values))
    np.testing.assert_array_equal(wrapped.classes_, logistic.classes_)
    decision, expected = wrapped.decision_function(values), logistic.decision_function(values)
    if n_classes == 3:
        # Logits are what they are up to a constant of the row.
        decision, expected = (scores - scores.mean(axis=1, keepdims=True) for scores in (decision, expected))
    np.testing.assert_allclose(decision, expected, rtol=1e-6, atol=1e-9)


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

    for whole in (LogOddsClassifier(members[0]), BlendClassifier(members)):
        whole.fit(values, 1 - target)
    BlendRegressor(members).fit(values, 1 - target)

    np.testing.assert_array_equal(members[0].predict_proba(values), before)
