"""Claims about the map from scores to probabilities."""

from typing import Any, get_args

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.tasks import Task
from churn_kedro.models.learning import Learning
from churn_kedro.training.calibration import Method, choose_calibration, expected_calibration_error, fit_calibration
from churn_kedro.training.parameters import CalibrationParameters
from churn_kedro.training.probability_input import ProbabilityInput

METHODS: tuple[Method, ...] = get_args(Method)
BINARY = Learning("binary", "log_loss", n_classes=2)
SEVERAL = Learning("multiclass", "log_loss", n_classes=3)


def odds(probability: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(probability / (1 - probability)))


@pytest.fixture(scope="module")
def scores() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, overconfident and shifted probabilities, and folds of 600 customers."""
    random = np.random.default_rng(0)
    truth = random.normal(-1, 1, 600)
    target = (random.random(600) < 1 / (1 + np.exp(-truth))).astype(int)
    return target, 1 / (1 + np.exp(-(2.5 * truth + 1))), np.arange(600) % 5


@pytest.fixture(scope="module")
def several() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of three classes."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (600, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    target = np.array([random.choice(3, p=row) for row in shares])
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)
    return target, sharp, np.arange(600) % 5


def choose(data: tuple[np.ndarray, np.ndarray, np.ndarray], method: str = "auto", **options: Any) -> Any:
    learning = SEVERAL if data[1].ndim == 2 else BINARY
    parameters = CalibrationParameters.model_validate({"method": method})
    return choose_calibration(*data, learning, parameters, **options)


def mapped(method: Method, target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """What the final estimator says of the customers whose raw probabilities these are."""
    raw = np.column_stack([1 - prediction, prediction]) if prediction.ndim == 1 else prediction
    fitted = fit_calibration(method, target, prediction, weight)
    return raw if fitted is None else fitted.predict_proba(raw)


@pytest.mark.parametrize("weighted", [False, True])
def test_sigmoid_is_a_logistic_regression_on_the_log_odds(scores: Any, weighted: bool) -> None:
    target, prediction, _ = scores
    weight = np.random.default_rng(2).uniform(0.2, 3, len(target)) if weighted else None
    logistic = LogisticRegression(C=np.inf, tol=1e-10).fit(odds(prediction)[:, None], target, sample_weight=weight)
    expected = logistic.predict_proba(odds(prediction)[:, None])[:, 1]

    # Platt's targets are not quite 0 and 1.
    np.testing.assert_allclose(mapped("sigmoid", target, prediction, weight)[:, 1], expected, atol=0.01)


def test_isotonic_is_isotonic_regression_on_the_log_odds(scores: Any) -> None:
    target, prediction, _ = scores
    expected = IsotonicRegression(out_of_bounds="clip").fit_transform(odds(prediction), target)

    np.testing.assert_allclose(mapped("isotonic", target, prediction)[:, 1], expected, atol=1e-6)


@pytest.mark.slow
def test_temperature_is_the_number_that_makes_the_log_loss_least(scores: Any) -> None:
    target, prediction, _ = scores
    found = mapped("temperature", target, prediction)[:, 1]
    ratio = odds(found) / odds(prediction)
    grid = np.linspace(0.05, 3, 600)
    losses = [log_loss(target, 1 / (1 + np.exp(-factor * odds(prediction)))) for factor in grid]

    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert ratio[0] == pytest.approx(grid[int(np.argmin(losses))], abs=0.01)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_are_those_of_scikit_learns_calibrated_classifier(
    method: Method, task: Task, scores: Any, several: Any
) -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    target, prediction, _ = scores if task == "binary" else several
    raw = np.column_stack([1 - prediction, prediction]) if prediction.ndim == 1 else prediction
    if method == "none":
        np.testing.assert_array_equal(mapped(method, target, prediction), raw)
        return
    rows = np.arange(len(target))
    model = CalibratedClassifierCV(FrozenEstimator(ProbabilityInput(raw.shape[1])), method=method, cv=[(rows, rows)])

    np.testing.assert_array_equal(mapped(method, target, prediction), model.fit(raw, target).predict_proba(raw))


def test_each_fold_is_mapped_by_what_was_learned_of_the_others(scores: Any) -> None:
    target, prediction, fold = scores
    chosen, probability = choose(scores, "sigmoid")
    here = fold == 2
    other = np.where(here, 1 - target, target)

    np.testing.assert_allclose(
        probability[here], mapped_elsewhere(target[~here], prediction[~here], prediction[here]), rtol=1e-9
    )
    np.testing.assert_array_equal(choose((other, prediction, fold), "sigmoid")[1][here], probability[here])
    assert chosen.log_loss == {"sigmoid": pytest.approx(log_loss(target, probability))}


def mapped_elsewhere(target: np.ndarray, learned: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The sigmoid that some customers teach, of others."""
    fitted = fit_calibration("sigmoid", target, learned)
    assert fitted is not None
    return fitted.predict_proba(np.column_stack([1 - prediction, prediction]))[:, 1]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_auto_takes_the_map_with_the_lowest_cross_validated_log_loss(task: Task, scores: Any, several: Any) -> None:
    data = scores if task == "binary" else several

    chosen, probability = choose(data)

    assert set(chosen.log_loss) == set(METHODS)
    for method in METHODS:
        mapped_so = np.clip(choose(data, method)[1], 1e-15, 1 - 1e-15)
        assert chosen.log_loss[method] == pytest.approx(log_loss(data[0], mapped_so), rel=1e-4)
    assert chosen.method == min(chosen.log_loss, key=lambda name: chosen.log_loss[name]) != "none"
    assert chosen.ece_after < chosen.ece_before
    assert chosen.ece_after == expected_calibration_error(data[0], probability)
    # A sigmoid corrects shifted log-odds, and a temperature sharpened ones.
    assert chosen.method == ("sigmoid" if task == "binary" else "temperature")


@pytest.mark.slow
def test_probabilities_that_are_right_stay_as_they_are() -> None:
    random = np.random.default_rng(3)
    prediction = random.uniform(0.02, 0.98, 4000)
    target = (random.random(4000) < prediction).astype(int)

    chosen, probability = choose((target, prediction, np.arange(4000) % 5))

    assert chosen.method == "none"
    np.testing.assert_array_equal(probability, prediction)


def test_of_equal_maps_the_simplest_is_taken() -> None:
    # One and the same probability: no map can tell anybody from anybody.
    target = np.tile([0, 1], 50)

    assert choose((target, np.full(100, 0.5), np.repeat(np.arange(5), 20)))[0].method == "none"


def test_weights_count_in_the_choice(scores: Any) -> None:
    target, prediction, fold = scores
    weight = np.random.default_rng(4).integers(1, 4, len(target))
    copies = np.repeat(np.arange(len(target)), weight)

    weighted, _ = choose(scores, weight=weight.astype(float))
    repeated, _ = choose((target[copies], prediction[copies], fold[copies]))

    assert weighted.method == repeated.method
    for method in METHODS:
        assert weighted.log_loss[method] == pytest.approx(repeated.log_loss[method], abs=1e-3)


def test_weighted_classes_must_be_mapped(scores: Any) -> None:
    chosen, _ = choose(scores, weighted_classes=True)

    assert "none" not in chosen.log_loss
    assert chosen.method != "none"
    with pytest.raises(ParameterError, match=r"class_weight is balanced and training.calibration.method is none"):
        choose(scores, "none", weighted_classes=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
def test_certainty_has_log_odds_all_the_same(method: Method) -> None:
    target = np.tile([0, 1, 1, 0], 25)
    prediction = np.tile([0.0, 1.0, 0.3, 0.6], 25)

    assert np.isfinite(mapped(method, target, prediction)).all()


def brute_force_error(said: np.ndarray, happened: np.ndarray, weight: np.ndarray, n_bins: int) -> float:
    """Expected calibration error, customer by customer: who has equals goes where their middle is."""
    bins: dict[int, list[int]] = {}
    for row, value in enumerate(said):
        below, equal = int((said < value).sum()), int((said == value).sum())
        bins.setdefault(int((below + equal / 2) * n_bins / len(said)), []).append(row)
    total = 0.0
    for rows in bins.values():
        mass = sum(weight[row] for row in rows)
        mean_said = sum(weight[row] * said[row] for row in rows) / mass
        mean_happened = sum(weight[row] * happened[row] for row in rows) / mass
        total += mass * abs(mean_said - mean_happened)
    return float(total / sum(weight))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_bins", [1, 7, 10])
def test_the_calibration_error_is_the_mean_gap_over_bins(
    scores: Any, several: Any, n_bins: int, weighted: bool
) -> None:
    weight = np.random.default_rng(5).uniform(0.1, 2, 600) if weighted else None
    ones = np.ones(600) if weight is None else weight

    target, prediction, _ = scores
    expected = brute_force_error(prediction, target, ones, n_bins)
    assert expected_calibration_error(target, prediction, weight, n_bins) == pytest.approx(expected)

    target, prediction, _ = several
    hit = (prediction.argmax(axis=1) == target).astype(float)
    expected = brute_force_error(prediction.max(axis=1), hit, ones, n_bins)
    assert expected_calibration_error(target, prediction, weight, n_bins) == pytest.approx(expected)


def test_the_order_of_the_table_does_not_count() -> None:
    random = np.random.default_rng(3)
    said = random.choice([0.2, 0.6], 500)
    target = (random.random(500) < said).astype(np.int64)
    by_outcome = np.argsort(target, kind="stable")

    error = expected_calibration_error(target, said)

    assert expected_calibration_error(target[by_outcome], said[by_outcome]) == pytest.approx(error, abs=1e-12)
    assert error < 0.06


def test_fewer_customers_than_bins_are_a_bin_each() -> None:
    assert expected_calibration_error(np.array([1, 0]), np.array([0.75, 0.5])) == pytest.approx(0.375)
