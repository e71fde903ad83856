"""Claims about the transformers that travel with a model."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from churn_kedro.transformers import NumberReader

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


def test_columns_keep_their_place_and_their_names() -> None:
    table = pd.DataFrame({"b": ["1", "2"], "a": [3.0, 4.0]})
    reader = NumberReader().fit(table)

    assert reader.transform(table).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert reader.get_feature_names_out().tolist() == ["b", "a"]


def test_reading_leaves_the_table_as_it_was() -> None:
    table = pd.DataFrame({"a": ["1", "x"]})
    before = table.copy()

    NumberReader().fit(table).transform(table)

    pd.testing.assert_frame_equal(table, before)


def test_nothing_is_read_before_fitting() -> None:
    reader = clone(NumberReader())

    with pytest.raises(NotFittedError):
        reader.transform(pd.DataFrame({"a": [1]}))
