"""Candidate comparison: the best trial of each algorithm, and ensembles of them, evaluated on the same folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import Field

from churn_kedro.base import Record, Stopwatch, available_cores, perf_counter
from churn_kedro.customers import Score
from churn_kedro.models import SCORE_NAMES, Learning
from churn_kedro.training.algorithms import Algorithm, AlgorithmName, FoldFit, Problem, load_algorithm
from churn_kedro.training.folds import FoldInputs, Folds
from churn_kedro.training.parameters import Ensemble, Value
from churn_kedro.training.search import AlgorithmSearch

# Significance level of the two-sided test of a difference.
_NOISE = 0.05
# With a single fold, the final estimator of a stack is cross-fitted within it.
_INNER_FOLDS = 5


class Candidate(Record):
    """A candidate model and its scores on the folds."""

    name: str = Field(description="Name of the algorithm or ensemble.")
    members: list[AlgorithmName] = Field(description="Member algorithms.")
    n_estimators: int | None = Field(None, description="Number of rounds, if the algorithm has rounds.")
    score: float = Field(description="Mean score over the folds; lower is better.")
    deviation: float = Field(description="Standard deviation over the folds; 0 for a single fold.")
    fold_scores: list[float] = Field(description="Score of each fold.")
    search_seconds: float = Field(description="Total time of its trials, including earlier searches.")
    fit_seconds: float = Field(description="Wall time of fit and evaluation on all folds.")
    trials: int = Field(description="Number of its trials.")
    behind: float = Field(0.0, description="Mean paired difference from the chosen candidate; positive is worse.")
    noise: float = Field(0.0, description="Half-width of the 95 % confidence interval of the difference.")
    differs: bool = Field(False, description="Whether the difference is significant.")


class Comparison(Record):
    """Comparison of all candidates."""

    metric: Score = Field(description="Name of the score.")
    rows: int = Field(description="Number of validation rows.")
    candidates: list[Candidate] = Field(description="Candidates in the order of training.algorithms, ensembles last.")
    chosen: str = Field(description="Name of the chosen candidate.")
    reason: str = Field(description="Reason of the choice.")


class Member(Record):
    """A fitted algorithm."""

    algorithm: AlgorithmName
    hyperparameters: dict[str, Value] = Field(description="As searched.")
    n_estimators: int | None = Field(description="Number of rounds, if the algorithm has rounds.")
    complexity: dict[str, int] = Field(description="Numbers of trees and leaves, or of coefficients.")


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of the chosen candidate.

    Attributes:
        rows: Positions among the development customers, shape (n,).
        fold: Index of the validation fold of each row, shape (n,).
        target: Class codes or numbers, shape (n,).
        prediction: Shape (n,), or (n, n_classes) for several classes.
        weight: Sample weights, shape (n,); None: equal weights.
    """

    rows: np.ndarray
    fold: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class LearningCurves:
    """Scores by round, the mean over the folds.

    Attributes:
        algorithm: Name of the algorithm.
        train: Score on the training rows.
        validation: Score on the validation rows.
    """

    algorithm: AlgorithmName
    train: list[float]
    validation: list[float]


@dataclass(frozen=True)
class CandidateComparison:
    """Result of the candidate comparison, input of the final fit.

    Attributes:
        comparison: Scores of all candidates.
        chosen: The chosen candidate.
        out_of_fold: Its out-of-fold predictions.
        last: Fitted final estimator of a stack; else None.
        curves: Learning curves of the first member algorithm with rounds.
        folds: The folds of the comparison.
        seconds: Wall time.
    """

    comparison: Comparison
    chosen: Candidate
    out_of_fold: OutOfFold
    last: Any
    curves: LearningCurves | None
    folds: list[FoldInputs]
    seconds: float


@dataclass(frozen=True)
class _Evaluated:
    candidate: Candidate
    predictions: list[np.ndarray]
    curves: LearningCurves | None = None


def compare_candidates(
    searches: Sequence[AlgorithmSearch],
    ensembles: Sequence[Ensemble],
    folds: Folds,
    problem: Problem,
    stopwatch: Stopwatch = perf_counter,
) -> CandidateComparison:
    """Fit the best trial of each algorithm on the comparison folds and choose a candidate.

    All folds use the number of rounds of the final model, so early stopping does not bias the scores; if the search
    used a sample, the number is determined again on all rows. The candidate with the lowest score is chosen, unless an
    earlier one in the list does not differ significantly from it.

    Args:
        searches: Search result of each algorithm.
        ensembles: Ensembles to evaluate, if there are several algorithms.
        folds: Inputs of each fold.
        problem: Learning problem.
        stopwatch: Measures time, in seconds.

    Returns:
        The comparison, the chosen candidate and its out-of-fold predictions.
    """
    began = stopwatch()
    validation_folds = folds.comparison
    singles = [_evaluate_single(search, folds, problem, stopwatch) for search in searches]
    evaluated = list(singles)
    if len(singles) > 1:
        evaluated += [
            _evaluate_ensemble(kind, singles, validation_folds, problem.learning, stopwatch) for kind in ensembles
        ]
    chosen, reason = _choose(evaluated, validation_folds, problem.learning)
    candidates = [_compare(other, chosen, validation_folds, problem.learning) for other in evaluated]
    rows = np.concatenate([fold.fold.validation for fold in validation_folds])
    comparison = Comparison(
        metric=problem.learning.score,
        rows=len(np.unique(rows)),
        candidates=candidates,
        chosen=chosen.candidate.name,
        reason=reason,
    )
    last = (
        _fit_last(_features_of(singles, problem.learning), _together(validation_folds)[1], problem.learning)
        if chosen.candidate.name == "stack"
        else None
    )
    numbers, target, weight = _together(validation_folds)
    return CandidateComparison(
        comparison=comparison,
        chosen=next(candidate for candidate in candidates if candidate.name == chosen.candidate.name),
        out_of_fold=OutOfFold(rows, numbers, target, np.concatenate(chosen.predictions), weight),
        last=last,
        curves=next((single.curves for single in singles if single.curves is not None), None),
        folds=validation_folds,
        seconds=stopwatch() - began,
    )


def _evaluate_single(search: AlgorithmSearch, folds: Folds, problem: Problem, stopwatch: Stopwatch) -> _Evaluated:
    algorithm = load_algorithm(search.algorithm)
    began = stopwatch()
    fits = _fit_folds(algorithm, search, folds, problem)
    seconds = stopwatch() - began
    scores = _scores([fit.prediction for fit in fits], folds.comparison, problem.learning)
    rounds = [fit.rounds for fit in fits if fit.rounds is not None]
    return _Evaluated(
        Candidate(
            name=search.algorithm,
            members=[search.algorithm],
            n_estimators=round(float(np.mean(rounds))) if rounds else None,
            score=float(np.mean(scores)),
            deviation=_deviation(scores),
            fold_scores=scores,
            search_seconds=sum(trial.seconds for trial in search.trials),
            fit_seconds=seconds,
            trials=len(search.trials),
        ),
        [fit.prediction for fit in fits],
        _mean_curves(search.algorithm, fits),
    )


def _fit_folds(algorithm: Algorithm, search: AlgorithmSearch, folds: Folds, problem: Problem) -> list[FoldFit]:
    """Fit the best trial on each fold, in parallel up to the number of cores."""
    problem = replace(problem, threads=available_cores()) if folds.sampled else problem
    rounds = None if folds.sampled else search.best.n_estimators

    def fit(fold: FoldInputs) -> FoldFit:
        prepared = algorithm.prepare(fold, problem)
        return algorithm.fit_fold(
            prepared, search.best.hyperparameters, problem, rounds=rounds, with_learning_curve=True
        )

    workers = max(1, min(len(folds.comparison), available_cores() // problem.threads))
    with ThreadPoolExecutor(workers, thread_name_prefix="fold") as pool:
        return list(pool.map(fit, folds.comparison))


def _mean_curves(algorithm: AlgorithmName, fits: list[FoldFit]) -> LearningCurves | None:
    shortest = min(min(len(fit.curve), len(fit.learning_curve)) for fit in fits)
    if not shortest:
        return None
    learn = np.mean([fit.learning_curve[:shortest] for fit in fits], axis=0)
    validation = np.mean([fit.curve[:shortest] for fit in fits], axis=0)
    return LearningCurves(algorithm, [float(value) for value in learn], [float(value) for value in validation])


def _scores(predictions: list[np.ndarray], validation_folds: list[FoldInputs], learning: Learning) -> list[float]:
    return [
        learning.measure(fold.validation.target, prediction, fold.validation.weight)
        for prediction, fold in zip(predictions, validation_folds, strict=True)
    ]


def _deviation(scores: list[float]) -> float:
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0


def _together(validation_folds: list[FoldInputs]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return fold index, target and weight of each validation row."""
    target = np.concatenate([fold.validation.target for fold in validation_folds])
    weights = [fold.validation.weight for fold in validation_folds if fold.validation.weight is not None]
    numbers = np.concatenate(
        [np.full(len(fold.validation.target), place) for place, fold in enumerate(validation_folds)]
    )
    if len(validation_folds) == 1:
        numbers = divide_for_calibration(target)
    return numbers, target, np.concatenate(weights) if weights else None


def divide_for_calibration(target: np.ndarray) -> np.ndarray:
    """Divide the predictions of one model into folds, by which its calibration is cross-validated.

    Args:
        target: Class codes or numbers, shape (n,).

    Returns:
        Number of the fold of each row, shape (n,).
    """
    numbers = np.empty(len(target), dtype=np.int64)
    # Sorted by target, so that each part contains each class with at least two rows.
    numbers[np.argsort(target, kind="stable")] = np.arange(len(target)) % _INNER_FOLDS
    return numbers


def _evaluate_ensemble(
    kind: Ensemble,
    singles: list[_Evaluated],
    validation_folds: list[FoldInputs],
    learning: Learning,
    stopwatch: Stopwatch,
) -> _Evaluated:
    began = stopwatch()
    if kind == "soft_vote":
        predictions = [
            np.asarray(np.mean([single.predictions[place] for single in singles], axis=0))
            for place in range(len(validation_folds))
        ]
    else:
        predictions = _cross_stack(singles, validation_folds, learning)
    scores = _scores(predictions, validation_folds, learning)
    return _Evaluated(
        Candidate(
            name=kind,
            members=[member for single in singles for member in single.candidate.members],
            score=float(np.mean(scores)),
            deviation=_deviation(scores),
            fold_scores=scores,
            search_seconds=sum(single.candidate.search_seconds for single in singles),
            fit_seconds=stopwatch() - began + sum(single.candidate.fit_seconds for single in singles),
            trials=sum(single.candidate.trials for single in singles),
        ),
        predictions,
    )


def _features_of(singles: list[_Evaluated], learning: Learning) -> np.ndarray:
    """Return the inputs of the final estimator of a stack: log-odds or numbers of its members."""
    from churn_estimators.calibration import log_odds

    columns = []
    for single in singles:
        prediction = np.concatenate(single.predictions)
        if learning.task == "regression":
            columns.append(prediction)
        elif prediction.ndim == 1:
            columns.append(log_odds(np.column_stack([1 - prediction, prediction])))
        else:
            columns.append(log_odds(prediction))
    return np.column_stack(columns)


def _fit_last(values: np.ndarray, target: np.ndarray, learning: Learning) -> Any:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    if learning.task == "regression":
        return LinearRegression(positive=True).fit(values, target)
    return LogisticRegression(C=1.0, max_iter=1000).fit(values, target)


def _cross_stack(singles: list[_Evaluated], validation_folds: list[FoldInputs], learning: Learning) -> list[np.ndarray]:
    from churn_kedro.training.algorithms import answer

    values = _features_of(singles, learning)
    numbers, target, _ = _together(validation_folds)
    predictions = (
        np.empty((len(target), learning.n_classes)) if learning.task == "multiclass" else np.empty(len(target))
    )
    for number in np.unique(numbers):
        here = numbers == number
        last = _fit_last(values[~here], target[~here], learning)
        predictions[here] = answer(last, values[here], learning)
    ends = np.cumsum([len(fold.validation.target) for fold in validation_folds])[:-1]
    return np.split(predictions, ends)


def _difference(
    one: _Evaluated, other: _Evaluated, validation_folds: list[FoldInputs], learning: Learning
) -> tuple[float, float]:
    """Return the mean difference of two candidates' scores and the half-width of its confidence interval.

    Several folds: corrected resampled t-test, since folds share training rows (Nadeau and Bengio, Machine Learning 52,
    2003). One fold: paired losses of its rows.
    """
    from scipy import stats

    if len(validation_folds) > 1:
        paired = np.subtract(one.candidate.fold_scores, other.candidate.fold_scores)
        shares = [len(fold.validation.target) / len(fold.train.target) for fold in validation_folds]
        variance = float(np.var(paired, ddof=1)) * (1 / len(paired) + float(np.mean(shares)))
        return float(paired.mean()), float(stats.t.ppf(1 - _NOISE / 2, len(paired) - 1)) * math.sqrt(variance)
    losses = [
        learning.losses(validation_folds[0].validation.target, evaluated.predictions[0]) for evaluated in (one, other)
    ]
    paired = losses[0] - losses[1]
    noise = float(stats.norm.ppf(1 - _NOISE / 2)) * float(paired.std(ddof=1)) / math.sqrt(len(paired))
    difference = one.candidate.score - other.candidate.score
    # Delta method: the error of a root of a mean is that of the mean divided by twice the root.
    scale = 2 * other.candidate.score if learning.score == "rmse" and other.candidate.score > 0 else 1.0
    return difference, noise / scale


def _choose(
    evaluated: list[_Evaluated], validation_folds: list[FoldInputs], learning: Learning
) -> tuple[_Evaluated, str]:
    lowest = min(evaluated, key=lambda one: one.candidate.score)
    name = SCORE_NAMES[learning.score]
    if len(evaluated) == 1:
        return lowest, "It is the only candidate."
    for earlier in evaluated:
        if earlier is lowest:
            return lowest, f"It has the lowest {name} over the folds."
        difference, noise = _difference(earlier, lowest, validation_folds, learning)
        if difference <= noise:
            return earlier, (
                f"{lowest.candidate.name} has the lowest {name}, by {difference:.3g}; that is within the noise of the "
                f"folds ({noise:.3g}), and {earlier.candidate.name} is listed before it."
            )
    return lowest, f"It has the lowest {name} over the folds."


def _compare(one: _Evaluated, chosen: _Evaluated, validation_folds: list[FoldInputs], learning: Learning) -> Candidate:
    if one is chosen:
        return one.candidate
    behind, noise = _difference(one, chosen, validation_folds, learning)
    return one.candidate.model_copy(update={"behind": behind, "noise": noise, "differs": abs(behind) > noise})
