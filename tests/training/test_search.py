"""Claims about the search for hyperparameters."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from optuna.trial import FrozenTrial
from sklearn.metrics import log_loss, root_mean_squared_error

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.splits import describe_splits
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.runtime.trial_archive import StudyArchive
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.training.algorithms import FoldFit
from churn_kedro.training.algorithms.xgboost_trees import XGBoost
from churn_kedro.training.folds import Development, Folds, build_development, prepare_folds
from churn_kedro.training.parameters import FoldParameters, SearchParameters
from churn_kedro.training.progress import TerminalProgress
from churn_kedro.training.recipe import describe_problem, search_models
from churn_kedro.training.search import (
    AlgorithmSearch,
    SearchContext,
    SearchInterruptedError,
    SearchResult,
    Trial,
    search_algorithm,
    trials_per_algorithm,
)
from tests.task_cases import SPLIT, TaskCase, configure, task_case

SPACE: dict[str, Any] = {
    "max_depth": {"low": 1.5, "high": 4.5, "integer": True},
    "learning_rate": {"low": 0.05, "high": 0.5, "log": True, "start": 0.3},
    "subsample": {"low": 0.5, "high": 1.0},
}
FIXED: dict[str, Any] = {"max_depth": 3, "learning_rate": 0.3}
NOWHERE = StudyArchive("sqlite:///not-to-be-used.db")


class Silent(TerminalProgress):
    """Shows nothing and remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[str, int, float | None]] = []
        self.running = False

    def start(self, name: str, total: int) -> None:
        self.running = True

    def show(self, message: str, done: int, seconds_left: float | None) -> None:
        self.shown.append((message, done, seconds_left))

    def stop(self) -> None:
        self.running = False


@cache
def folded(task: Task = "binary", n_splits: int = 2, unit: float = 1.0) -> tuple[TaskCase, Development, Folds]:
    """Development customers of a task and their folds; not to be changed."""
    case = task_case(task)
    if unit != 1:
        train, validation = (part.assign(Outcome=part["Outcome"] * unit) for part in (case.train, case.validation))
        manifest = describe_splits(train, validation, case.test, case.declaration, SPLIT, {})
        case = replace(case, train=train, validation=validation, manifest=manifest)
    development = build_development(case.train, case.validation, case.manifest, case.declaration, FeatureParameters())
    folds = prepare_folds(development, case.declaration, FeatureParameters(), FoldParameters(n_splits=n_splits), 5)
    return case, development, folds


def search(
    task: Task = "binary",
    archive: StudyArchive = NOWHERE,
    progress: Silent | None = None,
    stopwatch: Callable[[], float] = time.perf_counter,
    n_splits: int = 2,
    unit: float = 1.0,
    declaration: CustomerDeclaration | None = None,
    **changed: Any,
) -> SearchResult:
    """Search as the training pipeline does; without an archive, nothing is kept."""
    case, development, folds = folded(task, n_splits, unit)
    manner = {
        "n_trials": 5,
        "batch_size": 2,
        "max_rounds": 30,
        "early_stopping_rounds": 4,
        "resume": archive is not NOWHERE,
    }
    spaces = {"xgboost": SPACE, **changed.pop("spaces", {})}
    fields = {"search": manner | changed.pop("search", {}), "folds": {"n_splits": n_splits}, "spaces": spaces} | changed
    configuration = configure(declaration or case.declaration, **fields)
    problem = describe_problem(development, configuration)
    context = SearchContext(archive, progress or Silent(), stopwatch)
    return search_models(development, folds, problem, configuration, context)


def only(result: SearchResult) -> AlgorithmSearch:
    (found,) = result.searches
    return found


def essence(trials: list[Trial]) -> list[dict[str, Any]]:
    """What of trials does not depend on the clock or on who ran them."""
    return [trial.model_dump(exclude={"seconds", "known", "scoring_seconds"}) for trial in trials]


@pytest.fixture(scope="module")
def found() -> AlgorithmSearch:
    return only(search(search={"n_trials": 14}))


def test_the_budget_of_trials_is_spent_in_order(found: AlgorithmSearch) -> None:
    assert [trial.number for trial in found.trials] == list(range(14))
    assert not found.stopped_by_time


def test_the_best_trial_has_the_lowest_mean_over_the_folds(found: AlgorithmSearch) -> None:
    complete = [trial for trial in found.trials if trial.score is not None]

    assert found.best in found.trials[1:]
    assert found.best.score == min(trial.score for trial in complete if trial.score is not None)
    for trial in complete:
        assert len(trial.fold_scores) == len(trial.fold_n_estimators) == 2
        assert trial.score == pytest.approx(np.mean(trial.fold_scores))
        assert trial.n_estimators == round(float(np.mean(trial.fold_n_estimators)))


def test_trials_stay_within_the_space_and_whole_where_declared(found: AlgorithmSearch) -> None:
    for trial in found.trials:
        assert set(trial.hyperparameters) == set(SPACE)
        assert isinstance(trial.hyperparameters["max_depth"], int)
        assert trial.hyperparameters["max_depth"] in (2, 3, 4)
        assert 0.05 <= float(trial.hyperparameters["learning_rate"]) <= 0.5
        assert 0.5 <= float(trial.hyperparameters["subsample"]) <= 1.0
        assert all(1 <= rounds <= 30 for rounds in trial.fold_n_estimators)
    assert len({trial.hyperparameters["learning_rate"] for trial in found.trials}) == 14


def test_the_first_trial_has_the_start_values(found: AlgorithmSearch) -> None:
    assert found.trials[0].hyperparameters["learning_rate"] == 0.3


@pytest.mark.slow
def test_the_same_seed_finds_the_same_trials_whatever_the_number_of_workers(
    found: AlgorithmSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores in (1, 7):
        monkeypatch.setattr("churn_kedro.training.search.available_cores", lambda cores=cores: cores)
        again = only(search(search={"n_trials": 14}))
        assert essence(again.trials) == essence(found.trials)
        assert again.best.number == found.best.number
    assert essence(only(search(random_state=6)).trials) != essence(found.trials[:5])


def test_two_workers_run_two_trials_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("churn_kedro.training.search.available_cores", lambda: 2)
    together = threading.Barrier(2, timeout=20)
    original = XGBoost.fit_fold

    def meet(self: XGBoost, *arguments: Any, **options: Any) -> FoldFit:
        together.wait()
        return original(self, *arguments, **options)

    monkeypatch.setattr(XGBoost, "fit_fold", meet)

    # Each fit waits for another one to begin: alone, none would.
    assert len(only(search(search={"n_trials": 4, "prune": False})).trials) == 4


@pytest.mark.parametrize(("task", "metric"), [("binary", "log_loss"), ("multiclass", "log_loss")])
def test_a_trial_can_be_repeated_with_scikit_learns_interface(task: Task, metric: str) -> None:
    result = search(task, spaces={"xgboost": FIXED}, search={"n_trials": 1})
    best, (case, development, folds) = only(result).best, folded(task)

    for place, fold in enumerate(folds.search):
        learn, validation = fold.train, fold.validation
        classifier = xgb.XGBClassifier(
            n_estimators=30,
            early_stopping_rounds=4,
            max_depth=3,
            learning_rate=0.3,
            enable_categorical=True,
            feature_types=list(learn.types),
            n_jobs=1,
        ).fit(learn.values, learn.target, eval_set=[(validation.values, validation.target)], verbose=False)
        probability = classifier.predict_proba(validation.values)
        expected = log_loss(development.customers["Outcome"].iloc[fold.fold.validation], probability)
        assert best.fold_n_estimators[place] == classifier.best_iteration + 1
        assert best.fold_scores[place] == pytest.approx(expected, abs=1e-5)
    assert result.metric == metric
    assert result.rows == len(case.train) + len(case.validation)


def test_a_trial_of_a_number_can_be_repeated_with_the_library_in_the_targets_own_unit() -> None:
    result = search("regression", spaces={"xgboost": FIXED | {"gamma": 0.5}}, search={"n_trials": 1})
    best, (_, development, folds) = only(result).best, folded("regression")
    settings = {"max_depth": 3, "eta": 0.3, "gamma": 0.5 * development.customers["Outcome"].var(ddof=0)}

    for place, fold in enumerate(folds.search):
        learn = xgb.DMatrix(fold.train.values, fold.train.target)
        booster = xgb.train(settings, learn, num_boost_round=best.fold_n_estimators[place])
        predicted = booster.predict(xgb.DMatrix(fold.validation.values))
        assert best.fold_scores[place] == pytest.approx(
            root_mean_squared_error(fold.validation.target, predicted), rel=1e-4
        )
    assert result.metric == "rmse"
    assert best.hyperparameters["gamma"] == 0.5


def test_the_unit_of_a_number_changes_the_score_and_nothing_else() -> None:
    space = SPACE | {"gamma": {"low": 0.0, "high": 2.0}}
    euros, small = (only(search("regression", unit=unit, spaces={"xgboost": space})) for unit in (1.0, 2.0**-12))

    assert [trial.hyperparameters for trial in small.trials] == [trial.hyperparameters for trial in euros.trials]
    assert [trial.fold_n_estimators for trial in small.trials] == [trial.fold_n_estimators for trial in euros.trials]
    assert small.best.score is not None
    assert euros.best.score is not None
    assert small.best.score == pytest.approx(euros.best.score * 2.0**-12, rel=1e-4)


def test_early_stopping_keeps_the_number_of_trees_with_the_lowest_score() -> None:
    wild = {"xgboost": {"max_depth": 4, "learning_rate": 0.5}}

    def best(max_rounds: int, patience: int) -> Trial:
        manner = {"n_trials": 1, "max_rounds": max_rounds, "early_stopping_rounds": patience}
        return only(search(spaces=wild, search=manner)).best

    patient = best(60, 60)
    capped = [best(rounds, 60) for rounds in (1, 3, 8, 40)]

    assert all(1 < rounds < 60 for rounds in patient.fold_n_estimators)
    assert capped[0].fold_n_estimators == [1, 1]
    for place in range(2):
        assert all(patient.fold_scores[place] <= trial.fold_scores[place] for trial in capped)


def press_ctrl_c() -> None:
    """Interrupt the main thread, and give it time to wait for the trials before and to notice after."""
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)


class InterruptedXGBoost(XGBoost):
    """The user presses Ctrl-C during a fit."""

    def __init__(self, at: int) -> None:
        self.left = at

    def fit_fold(self, *arguments: Any, **options: Any) -> FoldFit:
        self.left -= 1
        if self.left == 0:
            press_ctrl_c()
        return super().fit_fold(*arguments, **options)


def interrupted_search(at: int, archive: StudyArchive, progress: Silent, **manner: Any) -> AlgorithmSearch:
    case, _, folds = folded()
    configuration = configure(case.declaration, spaces={"xgboost": SPACE})
    fields = {"n_trials": 9, "batch_size": 4, "max_rounds": 30, "early_stopping_rounds": 4}
    problem = describe_problem(folded()[1], configuration)
    return search_algorithm(
        InterruptedXGBoost(at),
        configuration.training.spaces["xgboost"],
        folds.search,
        problem,
        SearchParameters.model_validate(fields | manner),
        9,
        None,
        {},
        SearchContext(archive, progress, time.perf_counter),
    )


@pytest.mark.slow
def test_an_interrupted_search_goes_on_and_finds_what_it_would_have_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("churn_kedro.training.search.available_cores", lambda: 1)
    uninterrupted = interrupted_search(10**6, NOWHERE, Silent(), resume=False)
    archive = StudyArchive(f"sqlite:///{tmp_path / 'studies' / 'trials.db'}")
    progress = Silent()

    # Amid the second batch, and amid what is left.
    for at in (11, 2):
        with pytest.raises(
            SearchInterruptedError, match=r"after \d of 9 trials. They are stored: the same command resumes"
        ):
            interrupted_search(at, archive, progress)
        assert not progress.running
        archive = StudyArchive(f"sqlite:///{tmp_path / 'studies' / 'trials.db'}")

    kept = progress.shown[-1][1]
    resumed = interrupted_search(10**6, archive, progress)

    assert 4 < kept < 9
    assert essence(resumed.trials) == essence(uninterrupted.trials)
    assert resumed.best.number == uninterrupted.best.number
    assert [trial.known for trial in resumed.trials] == [True] * kept + [False] * (9 - kept)


@pytest.mark.slow
def test_an_interrupted_search_without_resumption_reports_it() -> None:
    with pytest.raises(SearchInterruptedError, match=r"not stored, since training.search.resume is false"):
        interrupted_search(3, NOWHERE, Silent(), resume=False)


@pytest.mark.slow
def test_a_second_interruption_gives_the_running_trial_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("churn_kedro.training.search.available_cores", lambda: 1)
    archive = StudyArchive(f"sqlite:///{tmp_path / 'trials.db'}")

    class Impatient(InterruptedXGBoost):
        def fit_fold(self, *arguments: Any, **options: Any) -> FoldFit:
            fit = super().fit_fold(*arguments, **options)
            press_ctrl_c()
            return fit

    monkeypatch.setattr(f"{__name__}.InterruptedXGBoost", Impatient)
    with pytest.raises(SearchInterruptedError, match=r"after 0 of 9 trials"):
        interrupted_search(1, archive, Silent())


@pytest.fixture
def archive(tmp_path: Path) -> StudyArchive:
    return StudyArchive(f"sqlite:///{tmp_path / 'trials.db'}")


@pytest.mark.slow
def test_a_longer_search_starts_from_the_trials_that_are_known(archive: StudyArchive) -> None:
    short = only(search(archive=archive, search={"n_trials": 3}))
    again = only(search(archive=archive, search={"n_trials": 3}))
    longer = only(search(archive=archive, search={"n_trials": 7}))

    assert [trial.known for trial in short.trials] == [False] * 3
    assert [trial.known for trial in again.trials] == [True] * 3
    assert [trial.known for trial in longer.trials] == [True] * 3 + [False] * 4
    assert essence(again.trials) == essence(short.trials)
    assert essence(longer.trials) == essence(only(search(search={"n_trials": 7})).trials)


@pytest.mark.slow
def test_a_search_of_other_data_space_seed_or_manner_shares_nothing(archive: StudyArchive) -> None:
    def known(**changed: Any) -> int:
        fields = {"search": {"n_trials": 2, "batch_size": 2}} | changed
        return sum(trial.known for trial in only(search(archive=archive, **fields)).trials)

    described = task_case("binary").declaration.model_copy(update={"description": "Customers of another test"})
    assert known() == 0
    assert known() == 2
    assert known(n_jobs=2) == 2
    assert known(campaigns={"objective": "accuracy"}) == 2
    # More than two trials would be another batch.
    others: list[dict[str, Any]] = [
        {"random_state": 6},
        {"spaces": {"xgboost": SPACE | {"reg_lambda": 2}}},
        {"spaces": {"xgboost": SPACE | {"subsample": {"low": 0.5, "high": 0.9}}}},
        {"n_splits": 3},
        {"class_weight": "balanced"},
        {"declaration": described},
        {"search": {"n_trials": 2, "max_rounds": 31}},
        {"search": {"n_trials": 2, "early_stopping_rounds": 5}},
        {"search": {"n_trials": 2, "prune": False}},
        {"task": "multiclass"},
    ]
    assert [known(**other) for other in others] == [0] * len(others)
    assert known() == 2


@pytest.mark.slow
def test_a_known_trial_counts_for_the_hyperparameters_that_it_tried_alone(tmp_path: Path) -> None:
    class Mixed(StudyArchive):
        """Says that the first trial was the second one, and the other way round."""

        def known_trials(self, search: str) -> list[FrozenTrial]:
            trials = super().known_trials(search)
            for trial in trials:
                trial.number = {0: 1, 1: 0}.get(trial.number, trial.number)
            return trials

    url = f"sqlite:///{tmp_path / 'trials.db'}"
    before = only(search(archive=StudyArchive(url)))

    after = only(search(archive=Mixed(url)))

    assert essence(after.trials) == essence(before.trials)
    assert [trial.known for trial in after.trials] == [False, False, True, True, True]


@pytest.mark.slow
def test_resume_false_neither_reads_nor_keeps(archive: StudyArchive) -> None:
    search(archive=archive)
    alone = only(search(archive=archive, search={"resume": False}))

    assert not any(trial.known for trial in alone.trials)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*[Nn]onsense")
def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(archive: StudyArchive) -> None:
    space = SPACE | {"grow_policy": {"choices": ["nonsense", "depthwise"], "start": "nonsense"}}

    result = only(search(archive=archive, spaces={"xgboost": space}, search={"n_trials": 6}))

    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert result.trials[0] in failed
    assert 0 < len(failed) < 6
    assert {trial.hyperparameters["grow_policy"] for trial in failed} == {"nonsense"}
    assert all("nonsense" in trial.error and trial.score is None for trial in failed)
    assert result.best.state == "complete"
    # What failed may have had a reason that is gone.
    again = only(search(archive=archive, spaces={"xgboost": space}, search={"n_trials": 6}))
    assert [trial.known for trial in again.trials] == [trial.state != "failed" for trial in result.trials]


def test_where_all_trials_fail_one_error_names_the_first_reason() -> None:
    with pytest.raises(ParameterError, match=r"All 3 trials of xgboost failed. The first error: .*nonsense") as caught:
        search(spaces={"xgboost": {"grow_policy": "nonsense"}}, search={"n_trials": 3})

    assert "Check training.spaces.xgboost" in str(caught.value)


class Clock:
    """Each look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_the_search_stops_when_its_time_is_up_and_the_first_trial_runs_in_any_case() -> None:
    everything = only(search(stopwatch=Clock(), search={"n_trials": 6}))
    nothing = only(search(stopwatch=Clock(), search={"n_trials": 6, "timeout_seconds": 0.5}))
    some = only(search(stopwatch=Clock(), search={"n_trials": 6, "timeout_seconds": 45}))

    assert essence(nothing.trials) == essence(everything.trials[:1])
    assert nothing.stopped_by_time
    assert some.stopped_by_time
    assert 1 < len(some.trials) < 6
    assert essence(some.trials) == essence(everything.trials[: len(some.trials)])
    assert not everything.stopped_by_time


def test_a_search_that_ran_all_of_its_trials_was_not_stopped_by_time() -> None:
    result = only(search(stopwatch=Clock(), search={"n_trials": 1, "timeout_seconds": 0.5}))

    assert len(result.trials) == 1
    assert not result.stopped_by_time


def test_where_time_is_short_each_algorithm_has_a_trial() -> None:
    forest = {"random_forest": {"n_estimators": 3}}
    fields: dict[str, Any] = {"algorithms": ["xgboost", "random_forest"], "spaces": forest}
    result = search(stopwatch=Clock(), search={"n_trials": 4, "timeout_seconds": 0.5}, **fields)

    assert [len(found.trials) for found in result.searches] == [1, 1]
    assert all(found.stopped_by_time for found in result.searches)


@pytest.mark.slow
def test_a_trial_that_is_worse_than_most_is_given_up_after_fewer_folds() -> None:
    space = {"max_depth": 3, "learning_rate": 0.3, "gamma": {"choices": [0.0, 0.1, 0.2, 1e6], "start": 0.0}}
    fields: dict[str, Any] = {"spaces": {"xgboost": space}, "n_splits": 3}

    result = only(search(search={"n_trials": 14, "batch_size": 2}, **fields))
    unpruned = only(search(search={"n_trials": 14, "batch_size": 2, "prune": False}, **fields))

    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.score is None and len(trial.fold_scores) < 3 for trial in pruned)
    hopeless = [trial for trial in result.trials[6:] if trial.hyperparameters["gamma"] == 1e6]
    assert hopeless
    assert all(trial in pruned for trial in hopeless)
    assert all(len(trial.fold_scores) == 3 for trial in unpruned.trials)


@pytest.mark.slow
def test_with_two_objectives_the_fastest_of_those_that_do_not_differ_from_the_best_is_chosen() -> None:
    # One tree more or less changes little, and many take long.
    forests = {"n_estimators": {"choices": [20, 25, 150], "start": 150}, "min_samples_leaf": 5}
    fields: dict[str, Any] = {"algorithms": ["random_forest"], "spaces": {"random_forest": forests}}

    result = only(search(search={"n_trials": 6, "objectives": ["loss", "scoring_time"]}, **fields))

    lowest = min(result.trials, key=lambda trial: trial.score or np.inf)
    assert lowest.score is not None
    error = np.std(lowest.fold_scores, ddof=1) / np.sqrt(2)
    equals = [trial for trial in result.trials if trial.score is not None and trial.score <= lowest.score + error]
    assert result.best in equals
    times = [trial.scoring_seconds for trial in equals if trial.scoring_seconds is not None]
    assert len(times) == len(equals)
    assert result.best.scoring_seconds == min(times)
    assert min(times) > 0


def test_an_algorithm_without_rounds_has_no_number_of_them() -> None:
    fields: dict[str, Any] = {"algorithms": ["logistic_regression"], "spaces": {"logistic_regression": {"C": 1.0}}}

    best = only(search(search={"n_trials": 1}, **fields)).best

    assert best.n_estimators is None
    assert best.fold_n_estimators == []
    assert len(best.fold_scores) == 2


def test_progress_shows_every_trial_with_the_best_so_far() -> None:
    progress = Silent()

    result = only(search(progress=progress))

    assert [done for _, done, _ in progress.shown] == [1, 2, 3, 4, 5]
    assert progress.shown[0][0].startswith(f"xgboost trial 1 of 5: log loss {result.trials[0].score:.4f} with ")
    assert progress.shown[-1][0].endswith(f"(best {result.best.score:.4f})")
    assert progress.shown[-1][2] == 0
    assert not progress.running


@pytest.mark.parametrize(("n_trials", "expected"), [(3, [1, 1, 1]), (5, [2, 2, 1]), (20, [7, 7, 6])])
def test_the_budget_is_divided_among_the_algorithms(n_trials: int, expected: list[int]) -> None:
    assert trials_per_algorithm(n_trials, ["xgboost", "random_forest", "catboost"]) == expected


def test_a_budget_that_leaves_an_algorithm_without_a_trial_is_refused() -> None:
    fields: dict[str, Any] = {"algorithms": ["xgboost", "random_forest"], "spaces": {"random_forest": {}}}

    with pytest.raises(
        ParameterError, match=r"n_trials is 1, but training.algorithms has 2.* Set n_trials to at least 2"
    ):
        search(search={"n_trials": 1}, **fields)


def test_an_algorithm_learns_the_same_beside_others() -> None:
    forest = {"random_forest": {"n_estimators": 3}}
    fields: dict[str, Any] = {"algorithms": ["random_forest", "xgboost"], "spaces": forest}

    result = search(search={"n_trials": 6}, **fields)

    assert [found.algorithm for found in result.searches] == ["random_forest", "xgboost"]
    assert essence(result.searches[1].trials) == essence(only(search(search={"n_trials": 3})).trials)
