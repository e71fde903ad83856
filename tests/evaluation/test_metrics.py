"""Claims about metrics and their bootstrap intervals, held against scikit-learn."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from scipy.stats import ks_2samp
from sklearn import metrics as sklearn_metrics

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.tasks import TASKS
from churn_kedro.evaluation.metrics import estimates
from churn_kedro.evaluation.metrics.definitions import METRICS, compute, headlines, task_metrics
from churn_kedro.evaluation.metrics.estimates import (
    BootstrapParameters,
    Estimate,
    Evaluation,
    bootstrap,
    measure,
    measure_counted,
    measure_with_intervals,
    metrics_over_thresholds,
    paired_differences,
    shifted_interval,
)
from churn_kedro.evaluation.metrics.statistics import TOP_PERCENTS, BinarySample
from churn_kedro.models.interface import ScoredCustomers
from churn_kedro.training.calibration import expected_calibration_error

GAINS = {f"{name}_{percent}" for name in ("gain", "lift") for percent in TOP_PERCENTS}
RESAMPLING = BootstrapParameters(n_resamples=200, confidence=0.9, random_state=11)


def binary(target: np.ndarray, probability: np.ndarray, threshold: float) -> ScoredCustomers:
    return ScoredCustomers("binary", target, probability, threshold, ("0", "1"))


def sklearn_measure(target: Any, probability: Any, threshold: float, weights: Any = None) -> dict[str, float]:
    flagged = (np.asarray(probability) >= threshold).astype(int)
    weighted: dict[str, Any] = {"sample_weight": weights}
    return {
        "roc_auc": sklearn_metrics.roc_auc_score(target, probability, **weighted),
        "pr_auc": sklearn_metrics.average_precision_score(target, probability, **weighted),
        "log_loss": sklearn_metrics.log_loss(target, probability, labels=[0, 1], **weighted),
        "brier": sklearn_metrics.brier_score_loss(target, probability, **weighted),
        "accuracy": sklearn_metrics.accuracy_score(target, flagged, **weighted),
        "precision": sklearn_metrics.precision_score(target, flagged, zero_division=0, **weighted),
        "recall": sklearn_metrics.recall_score(target, flagged, **weighted),
        "f1": sklearn_metrics.f1_score(target, flagged, **weighted),
        "mcc": sklearn_metrics.matthews_corrcoef(target, flagged, **weighted),
        "balanced_accuracy": sklearn_metrics.recall_score(
            target, flagged, average="macro", labels=[0, 1], zero_division=0, **weighted
        ),
        "gini": 2 * sklearn_metrics.roc_auc_score(target, probability, **weighted) - 1,
        "ks": farthest_apart(target, probability, weights),
    }


def farthest_apart(target: Any, probability: Any, weights: Any = None) -> float:
    """Kolmogorov-Smirnov statistic as scipy computes it."""
    counts = np.ones(len(target), dtype=int) if weights is None else weights
    drawn, score = np.repeat(target, counts), np.repeat(probability, counts)
    return float(ks_2samp(score[drawn == 1], score[drawn == 0]).statistic)


def gain_of(target: np.ndarray, probability: np.ndarray, percent: int) -> float:
    """Customer by customer: each of a tied score is listed in part."""
    wanted, listed, hits = len(target) * percent / 100, 0.0, 0.0
    for score in sorted(set(probability), reverse=True):
        same = probability == score
        part = min(1.0, (wanted - listed) / same.sum())
        listed += part * same.sum()
        hits += part * target[same].sum()
        if part < 1:
            break
    return hits / float(target.sum())


def known_to_sklearn(values: dict[str, float]) -> dict[str, float]:
    """What other libraries compute, too."""
    return {name: value for name, value in values.items() if name not in {"ece", *GAINS}}


def naive_ece(target: np.ndarray, probability: np.ndarray, drawn: np.ndarray) -> float:
    """Expected calibration error of drawn customers in the bins of all."""
    distance = 0.0
    middle = np.array([(probability < one).sum() + (probability == one).sum() / 2 for one in probability])
    for number in range(10):
        inside = drawn[np.floor(middle[drawn] * 10 / len(probability)) == number]
        distance += abs(float((target[inside] - probability[inside]).sum()))
    return distance / len(drawn)


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray]:
    """300 customers with calibrated probabilities, some of them tied."""
    random = np.random.default_rng(2)
    probability = random.beta(1, 2, 300).round(2)
    return (random.random(300) < probability).astype(np.int64), probability


# Few distinct probabilities, the borders among them: ties are the rule.
CUSTOMER = st.tuples(
    st.integers(0, 1),
    st.one_of(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.floats(0, 1)),
    st.integers(0, 4),
)
CUSTOMERS = st.lists(CUSTOMER, min_size=2, max_size=25)
THRESHOLDS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0])


@pytest.mark.slow
@given(customers=CUSTOMERS, threshold=THRESHOLDS)
def test_metrics_agree_with_scikit_learn_also_with_ties(
    customers: list[tuple[int, float, int]], threshold: float
) -> None:
    target, probability, _ = (np.array(values) for values in zip(*customers, strict=True))
    assume(len(set(target)) == 2)

    values = measure(binary(target, probability, threshold))

    assert known_to_sklearn(values) == pytest.approx(
        sklearn_measure(target, probability, threshold), rel=1e-9, abs=1e-12
    )
    assert values["ece"] == pytest.approx(expected_calibration_error(target, probability), abs=1e-12)
    for percent in TOP_PERCENTS:
        assert values[f"gain_{percent}"] == pytest.approx(gain_of(target, probability, percent))
        assert values[f"lift_{percent}"] == pytest.approx(values[f"gain_{percent}"] / (percent / 100))


@pytest.mark.slow
@given(customers=CUSTOMERS, threshold=THRESHOLDS)
def test_counts_per_customer_agree_with_scikit_learns_sample_weights(
    customers: list[tuple[int, float, int]], threshold: float
) -> None:
    target, probability, counts = (np.array(values) for values in zip(*customers, strict=True))
    assume(len(set(target[counts > 0])) == 2)

    statistics = BinarySample.of(target, probability, probability >= threshold).count(counts[np.newaxis, :])

    expected = sklearn_measure(target, probability, threshold, counts)
    found = {name: float(values[0]) for name, values in compute("binary", statistics).items()}
    drawn, score = np.repeat(target, counts), np.repeat(probability, counts)
    assert known_to_sklearn(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert {name: found[name] for name in ("gain_5", "gain_10", "gain_20")} == pytest.approx(
        {f"gain_{percent}": gain_of(drawn, score, percent) for percent in TOP_PERCENTS}
    )


def test_metrics_worked_out_by_hand() -> None:
    # Ranked: 0.9 left, 0.8 stayed, 0.4 left, 0.1 stayed. Of the four pairs three are in order.
    values = measure(binary(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.8, 0.9]), 0.8))

    assert values == pytest.approx(
        {
            "roc_auc": 3 / 4,
            "pr_auc": (1 / 1 + 2 / 3) / 2,
            "log_loss": -(np.log(0.9) + np.log(0.4) + np.log(0.2) + np.log(0.9)) / 4,
            "brier": (0.01 + 0.36 + 0.64 + 0.01) / 4,
            "accuracy": 2 / 4,
            "balanced_accuracy": 1 / 2,
            "precision": 1 / 2,
            "recall": 1 / 2,
            "f1": 1 / 2,
            "mcc": 0,
            "gini": 1 / 2,
            # At or above 0.9, half of those who left and nobody who stayed; at or above 0.4 all and half.
            "ks": 1 / 2,
            # Each customer is a bin.
            "ece": (0.1 + 0.6 + 0.8 + 0.1) / 4,
            # Of the four customers, 5 % are a fifth of the first one.
            "gain_5": 0.2 * 1 / 2,
            "gain_10": 0.4 * 1 / 2,
            "gain_20": 0.8 * 1 / 2,
            "lift_5": 2,
            "lift_10": 2,
            "lift_20": 2,
        }
    )


def test_a_resample_is_what_scikit_learn_measures_on_the_drawn_customers(
    scored: tuple[np.ndarray, np.ndarray],
) -> None:
    target, probability = scored
    resampled = bootstrap(binary(target, probability, 0.4), RESAMPLING)
    generator = np.random.default_rng(RESAMPLING.random_state)

    for number in range(5):
        drawn = generator.integers(0, len(target), len(target))
        expected = sklearn_measure(target[drawn], probability[drawn], 0.4)
        found = {name: float(values[number]) for name, values in resampled.items()}
        assert known_to_sklearn(found) == pytest.approx(expected)
        assert found["gain_10"] == pytest.approx(gain_of(target[drawn], probability[drawn], 10))
        assert found["ece"] == pytest.approx(naive_ece(target, probability, drawn))


def test_two_models_see_the_same_resamples() -> None:
    # With one probability p for all, the Brier score is s (1 - p)² + (1 - s) p², so it tells the share s of churners.
    target = np.array([0, 1] * 30 + [0] * 40)

    def churners(probability: float) -> np.ndarray:
        brier = bootstrap(binary(target, np.full(100, probability), 0.5), RESAMPLING)["brier"]
        return np.asarray((brier - probability**2) / (1 - 2 * probability))

    np.testing.assert_allclose(churners(0.2), churners(0.9))
    assert len(np.unique(churners(0.2).round(6))) > 5


def test_the_seed_decides_the_resamples(scored: tuple[np.ndarray, np.ndarray]) -> None:
    first, again = (bootstrap(binary(*scored, 0.4), RESAMPLING)["roc_auc"] for _ in range(2))
    other = bootstrap(binary(*scored, 0.4), RESAMPLING.model_copy(update={"random_state": 12}))["roc_auc"]

    np.testing.assert_array_equal(first, again)
    assert first.shape == (200,)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("cells", [1, 300, 300 * 7, 300 * 200])
def test_resamples_do_not_depend_on_how_many_are_held_in_memory(
    cells: int, scored: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bootstrap(binary(*scored, 0.4), RESAMPLING)
    monkeypatch.setattr(estimates, "_CELLS_AT_ONCE", cells)

    in_blocks = bootstrap(binary(*scored, 0.4), RESAMPLING)

    for name in task_metrics("binary"):
        np.testing.assert_allclose(in_blocks[name], whole[name], rtol=1e-12)


def test_intervals_are_percentiles_of_the_resamples_around_the_value(scored: tuple[np.ndarray, np.ndarray]) -> None:
    estimates = measure_with_intervals(binary(*scored, 0.4), RESAMPLING)
    values, resampled = measure(binary(*scored, 0.4)), bootstrap(binary(*scored, 0.4), RESAMPLING)

    assert tuple(estimates) == task_metrics("binary")
    for name, estimate in estimates.items():
        assert estimate.value == values[name]
        assert estimate.low < estimate.value < estimate.high
        low, middle, high = np.percentile(resampled[name], [5, 50, 95])
        # Resamples overstate the calibration error: its interval is moved.
        shift = middle - estimate.value if name == "ece" else 0.0
        assert (estimate.low, estimate.high) == pytest.approx((max(low - shift, 0) if shift else low, high - shift))


def test_more_confidence_takes_a_wider_interval(scored: tuple[np.ndarray, np.ndarray]) -> None:
    wider = measure_with_intervals(binary(*scored, 0.4), RESAMPLING.model_copy(update={"confidence": 0.99}))

    for name, estimate in measure_with_intervals(binary(*scored, 0.4), RESAMPLING).items():
        assert wider[name].low < estimate.low
        assert wider[name].high > estimate.high


def test_an_interval_of_accuracy_is_as_wide_as_the_binomial_distribution_implies() -> None:
    random = np.random.default_rng(5)
    target = random.integers(0, 2, 1000)
    probability = np.where(random.random(1000) < 0.8, target, 1 - target).astype(float)
    resampling = BootstrapParameters(n_resamples=2000, confidence=0.95, random_state=0)

    accuracy = measure_with_intervals(binary(target, probability, 0.5), resampling)["accuracy"]

    half = 1.96 * np.sqrt(accuracy.value * (1 - accuracy.value) / 1000)
    assert (accuracy.high - accuracy.low) / 2 == pytest.approx(half, rel=0.1)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_cannot_be_measured(label: int) -> None:
    target, probability = np.full(5, label), np.linspace(0, 1, 5)

    with pytest.raises(CustomerTableError, match="All 5 test customers have the same label"):
        measure(binary(target, probability, 0.5))
    with pytest.raises(CustomerTableError, match="All 5 test customers have the same label"):
        measure_with_intervals(binary(target, probability, 0.5), RESAMPLING)


def test_a_resample_of_one_class_counts_for_no_interval() -> None:
    target, probability = np.array([1, 0, 0, 0]), np.array([0.6, 0.7, 0.2, 0.1])

    resampled = bootstrap(binary(target, probability, 0.5), RESAMPLING)
    estimates = measure_with_intervals(binary(target, probability, 0.5), RESAMPLING)

    without = np.isnan(resampled["roc_auc"])
    assert 0 < without.sum() < 200
    assert all(np.isnan(values[without]).all() and np.isfinite(values[~without]).all() for values in resampled.values())
    assert all(np.isfinite([estimate.low, estimate.high]).all() for estimate in estimates.values())


def test_an_evaluation_lists_each_bound_under_a_name_of_its_own() -> None:
    evaluation = Evaluation(
        model_name="m",
        model_version=1,
        model_id="id",
        test_digest="d",
        test_rows=2,
        task="binary",
        test_classes={"0": 1, "1": 1},
        threshold=0.5,
        bootstrap=RESAMPLING,
        metrics={"brier": Estimate(value=0.2, low=0.1, high=0.3)},
    )

    assert evaluation.flat() == {"brier": 0.2, "brier_low": 0.1, "brier_high": 0.3}


def multiclass(target: np.ndarray, probability: np.ndarray) -> ScoredCustomers:
    classes = tuple(f"c{code}" for code in range(probability.shape[1]))
    return ScoredCustomers("multiclass", target, probability, None, classes)


def regression(target: np.ndarray, prediction: np.ndarray) -> ScoredCustomers:
    return ScoredCustomers("regression", target, prediction)


def sklearn_multiclass(target: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    n_classes = probability.shape[1]
    codes, predicted = np.unique(target), probability.argmax(axis=1)
    members = np.eye(n_classes)[target]
    return {
        "roc_auc": float(np.mean([sklearn_metrics.roc_auc_score(members[:, c], probability[:, c]) for c in codes])),
        "pr_auc": float(
            np.mean([sklearn_metrics.average_precision_score(members[:, c], probability[:, c]) for c in codes])
        ),
        "log_loss": sklearn_metrics.log_loss(target, probability, labels=range(n_classes)),
        "brier": sklearn_metrics.brier_score_loss(target, probability, labels=range(n_classes), scale_by_half=False),
        "accuracy": sklearn_metrics.accuracy_score(target, predicted),
        "balanced_accuracy": sklearn_metrics.recall_score(target, predicted, labels=codes, average="macro"),
        "f1_macro": sklearn_metrics.f1_score(target, predicted, labels=codes, average="macro"),
        "mcc": sklearn_metrics.matthews_corrcoef(target, predicted),
    }


def sklearn_regression(target: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    return {
        "r2": sklearn_metrics.r2_score(target, prediction),
        "rmse": sklearn_metrics.root_mean_squared_error(target, prediction),
        "mae": sklearn_metrics.mean_absolute_error(target, prediction),
        "median_ae": sklearn_metrics.median_absolute_error(target, prediction),
        "wape": float(np.abs(target - prediction).sum() / np.abs(target).sum()),
        "bias": float(np.mean(prediction - target)),
    }


@pytest.fixture(scope="module")
def several() -> tuple[np.ndarray, np.ndarray]:
    """300 customers of four classes with calibrated probabilities, some of them tied."""
    random = np.random.default_rng(3)
    probability = random.dirichlet([1.0, 2.0, 1.0, 0.5], 300).round(2)
    probability /= probability.sum(axis=1, keepdims=True)
    return np.array([random.choice(4, p=row) for row in probability]), probability


@pytest.fixture(scope="module")
def numbers() -> tuple[np.ndarray, np.ndarray]:
    """300 customers with a number far from 0 and what was predicted."""
    random = np.random.default_rng(3)
    prediction = random.normal(1e5, 20, 300).round()
    return prediction + random.normal(0, 10, 300).round(), prediction


WEIGHTS = st.tuples(*[st.sampled_from([0.0, 1.0, 1.0, 2.0, 7.0]) for _ in range(3)])


@pytest.mark.slow
@given(customers=st.lists(st.tuples(st.integers(0, 2), WEIGHTS), min_size=2, max_size=25))
def test_metrics_of_several_classes_agree_with_scikit_learn_also_with_ties_and_absent_classes(
    customers: list[tuple[int, tuple[float, ...]]],
) -> None:
    target = np.array([code for code, _ in customers])
    # A row of nothing but 0 is one of equal probabilities.
    weights = np.array([row for _, row in customers]) + 1e-9
    probability = weights / weights.sum(axis=1, keepdims=True)
    assume(len(set(target)) >= 2)

    values = measure(multiclass(target, probability))

    assert known_to_sklearn(values) == pytest.approx(sklearn_multiclass(target, probability), rel=1e-6, abs=1e-9)
    assert values["ece"] == pytest.approx(expected_calibration_error(target, probability), abs=1e-12)


def test_the_means_over_classes_are_those_of_scikit_learn_where_every_class_is_there(
    several: tuple[np.ndarray, np.ndarray],
) -> None:
    target, probability = several
    values = measure(multiclass(target, probability))

    assert values["roc_auc"] == pytest.approx(sklearn_metrics.roc_auc_score(target, probability, multi_class="ovr"))
    assert values["pr_auc"] == pytest.approx(sklearn_metrics.average_precision_score(np.eye(4)[target], probability))
    assert values["brier"] == pytest.approx(sklearn_metrics.brier_score_loss(target, probability))
    assert values["balanced_accuracy"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(target, probability.argmax(axis=1))
    )


@pytest.mark.slow
@given(
    customers=st.lists(
        st.tuples(st.integers(-3, 3), st.floats(-100, 100).map(lambda value: round(value, 3))), min_size=2, max_size=25
    )
)
def test_metrics_of_numbers_agree_with_scikit_learn(customers: list[tuple[int, float]]) -> None:
    target, prediction = (np.array(values, dtype=float) for values in zip(*customers, strict=True))
    assume(len(set(target)) >= 2)

    assert measure(regression(target, prediction)) == pytest.approx(
        sklearn_regression(target, prediction), rel=1e-9, abs=1e-9
    )


def test_metrics_of_numbers_worked_out_by_hand() -> None:
    # Errors 1, 0, 2, 3; the numbers' mean is 3 and their sum of squares around it 20.
    values = measure(regression(np.array([0.0, 2.0, 4.0, 6.0]), np.array([1.0, 2.0, 2.0, 9.0])))

    assert values == pytest.approx(
        {
            "r2": 1 - 14 / 20,
            "rmse": np.sqrt(14 / 4),
            "mae": 6 / 4,
            "median_ae": (1 + 2) / 2,
            "wape": 6 / 12,
            "bias": (1 + 0 - 2 + 3) / 4,
        }
    )


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_resample_of_another_task_is_what_scikit_learn_measures_on_the_drawn_customers(
    task: str, several: tuple[np.ndarray, np.ndarray], numbers: tuple[np.ndarray, np.ndarray]
) -> None:
    scored, expect = {
        "multiclass": (multiclass(*several), sklearn_multiclass),
        "regression": (regression(*numbers), sklearn_regression),
    }[task]
    resampled = bootstrap(scored, RESAMPLING)
    generator = np.random.default_rng(RESAMPLING.random_state)

    for number in range(5):
        drawn = generator.integers(0, 300, 300)
        expected = expect(scored.target[drawn], scored.prediction[drawn])
        found = {name: float(values[number]) for name, values in resampled.items()}
        assert known_to_sklearn(found) == pytest.approx(expected)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_intervals_of_another_task_are_around_the_value(
    task: str, several: tuple[np.ndarray, np.ndarray], numbers: tuple[np.ndarray, np.ndarray]
) -> None:
    scored = multiclass(*several) if task == "multiclass" else regression(*numbers)

    estimates = measure_with_intervals(scored, RESAMPLING)

    assert tuple(estimates) == task_metrics(scored.task)
    # A median of whole numbers may well be an end of its interval.
    assert all(estimate.low <= estimate.value <= estimate.high for estimate in estimates.values())


def test_a_resample_that_lacks_a_class_counts_for_no_interval() -> None:
    target = np.array([0, 1, 1, 1, 2, 2, 2, 2])
    probability = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], 8)

    resampled = bootstrap(multiclass(target, probability), RESAMPLING)

    without = np.isnan(resampled["roc_auc"])
    assert 0 < without.sum() < 200
    assert all(np.isnan(values[without]).all() and np.isfinite(values[~without]).all() for values in resampled.values())


def test_a_resample_of_one_number_has_no_r2_yet_an_error() -> None:
    scored = regression(np.array([0.1, 0.1, 0.3]), np.array([0.1, 0.2, 0.3]))

    resampled = bootstrap(scored, RESAMPLING)

    without = np.isnan(resampled["r2"])
    assert 0 < without.sum() < 200
    assert np.isfinite(resampled["rmse"]).all()


def test_one_class_or_one_number_cannot_be_measured() -> None:
    with pytest.raises(CustomerTableError, match="All 3 test customers have the same label"):
        measure(multiclass(np.array([1, 1, 1]), np.full((3, 3), 1 / 3)))
    with pytest.raises(CustomerTableError, match="All 3 test customers have the same number"):
        measure(regression(np.full(3, 7.0), np.arange(3.0)))


def test_a_metric_is_computed_or_measured_elsewhere_and_each_task_has_two_headlines() -> None:
    for metric in METRICS.values():
        assert metric.title
        assert metric.meaning
        assert bool(metric.functions) != bool(metric.extends), metric.name
        assert set(metric.headline) <= set(metric.functions), metric.name
    for task in TASKS:
        assert len(headlines(task)) == 2
        assert len(set(task_metrics(task))) == len(task_metrics(task))
    assert task_metrics("regression") == ("r2", "rmse", "mae", "median_ae", "wape", "bias")


def test_numbers_that_are_all_zero_have_no_share_of_error() -> None:
    values = measure_counted(regression(np.zeros(4), np.ones(4)), np.ones((1, 4), dtype=np.int32))

    assert np.isnan(values["wape"][0])
    assert values["bias"][0] == 1


def test_a_resample_without_customers_has_no_metric(scored: tuple[np.ndarray, np.ndarray]) -> None:
    counts = np.stack([np.zeros(300, dtype=np.int32), np.ones(300, dtype=np.int32)])

    values = measure_counted(binary(*scored, 0.4), counts)

    assert all(np.isnan(value[0]) and np.isfinite(value[1]) for value in values.values())


def test_the_interval_of_a_calibration_error_of_nothing_holds_it_and_starts_at_zero() -> None:
    random = np.random.default_rng(0)
    probability = random.random(2000)
    target = (random.random(2000) < probability).astype(np.int64)

    plain = bootstrap(binary(target, probability, 0.5), RESAMPLING)["ece"]
    estimate = measure_with_intervals(binary(target, probability, 0.5), RESAMPLING)["ece"]

    assert np.median(plain) > estimate.value
    assert 0 <= estimate.low <= estimate.value <= estimate.high


def test_a_shifted_interval_has_the_value_in_its_middle() -> None:
    resampled = np.append(np.arange(1.0, 102.0), np.nan)

    assert shifted_interval(11.0, resampled, 0.9) == pytest.approx((11 - 45, 11 + 45))
    assert shifted_interval(3.0, np.full(5, np.nan), 0.9) == (3.0, 3.0)


def test_paired_differences_are_those_of_the_resamples(scored: tuple[np.ndarray, np.ndarray]) -> None:
    target, probability = scored
    first, second = binary(target, probability, 0.4), binary(target, np.sqrt(probability), 0.6)

    differences = paired_differences(first, second, RESAMPLING)

    apart = bootstrap(first, RESAMPLING)["brier"] - bootstrap(second, RESAMPLING)["brier"]
    assert tuple(differences) == task_metrics("binary")
    assert differences["brier"].value == pytest.approx(measure(first)["brier"] - measure(second)["brier"])
    assert (differences["brier"].low, differences["brier"].high) == pytest.approx(tuple(np.percentile(apart, [5, 95])))
    # The order is the same, on every resample.
    assert (differences["roc_auc"].low, differences["roc_auc"].high) == (0, 0)


def test_a_model_does_not_differ_from_itself(numbers: tuple[np.ndarray, np.ndarray]) -> None:
    differences = paired_differences(regression(*numbers), regression(*numbers), RESAMPLING)

    assert all((one.value, one.low, one.high) == (0, 0, 0) for one in differences.values())


def test_models_of_other_customers_cannot_be_compared(scored: tuple[np.ndarray, np.ndarray]) -> None:
    target, probability = scored

    with pytest.raises(ValueError, match=r"paired differences need scores of the same customers.*whose targets differ"):
        paired_differences(binary(target, probability, 0.4), binary(1 - target, probability, 0.4), RESAMPLING)


def test_metrics_over_thresholds_are_those_of_each_threshold(scored: tuple[np.ndarray, np.ndarray]) -> None:
    target, probability = scored

    table = metrics_over_thresholds(binary(target, probability, 0.4321), RESAMPLING)

    assert len(table) == 101
    assert table["threshold"].is_monotonic_increasing
    assert 0.4321 in table["threshold"].tolist()
    assert table["threshold"].iloc[[0, -1]].tolist() == [0, 1]
    for row in table.iloc[[0, 10, 43, 60]].to_dict("records"):
        expected = measure(binary(target, probability, row["threshold"]))
        for name in ("precision", "recall", "f1", "accuracy", "balanced_accuracy", "mcc"):
            assert row[name] == pytest.approx(expected[name])
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
        assert row["flagged_share"] == pytest.approx((probability >= row["threshold"]).mean())


@pytest.mark.slow
def test_intervals_over_thresholds_are_as_wide_as_those_of_resampled_customers(
    scored: tuple[np.ndarray, np.ndarray],
) -> None:
    resampling = BootstrapParameters(n_resamples=4000, confidence=0.9, random_state=1)

    table = metrics_over_thresholds(binary(*scored, 0.4), resampling).set_index("threshold").loc[0.4]
    estimates = measure_with_intervals(binary(*scored, 0.4), resampling)

    for name in ("precision", "recall", "f1", "mcc"):
        assert table[f"{name}_low"] == pytest.approx(estimates[name].low, abs=0.012)
        assert table[f"{name}_high"] == pytest.approx(estimates[name].high, abs=0.012)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.00000012, 0.5, 0.004])
def test_the_decision_threshold_is_always_among_the_thresholds(
    threshold: float, scored: tuple[np.ndarray, np.ndarray]
) -> None:
    table = metrics_over_thresholds(binary(*scored, threshold), RESAMPLING)

    assert len(table) == 101
    assert threshold in table["threshold"].tolist()
    assert table["threshold"].is_monotonic_increasing
    # Nobody is flagged: there is no precision.
    assert table["precision"].isna().sum() == (table["flagged_share"] == 0).sum()


def test_only_decisions_have_thresholds(numbers: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="found task regression"):
        metrics_over_thresholds(regression(*numbers), RESAMPLING)


@pytest.mark.slow
def test_a_hundred_thousand_customers_are_resampled_in_seconds() -> None:
    random = np.random.default_rng(1)
    probability = random.beta(1, 4, 100_000)
    target = (random.random(100_000) < probability).astype(np.int64)
    start = time.perf_counter()

    measure_with_intervals(binary(target, probability, 0.3), RESAMPLING)

    # A fifth of the usual number of resamples; on two cores it takes half a second.
    assert time.perf_counter() - start < 4
