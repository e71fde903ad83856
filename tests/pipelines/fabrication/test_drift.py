"""Claims about the planted changes of fabricated customers."""

import io
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from churn_kedro.base.errors import ParameterError
from churn_kedro.pipelines.fabrication.shapes import CHURN_SHAPES, fabricate
from churn_kedro.pipelines.fabrication.shapes.drift import NEW_LEVEL, Drift, DriftKind
from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, FabricationParameters, ShapeName

ROWS = 4000
NEW_ROWS = 1000
TARGETS = {"bank": "Exited", "telco": "Churn", "subscription": "Churn"}

# Each kind on each shape, with columns of text, of whole numbers and of amounts.
DRIFTS: list[tuple[ShapeName, dict[str, Any]]] = [
    ("bank", {"kind": "mean_shift", "column": "Age", "size": 0.5}),
    ("bank", {"kind": "mean_shift", "column": "EstimatedSalary", "size": -0.3}),
    ("bank", {"kind": "new_category", "column": "Geography", "size": 0.1}),
    ("bank", {"kind": "new_category", "column": "NumOfProducts", "size": 0.1}),
    ("bank", {"kind": "missing_values", "column": "Balance", "size": 0.2}),
    ("bank", {"kind": "swapped_unit", "column": "Tenure", "size": 12}),
    ("bank", {"kind": "changed_relation", "column": "Age", "size": 0.7}),
    ("bank", {"kind": "subgroup", "column": "CreditScore", "size": -1, "within": "Geography"}),
    ("telco", {"kind": "mean_shift", "column": "MonthlyCharges", "size": 0.5}),
    ("telco", {"kind": "new_category", "column": "Contract", "size": 0.1}),
    ("telco", {"kind": "missing_values", "column": "TotalCharges", "size": 0.2}),
    ("telco", {"kind": "swapped_unit", "column": "MonthlyCharges", "size": 0.01}),
    ("telco", {"kind": "changed_relation", "column": "PaymentMethod", "size": 1}),
    ("telco", {"kind": "subgroup", "column": "MonthlyCharges", "size": 0.5, "within": "SeniorCitizen"}),
    ("subscription", {"kind": "mean_shift", "column": "Payment Delay", "size": 0.5}),
    ("subscription", {"kind": "new_category", "column": "Subscription Type", "size": 0.1}),
    ("subscription", {"kind": "missing_values", "column": "Age", "size": 0.2}),
    ("subscription", {"kind": "swapped_unit", "column": "Total Spend", "size": 0.01}),
    ("subscription", {"kind": "changed_relation", "column": "Support Calls", "size": -0.5}),
    ("subscription", {"kind": "subgroup", "column": "Age", "size": 1, "within": "Gender"}),
]
DRIFT_IDS = [f"{shape}-{drift['kind']}-{drift['column'].replace(' ', '')}" for shape, drift in DRIFTS]


def fabricate_drifted(
    shape: ShapeName = "bank", rows: int = ROWS, new_rows: int = NEW_ROWS, **drift: Any
) -> FabricatedCustomers:
    """Fabricate customers with a change; without one if none is given."""
    return fabricate(
        FabricationParameters(
            shape=shape, rows=rows, new_rows=new_rows, seed=7, drift=Drift.model_validate(drift) if drift else None
        )
    )


@pytest.fixture(scope="module", name="undrifted")
def undrifted_by_shape() -> dict[ShapeName, FabricatedCustomers]:
    """Customers of each shape without a change."""
    return {shape: fabricate_drifted(shape) for shape in CHURN_SHAPES}


def log_odds(customers: FabricatedCustomers) -> np.ndarray:
    """Return the true log-odds, NaN where the stored probability is too close to 0 or 1 to be exact."""
    probability = customers.truth["probability"].to_numpy()
    return np.log(np.where((probability > 0.001) & (probability < 0.999), probability / (1 - probability), np.nan))


def reference_log_odds(shape: ShapeName, customers: FabricatedCustomers, behaving: pd.DataFrame) -> np.ndarray:
    """Return the shape's log-odds of customers, with the intercept that the true probabilities of others imply."""
    effects = CHURN_SHAPES[shape].effects_on_log_odds
    return effects(behaving) + float(np.nanmedian(log_odds(customers) - effects(customers.labelled)))


def test_every_kind_is_tested_on_every_shape() -> None:
    """The drifts below cover each kind on each shape with churn."""
    assert {(shape, drift["kind"]) for shape, drift in DRIFTS} == {
        (shape, kind) for shape in CHURN_SHAPES for kind in get_args(DriftKind)
    }


@pytest.mark.parametrize(("shape", "drift"), DRIFTS, ids=DRIFT_IDS)
def test_only_the_named_column_changes(
    shape: ShapeName, drift: dict[str, Any], undrifted: dict[ShapeName, FabricatedCustomers]
) -> None:
    """Labelled and new customers are those without the change, except for the column; a seed gives one change."""
    drifted, usual = fabricate_drifted(shape, **drift), undrifted[shape]
    column, target = drift["column"], TARGETS[shape]
    for changed, before in ((drifted.labelled, usual.labelled), (drifted.new, usual.new)):
        others = [name for name in before if name not in (column, target)]
        assert_frame_equal(changed[others], before[others])
        assert list(changed) == list(before)
        assert changed[column].equals(before[column]) == (drift["kind"] == "changed_relation")
    again = fabricate_drifted(shape, **drift)
    assert_frame_equal(again.labelled, drifted.labelled)
    assert_frame_equal(again.new, drifted.new)
    without_new = fabricate_drifted(shape, new_rows=0, **drift)
    assert_frame_equal(without_new.labelled, drifted.labelled)
    assert_frame_equal(without_new.truth, drifted.truth)
    assert without_new.new.empty


@pytest.mark.parametrize(("shape", "drift"), DRIFTS, ids=DRIFT_IDS)
def test_truth_follows_behaviour_and_not_the_record(
    shape: ShapeName, drift: dict[str, Any], undrifted: dict[ShapeName, FabricatedCustomers]
) -> None:
    """True log-odds are the shape's formula, with the intercept of the customers without the change.

    After a shift, the formula takes the shifted customers; after a change of the record, the customers as they were.
    """
    drifted, usual = fabricate_drifted(shape, **drift), undrifted[shape]
    if drift["kind"] in ("new_category", "missing_values", "swapped_unit"):
        assert_frame_equal(drifted.truth, usual.truth)
        assert drifted.labelled[TARGETS[shape]].equals(usual.labelled[TARGETS[shape]])
        return
    expected = reference_log_odds(shape, usual, drifted.labelled)
    if drift["kind"] == "changed_relation":
        cells = usual.labelled[drift["column"]]
        if cells.dtype == "str":
            expected += drift["size"] * (cells == cells.mode()[0])
        else:
            expected += drift["size"] * (cells - cells.mean()) / cells.std(ddof=0)
    found = log_odds(drifted)
    exact = ~np.isnan(found)
    assert exact.mean() > 0.9
    # A probability of 0.001, rounded to 6 decimals, is exact to 0.0005 in log-odds.
    assert np.abs(found - expected)[exact].max() < 2e-3


@pytest.mark.parametrize(("shape", "drift"), DRIFTS, ids=DRIFT_IDS)
def test_drifted_frames_survive_a_csv_file(shape: ShapeName, drift: dict[str, Any]) -> None:
    """Writing without the index and reading back gives equal values and types."""
    drifted = fabricate_drifted(shape, **drift)
    for frame in (drifted.labelled, drifted.new):
        read = pd.read_csv(
            io.StringIO(frame.to_csv(index=False)), dtype={"TotalCharges": "str"} if shape == "telco" else {}
        )
        assert_frame_equal(read, frame, check_exact=True)


def test_mean_shift_moves_all_by_the_same_whole_step(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """Half a standard deviation of age, rounded to years; nobody is older than the oldest, and churn rises."""
    before, after = undrifted["bank"], fabricate_drifted(kind="mean_shift", column="Age", size=0.5)
    age = before.labelled["Age"]
    step = round(0.5 * age.std())
    assert step >= 5
    assert after.labelled["Age"].tolist() == [min(years + step, age.max()) for years in age]
    # The new customers move by the same step, although their own spread is another one.
    assert after.new["Age"].tolist() == [min(years + step, age.max()) for years in before.new["Age"]]
    assert after.truth["probability"].mean() > before.truth["probability"].mean() + 0.03


def test_a_single_new_customer_moves_like_many() -> None:
    """The step is that of the population: one customer has no standard deviation."""
    before = fabricate_drifted(new_rows=1)
    after = fabricate_drifted(new_rows=1, kind="mean_shift", column="CreditScore", size=-0.5)
    moved = after.new["CreditScore"] - before.new["CreditScore"]
    assert moved.tolist() == [-round(0.5 * before.labelled["CreditScore"].std())]


def test_shifted_money_stays_in_cents() -> None:
    """Amounts keep two decimals."""
    salary = fabricate_drifted(kind="mean_shift", column="EstimatedSalary", size=0.3).labelled["EstimatedSalary"]
    assert (salary == salary.round(2)).all()


def test_subgroup_moves_the_most_frequent_level_only(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """Only customers in France move, by one standard deviation of all scores, and no score falls below the lowest."""
    before = undrifted["bank"]
    after = fabricate_drifted(kind="subgroup", column="CreditScore", size=-1, within="Geography")
    score = before.labelled["CreditScore"]
    step = round(score.std())
    for changed, usual in ((after.labelled, before.labelled), (after.new, before.new)):
        expected = [
            max(points - step, score.min()) if country == "France" else points
            for points, country in zip(usual["CreditScore"], usual["Geography"], strict=True)
        ]
        assert changed["CreditScore"].tolist() == expected


# With these seeds, the other level is the most frequent one of the 40 new customers.
@pytest.mark.parametrize("seed", [8, 10, 12])
def test_new_customers_have_the_group_of_the_labelled_ones(seed: int) -> None:
    """Of two levels with nearly equal shares, the same one moves in both tables."""
    parameters = {"shape": "telco", "rows": 500, "new_rows": 40, "seed": seed}
    drift = {"kind": "subgroup", "column": "MonthlyCharges", "size": 0.5, "within": "gender"}
    before = fabricate(FabricationParameters.model_validate(parameters))
    after = fabricate(FabricationParameters.model_validate(parameters | {"drift": drift}))
    moved = [
        set(usual["gender"][changed["MonthlyCharges"] != usual["MonthlyCharges"]])
        for changed, usual in ((after.labelled, before.labelled), (after.new, before.new))
    ]
    assert moved[0] == moved[1]
    assert len(moved[0]) == 1


def test_new_category_is_a_level_that_did_not_exist(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """About a tenth of the customers, at random, has the new level; of whole numbers it is the next one."""
    usual = undrifted["bank"].labelled
    for column, level in (("Geography", NEW_LEVEL), ("NumOfProducts", 5), ("HasCrCard", 2)):
        cells = fabricate_drifted(kind="new_category", column=column, size=0.1).labelled[column]
        chosen = cells != usual[column]
        assert level not in set(usual[column])
        assert set(cells[chosen]) == {level}
        # Four binomial standard errors of 4,000 customers.
        assert chosen.mean() == pytest.approx(0.1, abs=0.019)
        assert cells.dtype == usual[column].dtype


def test_missing_values_are_missing_at_random(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """A fifth of the cells is missing, whatever the value, and the others stay."""
    usual = undrifted["bank"].labelled["Balance"]
    cells = fabricate_drifted(kind="missing_values", column="Balance", size=0.2).labelled["Balance"]
    assert cells.isna().mean() == pytest.approx(0.2, abs=0.026)
    assert cells.dropna().equals(usual[cells.notna()])
    # Four standard errors of a correlation of 4,000 unrelated pairs.
    assert abs(np.corrcoef(cells.isna(), usual)[0, 1]) < 0.064


def test_no_share_and_the_whole_share_are_allowed(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """A share of 0 changes nothing, a share of 1 all cells."""
    none = fabricate_drifted(kind="missing_values", column="Balance", size=0)
    assert_frame_equal(none.labelled, undrifted["bank"].labelled)
    assert fabricate_drifted(kind="missing_values", column="Balance", size=1).labelled["Balance"].isna().all()


def test_swapped_unit_multiplies(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """Years become months, still whole, and euros become thousands of euros."""
    usual = undrifted["bank"].labelled
    months = fabricate_drifted(kind="swapped_unit", column="Tenure", size=12).labelled["Tenure"]
    assert months.tolist() == [12 * years for years in usual["Tenure"].tolist()]
    assert months.dtype == usual["Tenure"].dtype
    thousands = fabricate_drifted(kind="swapped_unit", column="Balance", size=0.001).labelled["Balance"]
    assert thousands.to_numpy() == pytest.approx(usual["Balance"].to_numpy() / 1000, abs=1e-6)


def test_changed_relation_changes_churn_only(undrifted: dict[ShapeName, FabricatedCustomers]) -> None:
    """A negative size for age: the older half churns less than before, the younger half more, and no column changes."""
    before = undrifted["bank"]
    after = fabricate_drifted(kind="changed_relation", column="Age", size=-1.2)
    older = before.labelled["Age"] > before.labelled["Age"].median()
    change = after.truth["probability"] - before.truth["probability"]
    assert change[older].mean() < -0.05
    assert change[~older].mean() > 0.02
    assert (after.labelled["Exited"] != before.labelled["Exited"]).any()


@pytest.mark.parametrize(
    ("drift", "message"),
    [
        ({"kind": "mean_shift", "column": "age", "size": 1}, r"column 'age'; expected one of .*CreditScore.*Age"),
        ({"kind": "mean_shift", "column": "Exited", "size": 1}, "column 'Exited'; expected one of"),
        ({"kind": "mean_shift", "column": "CustomerId", "size": 1}, "column 'CustomerId'; expected one of"),
        ({"kind": "mean_shift", "column": "Gender", "size": 1}, "needs a column of numbers; Gender has text"),
        ({"kind": "swapped_unit", "column": "Gender", "size": 10}, "needs a column of numbers; Gender has text"),
        ({"kind": "mean_shift", "column": "HasCrCard", "size": 0.5}, r"moves 'HasCrCard' by 0\.2\d?, .* round to 0"),
        ({"kind": "new_category", "column": "Balance", "size": 0.1}, r"'Balance', which has \d+ different values"),
        ({"kind": "new_category", "column": "Surname", "size": 0.1}, r"'Surname', which has \d+ different values"),
        ({"kind": "changed_relation", "column": "Surname", "size": 1}, "expected a column of levels"),
        ({"kind": "subgroup", "column": "Age", "size": 1, "within": "Country"}, "column 'Country'; expected one of"),
        ({"kind": "subgroup", "column": "Age", "size": 1, "within": "Balance"}, r"drift\.within is 'Balance'"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_column_that_does_not_fit_is_refused(drift: dict[str, Any], message: str) -> None:
    """The error names the column and what was expected, also if no new customers are wanted."""
    with pytest.raises(ParameterError, match=message):
        fabricate_drifted(rows=500, new_rows=0, **drift)


@pytest.mark.parametrize(
    ("shape", "wrong", "message"),
    [
        ("housing", {}, "bank, telco or subscription; found housing"),
        ("bank", {"kind": "shift"}, "mean_shift"),
        ("bank", {"size": float("nan")}, "finite"),
        ("bank", {"within": "Gender"}, "within is for kind subgroup only"),
        ("bank", {"kind": "subgroup"}, "needs within"),
        ("bank", {"kind": "missing_values", "size": 1.5}, r"share, 0 to 1; found 1\.5"),
        ("bank", {"kind": "new_category", "size": -0.1}, r"share, 0 to 1; found -0\.1"),
        ("bank", {"kind": "swapped_unit", "size": 0}, "above 0; found 0"),
        ("bank", {"columns": "Age"}, "columns"),
    ],
)
def test_impossible_drifts_are_refused_with_the_parameters(
    shape: ShapeName, wrong: dict[str, Any], message: str
) -> None:
    """Before anything is drawn: another shape, an unknown kind or name, a size out of range, a group without use."""
    drift = {"kind": "mean_shift", "column": "Age", "size": 0.5} | wrong
    with pytest.raises(ValidationError, match=message):
        FabricationParameters.model_validate({"shape": shape, "rows": 10, "new_rows": 0, "seed": 1, "drift": drift})
