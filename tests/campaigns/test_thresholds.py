"""Claims about the decision threshold, compared with scikit-learn and with all thresholds."""

import logging
import math
import re
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, strategies as st
from pydantic import ValidationError
from sklearn import metrics as sklearn_metrics
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import FixedThresholdClassifier

from churn_estimators.value import worth_contacting
from churn_kedro.campaigns.economics import campaign_profit
from churn_kedro.campaigns.parameters import CampaignParameters, Economics, ValueColumn
from churn_kedro.campaigns.thresholds import ThresholdChoice, choose_threshold
from tests import ROOT

GUIDE = ROOT / "docs" / "campaigns.md"
METRICS: dict[str, Any] = {
    "f1": lambda target, flagged: sklearn_metrics.f1_score(target, flagged, zero_division=0),
    "balanced_accuracy": sklearn_metrics.balanced_accuracy_score,
    "matthews_corrcoef": sklearn_metrics.matthews_corrcoef,
    "accuracy": sklearn_metrics.accuracy_score,
}
NUMBERS: dict[str, Any] = {"contact_cost": 2, "offer_cost": 20, "save_probability": 0.5, "value": 420}
# The worked example of docs/campaigns.md.
TARGET = np.array([1, 1, 0, 0, 1, 0, 0, 0])
PROBABILITY = np.array([0.90, 0.80, 0.40, 0.30, 0.20, 0.08, 0.06, 0.02])

# Few distinct probabilities, the borders among them: ties are the rule.
CUSTOMERS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.floats(0, 1))),
    min_size=2,
    max_size=25,
)
MONEY = {"contact_cost": st.floats(0, 30), "offer_cost": st.floats(0, 60), "save_probability": st.floats(0.01, 1)}
LIMITS = {
    "capacity": st.one_of(st.none(), st.floats(0.01, 1)),
    "budget": st.one_of(st.none(), st.floats(0.1, 40)),
}


def parameters(objective: str, **others: Any) -> CampaignParameters:
    return CampaignParameters.model_validate({"objective": objective, **others})


def for_profit(**changes: Any) -> CampaignParameters:
    return parameters("profit", economics={**NUMBERS, **changes})


def separable(customers: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    target, probability = (np.array(values) for values in zip(*customers, strict=True))
    assume(len(set(target)) == 2)
    assume(len(set(probability)) > 1)
    return target, probability


def every_decision(probability: np.ndarray) -> list[np.ndarray]:
    """Customers flagged at each possible threshold, fewest first."""
    return [probability > 1, *(probability >= value for value in sorted(set(probability), reverse=True))]


@pytest.mark.slow
@pytest.mark.parametrize("objective", sorted(METRICS))
@given(customers=CUSTOMERS)
def test_no_other_threshold_has_a_better_metric_and_none_as_good_is_higher(
    objective: str, customers: list[tuple[int, float]]
) -> None:
    target, probability = separable(customers)
    metric = METRICS[objective]
    values = [metric(target, flagged) for flagged in every_decision(probability)]

    choice = choose_threshold(target, probability, parameters(objective))

    flagged = probability >= choice.threshold
    assert choice.value == pytest.approx(metric(target, flagged), abs=1e-12)
    assert choice.value == pytest.approx(max(values), abs=1e-12)
    assert flagged.sum() == next(
        decision.sum()
        for decision, value in zip(every_decision(probability), values, strict=True)
        if value > max(values) - 1e-10
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        parameters("accuracy"),
        parameters("recall_at_precision", min_precision=0.5),
        for_profit(),
    ],
    ids=lambda settings: settings.objective,
)
@given(customers=CUSTOMERS)
def test_the_report_describes_the_decision_as_scikit_learn_would(
    settings: CampaignParameters, customers: list[tuple[int, float]]
) -> None:
    target, probability = separable(customers)

    choice = choose_threshold(target, probability, settings)

    flagged = (probability >= choice.threshold).astype(int)
    assert choice.precision == pytest.approx(sklearn_metrics.precision_score(target, flagged, zero_division=0))
    assert choice.recall == pytest.approx(sklearn_metrics.recall_score(target, flagged))
    assert choice.contacted_share == pytest.approx(flagged.mean())
    assert choice.objective == settings.objective
    assert ThresholdChoice.model_validate_json(choice.model_dump_json()) == choice


@pytest.mark.slow
@given(customers=CUSTOMERS, min_precision=st.sampled_from([0.1, 0.5, 0.6, 0.75, 0.9, 1.0]))
def test_no_threshold_precise_enough_finds_more_leavers(
    customers: list[tuple[int, float]], min_precision: float
) -> None:
    target, probability = separable(customers)
    decisions = every_decision(probability)[1:]
    precisions = [sklearn_metrics.precision_score(target, flagged) for flagged in decisions]
    recalls = [sklearn_metrics.recall_score(target, flagged) for flagged in decisions]
    precise = [recall for recall, precision in zip(recalls, precisions, strict=True) if precision >= min_precision]

    choice = choose_threshold(target, probability, parameters("recall_at_precision", min_precision=min_precision))

    assert choice.value == choice.recall
    if precise:
        assert choice.precision >= min_precision
        assert choice.recall == max(precise)
    else:
        assert choice.precision == pytest.approx(max(precisions))
        assert choice.recall == max(
            recall
            for recall, precision in zip(recalls, precisions, strict=True)
            if precision == pytest.approx(max(precisions))
        )
        assert choice.recall > 0
        assert choice.reason.startswith("No threshold reaches a precision of")


def test_thresholds_that_differ_by_rounding_only_are_equally_good() -> None:
    target, probability = np.array([1, 0, 1, 0, 0, 0, 0, 1, 1, 1]), np.linspace(1, 0.1, 10)
    # Balanced accuracy is 0.6 with one customer flagged, and with three; in floats the second is larger.
    assert (1 / 5 + 5 / 5) / 2 < (2 / 5 + 4 / 5) / 2

    assert choose_threshold(target, probability, parameters("balanced_accuracy")).contacted_share == 0.1


def test_of_equally_many_leavers_the_fewest_customers_are_flagged() -> None:
    target, probability = np.array([1, 1, 0, 0]), np.array([0.9, 0.7, 0.5, 0.1])

    choice = choose_threshold(target, probability, parameters("recall_at_precision", min_precision=0.5))

    assert choice.threshold == pytest.approx(0.6)
    assert choice.reason == (
        "The highest recall, 100.0 %, with a precision of at least 50.0 %: 2 of 2 flagged customers left."
    )


def test_a_precision_out_of_reach_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    target, probability = np.array([0, 1, 1, 0]), np.array([0.9, 0.7, 0.5, 0.1])

    with caplog.at_level(logging.WARNING):
        choice = choose_threshold(target, probability, parameters("recall_at_precision", min_precision=0.8))

    assert choice.threshold == pytest.approx(0.3)
    assert choice.reason == (
        "No threshold reaches a precision of 80.0 %. This one has the highest precision, 66.7 %: 2 of 3 flagged "
        "customers left."
    )
    assert choice.reason in caplog.text


@pytest.mark.slow
@given(customers=CUSTOMERS, money=st.fixed_dictionaries(MONEY), limits=st.fixed_dictionaries(LIMITS), data=st.data())
def test_no_affordable_threshold_brings_more_and_the_limits_hold(
    customers: list[tuple[int, float]], money: dict[str, float], limits: dict[str, float | None], data: st.DataObject
) -> None:
    target, probability = separable(customers)
    values = np.array(data.draw(st.lists(st.floats(-50, 500), min_size=len(target), max_size=len(target))))
    economics = Economics.model_validate({**money, **limits, "value": {"column": "any"}})
    taking = np.where(target == 1, economics.save_probability, 1.0)
    capacity, budget = economics.capacity or math.inf, economics.budget or math.inf

    def contacted(flagged: np.ndarray) -> np.ndarray:
        called: np.ndarray = flagged & worth_contacting(values, economics)
        return called

    def spending(flagged: np.ndarray) -> float:
        costs = economics.contact_cost + economics.offer_cost * taking
        return float(costs[contacted(flagged)].sum() / len(target))

    best = max(
        campaign_profit(target, flagged, values, economics)
        for flagged in every_decision(probability)
        if contacted(flagged).mean() <= capacity and spending(flagged) <= budget
    )

    choice = choose_threshold(target, probability, parameters("profit", economics=economics), values)

    flagged = probability >= choice.threshold
    assert contacted(flagged).mean() <= capacity
    assert spending(flagged) <= budget * (1 + 1e-8)
    assert choice.contacted_share == pytest.approx(contacted(flagged).mean())
    assert choice.profit_per_customer == choice.value
    assert choice.value == pytest.approx(campaign_profit(target, flagged, values, economics) / len(target), abs=1e-9)
    # The budget has a tolerance for rounding, so slightly more can be brought.
    assert choice.value is not None
    assert choice.value >= best / len(target) - 1e-9


def test_the_example_of_the_guide_by_profit_and_by_f1() -> None:
    by_profit = choose_threshold(TARGET, PROBABILITY, for_profit())
    by_f1 = choose_threshold(TARGET, PROBABILITY, parameters("f1", economics=NUMBERS))

    assert by_profit.threshold == pytest.approx(0.14)
    assert by_profit.value == pytest.approx(68.75)
    assert by_profit.contacted_share == 0.625
    assert by_profit.break_even == pytest.approx(0.10)
    assert by_profit.reason == (
        "The highest expected profit: 62.5 % of the customers are contacted, for an expected profit of 68.75 per "
        "customer."
    )
    assert by_f1.threshold == pytest.approx(0.60)
    assert by_f1.value == pytest.approx(0.8)
    assert (by_f1.profit_per_customer, by_f1.break_even) == (None, None)


def test_the_guide_has_the_customers_of_this_example_and_their_f1() -> None:
    row = r"^\| [A-H] \| ([\d.]+) \| (yes|no) \| \d+ \| \d+ \| ([\d.]+) \|$"
    rows = re.findall(row, GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert [float(probability) for probability, _, _ in rows] == PROBABILITY.tolist()
    assert [int(left == "yes") for _, left, _ in rows] == TARGET.tolist()
    for probability, _, f1 in rows:
        flagged = np.greater_equal(PROBABILITY, float(probability))
        assert f1 == f"{sklearn_metrics.f1_score(TARGET, flagged):.3f}"


@pytest.mark.parametrize(
    ("limits", "threshold", "reason"),
    [
        (
            {"capacity": 0.5},
            0.60,
            "Within the capacity of 50.0 %, 25.0 % of the customers are contacted, for an expected profit of 49.50 per "
            "customer. Without limits, at 0.1400: 62.5 % of the customers are contacted, for an expected profit of "
            "68.75 per customer.",
        ),
        (
            {"budget": 2},
            0.85,
            "Within the budget of 2.00 per customer, 12.5 % of the customers are contacted, for an expected profit of "
            "24.75 per customer. Without limits, at 0.1400: 62.5 % of the customers are contacted, for an expected "
            "profit of 68.75 per customer.",
        ),
    ],
    ids=["capacity", "budget"],
)
def test_the_reason_names_the_limit_that_binds(limits: dict[str, float], threshold: float, reason: str) -> None:
    choice = choose_threshold(TARGET, PROBABILITY, for_profit(**limits))

    assert choice.threshold == pytest.approx(threshold)
    assert choice.reason == reason


def test_of_two_limits_the_stricter_one_is_named() -> None:
    by_budget = choose_threshold(TARGET, PROBABILITY, for_profit(capacity=0.5, budget=2))
    by_capacity = choose_threshold(TARGET, PROBABILITY, for_profit(capacity=0.125, budget=4))
    by_both = choose_threshold(TARGET, PROBABILITY, for_profit(capacity=0.125, budget=2))

    assert by_budget.reason.startswith("Within the budget of 2.00 per customer, 12.5 %")
    assert by_capacity.reason.startswith("Within the capacity of 12.5 %, 12.5 %")
    assert by_both.reason.startswith("Within the capacity of 12.5 % and the budget of 2.00 per customer, 12.5 %")


def test_limits_that_do_not_bind_change_nothing() -> None:
    assert choose_threshold(TARGET, PROBABILITY, for_profit(capacity=0.7, budget=10)) == choose_threshold(
        TARGET, PROBABILITY, for_profit()
    )


@pytest.mark.parametrize("largest", [0.9, 1.0])
def test_without_a_profitable_threshold_no_customer_is_flagged(
    largest: float, caplog: pytest.LogCaptureFixture
) -> None:
    probability = np.array([largest, 0.8, 0.4, 0.3])

    with caplog.at_level(logging.WARNING):
        choice = choose_threshold(np.array([0, 0, 0, 1]), probability, for_profit(value=60))

    assert not (probability >= choice.threshold).any()
    assert math.isfinite(choice.threshold)
    assert (choice.value, choice.contacted_share, choice.precision, choice.recall) == (0.0, 0.0, 0.0, 0.0)
    assert choice.reason == "No threshold has a positive profit: no customer is contacted."
    assert "The decision threshold flags no customer." in caplog.text


def test_a_capacity_below_one_customer_flags_none_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choice = choose_threshold(TARGET, PROBABILITY, for_profit(capacity=0.1))

    assert choice.contacted_share == 0
    assert choice.reason.startswith(
        "Within the capacity of 10.0 %, no customer can be contacted at a profit. Without limits"
    )
    assert choice.reason in caplog.text


def test_scikit_learns_classifier_takes_a_threshold_that_flags_nobody() -> None:
    target, probability = np.array([1, 0, 0, 0]), np.array([0.2, 1.0, 0.3, 0.4])
    threshold = choose_threshold(target, probability, for_profit(capacity=0.1)).threshold
    # It says 1 of everyone.
    model = DummyClassifier(strategy="constant", constant=1)
    rows = np.zeros((4, 1))

    flagged = {
        limit: FixedThresholdClassifier(model, threshold=limit, response_method="predict_proba")
        .fit(rows, target)
        .predict(rows)
        .tolist()
        for limit in (1.0, threshold)
    }

    assert flagged == {1.0: [1, 1, 1, 1], threshold: [0, 0, 0, 0]}


def test_customers_not_worth_a_contact_are_flagged_but_not_contacted() -> None:
    economics = {**NUMBERS, "value": {"column": "Balance"}}
    values = np.array([420.0, 10.0, 420.0, 420.0])

    choice = choose_threshold(
        np.array([1, 1, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]), parameters("profit", economics=economics), values
    )

    assert choice.threshold == pytest.approx(0.4)
    assert (choice.recall, choice.contacted_share) == (1.0, 0.5)
    assert choice.profit_per_customer == pytest.approx(2 * 198 / 4)
    assert choice.break_even is None


@pytest.mark.parametrize("left", [0, 1])
@pytest.mark.parametrize("objective", ["balanced_accuracy", "profit"])
def test_a_single_class_gives_the_neutral_threshold(
    objective: str, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings = for_profit() if objective == "profit" else parameters(objective)

    with caplog.at_level(logging.WARNING):
        choice = choose_threshold(np.full(4, left), np.array([0.9, 0.5, 0.4, 0.3]), settings)

    assert choice.threshold == 0.5
    # Two of four are contacted: two stayers at -22, or two leavers at 198.
    assert choice.value == (pytest.approx([-11.0, 99.0][left]) if objective == "profit" else None)
    assert choice.contacted_share == 0.5
    assert "The decision threshold is 0.5: there is only one class." in caplog.text
    assert "there is only one class" in choice.reason


@pytest.mark.parametrize("probability", [0.3, 0.5, 0.7])
def test_equal_probabilities_give_the_neutral_threshold(probability: float, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choice = choose_threshold(TARGET, np.full(8, probability), parameters("accuracy"))

    assert choice.threshold == 0.5
    assert choice.value == (5 / 8 if probability < 0.5 else 3 / 8)
    assert "The decision threshold is 0.5: all predicted probabilities are equal." in caplog.text


@pytest.mark.parametrize("limits", [{"capacity": 0.5}, {"budget": 1}])
def test_the_neutral_threshold_never_exceeds_a_limit(
    limits: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        choice = choose_threshold(TARGET, np.full(8, 0.7), for_profit(**limits))

    assert (choice.threshold, choice.contacted_share) == (1.0, 0.0)
    assert "0.5 would exceed capacity or budget" in choice.reason
    assert "flags no customer" in caplog.text


def test_one_value_for_all_may_also_be_passed() -> None:
    assert choose_threshold(TARGET, PROBABILITY, for_profit(), np.full(8, 420.0)) == choose_threshold(
        TARGET, PROBABILITY, for_profit()
    )


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["f1", "profit"])
def test_a_million_customers_take_about_a_second(objective: str) -> None:
    random = np.random.default_rng(4)
    probability = random.random(1_000_000)
    target = (random.random(1_000_000) < probability).astype(int)
    settings = for_profit() if objective == "profit" else parameters(objective)

    start = time.perf_counter()
    choose_threshold(target, probability, settings)

    # Generous, for busy machines; a loop over thresholds would take hours.
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "profit"}, "profit needs economics: contact_cost"),
        ({"objective": "recall_at_precision"}, "recall_at_precision needs min_precision"),
        ({"objective": "f1", "min_precision": 0.5}, "min_precision is 0.5, but objective f1 does not use it"),
        ({"objective": "recall_at_precision", "min_precision": 0}, "greater than 0"),
        ({"objective": "recall_at_precision", "min_precision": 80}, "less than or equal to 1"),
        ({"objective": "roc_auc"}, "'profit', 'f1'"),
        ({"objective": "f1", "metric": "f1"}, "Extra inputs"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CampaignParameters.model_validate(settings)


@pytest.mark.parametrize(
    ("target", "probability", "message"),
    [
        ([0, 1], [0.1], r"found \(2,\) and \(1,\)"),
        ([], [], "at least one customer"),
        ([0, 2], [0.1, 0.2], r"0 and 1 only, found \[0, 2\]"),
        ([0, 1], [0.1, math.nan], "from 0 to 1"),
        ([0, 1], [0.1, 1.2], "from 0 to 1"),
    ],
)
def test_customers_that_cannot_be_read_are_refused(target: list[int], probability: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_threshold(np.array(target), np.array(probability), parameters("f1"))


def test_values_must_be_there_and_fit_where_profit_needs_them() -> None:
    settings = parameters("profit", economics={**NUMBERS, "value": ValueColumn(column="Balance")})

    with pytest.raises(ValueError, match="column 'Balance': pass the value of each customer"):
        choose_threshold(TARGET, PROBABILITY, settings)
    with pytest.raises(ValueError, match=r"finite numbers of shape \(8,\), found shape \(3,\)"):
        choose_threshold(TARGET, PROBABILITY, settings, np.ones(3))
    with pytest.raises(ValueError, match="finite numbers"):
        choose_threshold(TARGET, PROBABILITY, settings, np.full(8, np.nan))


def test_series_and_arrays_give_the_same_choice() -> None:
    index = pd.Index(range(8, 0, -1))
    target, probability = pd.Series(TARGET, index), pd.Series(PROBABILITY, index)

    assert choose_threshold(target.to_numpy(), probability.to_numpy(), for_profit()) == choose_threshold(
        TARGET, PROBABILITY, for_profit()
    )


def test_with_different_values_more_are_flagged_than_contacted() -> None:
    random = np.random.default_rng(3)
    probability = random.uniform(0, 1, 500)
    target = (random.uniform(0, 1, 500) < probability).astype(int)
    values = np.where(random.uniform(0, 1, 500) < 0.4, 5.0, 500.0)
    economics = Economics(contact_cost=1, offer_cost=10, save_probability=0.5, value=ValueColumn(column="Value"))

    choice = choose_threshold(target, probability, CampaignParameters(objective="profit", economics=economics), values)

    flagged = probability >= choice.threshold
    assert choice.flagged_share == pytest.approx(flagged.mean())
    assert choice.contacted_share == pytest.approx((flagged & (values > 100)).mean())
    assert choice.contacted_share < choice.flagged_share
