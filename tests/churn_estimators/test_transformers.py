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
from sklearn.metrics import mutual_info_score

from churn_estimators.transformers import (
    Binner,
    CategoryNames,
    Combiner,
    DateParts,
    InformationSelector,
    LevelEncoder,
    MissingFlags,
    OtherColumnsImputer,
    OutlierFences,
    RowOutliers,
    UnlearnableColumnError,
)

NAN = float("nan")


NUMBERS = pd.DataFrame({"a": [2001.0, 2002.0, 2004.0, 2009.0], "b": [1995.0, 1996.0, 1999.0, 1997.0]})
TRANSFORMERS: dict[str, BaseEstimator] = {
    "levels": LevelEncoder(),
    "dates": DateParts(),
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
    table = pd.to_datetime(NUMBERS.stack().astype("int64"), format="%Y").unstack() if name == "dates" else NUMBERS
    before = table.copy()
    fitted = clone(TRANSFORMERS[name]).fit(table)

    assert fitted.transform(table).shape == (4, len(fitted.get_feature_names_out()))
    assert list(clone(fitted).set_output(transform="pandas").fit_transform(table)) == list(
        fitted.get_feature_names_out()
    )
    pd.testing.assert_frame_equal(table, before)


def positions(levels: Any, cells: Any, **options: Any) -> list[float]:
    reader = LevelEncoder(levels, **options).fit(pd.DataFrame({"c": cells}))
    found: list[float] = reader.transform(pd.DataFrame({"c": cells}))[:, 0].tolist()
    return found


@pytest.mark.parametrize(
    "cells",
    [
        ["b", "a", "x", "", None],
        pd.Series(["b", "a", "x", "", None], dtype="str"),
        pd.Categorical(["b", "a", "x", "", None]),
        pd.Series(["b", "a", "x", "", None], dtype="string[pyarrow]"),
    ],
)
def test_levels_are_looked_up_in_any_kind_of_text_column(cells: Any) -> None:
    np.testing.assert_array_equal(positions([["b", "a"]], cells), [0.0, 1.0, NAN, NAN, NAN])


def test_levels_that_are_numbers_are_in_ascending_order() -> None:
    assert positions([[0.5, 1, 10]], [10.0, 1.0, 0.5], numbers=True) == [2.0, 1.0, 0.0]


def test_learned_levels_are_sorted() -> None:
    reader = LevelEncoder().fit(pd.DataFrame({"c": ["b", "a", "b", None]}))

    assert reader.levels_ == [["a", "b"]]


def test_labels_name_the_levels() -> None:
    table = pd.DataFrame({"c": [3.0, 1.0, 7.0]})
    labels = LevelEncoder([[1, 3]], numbers=True, labels=True).fit(table).transform(table)[:, 0].tolist()

    assert labels[:2] == ["3", "1"]
    assert np.isnan(labels[2])


def test_a_column_without_any_level_has_no_most_frequent_one() -> None:
    with pytest.raises(
        UnlearnableColumnError, match="column 'c' has no level in the training rows to replace missing ones"
    ):
        LevelEncoder(missing="most_frequent").fit(pd.DataFrame({"c": [None, None]}))


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
