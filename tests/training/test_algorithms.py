"""Claims that hold for every algorithm: it learns, keeps declared limits, counts weights and can be repeated."""

import tracemalloc
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import xgboost as xgb

from churn_kedro.customers.tasks import Task
from churn_kedro.features.constraints import InputConstraints
from churn_kedro.models.learning import Learning
from churn_kedro.training.algorithms import AlgorithmName, FoldFit, Problem, answer, load_algorithm
from churn_kedro.training.algorithms.xgboost_trees import XGBoost, find_device, scale
from churn_kedro.training.folds import Fold, FoldInputs, Sample
from tests.task_cases import SMALL, task_case

ALGORITHMS: tuple[AlgorithmName, ...] = get_args(AlgorithmName)
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
PAIRS = [(name, task) for name in ALGORITHMS for task in TASKS if task in load_algorithm(name).tasks]
IN_ROUNDS = [(name, task) for name, task in PAIRS if load_algorithm(name).in_rounds]
N_ROWS = 400


def learning_of(task: Task) -> Learning:
    if task == "regression":
        return Learning("regression", "rmse", unit=3.0)
    return Learning(task, "log_loss", n_classes=2 if task == "binary" else 3)


def problem_of(task: Task, **changed: Any) -> Problem:
    return replace(Problem(learning_of(task), random_state=5, max_rounds=40, early_stopping_rounds=5), **changed)


def draw(task: Task, n_rows: int = N_ROWS, seed: int = 0, **changed: Any) -> Sample:
    """Two quantities, of which one has gaps, and a category."""
    random = np.random.default_rng(seed)
    first, second, level = random.normal(size=n_rows), random.normal(size=n_rows), random.integers(0, 4, n_rows)
    drive = 1.5 * first + second + np.array([0.0, 2.0, -2.0, 1.0])[level] + random.normal(0, 0.5, n_rows)
    second = np.where(random.random(n_rows) < 0.1, np.nan, second)
    target = drive if task == "regression" else np.digitize(drive, [0.3] if task == "binary" else [-1, 1.5])
    sample = Sample(
        values=np.column_stack([first, second, level]).astype(np.float64),
        target=target,
        types=("q", "q", "c"),
        constraints=InputConstraints((0, 0, 0)),
    )
    return replace(sample, **changed)


def fold_of(learn: Sample, validation: Sample) -> FoldInputs:
    rows = np.arange(len(learn.target) + len(validation.target))
    inputs = task_case("binary").training.inputs
    return FoldInputs(Fold(rows[: len(learn.target)], rows[len(learn.target) :]), inputs, learn, validation)


def fitted_answer(name: AlgorithmName, task: Task, learn: Sample, validation: Sample, **options: Any) -> np.ndarray:
    hyperparameters, rounds = SMALL[name]
    problem = problem_of(task)
    model = load_algorithm(name).fit(learn, hyperparameters | options, problem, rounds)
    return answer(model, validation.values, problem.learning)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_it_learns_far_more_than_a_constant_from_numbers_gaps_and_categories(name: AlgorithmName, task: Task) -> None:
    learn, validation, learning = draw(task), draw(task, seed=1), learning_of(task)

    said = fitted_answer(name, task, learn, validation)

    assert said.dtype == np.float64
    assert said.shape == ((N_ROWS, 3) if task == "multiclass" else (N_ROWS,))
    assert learning.measure(validation.target, said) < 0.7 * learning.measure_constant(learn.target, validation.target)
    # What the category says can be learned from the category alone.
    shuffled = replace(
        validation, values=np.column_stack([validation.values[:, :2], np.roll(validation.values[:, 2], 1)])
    )
    other = fitted_answer(name, task, learn, shuffled)
    assert learning.measure(validation.target, other) > 1.1 * learning.measure(validation.target, said)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_a_category_that_it_never_saw_and_gaps_everywhere_get_an_answer(name: AlgorithmName, task: Task) -> None:
    validation = replace(draw(task), values=np.array([[0.0, 0.0, 9.0], [np.nan, np.nan, np.nan], [1e9, -1e9, 2.0]]))

    assert np.isfinite(fitted_answer(name, task, draw(task), validation)).all()


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_the_same_seed_gives_the_same_model(name: AlgorithmName, task: Task) -> None:
    learn, validation = draw(task), draw(task, seed=1)

    np.testing.assert_array_equal(
        fitted_answer(name, task, learn, validation), fitted_answer(name, task, learn, validation)
    )


def fit_fold(name: AlgorithmName, task: Task, rounds: int | None = None, **samples: Sample) -> FoldFit:
    algorithm, problem = load_algorithm(name), problem_of(task, max_rounds=150)
    fold = fold_of(samples.get("train") or draw(task), samples.get("validation") or draw(task, seed=1))
    return algorithm.fit_fold(algorithm.prepare(fold, problem), SMALL[name][0], problem, rounds=rounds)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_a_fold_is_answered_by_what_the_final_fit_would_give(name: AlgorithmName, task: Task) -> None:
    fit = fit_fold(name, task)
    algorithm, problem, validation = load_algorithm(name), problem_of(task), draw(task, seed=1)

    final = algorithm.fit(draw(task), SMALL[name][0], problem, fit.rounds)

    np.testing.assert_allclose(answer(final, validation.values, problem.learning), fit.prediction, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(fit.predict(), fit.prediction)
    assert (fit.rounds is None) is not algorithm.in_rounds


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), IN_ROUNDS)
def test_early_stopping_keeps_the_rounds_with_the_lowest_score(name: AlgorithmName, task: Task) -> None:
    learning, validation = learning_of(task), draw(task, seed=1)
    fit = fit_fold(name, task)
    assert fit.rounds is not None
    assert fit.rounds == int(np.argmin(fit.curve)) + 1

    def score(rounds: int) -> float:
        return learning.measure(validation.target, fit_fold(name, task, rounds).prediction)

    kept = learning.measure(validation.target, fit.prediction)
    assert score(fit.rounds) == pytest.approx(kept, rel=1e-4)
    assert all(kept <= score(rounds) * (1 + 1e-6) for rounds in (1, max(1, fit.rounds // 2), fit.rounds + 3))


# A forest draws its rows by their weights.
@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), [pair for pair in PAIRS if pair[0] != "random_forest"])
def test_weights_of_one_change_nothing(name: AlgorithmName, task: Task) -> None:
    learn, validation = draw(task), draw(task, seed=1)

    weighted = fitted_answer(name, task, replace(learn, weight=np.ones(N_ROWS)), validation)

    np.testing.assert_allclose(weighted, fitted_answer(name, task, learn, validation), rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_a_weight_equals_repetitions_of_a_row(name: AlgorithmName, task: Task) -> None:
    # Two halves of the customers contradict each other.
    one = draw(task)
    most = 1 if task == "binary" else 2
    target = np.concatenate([one.target, -one.target if task == "regression" else most - one.target])
    learn = replace(one, values=np.vstack([one.values, one.values]), target=target)
    halves = [np.repeat([left, right], N_ROWS) for left, right in ((5.0, 0.2), (0.2, 5.0))]

    first, second = (fitted_answer(name, task, replace(learn, weight=weight), one) for weight in halves)

    learning = learning_of(task)
    assert learning.measure(target[:N_ROWS], first) < learning.measure(target[:N_ROWS], second)
    assert learning.measure(target[N_ROWS:], second) < learning.measure(target[N_ROWS:], first)


@pytest.mark.parametrize("task", TASKS)
def test_for_xgboost_weight_two_is_a_row_that_stands_there_twice(task: Task) -> None:
    learn, validation = draw(task), draw(task, seed=1)
    weight = np.random.default_rng(3).integers(1, 4, N_ROWS)
    copies = np.repeat(np.arange(N_ROWS), weight)
    repeated = replace(learn, values=learn.values[copies], target=learn.target[copies])

    weighted = fitted_answer("xgboost", task, replace(learn, weight=weight.astype(np.float64)), validation)
    expected = fitted_answer("xgboost", task, repeated, validation)

    # Bins of the inputs are drawn a little differently.
    assert np.abs(weighted - expected).mean() < 0.02 * np.std(expected)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), IN_ROUNDS)
def test_weights_of_judged_customers_count_in_early_stopping(name: AlgorithmName, task: Task) -> None:
    validation = draw(task, seed=1)
    # Half of the validation customers contradict the training rows: each round makes them worse.
    wrong = np.arange(N_ROWS) < N_ROWS // 2
    most = {"binary": 1, "multiclass": 2, "regression": 0}[task]
    contrary = replace(validation, target=np.where(wrong, most - validation.target, validation.target))

    few = fit_fold(name, task, validation=replace(contrary, weight=np.where(wrong, 1.0, 1e-3)))
    many = fit_fold(name, task, validation=replace(contrary, weight=np.where(wrong, 1e-3, 1.0)))

    assert few.rounds is not None
    assert many.rounds is not None
    assert few.rounds < many.rounds


def wiggle(task: Task, direction: int) -> Sample:
    """An effect that rises or falls on the whole, and goes the other way in places."""
    random = np.random.default_rng(0)
    values = np.column_stack([random.uniform(-3, 3, 800), random.normal(size=800)])
    drive = direction * (values[:, 0] + 2 * np.sin(3 * values[:, 0])) + 0.5 * values[:, 1]
    target = drive if task == "regression" else (random.random(800) < 1 / (1 + np.exp(-drive))).astype(int)
    return Sample(values, target, ("q", "q"), InputConstraints((0, 0)))


MONOTONE = [name for name in ALGORITHMS if "monotone" in load_algorithm(name).keeps]
SEPARATE = [name for name in ALGORITHMS if "interactions" in load_algorithm(name).keeps]


def steps_along(name: AlgorithmName, task: Task, learn: Sample) -> np.ndarray:
    """Changes of the prediction as the first input rises, at several values of the other one."""
    grid = np.linspace(-3, 3, 200)
    rounds = 40 if load_algorithm(name).in_rounds else None
    problem = problem_of(task)
    model = load_algorithm(name).fit(learn, SMALL[name][0], problem, rounds)
    answers = [
        answer(model, np.column_stack([grid, np.full(200, other)]), problem.learning) for other in (-1.0, 0.0, 1.0)
    ]
    return np.concatenate([np.diff(said) for said in answers])


@pytest.mark.slow
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("name", MONOTONE)
def test_a_monotone_effect_never_turns(name: AlgorithmName, task: Task, direction: int) -> None:
    sample = wiggle(task, direction)
    limited = replace(sample, constraints=InputConstraints((direction, 0)))

    free, kept = (direction * steps_along(name, task, learn) for learn in (sample, limited))

    assert free.min() < -1e-3
    assert kept.min() >= -1e-9
    assert kept.sum() > 0.3


def test_monotone_is_kept_by_those_who_say_so() -> None:
    assert MONOTONE == ["xgboost", "random_forest", "hist_gradient_boosting", "catboost", "lightgbm"]
    assert SEPARATE == ["xgboost", "logistic_regression", "ridge", "hist_gradient_boosting", "lightgbm"]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task"), [pair for pair in PAIRS if pair[0] in SEPARATE and pair[1] != "multiclass"])
def test_without_interactions_effects_add_up(name: AlgorithmName, task: Task) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(800, 3))
    drive = 3 * values[:, 0] * values[:, 1] + values[:, 2] + values[:, 0]
    target = drive if task == "regression" else (drive > 0).astype(int)
    sample = Sample(values, target, ("q", "q", "q"), InputConstraints((0, 0, 0)))
    limits = InputConstraints((0, 0, 0), ((0,), (1, 2)))

    def interaction(learn: Sample, one: int, other: int) -> float:
        """How far the effect of one input depends on another one."""
        problem = problem_of(task)
        rounds = 40 if load_algorithm(name).in_rounds else None
        model = load_algorithm(name).fit(learn, SMALL[name][0], problem, rounds)
        corners = np.zeros((4, 3))
        corners[:, one], corners[:, other] = (-1, -1, 1, 1), (-1, 1, -1, 1)
        said = answer(model, corners, problem.learning)
        said = np.log(said / (1 - said)) if task == "binary" else said
        return float(abs(said[0] - said[1] - said[2] + said[3]))

    limited = replace(sample, constraints=limits)
    assert interaction(limited, 0, 1) < 1e-4
    assert interaction(limited, 0, 2) < 1e-4
    if load_algorithm(name).in_rounds:
        assert interaction(sample, 0, 1) > 1


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_its_size_is_counted(name: AlgorithmName, task: Task) -> None:
    hyperparameters, rounds = SMALL[name]
    algorithm = load_algorithm(name)
    model = algorithm.fit(draw(task), hyperparameters, problem_of(task), rounds)

    size = algorithm.complexity(model)

    match name:
        case "logistic_regression" | "ridge":
            # Two numbers, the flag of gaps in the second, four levels.
            assert size == {"coefficients": 7 * (3 if task == "multiclass" else 1)}
        case "neural_network":
            outputs = 3 if task == "multiclass" else 1
            assert size == {"coefficients": 7 * 8 + 8 + 8 * outputs + outputs}
        case "xgboost" | "hist_gradient_boosting" | "lightgbm":
            assert size["trees"] == 12 * (3 if task == "multiclass" else 1)
            assert 2 * size["trees"] <= size["leaves"] <= 8 * size["trees"]
        case "catboost":
            assert size["trees"] == 12
            assert size["leaves"] <= 12 * 8
        case "random_forest":
            assert size["trees"] == 12


@pytest.mark.parametrize(("name", "parameter"), [("xgboost", "max_depth"), ("random_forest", "max_depth")])
def test_hyperparameters_reach_the_library(name: AlgorithmName, parameter: str) -> None:
    algorithm = load_algorithm(name)
    hyperparameters, rounds = SMALL[name]
    stump = algorithm.fit(draw("binary"), hyperparameters | {parameter: 1}, problem_of("binary"), rounds)

    size = algorithm.complexity(stump)

    assert size["leaves"] == 2 * size["trees"]
    assert stump.get_params()[parameter] == 1


def test_gain_and_penalty_follow_the_unit_of_a_number() -> None:
    searched = {"gamma": 0.5, "reg_alpha": 2.0, "max_delta_step": 1.0, "reg_lambda": 3.0, "max_depth": 4}

    assert scale(searched, Learning("regression", "rmse", unit=10.0)) == searched | {
        "gamma": 50.0,
        "reg_alpha": 20.0,
        "max_delta_step": 10.0,
    }
    assert scale(searched, Learning("binary", "log_loss", n_classes=2)) == searched


def test_the_watch_sees_how_a_model_grows_and_may_stop_it() -> None:
    algorithm, problem = XGBoost(), problem_of("binary")
    prepared = algorithm.prepare(fold_of(draw("binary"), draw("binary", seed=1)), problem)
    seen: list[tuple[float, float]] = []

    fit = algorithm.fit_fold(
        prepared, SMALL["xgboost"][0], problem, watch=lambda growth, score: seen.append((growth, score))
    )

    assert [score for _, score in seen] == fit.curve
    np.testing.assert_allclose([growth for growth, _ in seen], 0.3 * np.arange(1, len(seen) + 1))

    def stop(growth: float, score: float) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        algorithm.fit_fold(prepared, SMALL["xgboost"][0], problem, watch=stop)


def test_a_final_model_scores_with_any_number_of_threads_and_reports_its_size() -> None:
    learn = replace(draw("binary"), constraints=InputConstraints((1, 0, 0), ((0, 1), (2,))))

    model = XGBoost().fit(learn, {"max_depth": 2, "gamma": 0.5}, problem_of("binary"), 3)

    assert isinstance(model, xgb.XGBClassifier)
    assert model.get_params()["gamma"] == 0.5
    assert model.get_params()["monotone_constraints"] == (1, 0, 0)
    assert model.get_params()["interaction_constraints"] == "[[0, 1], [2]]"
    assert model.get_params()["n_estimators"] == model.get_booster().num_boosted_rounds() == 3
    assert model.get_params()["n_jobs"] is None


@pytest.mark.skipif(find_device("auto") == "cuda", reason="there is a CUDA device")
def test_without_a_cuda_device_trees_grow_on_the_processor() -> None:
    assert [find_device(wanted) for wanted in ("auto", "cpu", "cuda")] == ["cpu", "cpu", "cpu"]


@pytest.mark.parametrize("name", ["logistic_regression", "ridge"])
def test_a_linear_model_of_many_levels_needs_little_memory(name: AlgorithmName) -> None:
    rows, levels = 3_000, 2_000
    task: Task = "regression" if name == "ridge" else "binary"
    sample = draw(task, rows)
    sample.values[:, 2] = np.arange(rows) % levels
    algorithm, problem = load_algorithm(name), problem_of(task)

    tracemalloc.start()
    try:
        answer(algorithm.fit(sample, {}, problem, None), sample.values, problem.learning)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    # One-hot encoded levels in a dense array.
    assert peak < rows * levels * 8 / 4
