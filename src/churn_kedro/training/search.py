"""Seeded hyperparameter search by cross-validation, which can be interrupted and resumed."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from pydantic import Field

from churn_kedro.base import (
    ParameterError,
    Record,
    Stopwatch,
    UserInputError,
    available_cores,
    library_versions,
    perf_counter,
)
from churn_kedro.customers import Score
from churn_kedro.models import SCORE_NAMES
from churn_kedro.training.algorithms import Algorithm, AlgorithmName, FoldFit, Problem
from churn_kedro.training.folds import FoldInputs
from churn_kedro.training.parameters import Objective, SearchParameters, Space, Value
from churn_kedro.training.progress import Progress, TerminalProgress
from churn_kedro.training.search_space import describe_space, find_start, suggest

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

# Growth (shrinkage times rounds) between two reports of the score, and the maximum number of reports.
_GROWTH, _MAX_REPORTS = 1.0, 50
# Number of trials without pruning: the median needs some finished trials.
_UNPRUNED_TRIALS = 4
# Reports before a trial can be pruned: small trees improve slowly at first. Measured in docs/training.md.
_UNPRUNED_GROWTH = 6
_TIMED_PREDICTIONS = 3
_LONGEST_ERROR = 500


class Trial(Record):
    """Result of one set of hyperparameters."""

    number: int = Field(description="Index among the trials of its algorithm, from 0.")
    state: Literal["complete", "pruned", "failed"] = Field("complete", description="Final state.")
    score: float | None = Field(
        None, description="Mean over the folds of log loss or RMSE, before calibration; lower is better."
    )
    fold_scores: list[float] = Field(default_factory=list, description="Score of each evaluated fold.")
    n_estimators: int | None = Field(None, description="Mean number of rounds kept by early stopping.")
    fold_n_estimators: list[int] = Field(default_factory=list, description="Number of rounds of each fold.")
    hyperparameters: dict[str, Value] = Field(description="As searched.")
    seconds: float = Field(0.0, description="Wall time of the fits.")
    scoring_seconds: float | None = Field(None, description="Seconds to score 1,000 customers, if an objective.")
    known: bool = Field(False, description="Whether the result is from an earlier search.")
    error: str = Field("", description="Error message of a failed trial.")


class AlgorithmSearch(Record):
    """Search result of one algorithm."""

    algorithm: AlgorithmName
    best: Trial = Field(description="The chosen trial.")
    trials: list[Trial] = Field(description="All trials in order.")
    seconds: float = Field(description="Wall time.")
    stopped_by_time: bool = Field(False, description="Whether the time limit ended the search.")


class SearchResult(Record):
    """Search result of all algorithms."""

    metric: Score = Field(description="Name of the score.")
    objectives: list[Objective] = Field(description="Minimised objectives.")
    n_splits: int = Field(description="Number of folds of each trial.")
    rows: int = Field(description="Number of customers used by the search.")
    searches: list[AlgorithmSearch] = Field(
        description="Result of each algorithm, in the order of training.algorithms."
    )


class SearchInterruptedError(UserInputError):
    """The user interrupted the search."""


class TrialArchive(Protocol):
    """Storage of finished trials for later searches."""

    def known_trials(self, search: str) -> list[optuna.trial.FrozenTrial]:
        """Return the finished trials of a search key."""
        ...

    def keep(self, search: str, trial: optuna.trial.FrozenTrial) -> None:
        """Store a finished trial."""
        ...


class NoArchive:
    """Archive without storage, for a search without resumption."""

    def known_trials(self, search: str) -> list[optuna.trial.FrozenTrial]:
        """Return no trials."""
        return []

    def keep(self, search: str, trial: optuna.trial.FrozenTrial) -> None:
        """Store nothing."""


@dataclass(frozen=True)
class SearchContext:
    """External resources of a search.

    Attributes:
        archive: Storage of finished trials.
        progress: Progress display.
        stopwatch: Measures time, in seconds.
    """

    archive: TrialArchive
    progress: Progress = field(default_factory=TerminalProgress)
    stopwatch: Stopwatch = perf_counter


class _OutOfTimeError(Exception):
    """The time limit of the search is reached."""


@dataclass
class _Running:
    """A proposed trial that is running."""

    trial: optuna.Trial
    hyperparameters: dict[str, Value]
    result: Trial | None = None


def search_key(identity: Mapping[str, Any]) -> str:
    """Return the key under which the trials of a search are stored.

    Args:
        identity: Everything on which the result of a trial depends.

    Returns:
        Hexadecimal SHA-256 of it and of the installed libraries, shortened.
    """
    text = json.dumps([dict(identity), library_versions()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def trials_per_algorithm(n_trials: int, algorithms: list[AlgorithmName]) -> list[int]:
    """Divide a budget of trials equally among algorithms.

    Args:
        n_trials: Number of trials over all algorithms.
        algorithms: Names of the algorithms.

    Returns:
        Number of trials of each algorithm; the first ones get the remainder.

    Raises:
        ParameterError: There are fewer trials than algorithms.

    Examples:
        >>> trials_per_algorithm(8, ["xgboost", "linear", "forest"])
        [3, 3, 2]
    """
    if n_trials < len(algorithms):
        raise ParameterError(
            f"training.search.n_trials is {n_trials}, but training.algorithms has {len(algorithms)}, and each needs a "
            f"trial. Set n_trials to at least {len(algorithms)}."
        )
    share, left = divmod(n_trials, len(algorithms))
    return [share + (position < left) for position in range(len(algorithms))]


def search_algorithm(
    algorithm: Algorithm,
    space: Space,
    folds: list[FoldInputs],
    problem: Problem,
    parameters: SearchParameters,
    n_trials: int,
    timeout_seconds: float | None,
    identity: Mapping[str, Any],
    context: SearchContext,
) -> AlgorithmSearch:
    """Search with Optuna's multivariate TPE for the lowest mean score over the folds.

    Trials are proposed in batches, each with its own seed and from the results of the previous batches. The same seed
    therefore gives the same trials for any number of cores, and a resumed search gives the same trials as an
    uninterrupted one.

    Args:
        algorithm: Algorithm to fit.
        space: Search space.
        folds: Inputs of each fold.
        problem: Learning problem.
        parameters: Strategy of the search.
        n_trials: Number of trials, including stored ones.
        timeout_seconds: Time limit; None: unlimited.
        identity: Further facts on which the results depend, part of the search key.
        context: Archive, progress and clock.

    Returns:
        The best trial and all others.

    Raises:
        ParameterError: Every trial failed.
        SearchInterruptedError: The user pressed Ctrl-C.
    """
    search = _Search(algorithm, space, folds, problem, parameters, identity, context)
    return search.run(n_trials, timeout_seconds)


class _Search:
    def __init__(
        self,
        algorithm: Algorithm,
        space: Space,
        folds: list[FoldInputs],
        problem: Problem,
        parameters: SearchParameters,
        identity: Mapping[str, Any],
        context: SearchContext,
    ) -> None:
        import optuna

        self._algorithm, self._space, self._parameters = algorithm, space, parameters
        self._problem, self._context = problem, context
        self._folds = folds
        self._prepared = [algorithm.prepare(fold, problem) for fold in folds]
        self._constant = [
            problem.learning.measure_constant(fold.train.target, fold.validation.target) for fold in folds
        ]
        self._key = search_key(
            {
                **identity,
                "algorithm": algorithm.name,
                "space": describe_space(space),
                "start": find_start(space),
                "search": parameters.model_dump(exclude={"n_trials", "timeout_seconds", "resume"}),
                "random_state": problem.random_state,
                "device": problem.device,
            }
        )
        self._known = (
            {trial.number: trial for trial in context.archive.known_trials(self._key)} if parameters.resume else {}
        )
        self._single = parameters.objectives == ["loss"]
        self._stop = threading.Event()
        self._deadline: float | None = None
        self._trials: list[Trial] = []
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = (
            optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS, n_warmup_steps=_UNPRUNED_GROWTH)
            if parameters.prune and self._single
            else optuna.pruners.NopPruner()
        )
        self._study = optuna.create_study(directions=["minimize"] * len(parameters.objectives), pruner=pruner)
        start = find_start(space)
        if start:
            self._study.enqueue_trial(start)

    def run(self, n_trials: int, timeout_seconds: float | None) -> AlgorithmSearch:
        """Run trials until the budget is spent."""
        began = self._context.stopwatch()
        self._deadline = None if timeout_seconds is None else began + timeout_seconds
        workers = max(1, min(self._parameters.batch_size, available_cores() // self._problem.threads))
        self._context.progress.start(self._algorithm.name, n_trials)
        out_of_time = False
        try:
            with ThreadPoolExecutor(workers, thread_name_prefix="trial") as pool:
                while len(self._trials) < n_trials and not out_of_time:
                    size = min(self._parameters.batch_size, n_trials - len(self._trials))
                    out_of_time = self._run_batch(pool, size, n_trials, began)
        except KeyboardInterrupt:
            raise SearchInterruptedError(
                f"The search of {self._algorithm.name} was interrupted after {len(self._trials)} of {n_trials} trials. "
                + (
                    "They are stored: the same command resumes the search."
                    if self._parameters.resume
                    else "They are not stored, since training.search.resume is false."
                )
            ) from None
        finally:
            self._context.progress.stop()
        return AlgorithmSearch(
            algorithm=self._algorithm.name,
            best=self._choose(),
            trials=self._trials,
            seconds=self._context.stopwatch() - began,
            stopped_by_time=out_of_time and len(self._trials) < n_trials,
        )

    def _run_batch(self, pool: ThreadPoolExecutor, size: int, n_trials: int, began: float) -> bool:
        """Propose and run a batch of trials; return whether the time limit was reached."""
        import optuna

        self._study.sampler = optuna.samplers.TPESampler(
            seed=self._problem.random_state + len(self._trials), multivariate=True, constant_liar=True
        )
        batch = []
        for _ in range(size):
            trial = self._study.ask()
            batch.append(_Running(trial, suggest(trial, self._space)))
        futures: dict[Future[Trial | None], _Running] = {}
        for running in batch:
            running.result = self._recall(running)
            if running.result is None:
                futures[pool.submit(self._run_trial, running)] = running
        interrupted = self._await(list(futures))
        for future, running in futures.items():
            running.result = None if future.cancelled() else future.result()
        for running in batch:
            if running.result is not None:
                self._finish(running, n_trials, began)
        if interrupted:
            raise KeyboardInterrupt
        return any(running.result is None for running in batch) or self._out_of_time()

    def _await(self, futures: list[Future[Trial | None]]) -> bool:
        """Wait for running trials; return whether the user pressed Ctrl-C meanwhile."""
        try:
            wait(futures)
        except KeyboardInterrupt:
            for future in futures:
                future.cancel()
            logger.warning("Interrupted: waiting for running trials. Press Ctrl-C again to abort them.")
            try:
                wait([future for future in futures if not future.cancelled()])
            except KeyboardInterrupt:
                self._stop.set()
                wait([future for future in futures if not future.cancelled()])
            return True
        return False

    def _out_of_time(self) -> bool:
        return self._deadline is not None and self._context.stopwatch() >= self._deadline

    def _recall(self, running: _Running) -> Trial | None:
        """Return the stored result of the same trial, if any."""
        frozen = self._known.get(running.trial.number)
        if frozen is None or frozen.user_attrs.get("hyperparameters") != running.hyperparameters:
            return None
        for step, value in frozen.intermediate_values.items():
            if self._single:
                running.trial.report(value, step)
        return Trial.model_validate({**frozen.user_attrs, "number": running.trial.number, "known": True})

    def _run_trial(self, running: _Running) -> Trial | None:
        """Fit all folds; return None if the time limit was reached first."""
        import optuna

        began = self._context.stopwatch()
        # The first trial always runs to the end, so that the search has a result.
        hurried = self._trials or running.trial.number
        if hurried and self._out_of_time():
            return None
        fits: list[FoldFit] = []
        found: dict[str, Any] = {"number": running.trial.number, "hyperparameters": running.hyperparameters}
        try:
            for position in range(len(self._prepared)):
                fits.append(self._fit_fold(position, running, bool(hurried)))
                scores = self._scores(fits)
                if position + 1 < len(self._prepared):
                    gain = float(np.mean([score - self._constant[place] for place, score in enumerate(scores)]))
                    self._report(running.trial, gain, _MAX_REPORTS + position)
            found |= {"score": float(np.mean(scores)), "scoring_seconds": self._time_scoring(fits)}
        except optuna.TrialPruned:
            found |= {"state": "pruned"}
        except _OutOfTimeError:
            return None
        except Exception as error:  # a trial may fail in any way, and the search goes on
            logger.warning("Trial %d failed: %s", running.trial.number + 1, _first_of(error))
            found |= {"state": "failed", "error": f"{type(error).__name__}: {_first_of(error)}"}
        rounds = [fit.rounds for fit in fits if fit.rounds is not None]
        return Trial(
            **found,
            fold_scores=self._scores(fits),
            fold_n_estimators=rounds,
            n_estimators=max(1, round(float(np.mean(rounds)))) if rounds else None,
            seconds=self._context.stopwatch() - began,
        )

    def _scores(self, fits: list[FoldFit]) -> list[float]:
        return [
            self._problem.learning.measure(fold.validation.target, fit.prediction, fold.validation.weight)
            for fold, fit in zip(self._folds, fits, strict=False)
        ]

    def _fit_fold(self, position: int, running: _Running, hurried: bool) -> FoldFit:
        reports = 0

        def watch(growth: float, score: float) -> None:
            nonlocal reports
            if self._stop.is_set() or (hurried and self._out_of_time()):
                raise _OutOfTimeError
            # In the first fold, trials are compared at equal growth, which accounts for the learning rate; later, by
            # fold.
            if position == 0 and growth >= (reports + 1) * _GROWTH and reports < _MAX_REPORTS:
                self._report(running.trial, score - self._constant[0], reports)
                reports = int(growth / _GROWTH)

        if self._stop.is_set() or (hurried and self._out_of_time()):
            raise _OutOfTimeError
        return self._algorithm.fit_fold(self._prepared[position], running.hyperparameters, self._problem, watch=watch)

    def _report(self, trial: optuna.Trial, gain: float, step: int) -> None:
        import optuna

        if self._single:
            trial.report(gain, step)
            if trial.should_prune():
                raise optuna.TrialPruned

    def _time_scoring(self, fits: list[FoldFit]) -> float | None:
        """Measure the seconds to score 1,000 customers: minimum of several runs, over all folds."""
        if self._single:
            return None
        times = []
        for _ in range(_TIMED_PREDICTIONS):
            began = self._context.stopwatch()
            rows = sum(len(fit.predict()) for fit in fits)
            times.append((self._context.stopwatch() - began) * 1000 / rows)
        return min(times)

    def _finish(self, running: _Running, n_trials: int, began: float) -> None:
        import optuna

        result = running.result
        assert result is not None  # noqa: S101 # the caller asks for finished trials only
        states = {
            "complete": optuna.trial.TrialState.COMPLETE,
            "pruned": optuna.trial.TrialState.PRUNED,
            "failed": optuna.trial.TrialState.FAIL,
        }
        values = self._values(result) if result.state == "complete" else None
        for name, value in result.model_dump(exclude={"number", "known"}).items():
            running.trial.set_user_attr(name, value)
        finished = self._study.tell(running.trial, values, state=states[result.state])
        self._trials.append(result)
        # Failed trials are not stored, since their cause may be temporary.
        if not result.known and result.state != "failed" and self._parameters.resume:
            self._context.archive.keep(self._key, finished)
        ran = [trial for trial in self._trials if not trial.known]
        mean = (self._context.stopwatch() - began) / len(ran) if ran else 0.0
        left = mean * (n_trials - len(self._trials))
        if self._deadline is not None:
            left = min(left, max(0.0, self._deadline - self._context.stopwatch()))
        self._context.progress.show(self._describe(result, n_trials), len(self._trials), left)

    def _values(self, result: Trial) -> list[float]:
        found = {"loss": result.score, "scoring_time": result.scoring_seconds}
        return [float(found[name] or 0.0) for name in self._parameters.objectives]

    def _describe(self, result: Trial, n_trials: int) -> str:
        name = SCORE_NAMES[self._problem.learning.score]
        ended = (
            result.state
            if result.score is None
            else f"{name} {result.score:.4f}"
            + (f" with {result.n_estimators} trees" if result.n_estimators is not None else "")
        )
        scores = [trial.score for trial in self._trials if trial.score is not None]
        best = f"best {min(scores):.4f}" if scores else "none yet"
        known = ", known" if result.known else ""
        return f"{self._algorithm.name} trial {result.number + 1} of {n_trials}: {ended}{known} ({best})"

    def _choose(self) -> Trial:
        """Return the trial with the lowest score; with several objectives, the fastest within a standard error."""
        complete = [trial for trial in self._trials if trial.score is not None]
        if not complete:
            errors = [trial.error for trial in self._trials if trial.error]
            raise ParameterError(
                f"All {len(self._trials)} trials of {self._algorithm.name} failed. The first error: {errors[0]}. Check "
                f"training.spaces.{self._algorithm.name}: expected values that {self._algorithm.name} accepts."
                if errors
                else f"No trial of {self._algorithm.name} finished within the time limit. "
                "Raise training.search.timeout_seconds."
            )
        lowest = min(complete, key=_score)
        if self._single:
            return lowest
        n_folds = len(lowest.fold_scores)
        error = float(np.std(lowest.fold_scores, ddof=1) / np.sqrt(n_folds)) if n_folds > 1 else 0.0
        near = [trial for trial in complete if _score(trial) <= _score(lowest) + error]
        return min(near, key=lambda trial: trial.scoring_seconds or 0.0)


def _first_of(error: Exception) -> str:
    """Return the message of an error on one line, without XGBoost's stack trace."""
    return " ".join(str(error).partition("Stack trace")[0].split())[:_LONGEST_ERROR]


def _score(trial: Trial) -> float:
    return float("inf") if trial.score is None else trial.score
