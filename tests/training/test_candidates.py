"""Claims about the choice among algorithms and ensembles."""

import time
from functools import cache
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from scipy import stats
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, root_mean_squared_error

from churn_kedro.customers.tasks import Task
from churn_kedro.features.constraints import InputConstraints
from churn_kedro.training.algorithms import AlgorithmName, answer, load_algorithm
from churn_kedro.training.candidates import Candidate, CandidateComparison, compare_candidates
from churn_kedro.training.folds import FoldInputs, Folds, Sample
from tests.task_cases import SMALL, Compared, compare_given, task_case

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


def linear(task: Task) -> AlgorithmName:
    return "ridge" if task == "regression" else "logistic_regression"


@cache
def compared(task: Task, n_splits: int = 4, **changed: Any) -> Compared:
    """XGBoost, a linear model and both ensembles; not to be changed."""
    case = task_case(task)
    return compare_given(
        case.train,
        case.validation,
        case.manifest,
        case.declaration,
        algorithms=["xgboost", linear(task)],
        ensembles=["soft_vote", "stack"],
        folds={"n_splits": n_splits, **changed},
    )


def by_name(candidate_comparison: CandidateComparison) -> dict[str, Candidate]:
    return {candidate.name: candidate for candidate in candidate_comparison.comparison.candidates}


def member_answers(made: Compared, task: Task) -> list[list[np.ndarray]]:
    """Predictions of each algorithm for the validation rows of each fold, fitted again."""
    answers = []
    for name in ("xgboost", linear(task)):
        hyperparameters, rounds = SMALL[name]
        algorithm = load_algorithm(name)
        answers.append(
            [
                answer(
                    algorithm.fit(fold.train, hyperparameters, made.problem, rounds),
                    fold.validation.values,
                    made.problem.learning,
                )
                for fold in made.folds.comparison
            ]
        )
    return answers


def measure(task: Task, fold: FoldInputs, prediction: np.ndarray) -> float:
    if task == "regression":
        return float(root_mean_squared_error(fold.validation.target, prediction))
    if task == "multiclass":
        # In float32, shares of a row sum to one but for rounding.
        prediction = prediction / prediction.sum(axis=1, keepdims=True)
    return float(log_loss(fold.validation.target, prediction))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_score_of_an_algorithm_is_that_of_the_final_model_on_each_fold(task: Task) -> None:
    made = compared(task)

    for name, answers in zip(("xgboost", linear(task)), member_answers(made, task), strict=True):
        expected = [measure(task, fold, said) for fold, said in zip(made.folds.comparison, answers, strict=True)]
        candidate = by_name(made.candidate_comparison)[name]
        np.testing.assert_allclose(candidate.fold_scores, expected, rtol=1e-5)
        assert candidate.score == pytest.approx(np.mean(expected), rel=1e-5)
        assert candidate.deviation == pytest.approx(np.std(expected, ddof=1), rel=1e-4)
        assert candidate.n_estimators == SMALL[name][1]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_soft_vote_is_the_mean_of_its_members(task: Task) -> None:
    made = compared(task)
    one, other = member_answers(made, task)

    expected = [
        measure(task, fold, (one[place] + other[place]) / 2) for place, fold in enumerate(made.folds.comparison)
    ]

    candidate = by_name(made.candidate_comparison)["soft_vote"]
    assert candidate.members == ["xgboost", linear(task)]
    np.testing.assert_allclose(candidate.fold_scores, expected, rtol=1e-5)


def seen_by_the_last(answers: list[np.ndarray], task: Task) -> np.ndarray:
    if task == "binary":
        return np.column_stack([np.log(said / (1 - said)) for said in answers])
    return np.column_stack(answers if task == "regression" else [np.log(said) for said in answers])


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_stack_is_judged_by_a_last_model_that_learned_from_the_other_folds(task: Task) -> None:
    made = compared(task)
    answers = member_answers(made, task)
    validation_folds = made.folds.comparison
    expected = []
    for place, fold in enumerate(validation_folds):
        others = [number for number in range(len(validation_folds)) if number != place]
        values = np.concatenate([seen_by_the_last([said[number] for said in answers], task) for number in others])
        target = np.concatenate([validation_folds[number].validation.target for number in others])
        last: Any = LinearRegression(positive=True) if task == "regression" else LogisticRegression(max_iter=1000)
        last.fit(values, target)
        here = seen_by_the_last([said[place] for said in answers], task)
        expected.append(measure(task, fold, last.predict(here) if task == "regression" else last.predict_proba(here)))

    np.testing.assert_allclose(by_name(made.candidate_comparison)["stack"].fold_scores, expected, rtol=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_differences_come_with_the_corrected_interval_of_resampled_folds(task: Task) -> None:
    candidate_comparison, folds = compared(task).candidate_comparison, compared(task).folds.comparison
    chosen = candidate_comparison.chosen

    assert chosen.behind == chosen.noise == 0
    for candidate in candidate_comparison.comparison.candidates:
        if candidate.name == chosen.name:
            continue
        paired = np.subtract(candidate.fold_scores, chosen.fold_scores)
        # Nadeau and Bengio (2003): the ratio of validation to training rows is added to one over the number of folds.
        share = np.mean([len(fold.validation.target) / len(fold.train.target) for fold in folds])
        error = np.sqrt((1 / 4 + share) * np.var(paired, ddof=1))
        assert share == pytest.approx(1 / 3, abs=0.01)
        assert candidate.behind == pytest.approx(paired.mean())
        assert candidate.noise == pytest.approx(stats.t(3).interval(0.95)[1] * error)
        assert candidate.differs == (abs(candidate.behind) > candidate.noise)


def crafted(
    predictions: list[list[np.ndarray]],
    targets: list[np.ndarray],
    ensembles: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> CandidateComparison:
    """The comparison of algorithms that say what they are told to."""
    made = compared("binary")
    names: tuple[AlgorithmName, ...] = ("xgboost", "logistic_regression", "random_forest")
    limits = InputConstraints((0,))

    def sample(target: np.ndarray) -> Sample:
        return Sample(np.zeros((len(target), 1)), target, ("q",), limits)

    whole = made.folds.comparison[0]
    ends = np.cumsum([0, *(len(target) for target in targets)])
    folds = [
        FoldInputs(
            fold=type(whole.fold)(np.arange(0), np.arange(ends[place], ends[place + 1])),
            inputs=whole.inputs,
            train=sample(np.concatenate([t for other, t in enumerate(targets) if other != place] or [target])),
            validation=sample(target),
        )
        for place, target in enumerate(targets)
    ]
    said = {
        name: {id(fold): values for fold, values in zip(folds, answers, strict=True)}
        for name, answers in zip(names, predictions, strict=False)
    }

    def parrot(name: AlgorithmName) -> Any:
        from churn_kedro.training.algorithms import FoldFit

        class Parrot:
            def prepare(self, fold: FoldInputs, problem: Any) -> FoldInputs:
                return fold

            def fit_fold(self, prepared: FoldInputs, *_: Any, **__: Any) -> FoldFit:
                return FoldFit(said[name][id(prepared)], None)

        return Parrot()

    monkeypatch.setattr("churn_kedro.training.candidates.load_algorithm", parrot)
    template = made.search.searches[0]
    searches = [template.model_copy(update={"algorithm": name}) for name in names[: len(predictions)]]
    return compare_candidates(searches, ensembles, Folds(folds, folds), made.problem, time.perf_counter)


def noisy(seed: int, sharpness: float, n_folds: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Targets and probabilities of 200 customers in each fold."""
    random = np.random.default_rng(seed)
    truth = [random.normal(0, 2, 200) for _ in range(n_folds)]
    targets = [(random.random(200) < 1 / (1 + np.exp(-drive))).astype(int) for drive in truth]
    return targets, [1 / (1 + np.exp(-sharpness * drive)) for drive in truth]


def test_of_candidates_within_the_noise_the_one_listed_first_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, right = noisy(0, 1.0)
    jitter = np.random.default_rng(1)
    almost = [np.clip(said + jitter.normal(0, 0.02, 200), 0.01, 0.99) for said in right]

    candidate_comparison = crafted([almost, right], targets, [], monkeypatch)

    first, second = candidate_comparison.comparison.candidates
    assert second.score < first.score
    assert candidate_comparison.comparison.chosen == "xgboost"
    assert "within the noise" in candidate_comparison.comparison.reason
    assert not second.differs
    assert second.behind < 0
    assert crafted([right, almost], targets, [], monkeypatch).comparison.reason.startswith("It has the lowest log loss")


def test_a_later_candidate_that_is_better_beyond_the_noise_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, right = noisy(0, 1.0)
    useless = [np.full(200, 0.5) for _ in targets]

    candidate_comparison = crafted([useless, right], targets, [], monkeypatch)

    assert candidate_comparison.comparison.chosen == "logistic_regression"
    assert candidate_comparison.comparison.candidates[0].differs
    np.testing.assert_array_equal(candidate_comparison.out_of_fold.prediction, np.concatenate(right))


def test_the_earliest_of_those_within_the_noise_of_the_best_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, right = noisy(0, 1.0)
    jitter = np.random.default_rng(1)
    almost = [np.clip(said + jitter.normal(0, 0.02, 200), 0.01, 0.99) for said in right]
    useless = [np.full(200, 0.5) for _ in targets]

    assert crafted([useless, almost, right], targets, [], monkeypatch).comparison.chosen == "logistic_regression"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["soft_vote", "stack"])
def test_an_ensemble_has_to_earn_its_place(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, right = noisy(0, 1.0)
    near_duplicate = [np.clip(said * 1.0001, 0, 1) for said in right]

    assert crafted([right, near_duplicate], targets, [kind], monkeypatch).comparison.chosen == "xgboost"


@pytest.mark.parametrize("kind", ["soft_vote", "stack"])
def test_an_ensemble_of_members_that_know_different_things_goes_on(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    drives = [random.normal(0, 2, (600, 2)) for _ in range(5)]
    targets = [(random.random(600) < 1 / (1 + np.exp(-drive.sum(axis=1)))).astype(int) for drive in drives]
    halves = [[1 / (1 + np.exp(-drive[:, side])) for drive in drives] for side in (0, 1)]

    candidate_comparison = crafted(halves, targets, [kind], monkeypatch)

    assert candidate_comparison.comparison.chosen == kind
    assert candidate_comparison.chosen.members == ["xgboost", "logistic_regression"]
    assert candidate_comparison.comparison.reason == "It has the lowest log loss over the folds."
    if kind == "stack":
        # The log-odds of what both know add up.
        np.testing.assert_allclose(candidate_comparison.last.coef_, [[1.0, 1.0]], atol=0.15)
    else:
        assert candidate_comparison.last is None
        np.testing.assert_allclose(
            candidate_comparison.out_of_fold.prediction, np.mean([np.concatenate(half) for half in halves], axis=0)
        )


def test_one_candidate_needs_no_comparison() -> None:
    candidate_comparison = task_comparison("binary")

    assert [candidate.name for candidate in candidate_comparison.comparison.candidates] == ["xgboost"]
    assert candidate_comparison.comparison.reason == "It is the only candidate."


@cache
def task_comparison(task: Task, **changed: Any) -> CandidateComparison:
    case = task_case(task)
    return compare_given(case.train, case.validation, case.manifest, case.declaration, **changed).candidate_comparison


@pytest.mark.parametrize("task", TASKS)
def test_each_customer_has_one_out_of_fold_prediction_beside_its_target(task: Task) -> None:
    made, found = compared(task), compared(task).candidate_comparison.out_of_fold
    target = made.development.customers["Outcome"].to_numpy()

    assert sorted(found.rows) == list(range(450))
    np.testing.assert_array_equal(found.target, target[found.rows])
    assert made.candidate_comparison.comparison.rows == 450
    scores = [
        measure(task, fold, found.prediction[found.fold == place]) for place, fold in enumerate(made.folds.comparison)
    ]
    np.testing.assert_allclose(scores, made.candidate_comparison.chosen.fold_scores, rtol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_learning_curves_are_the_mean_over_the_folds_of_xgboosts_evaluations(task: Task) -> None:
    made = compared(task)
    curves = made.candidate_comparison.curves
    expected: dict[str, list[list[float]]] = {"train": [], "validation": []}
    for fold in made.folds.comparison:
        samples = {"train": fold.train, "validation": fold.validation}
        kind = xgb.XGBRegressor if task == "regression" else xgb.XGBClassifier
        model = kind(
            n_estimators=12,
            max_depth=3,
            learning_rate=0.3,
            enable_categorical=True,
            feature_types=list(fold.train.types),
            n_jobs=1,
        )
        pairs = [(sample.values, sample.target) for sample in samples.values()]
        model.fit(fold.train.values, fold.train.target, eval_set=pairs, verbose=False)
        for part, metrics in zip(samples, model.evals_result().values(), strict=True):
            expected[part].append(next(iter(metrics.values())))

    assert curves is not None
    np.testing.assert_allclose(curves.train, np.mean(expected["train"], axis=0), rtol=1e-4)
    np.testing.assert_allclose(curves.validation, np.mean(expected["validation"], axis=0), rtol=1e-4)


def test_an_algorithm_without_rounds_has_no_learning_curve() -> None:
    case = task_case("binary")
    arguments = (case.train, case.validation, case.manifest, case.declaration)

    assert compare_given(*arguments, algorithms=["logistic_regression"]).candidate_comparison.curves is None


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_where_the_search_saw_a_sample_candidates_are_judged_on_all_validation_customers(task: Task) -> None:
    made = compared(task, 2, max_rows=200)
    candidate_comparison, (fold,) = made.candidate_comparison, made.folds.comparison
    candidates = by_name(candidate_comparison)

    assert candidate_comparison.comparison.rows == 150
    assert candidate_comparison.out_of_fold.rows.tolist() == list(range(300, 450))
    # The number of rounds is found anew, by early stopping on the validation split.
    kind = xgb.XGBRegressor if task == "regression" else xgb.XGBClassifier
    plain = kind(
        n_estimators=30,
        early_stopping_rounds=5,
        max_depth=3,
        learning_rate=0.3,
        enable_categorical=True,
        feature_types=list(fold.train.types),
        n_jobs=1,
    ).fit(
        fold.train.values, fold.train.target, eval_set=[(fold.validation.values, fold.validation.target)], verbose=False
    )
    assert candidates["xgboost"].n_estimators == plain.best_iteration + 1
    said = (
        plain.predict(fold.validation.values) if task == "regression" else plain.predict_proba(fold.validation.values)
    )
    assert candidates["xgboost"].score == pytest.approx(measure(task, fold, said), rel=1e-4)
    # Rows of one fold are cross-fitted in five parts.
    assert np.bincount(candidate_comparison.out_of_fold.fold).tolist() == [30] * 5


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_with_one_fold_the_noise_is_that_of_its_rows(task: Task) -> None:
    made = compared(task, 2, max_rows=200)
    (fold,) = made.folds.comparison
    candidate_comparison = made.candidate_comparison
    other = next(
        candidate
        for candidate in candidate_comparison.comparison.candidates
        if candidate.name in ("xgboost", linear(task)) and candidate.name != candidate_comparison.chosen.name
    )
    (name,) = other.members
    fitted = load_algorithm(name).fit(fold.train, SMALL[name][0], made.problem, other.n_estimators)
    said, target = answer(fitted, fold.validation.values, made.problem.learning), fold.validation.target
    losses = [
        (prediction - target) ** 2
        if task == "regression"
        else -np.log(np.where(target == 1, prediction, 1 - prediction))
        for prediction in (said, candidate_comparison.out_of_fold.prediction)
    ]

    # Bootstrap of the paired rows, an independent way to the same interval.
    drawn = np.random.default_rng(0).integers(0, len(target), (4000, len(target)))
    means = [loss[drawn].mean(axis=1) for loss in losses]
    differences = np.sqrt(means[0]) - np.sqrt(means[1]) if task == "regression" else means[0] - means[1]

    assert other.behind == pytest.approx(differences.mean(), abs=0.1 * differences.std())
    assert other.noise == pytest.approx(1.96 * differences.std(), rel=0.15)
