"""Claims about the expected profit of a campaign."""

import logging
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, strategies as st
from pydantic import ValidationError

from churn_estimators.value import worth_contacting
from churn_kedro.base.errors import ParameterError
from churn_kedro.campaigns.economics import (
    break_even,
    break_even_probabilities,
    campaign_profit,
    fit_contact_value,
    profit_curve,
    threshold_steps,
)
from churn_kedro.campaigns.parameters import Economics, ValueColumn
from churn_kedro.customers.declaration import CustomerTableError
from tests import ROOT

GUIDE = ROOT / "docs" / "campaigns.md"
NUMBERS: dict[str, Any] = {"contact_cost": 2, "offer_cost": 20, "save_probability": 0.5, "value": 420}
BY_COLUMN = Economics(**{**NUMBERS, "value": ValueColumn(column="MonthlyCharges", factor=12)})


@st.composite
def campaigns(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Economics]:
    """Target, probability and value of some customers, and economics with a value column."""
    customer = st.tuples(
        st.integers(0, 1),
        st.one_of(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.floats(0, 1)),
        st.floats(-50, 500),
    )
    target, probability, values = zip(*draw(st.lists(customer, min_size=1, max_size=25)), strict=True)
    economics = Economics(
        contact_cost=draw(st.floats(0, 30)),
        offer_cost=draw(st.floats(0, 60)),
        save_probability=draw(st.floats(0.01, 1)),
        value=ValueColumn(column="any"),
    )
    return np.array(target), np.array(probability), np.array(values), economics


def expected_profit(target: int, value: float, economics: Economics) -> float:
    """One contacted customer, case by case."""
    if target == 0:
        return -economics.contact_cost - economics.offer_cost
    taken = economics.save_probability * (value - economics.contact_cost - economics.offer_cost)
    return taken - (1 - economics.save_probability) * economics.contact_cost


def test_the_profit_of_each_kind_of_customer_equals_the_formula() -> None:
    economics = Economics(**NUMBERS)
    one, value = np.array([True]), np.array([420.0])

    assert campaign_profit(np.array([1]), one, value, economics) == 0.5 * (420 - 20) - 2
    assert campaign_profit(np.array([0]), one, value, economics) == -22
    assert campaign_profit(np.array([1]), ~one, value, economics) == 0


@pytest.mark.slow
@given(campaign=campaigns(), data=st.data())
def test_profit_is_the_sum_over_contacted_customers_who_are_worth_it(campaign: Any, data: st.DataObject) -> None:
    target, _, values, economics = campaign
    contacted = np.array(data.draw(st.lists(st.booleans(), min_size=len(target), max_size=len(target))))
    expected = sum(
        expected_profit(left, value, economics)
        for left, value, called in zip(target, values, contacted, strict=True)
        if called and economics.save_probability * (value - economics.offer_cost) > economics.contact_cost
    )

    assert campaign_profit(target, contacted, values, economics) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@given(campaign=campaigns())
def test_the_profit_without_contacts_is_exactly_0(campaign: Any) -> None:
    target, probability, values, economics = campaign
    curve = profit_curve(target, probability, values, economics)

    assert campaign_profit(target, np.zeros(len(target), dtype=bool), values, economics) == 0.0
    assert (curve.profit[0], curve.spending[0], curve.contacted_share[0]) == (0.0, 0.0, 0.0)
    assert not (probability >= curve.thresholds[0]).any()


@pytest.mark.slow
@given(campaign=campaigns(), data=st.data())
def test_missing_a_leaver_or_calling_one_more_stayer_never_brings_more(campaign: Any, data: st.DataObject) -> None:
    target, _, values, economics = campaign
    contacted = np.array(data.draw(st.lists(st.booleans(), min_size=len(target), max_size=len(target))))
    before = campaign_profit(target, contacted, values, economics)

    for position in range(len(target)):
        changed = contacted.copy()
        # A leaver is missed, a stayer called.
        changed[position] = target[position] == 0
        assert campaign_profit(target, changed, values, economics) <= before + 1e-9 * max(1, abs(before))


@pytest.mark.slow
@given(campaign=campaigns())
def test_the_curve_equals_profit_and_spending_of_each_threshold(campaign: Any) -> None:
    target, probability, values, economics = campaign
    curve = profit_curve(target, probability, values, economics)
    taking = np.where(target == 1, economics.save_probability, 1.0)
    worth = worth_contacting(values, economics)

    assert len(curve.thresholds) == len(set(probability)) + 1
    for position, threshold in enumerate(curve.thresholds):
        contacted = (probability >= threshold) & worth
        assert curve.contacted_share[position] == contacted.mean()
        spending = (economics.contact_cost + economics.offer_cost * taking)[contacted].sum()
        assert curve.spending[position] == pytest.approx(spending / len(target), abs=1e-9)
        profit = campaign_profit(target, contacted, values, economics)
        assert curve.profit[position] == pytest.approx(profit / len(target), abs=1e-9)


# Neighbouring floats, which have no midpoint, and both ends of the scale.
PROBABILITIES = st.lists(
    st.one_of(
        st.sampled_from([0.0, 5e-324, 0.3, np.nextafter(0.3, 1), np.nextafter(1.0, 0), 1.0]),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=20,
).map(np.array)


@given(probability=PROBABILITIES)
def test_thresholds_fall_and_flag_one_group_more_at_each_step(probability: np.ndarray) -> None:
    steps = threshold_steps(probability)
    groups = sorted(set(probability.tolist()), reverse=True)

    assert (np.diff(steps.thresholds) < 0).all()
    assert np.isfinite(steps.thresholds).all()
    assert [int((probability >= threshold).sum()) for threshold in steps.thresholds] == steps.flagged.tolist()
    assert steps.flagged.tolist() == [0, *np.cumsum([(probability == value).sum() for value in groups]).tolist()]
    assert probability[steps.order].tolist() == sorted(probability.tolist(), reverse=True)


def test_thresholds_lie_midway_between_neighbours() -> None:
    steps = threshold_steps(np.array([0.5, 0.25, 0.75, 0.5]))

    assert steps.thresholds.tolist() == [1.0, 0.625, 0.375, 0.125]
    assert steps.accumulate(np.array([1.0, 10.0, 100.0, 1000.0])).tolist() == [0, 100, 1101, 1111]


def test_the_highest_threshold_flags_no_customer_at_probability_1_in_single_precision() -> None:
    nobody = float(threshold_steps(np.array([0.5, 1.0])).thresholds[0])

    assert 1 < nobody < 1.000001
    assert not (np.array([1.0]) >= nobody).any()
    assert not (np.array([1.0], dtype=np.float32) >= nobody).any()


@pytest.mark.slow
@given(campaign=campaigns())
def test_at_break_even_a_contact_brings_nothing_in_expectation(campaign: Any) -> None:
    _, _, values, economics = campaign
    probabilities = break_even_probabilities(values, economics)

    for value, probability in zip(values, probabilities, strict=True):
        leaver, stayer = expected_profit(1, value, economics), expected_profit(0, value, economics)
        if leaver <= -1e-9:
            assert probability == math.inf
        elif leaver > 1e-9:
            assert 0 <= probability <= 1
            assert probability * leaver + (1 - probability) * stayer == pytest.approx(0, abs=1e-9)


def test_one_break_even_exists_only_where_all_are_worth_the_same() -> None:
    assert break_even(Economics(**NUMBERS)) == pytest.approx(0.1)
    assert break_even(BY_COLUMN) is None


def test_on_many_calibrated_customers_the_most_profitable_threshold_is_near_break_even() -> None:
    random = np.random.default_rng(5)
    probability = random.beta(1, 4, 200_000)
    target = (random.random(200_000) < probability).astype(int)
    economics = Economics(**NUMBERS)

    curve = profit_curve(target, probability, np.full(200_000, 420.0), economics)

    assert curve.thresholds[curve.profit.argmax()] == pytest.approx(break_even(economics), abs=0.02)


def test_limits_are_those_of_share_and_spending() -> None:
    target, probability = np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.4, 0.3])
    # Spending in all: 12, 24, 46, 68.
    curve = profit_curve(target, probability, np.full(4, 420.0), Economics(**NUMBERS))

    assert curve.affordable(Economics(**NUMBERS)).all()
    assert curve.affordable(Economics(**NUMBERS, capacity=0.75)).tolist() == [True, True, True, True, False]
    assert curve.affordable(Economics(**NUMBERS, budget=6)).tolist() == [True, True, True, False, False]
    assert curve.affordable(Economics(**NUMBERS, budget=5.99)).tolist() == [True, True, False, False, False]
    assert curve.affordable(Economics(**NUMBERS, budget=6, capacity=0.25)).tolist() == [True, True, *[False] * 3]


def test_a_budget_may_be_spent_to_the_last_cent() -> None:
    target, probability = np.array([0, 0, 0]), np.array([0.9, 0.8, 0.4])
    economics = Economics(contact_cost=0.1, offer_cost=0.2, save_probability=1, value=9, budget=0.3)

    curve = profit_curve(target, probability, np.full(3, 9.0), economics)

    # In binary, three tenths and a tenth plus two tenths differ.
    assert curve.spending[-1] != 0.3
    assert curve.affordable(economics).all()


def test_one_value_holds_for_all_customers() -> None:
    customers = pd.DataFrame({"Age": [30, 40]})

    assert fit_contact_value(Economics(**NUMBERS), customers).of(customers).tolist() == [420.0, 420.0]


def test_values_of_a_column_are_used_including_0_and_less() -> None:
    customers = pd.DataFrame({"MonthlyCharges": [30.0, 0.0, -5.0]})

    values = fit_contact_value(BY_COLUMN, customers).of(customers)

    assert values.tolist() == [360.0, 0.0, -60.0]
    assert worth_contacting(values, BY_COLUMN).tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "object"])
def test_a_missing_value_is_the_median_of_the_others_with_a_warning(
    dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    customers = pd.DataFrame({"MonthlyCharges": pd.Series([10, None, 30, 80], dtype=dtype)})

    with caplog.at_level(logging.WARNING):
        values = fit_contact_value(BY_COLUMN, customers).of(customers)

    assert values.tolist() == [120.0, 360.0, 360.0, 960.0]
    assert "1 of 4 customers have no MonthlyCharges: their value is imputed by the median, 360." in caplog.text


def test_a_leaver_who_brings_just_the_cost_of_the_contact_is_not_worth_it() -> None:
    # 0.5 * (24 - 20) = 2.
    assert worth_contacting(np.array([23.9, 24.0, 24.1]), BY_COLUMN).tolist() == [False, False, True]
    assert break_even_probabilities(np.array([24.0]), BY_COLUMN).tolist() == [math.inf]


def test_the_table_is_not_modified() -> None:
    customers = pd.DataFrame({"MonthlyCharges": [10.0, np.nan]})

    fit_contact_value(BY_COLUMN, customers).of(customers)

    assert customers["MonthlyCharges"].isna().tolist() == [False, True]


def test_an_absent_column_is_named_with_the_nearest_ones() -> None:
    with pytest.raises(ParameterError, match=r"'MonthlyCharges'.*nearest: 'Monthly_Charges'.*campaigns\.economics"):
        fit_contact_value(BY_COLUMN, pd.DataFrame({"Monthly_Charges": [1.0], "Age": [2]}))
    with pytest.raises(ParameterError, match="it has: Age, Town"):
        fit_contact_value(BY_COLUMN, pd.DataFrame({"Age": [1], "Town": ["Lyon"]}))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["10", "much", None], r"1 of 3 cells are not finite numbers, such as 'much'"),
        ([10.0, np.inf, 3.0], r"1 of 3 cells are not finite numbers, such as 'inf'"),
        ([None, None], r"all 2 cells are empty"),
    ],
)
def test_a_column_without_numbers_is_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(CustomerTableError, match=message):
        fit_contact_value(BY_COLUMN, pd.DataFrame({"MonthlyCharges": cells}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contact_cost": -1}, "greater than or equal to 0"),
        ({"offer_cost": -1}, "greater than or equal to 0"),
        ({"contact_cost": math.inf}, "finite"),
        ({"save_probability": 0}, "greater than 0"),
        ({"save_probability": 1.1}, "less than or equal to 1"),
        ({"save_probability": math.nan}, "less than or equal to 1"),
        ({"value": 0}, "greater than 0"),
        ({"value": {"column": "Balance", "factor": 0}}, "greater than 0"),
        ({"value": {"column": ""}}, "at least 1 character"),
        ({"capacity": 0}, "greater than 0"),
        ({"capacity": 20}, "less than or equal to 1"),
        ({"budget": 0}, "greater than 0"),
        ({"fixed_cost": 3}, "Extra inputs"),
    ],
)
def test_economics_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Economics(**{**NUMBERS, **changes})


@pytest.mark.parametrize("value", [24, 20, 10])
def test_a_value_that_is_never_worth_a_contact_is_refused_with_the_numbers(value: float) -> None:
    gain = 0.5 * (value - 20)
    message = rf"0\.5 \* \({value:g} - 20\) = {gain:g}, which must be above the contact_cost of 2"

    with pytest.raises(ValidationError, match=message):
        Economics(**{**NUMBERS, "value": value})
    assert Economics(**{**NUMBERS, "value": 24.01}).value == 24.01


def worked_example() -> pd.DataFrame:
    """The table of the guide."""
    row = r"^\| ([A-H]) \| ([\d.]+) \| (yes|no) \| (\d+) \| (\d+) \| ([\d.]+) \|$"
    rows = re.findall(row, GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    table = pd.DataFrame(rows, columns=["customer", "probability", "left", "profit", "spending", "f1"])
    return table.astype({"probability": float, "profit": float, "spending": float, "f1": float})


def test_the_worked_example_of_the_guide_is_right() -> None:
    table = worked_example()
    target = (table["left"] == "yes").astype(int).to_numpy()

    curve = profit_curve(target, table["probability"].to_numpy(), np.full(8, 420.0), Economics(**NUMBERS))

    assert "".join(table["customer"]) == "ABCDEFGH"
    assert (8 * curve.profit[1:]).tolist() == pytest.approx(table["profit"].tolist())
    assert (8 * curve.spending[1:]).tolist() == pytest.approx(table["spending"].tolist())


def test_the_guide_configures_the_numbers_it_works_with() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for name, number in NUMBERS.items():
        assert f"    {name}: {number}\n" in text


def test_the_guide_has_every_parameter() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    names = [f"economics.{name}" for name in Economics.model_fields]
    names += [f"economics.value.{name}" for name in ValueColumn.model_fields]

    assert all(f"| `{name}` |" in text for name in names)


@pytest.mark.slow
@given(campaign=campaigns(), factor=st.floats(0.1, 100))
def test_the_break_even_does_not_depend_on_the_currency(campaign: Any, factor: float) -> None:
    target, probability, values, economics = campaign
    other = Economics(
        contact_cost=economics.contact_cost * factor,
        offer_cost=economics.offer_cost * factor,
        save_probability=economics.save_probability,
        value=economics.value,
    )
    # Rounding may decide about a customer who is just worth a contact, or just not.
    gains = economics.save_probability * (values - economics.offer_cost) - economics.contact_cost
    assume((np.abs(gains) > 1e-9).all())

    curve = profit_curve(target, probability, values, economics)
    converted = profit_curve(target, probability, values * factor, other)

    assert converted.profit == pytest.approx(curve.profit * factor, abs=1e-6)
    assert converted.contacted_share.tolist() == curve.contacted_share.tolist()
