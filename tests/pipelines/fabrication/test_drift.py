"""Planted drifts of fabricated customers."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from churn_kedro.base.errors import ParameterError
from churn_kedro.pipelines.fabrication.shapes import FabricationParameters, fabricate
from churn_kedro.pipelines.fabrication.shapes.drift import NEW_LEVEL, Drift
from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, ShapeName

ROWS = 4000


def _make(drift: Drift | None = None, shape: ShapeName = "bank") -> FabricatedCustomers:
    return fabricate(FabricationParameters(shape=shape, rows=ROWS, new_rows=500, seed=3, drift=drift))


PLAIN = _make()


def test_a_moved_mean_stays_within_the_range_and_whole_and_changes_what_customers_do() -> None:
    made = _make(Drift(kind="mean_shift", column="Age", size=0.5))

    moved, plain = made.labelled["Age"], PLAIN.labelled["Age"]
    assert moved.dtype == plain.dtype
    # Rounded to whole years, and clipped at the oldest.
    assert moved.mean() - plain.mean() == pytest.approx(0.5 * plain.std(), abs=0.5)
    assert moved.max() <= plain.max()
    assert made.new["Age"].mean() > PLAIN.new["Age"].mean() + 4
    assert not np.allclose(made.truth["probability"], PLAIN.truth["probability"])
    others = ["Age", "Exited"]
    pd.testing.assert_frame_equal(made.labelled.drop(columns=others), PLAIN.labelled.drop(columns=others))


def test_a_subgroup_moves_alone() -> None:
    made = _make(Drift(kind="subgroup", column="CreditScore", size=1.0, within="Geography"))

    changed = made.labelled["CreditScore"] != PLAIN.labelled["CreditScore"]
    assert set(made.labelled.loc[changed, "Geography"]) == {"France"}
    assert changed[made.labelled["Geography"] == "France"].mean() > 0.95


@pytest.mark.parametrize("kind", ["new_category", "missing_values"])
def test_errors_of_the_record_change_no_behaviour(kind: str) -> None:
    made = _make(Drift.model_validate({"kind": kind, "column": "Geography", "size": 0.1}))

    cells = made.labelled["Geography"]
    found = cells.eq(NEW_LEVEL) if kind == "new_category" else cells.isna()
    assert found.mean() == pytest.approx(0.1, abs=0.02)
    pd.testing.assert_frame_equal(made.truth, PLAIN.truth)
    assert made.labelled["Exited"].tolist() == PLAIN.labelled["Exited"].tolist()


def test_another_unit_multiplies_the_numbers() -> None:
    made = _make(Drift(kind="swapped_unit", column="Balance", size=0.001))

    assert made.labelled["Balance"].to_numpy() == pytest.approx(PLAIN.labelled["Balance"].to_numpy() / 1000)
    pd.testing.assert_frame_equal(made.truth, PLAIN.truth)


def test_a_changed_relation_leaves_the_columns_as_they_are() -> None:
    made = _make(Drift(kind="changed_relation", column="Age", size=0.8))

    pd.testing.assert_frame_equal(made.labelled.drop(columns="Exited"), PLAIN.labelled.drop(columns="Exited"))
    odds = [np.log(one.truth["probability"] / (1 - one.truth["probability"])) for one in (made, PLAIN)]
    age = PLAIN.labelled["Age"].to_numpy(dtype=float)
    expected = 0.8 * (age - age.mean()) / age.std()
    inside = PLAIN.truth["probability"].between(0.01, 0.99) & made.truth["probability"].between(0.01, 0.99)
    assert np.asarray(odds[0] - odds[1])[inside] == pytest.approx(expected[inside], abs=0.01)


@pytest.mark.parametrize("shape", ["telco", "subscription"])
def test_other_shapes_drift_as_well(shape: ShapeName) -> None:
    column = {"telco": "MonthlyCharges", "subscription": "Age"}[shape]

    made, plain = _make(Drift(kind="mean_shift", column=column, size=0.5), shape), _make(shape=shape)

    assert made.labelled[column].mean() > plain.labelled[column].mean()


@pytest.mark.parametrize(
    ("drift", "message"),
    [
        ({"kind": "mean_shift", "column": "Wage", "size": 1}, "names the column 'Wage'; expected one of Surname"),
        ({"kind": "mean_shift", "column": "Geography", "size": 1}, "needs a column of numbers; Geography has text"),
        ({"kind": "subgroup", "column": "Age", "size": 1}, "within is the column of the group"),
        ({"kind": "missing_values", "column": "Age", "size": 2}, "is a share, 0 to 1; found 2"),
    ],
)
def test_a_drift_that_does_not_fit_is_refused(drift: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        _make(Drift.model_validate(drift))


def test_real_flowers_and_districts_do_not_drift() -> None:
    drift = Drift(kind="mean_shift", column="x", size=1)

    with pytest.raises(ValidationError, match="drift needs the shape bank, telco or subscription; found housing"):
        FabricationParameters(shape="housing", rows=10, new_rows=0, seed=0, drift=drift)
