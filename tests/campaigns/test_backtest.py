"""Claims about the backtest of a campaign, with the worked example of docs/campaigns.md."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_estimators.value import ContactValue, worth_contacting
from churn_kedro.campaigns.backtest import Alternative, CampaignReport, PolicyName, SensitivityPoint, measure_campaign
from churn_kedro.campaigns.economics import fit_contact_value
from churn_kedro.campaigns.parameters import Economics
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters
from churn_kedro.models.interface import ScoredCustomers

NUMBERS: dict[str, Any] = {"contact_cost": 2, "offer_cost": 20, "save_probability": 0.5, "value": 420}
VALUE = ContactValue(**NUMBERS)
RESAMPLING = BootstrapParameters(n_resamples=200, confidence=0.9, random_state=4)
PROBABILITY = np.array([0.9, 0.8, 0.4, 0.3, 0.2, 0.08, 0.06, 0.02])
LEFT = np.array([1, 1, 0, 0, 1, 0, 0, 0])


def declare(kind: str = "categorical", **fields: Any) -> CustomerDeclaration:
    return CustomerDeclaration.model_validate(
        {
            "description": "Test",
            "task": "binary",
            "labels": {"negative": 0, "positive": 1},
            "columns": [
                {"name": "contract", "kind": kind, "nullable": True, "description": "x", **fields},
                {"name": "worth", "role": "value", "description": "x"},
                {"name": "left", "role": "target", "description": "x"},
            ],
        }
    )


def build(contracts: list[Any], left: np.ndarray, worth: Any = 420.0) -> pd.DataFrame:
    cells = pd.Series(contracts) if isinstance(contracts[0], float) else pd.Series(contracts, dtype="str")
    return pd.DataFrame({"contract": cells, "worth": worth, "left": left})


# Customers by the month bring 15 * 198 - 15 * 22 = 2640, those by the year 198 - 29 * 22 = -440.
TRAIN = build(["month"] * 30 + ["year"] * 30, np.array([1] * 15 + [0] * 15 + [1] + [0] * 29))
TEST = build(["month"] * 4 + ["year"] * 4, LEFT)


def measure(
    threshold: float = 0.14,
    *,
    test: pd.DataFrame = TEST,
    train: pd.DataFrame = TRAIN,
    declaration: CustomerDeclaration | None = None,
    **changes: Any,
) -> CampaignReport:
    scores = ScoredCustomers("binary", test["left"].to_numpy(), PROBABILITY, threshold, ("0", "1"))
    economics = Economics(**(NUMBERS | changes))
    value = fit_contact_value(economics, train)
    scores = replace(scores, eligible=worth_contacting(value.of(test), value))
    return measure_campaign(scores, test, train, declaration or declare(), value, economics, RESAMPLING)


def policy(report: CampaignReport, name: PolicyName) -> Alternative:
    return next(alternative for alternative in report.alternatives if alternative.policy == name)


def changed(report: CampaignReport, lever: str, factor: float) -> SensitivityPoint:
    return next(point for point in report.sensitivity if (point.lever, point.factor) == (lever, factor))


def test_the_worked_example_of_the_guide() -> None:
    report = measure()

    assert report.chosen.contacted == 5
    assert report.chosen.contacted_share == 5 / 8
    assert report.chosen.total_profit == pytest.approx(550)
    assert report.chosen.profit_per_customer.value == pytest.approx(68.75)
    assert report.chosen.total_spending == pytest.approx(80)
    assert report.chosen.spending_per_customer == pytest.approx(10)
    assert report.best.threshold == pytest.approx(0.14)
    assert report.best.profit_per_customer == pytest.approx(68.75)
    assert report.break_even == pytest.approx(0.1)
    assert (report.rows, report.leavers) == (8, 3)
    assert report.chosen.within_capacity is None
    assert report.chosen.note is None


def test_other_policies_worked_out_by_hand() -> None:
    report = measure()

    # Everybody: 484. As many by chance: five eighths of it. Perfect: A, B and E. The rule contacts A to D.
    totals: dict[PolicyName, float] = {"nobody": 0, "everybody": 484, "random": 302.5, "rule": 352, "perfect": 3 * 198}
    for name, total in totals.items():
        alternative = policy(report, name)
        assert alternative.profit_per_customer.value == pytest.approx(total / 8), name
        assert alternative.model_advantage.value == pytest.approx((550 - total) / 8), name
        assert alternative.affordable
    assert "“contract” month:" in policy(report, "rule").description
    assert policy(report, "random").contacted_share == pytest.approx(5 / 8)
    assert policy(report, "perfect").contacted_share == 3 / 8
    assert policy(report, "everybody").spending_per_customer == pytest.approx(146 / 8)


def test_intervals_are_those_of_resampled_customers_and_paired() -> None:
    report = measure()
    profits = np.where(LEFT == 1, 198.0, -22.0)
    contacted = PROBABILITY >= 0.14
    generator = np.random.default_rng(RESAMPLING.random_state)
    drawn = np.array([generator.integers(0, 8, 8) for _ in range(RESAMPLING.n_resamples)])

    models = (profits * contacted)[drawn].mean(axis=1)
    everybodys = profits[drawn].mean(axis=1)

    own, advantage = report.chosen.profit_per_customer, policy(report, "everybody").model_advantage
    assert (own.low, own.high) == pytest.approx(tuple(np.percentile(models, [5, 95])))
    assert (advantage.low, advantage.high) == pytest.approx(tuple(np.percentile(models - everybodys, [5, 95])))


def test_capacity_binds_the_best_threshold_the_rule_and_perfect_knowledge() -> None:
    report = measure(capacity=0.25)

    assert report.best.profit_per_customer == pytest.approx(396 / 8)
    assert policy(report, "perfect").profit_per_customer.value == pytest.approx(396 / 8)
    assert policy(report, "rule").title == "No rule pays"
    assert policy(report, "rule").contacted_share == 0
    assert not policy(report, "everybody").affordable
    assert report.chosen.within_capacity is False
    assert report.chosen.within_budget is None
    assert report.chosen.note is not None
    assert "contacts 62.5 % of these customers, above the capacity of 25.0 %" in report.chosen.note
    assert measure(capacity=0.625).chosen.within_capacity is True


def test_the_budget_binds_as_well() -> None:
    report = measure(budget=2)

    # 16 in all: a leaver costs 2 + 0.5 * 20.
    assert policy(report, "perfect").profit_per_customer.value == pytest.approx(198 / 8)
    assert report.best.profit_per_customer == pytest.approx(198 / 8)
    assert report.chosen.within_budget is False
    assert report.chosen.note is not None
    assert "spends 10.00 per customer, above the budget of 2.00" in report.chosen.note


def test_other_numbers_change_the_profit_as_worked_out_by_hand() -> None:
    report = measure()

    # Half the value: a leaver brings 0.5 * 190 - 2 = 93.
    assert changed(report, "value", 0.5).profit_at_threshold == pytest.approx((3 * 93 - 2 * 22) / 8)
    assert changed(report, "value", 0.5).number == 210
    # Twice the contact cost: everyone contacted costs 2 more.
    assert changed(report, "contact_cost", 2).profit_at_threshold == pytest.approx((550 - 5 * 2) / 8)
    # Half the offer: takers are two stayers and three halves of a leaver, 10 less each.
    assert changed(report, "offer_cost", 0.5).profit_at_threshold == pytest.approx((550 + 3.5 * 10) / 8)
    assert changed(report, "save_probability", 2).profit_at_threshold == pytest.approx((3 * 398 - 2 * 22) / 8)
    # With an offer twice as expensive: A and B alone, or A to E with C and D who cost 42 each.
    assert changed(report, "offer_cost", 2).best_profit == pytest.approx(max(2 * 188, 3 * 188 - 2 * 42) / 8)
    assert len(report.sensitivity) == 20
    assert all(point.best_profit >= point.profit_at_threshold - 1e-9 for point in report.sensitivity)


def test_a_multiplied_save_probability_is_limited_to_1() -> None:
    point = changed(measure(save_probability=0.8), "save_probability", 1.5)

    assert point.number == 1
    assert point.note == "Limited to a probability of 1."


def test_numbers_at_which_no_contact_pays_have_a_note() -> None:
    point = changed(measure(value=30), "value", 0.5)

    assert point.best_threshold is None
    assert (point.profit_at_threshold, point.best_profit) == (0, 0)
    assert point.note == "No customer is worth a contact, even one who is certain to leave."


def test_a_number_of_0_is_not_varied() -> None:
    assert {point.lever for point in measure(contact_cost=0).sensitivity} == {
        "offer_cost",
        "save_probability",
        "value",
    }


def test_customers_that_are_never_worth_a_contact_are_contacted_by_no_policy() -> None:
    # A is worth 24: saved or not, the contact never pays.
    test = TEST.assign(worth=[24.0, *[420.0] * 7])

    report = measure(test=test, value={"column": "worth"})

    assert report.break_even is None
    assert report.chosen.contacted == 4
    assert report.chosen.total_profit == pytest.approx(550 - 198)
    assert policy(report, "everybody").contacted_share == 7 / 8
    assert policy(report, "random").contacted_share == pytest.approx(4 / 8)
    assert policy(report, "perfect").profit_per_customer.value == pytest.approx(2 * 198 / 8)
    assert changed(report, "value", 2).number == 2
    # Twice the values: A is worth 48, and a contact pays.
    assert changed(report, "value", 2).profit_at_threshold == pytest.approx((12 + 2 * 408 - 2 * 22) / 8)


def test_a_campaign_without_contacts_has_profit_0() -> None:
    report = measure(threshold=1.0)

    assert report.chosen.contacted == 0
    assert report.chosen.profit_per_customer.value == 0
    assert report.chosen.note == "No customer is contacted."
    assert policy(report, "random").contacted_share == 0


def test_a_rule_on_numbers_names_their_ranges() -> None:
    ages = [float(age) for age in range(20, 80)]
    left = np.array([1 if 40 <= age < 50 or age >= 74 else 0 for age in ages])
    train = build(ages, left)
    test = build([45.0, 45.0, 30.0, 78.0, 30.0, np.nan, 78.0, 60.0], LEFT)

    report = measure(train=train, test=test, declaration=declare("numeric"))

    assert "“contract” from 38 to below 50 or at least 74:" in policy(report, "rule").description
    # Customers A, B, D and G.
    assert policy(report, "rule").profit_per_customer.value == pytest.approx((2 * 198 - 2 * 22) / 8)


def test_a_rule_names_missing_and_unknown_levels() -> None:
    train = build(
        ["month"] * 30 + ["year"] * 30 + [None] * 30 + [f"odd {number}" for number in range(30)],
        np.array([1] * 15 + [0] * 15 + [0] * 30 + [1] * 15 + [0] * 15 + [1] * 15 + [0] * 15),
    )
    test = build(["month", "week", None, "year", "year", "year", "year", "year"], LEFT)

    rule = policy(measure(train=train, test=test), "rule")

    assert "“contract” month, any rarer level or missing:" in rule.description
    assert rule.contacted_share == 3 / 8


def test_a_rule_on_dates_names_days() -> None:
    days = pd.date_range("2020-01-01", periods=100, freq="D").astype("datetime64[us]")
    train = pd.DataFrame({"contract": days, "worth": 420.0, "left": (np.arange(100) < 50).astype(int)})
    test = pd.DataFrame({"contract": days[[0, 1, 60, 70, 2, 80, 81, 82]], "worth": 420.0, "left": LEFT})

    rule = policy(measure(train=train, test=test, declaration=declare("date")), "rule")

    assert "“contract” below 2020-02-20:" in rule.description
    assert rule.profit_per_customer.value == pytest.approx(3 * 198 / 8)


def test_the_subsampled_curve_has_both_ends_the_model_and_the_best_threshold() -> None:
    random = np.random.default_rng(1)
    probability = random.random(5000)
    left = (random.random(5000) < probability).astype(np.int64)
    table = build(["month", "year"] * 2500, left)
    scores = ScoredCustomers("binary", left, probability, 0.37, ("0", "1"))

    report = measure_campaign(scores, table, TRAIN, declare(), VALUE, None, RESAMPLING)

    shares = [point.contacted_share for point in report.curve]
    assert 150 <= len(report.curve) <= 200
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    at = next(point for point in report.curve if point.threshold == 0.37)
    assert at.contacted_share == pytest.approx(report.chosen.contacted_share)
    assert at.profit_per_customer == pytest.approx(report.chosen.profit_per_customer.value)
    assert report.best in report.curve
    assert report.best.profit_per_customer == max(point.profit_per_customer for point in report.curve)


def test_scores_of_another_table_or_without_decisions_raise() -> None:
    scores = ScoredCustomers("binary", LEFT, PROBABILITY, 0.14, ("0", "1"))
    with pytest.raises(ValueError, match="scores are of 8 customers, the table has 7"):
        measure_campaign(scores, TEST.iloc[1:], TRAIN, declare(), VALUE, None, RESAMPLING)
    with pytest.raises(ValueError, match="found task regression"):
        measure_campaign(
            ScoredCustomers("regression", LEFT, PROBABILITY), TEST, TRAIN, declare(), VALUE, None, RESAMPLING
        )
