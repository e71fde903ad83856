"""Figures of a training."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_kedro.campaigns import (
    Economics,
    ThresholdChoice,
    ValueColumn,
    fit_contact_value,
    profit_curve,
    threshold_steps,
)
from churn_kedro.evaluation import group_by_probability
from churn_kedro.models import SCORE_NAMES, Learning
from churn_kedro.reporting.figures.style import MAIN, MUTED, SECOND, Figure, new_figure
from churn_kedro.training import (
    AlgorithmSearch,
    CalibrationParameters,
    Candidate,
    CandidateComparison,
    Choices,
    Development,
    Interval,
    SearchResult,
    Space,
    TrainingSummary,
    Trial,
    choose_calibration,
)

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes

_COLORS = (MAIN, SECOND, "#5b8c5a", "#d9a441", "#7a5c99", "#3d9fa8", "#a05a77", "#6b6b47")
# Minimum number of trials for hyperparameter importance.
_FEWEST_TRIALS = 4
_PER_ROW = 4
_BINS = 10
# Number of scored and of drawn thresholds.
_MOST_STEPS, _MOST_POINTS = 400, 5000
_SEED = 0
# Height of markers without score, slightly below the upper edge of the axes.
_EDGE = 0.97


def draw_training(
    search: SearchResult,
    summary: TrainingSummary,
    candidate_comparison: CandidateComparison,
    development: Development | None = None,
) -> dict[str, Figure]:
    """Draw the figures of a training.

    Args:
        search: Result of the search.
        summary: Summary of the training.
        candidate_comparison: Candidates, and the out-of-fold predictions of the chosen one.
        development: Development set; needed if a column gives the value of a customer.

    Returns:
        Figures by file name; those without content are omitted.
    """
    figures: dict[str, Figure | None] = {
        "search_history.png": draw_search_history(search),
        "hyperparameter_importance.png": draw_hyperparameter_importance(search, summary),
        "hyperparameter_slices.png": draw_hyperparameter_slices(search, summary),
        "parallel_coordinates.png": draw_parallel_coordinates(search, summary),
        "learning_curves.png": draw_learning_curves(summary),
        "candidate_comparison.png": draw_candidates(summary),
    }
    if summary.calibration is not None:
        calibrated = _calibrated(summary, candidate_comparison)
        figures["calibration_before_after.png"] = draw_calibration(summary, candidate_comparison, calibrated)
        if summary.threshold is not None:
            figures["threshold_objective.png"] = draw_threshold(
                summary, summary.threshold, candidate_comparison, calibrated, development
            )
    return {name: figure for name, figure in figures.items() if figure is not None}


def _complete(search: AlgorithmSearch) -> list[Trial]:
    return [trial for trial in search.trials if trial.score is not None]


def _scores(trials: Sequence[Trial]) -> np.ndarray:
    return np.array([trial.score for trial in trials], dtype=np.float64)


def _searched(space: Space) -> dict[str, Interval | Choices]:
    """Return the hyperparameters with more than one possible value."""
    return {
        name: values
        for name, values in space.items()
        if (isinstance(values, Interval) and values.low < values.high)
        or (isinstance(values, Choices) and len(values.choices) > 1)
    }


def _space(search: AlgorithmSearch, summary: TrainingSummary) -> dict[str, Interval | Choices]:
    return _searched(summary.recipe.configuration.training.spaces.get(search.algorithm, {}))


def _leading(search: SearchResult, summary: TrainingSummary) -> AlgorithmSearch:
    """Return the chosen algorithm, or the member of a chosen ensemble with the best trial."""
    members = {member.algorithm for member in summary.members}
    return min(
        (found for found in search.searches if found.algorithm in members),
        key=lambda found: float("inf") if found.best.score is None else found.best.score,
    )


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _write(score: float) -> str:
    """Format a score with enough digits to distinguish scores."""
    if abs(score) < 0.01:
        return f"{score:.3g}"
    return f"{score:.4f}" if abs(score) < 100 else f"{score:,.0f}"


def draw_search_history(search: SearchResult) -> Figure:
    """Draw the score of each trial in order and the best score so far, one panel per algorithm.

    Args:
        search: Result of the search.

    Returns:
        The figure; pruned and failed trials without score are drawn at the upper edge.
    """
    from matplotlib.ticker import MaxNLocator

    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    rows = len(search.searches)
    figure = Figure(figsize=(7.4, 1.9 + 2.4 * rows), layout="constrained")
    figure.suptitle("Search history", x=0.01, ha="left", fontsize=12, fontweight="bold")
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for place, (axes, found) in enumerate(zip(panels, search.searches, strict=True)):
        _draw_trials(axes, found, _COLORS[place % len(_COLORS)])
        axes.set_title(_summarise(found), loc="left", fontsize=10, color=_COLORS[place % len(_COLORS)])
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("Trial, in the order of the search")
    figure.supylabel(f"{_score_label(search)}, mean over {search.n_splits} folds (lower is better)", fontsize=10)
    drawn: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            drawn.setdefault(label, handle)
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure


def _score_label(search: SearchResult) -> str:
    name = SCORE_NAMES[search.metric]
    return f"{name[0].upper()}{name[1:]}"


def _summarise(found: AlgorithmSearch) -> str:
    states = [trial.state for trial in found.trials]
    ended = [f"{states.count(state)} {state}" for state in ("pruned", "failed") if state in states]
    trials = f"{len(states)} trial{'s' * (len(states) > 1)}"
    best = "none" if found.best.score is None else _write(found.best.score)
    return f"{found.algorithm}: {', '.join([trials, *ended])}; best {best}"


def _expected(trial: Trial, complete: Sequence[Trial]) -> float:
    """Extrapolate the score of a pruned trial.

    Folds differ more than trials, so each finished fold contributes its difference from the mean of the finished
    trials.
    """
    same = [other.fold_scores for other in complete if len(other.fold_scores) >= len(trial.fold_scores)]
    if not same:
        return float(np.mean(trial.fold_scores))
    usual = np.mean([scores[: len(trial.fold_scores)] for scores in same], axis=0)
    return float(_scores(complete).mean() + np.mean(trial.fold_scores - usual))


def _draw_trials(axes: Axes, found: AlgorithmSearch, color: str) -> None:
    complete = _complete(found)
    scores, numbers = _scores(complete), [trial.number + 1 for trial in complete]
    axes.plot(numbers, scores, "o", color=color, markersize=6, label="finished")
    axes.step(
        [*numbers, len(found.trials)],
        np.append(np.minimum.accumulate(scores), scores.min()),
        where="post",
        color=color,
        linewidth=1.5,
        label="best so far",
    )
    begun = [trial for trial in found.trials if trial.state == "pruned" and trial.fold_scores]
    means = [_expected(trial, complete) for trial in begun]
    if begun:
        label = "pruned: estimated score"
        places = [trial.number + 1 for trial in begun]
        axes.plot(places, means, "o", color=color, markerfacecolor="none", markersize=6, label=label)
    low, high = min(scores.min(), *means, math.inf), max(scores.max(), *means, -math.inf)
    span = high - low or abs(high) or 1.0
    # Space for the markers at the edge.
    axes.set_ylim(low - 0.08 * span, high + 0.25 * span)
    for state, marker, label in (("pruned", "|", "pruned in the first fold"), ("failed", "x", "failed")):
        ended = [trial.number + 1 for trial in found.trials if trial.state == state and trial not in begun]
        if ended:
            edge = np.full(len(ended), _EDGE)
            transform = axes.get_xaxis_transform()
            axes.plot(ended, edge, marker, color=color, markersize=8, transform=transform, label=label)


def _study(trials: Sequence[Trial], space: Mapping[str, Interval | Choices]) -> optuna.Study:
    """Build an Optuna study of the finished trials."""
    import optuna

    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for name, values in space.items():
        match values:
            case Interval(integer=True):
                low, high = math.ceil(values.low), math.floor(values.high)
                distributions[name] = optuna.distributions.IntDistribution(low, high, log=values.log)
            case Interval():
                distributions[name] = optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
            case Choices():
                distributions[name] = optuna.distributions.CategoricalDistribution(values.choices)
    # Optuna logs each new study.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=_SEED))
    for trial in trials:
        chosen = {name: trial.hyperparameters[name] for name in distributions}
        study.add_trial(optuna.trial.create_trial(params=chosen, distributions=distributions, value=trial.score))
    return study


def draw_hyperparameter_importance(search: SearchResult, summary: TrainingSummary) -> Figure | None:
    """Draw the share of the variance of the scores that each hyperparameter explains (fANOVA).

    Hutter, Hoos and Leyton-Brown, ICML 2014, as implemented in Optuna.

    Args:
        search: Result of the search.
        summary: The chosen model and the search spaces.

    Returns:
        The figure, of the chosen algorithm; None with too few trials or hyperparameters.
    """
    found = _leading(search, summary)
    complete, space = _complete(found), _space(found, summary)
    if len(complete) < _FEWEST_TRIALS or len(space) < 2 or np.ptp(_scores(complete)) == 0:
        return None
    import optuna

    importances = optuna.importance.get_param_importances(
        _study(complete, space), evaluator=optuna.importance.FanovaImportanceEvaluator(seed=_SEED)
    )
    names = list(importances)[::-1]
    shares = [importances[name] for name in names]
    figure, axes = new_figure(f"Importance of hyperparameters of {found.algorithm}", 6.4, 1.7 + 0.3 * len(names))
    bars = axes.barh(names, shares, color=MAIN)
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=3, fontsize=9)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.margins(x=0.1)
    axes.set_xlabel(
        f"Share of the variation in {SCORE_NAMES[search.metric]} among {len(complete)} finished trials (fANOVA)"
        + ("\nFew trials: only an indication" if len(complete) < 10 * len(names) else "")
    )
    return figure


def _values_of(trials: Sequence[Trial], name: str, values: Interval | Choices) -> np.ndarray:
    """Return values as numbers; choices as their index."""
    found = [trial.hyperparameters[name] for trial in trials]
    if isinstance(values, Choices):
        return np.array([values.choices.index(value) for value in found], dtype=np.float64)
    return np.array(found, dtype=np.float64)


def draw_hyperparameter_slices(search: SearchResult, summary: TrainingSummary) -> Figure | None:
    """Draw the score against each hyperparameter of each algorithm.

    Args:
        search: Result of the search.
        summary: The search spaces.

    Returns:
        The figure; None if no algorithm has a searched hyperparameter and two finished trials.
    """
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    drawn = [
        (_COLORS[place % len(_COLORS)], found, space)
        for place, found in enumerate(search.searches)
        if len(_complete(found)) > 1 and (space := _space(found, summary))
    ]
    if not drawn:
        return None
    columns = min(_PER_ROW, max(len(space) for _, _, space in drawn))
    heights = [math.ceil(len(space) / columns) for _, _, space in drawn]
    figure = Figure(figsize=(max(6.4, 2.8 * columns), 2.3 * sum(heights) + 1.0), layout="constrained")
    figure.suptitle("Score against each hyperparameter", x=0.01, ha="left", fontsize=12, fontweight="bold")
    grid = figure.add_gridspec(sum(heights), columns)
    row = 0
    for (color, found, space), height in zip(drawn, heights, strict=True):
        first: Axes | None = None
        for position, (name, values) in enumerate(space.items()):
            line, column = divmod(position, columns)
            axes = figure.add_subplot(grid[row + line, column], sharey=first)
            _draw_slice(axes, found, name, values, color)
            if column:
                axes.tick_params(axis="y", labelleft=False)
            else:
                axes.set_ylabel(SCORE_NAMES[search.metric])
            if first is None:
                first = axes
                axes.set_title(found.algorithm, loc="left", fontsize=10, fontweight="bold", color=color)
        row += height
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=9, ncols=3)
    return figure


def _draw_slice(axes: Axes, found: AlgorithmSearch, name: str, values: Interval | Choices, color: str) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    complete = _complete(found)
    scores = _scores(complete)
    axes.plot(
        _values_of(complete, name, values), scores, "o", color=color, markersize=5, alpha=0.75, label="finished trial"
    )
    axes.plot(
        _values_of([found.best], name, values),
        _scores([found.best]),
        "o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor="black",
        markeredgewidth=1.5,
        label="the best",
    )
    given_up = [trial for trial in found.trials if trial.state == "pruned"]
    axes.plot(
        _values_of(given_up, name, values),
        np.full(len(given_up), _EDGE),
        "|",
        color=MUTED,
        markersize=7,
        transform=axes.get_xaxis_transform(),
        label="pruned (upper edge)",
    )
    span = float(np.ptp(scores)) or abs(float(scores[0])) or 1.0
    axes.set_ylim(scores.min() - 0.1 * span, scores.max() + 0.2 * span)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.spines[["top", "right"]].set_visible(False)
    _set_scale(axes, values)
    axes.set_xlabel(name)


def _set_scale(axes: Axes, values: Interval | Choices) -> None:
    if isinstance(values, Choices):
        axes.set_xticks(range(len(values.choices)), [str(value) for value in values.choices])
        axes.set_xlim(-0.5, len(values.choices) - 0.5)
    elif values.log:
        axes.set_xscale("log")
        axes.set_xlim(values.low / 1.1, values.high * 1.1)
        _plain_numbers(axes, values)
    else:
        margin = 0.04 * (values.high - values.low)
        axes.set_xlim(values.low - margin, values.high + margin)


def _plain_numbers(axes: Axes, values: Interval) -> None:
    """Set a few readable ticks of a logarithmic axis: powers of ten, with 2 and 5 if there is space."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    decades = math.log10(values.high / values.low)
    steps = (1, 2, 5) if decades <= 1.5 else (1,) if decades > 2 else (1, 3)
    exponents = range(math.floor(math.log10(values.low)), math.ceil(math.log10(values.high)) + 1)
    ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
    inside = [tick for tick in ticks if values.low * 0.999 <= tick <= values.high * 1.001]
    # Labels of many decades would overlap.
    shown = inside[:: math.ceil(len(inside) / 5)]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])


def draw_parallel_coordinates(search: SearchResult, summary: TrainingSummary) -> Figure | None:
    """Draw parallel coordinates: each trial as a line through its hyperparameters to its score.

    Args:
        search: Result of the search.
        summary: The chosen model and the search spaces.

    Returns:
        The figure, of the chosen algorithm; None with fewer than two searched hyperparameters or finished trials.
    """
    found = _leading(search, summary)
    complete, space = _complete(found), _space(found, summary)
    if len(complete) < 2 or len(space) < 2:
        return None
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    scores = _scores(complete)
    low, high = float(scores.min()), float(scores.max())
    norm, colors = Normalize(low, high), colormaps["viridis"]
    figure, axes = new_figure(
        f"Trials of {found.algorithm}: one line each, darker is better", max(7.0, 1.5 * (len(space) + 1)), 4.6
    )
    places = np.arange(len(space) + 1)

    def positions(trials: Sequence[Trial]) -> np.ndarray:
        return np.column_stack([_relative(_values_of(trials, name, values), values) for name, values in space.items()])

    given_up = [trial for trial in found.trials if trial.state == "pruned"]
    for number, line in enumerate(positions(given_up) if given_up else []):
        axes.plot(places[:-1], line, color=MUTED, linewidth=0.8, alpha=0.5, label="_" if number else "pruned")
    heights = (scores - low) / (high - low or 1.0)
    # The best trials are drawn last, on top of all others.
    for row in np.argsort(-scores, kind="stable"):
        best = complete[row] is found.best or complete[row].number == found.best.number
        axes.plot(
            places,
            np.append(positions([complete[row]])[0], heights[row]),
            color=SECOND if best else colors(0.9 * norm(scores[row])),
            linewidth=3 if best else 1.5,
            alpha=1 if best else 0.8,
            marker="o" if best else None,
            label=f"best: {_write(scores[row])}" if best else "_",
        )
    axes.vlines(places, 0, 1, color="black", linewidth=0.8, zorder=0)
    axes.set_xticks(places, [*space, SCORE_NAMES[search.metric]], fontweight="bold")
    axes.set_yticks([])
    axes.set_ylim(-0.1, 1.1)
    axes.set_xlim(-0.35, len(space) + 0.35)
    axes.spines[:].set_visible(False)
    ends = [_ends(values) for values in space.values()] + [(_write(low), _write(high))]
    for place, (bottom, top) in enumerate(ends):
        axes.text(place, -0.03, bottom, ha="center", va="top", fontsize=8)
        axes.text(place, 1.03, top, ha="center", va="bottom", fontsize=8)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure


def _relative(numbers: np.ndarray, values: Interval | Choices) -> np.ndarray:
    """Return the relative positions of values in their interval, 0 to 1."""
    if isinstance(values, Choices):
        return np.asarray(numbers / (len(values.choices) - 1))
    if values.log:
        return np.asarray(np.log(numbers / values.low) / math.log(values.high / values.low))
    return np.asarray((numbers - values.low) / (values.high - values.low))


def _ends(values: Interval | Choices) -> tuple[str, str]:
    if isinstance(values, Choices):
        return str(values.choices[0]), str(values.choices[-1])
    return f"{values.low:g}", f"{values.high:g}" + (" (log)" if values.log else "")


def draw_learning_curves(summary: TrainingSummary) -> Figure | None:
    """Draw the mean score after each round on training and validation rows.

    Args:
        summary: Summary of the training.

    Returns:
        The figure, of the first algorithm with rounds; None without one.
    """
    curves = summary.learning_curves
    if not curves:
        return None
    in_rounds = [
        candidate
        for candidate in summary.comparison.candidates
        if candidate.n_estimators is not None and candidate.members == [candidate.name]
    ]
    # Only XGBoost reports the score on its training rows, at any position in the list.
    grown = min(in_rounds, key=lambda candidate: candidate.name != "xgboost")
    kept = grown.n_estimators or 0
    score_name = SCORE_NAMES[summary.metric]
    figure, axes = new_figure(f"Learning curves of {grown.name}", 7.4, 4.8)
    for name, color, what in (("train", MUTED, "training rows"), ("validation", MAIN, "validation rows")):
        curve = np.array(curves[name])
        last = curve[min(kept, len(curve)) - 1]
        axes.plot(
            np.arange(1, len(curve) + 1), curve, color=color, linewidth=2, label=f"{what}: {_write(last)} in the end"
        )
    axes.axvline(kept, color=SECOND, linestyle="--", linewidth=1.5, label=f"{kept:,} rounds kept")
    # The steep first rounds are cut off, so that the later ones are readable.
    evaluated = np.array(curves["validation"])
    lowest, begin = (
        min(min(curves["train"]), evaluated.min()),
        evaluated[min(len(evaluated) - 1, max(3, len(evaluated) // 6))],
    )
    axes.set_ylim(lowest - 0.05 * (begin - lowest or 1), begin + 0.15 * (begin - lowest or 1))
    axes.set_xlim(0, max(kept, len(evaluated)) * 1.03)
    axes.set_xlabel("Round (tree)")
    axes.set_ylabel(f"{score_name[0].upper()}{score_name[1:]}, mean over the folds (lower is better)")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=3)
    return figure


def draw_candidates(summary: TrainingSummary) -> Figure | None:
    """Draw the candidates: scores on the folds, paired difference from the chosen one, and time.

    Args:
        summary: Summary of the training.

    Returns:
        The figure; None for a single candidate.
    """
    comparison = summary.comparison
    if len(comparison.candidates) < 2:
        return None
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    candidates = comparison.candidates[::-1]
    places = list(range(len(candidates)))
    colors = [SECOND if candidate.name == comparison.chosen else MAIN for candidate in candidates]
    figure = Figure(figsize=(11, 1.9 + 0.45 * len(candidates)), layout="constrained")
    figure.suptitle(f"Candidates: {comparison.chosen} is chosen", x=0.01, ha="left", fontsize=12, fontweight="bold")
    scores, differences, seconds = figure.subplots(1, 3, sharey=True, width_ratios=[4, 3, 3])
    for place, candidate, color in zip(places, candidates, colors, strict=True):
        _draw_candidate(scores, differences, place, candidate, color, candidate.name == comparison.chosen)
    score_name = SCORE_NAMES[comparison.metric]
    scores.set_xlabel(f"{score_name[0].upper()}{score_name[1:]}: folds (small) and their mean")
    scores.margins(x=0.12)
    differences.axvline(0, color=MUTED, linewidth=1, zorder=0)
    differences.set_xlabel(f"Mean difference from {comparison.chosen},\nwith 95 % interval; above 0 is worse")
    search = np.array([candidate.search_seconds for candidate in candidates])
    fit = np.array([candidate.fit_seconds for candidate in candidates])
    seconds.barh(places, search, color=MUTED, height=0.5, label="search")
    bars = seconds.barh(places, fit, left=search, color=MAIN, height=0.5, label="fits on all folds")
    seconds.bar_label(bars, [f"{value:.1f} s" for value in search + fit], padding=3, fontsize=8)
    seconds.margins(x=0.18)
    seconds.set_xlabel("Seconds")
    seconds.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, ncols=2)
    # The reason is wider than the panel of the scores.
    scores.set_title("\n".join(textwrap.wrap(comparison.reason, 100)), loc="left", fontsize=9)
    scores.set_yticks(places, [_spaced(candidate.name) for candidate in candidates])
    scores.set_ylim(-0.6, len(candidates) - 0.4)
    for axes in (scores, differences, seconds):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_candidate(
    scores: Axes, differences: Axes, place: int, candidate: Candidate, color: str, chosen: bool
) -> None:
    folds = np.array(candidate.fold_scores)
    scores.plot(folds, np.full(len(folds), place), "o", color=color, markersize=4, alpha=0.45)
    scores.plot(candidate.score, place, "D", color=color, markersize=8)
    scores.annotate(
        _write(candidate.score),
        (candidate.score, place),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
        fontsize=8,
    )
    if chosen:
        differences.plot(0, place, "D", color=color, markersize=8)
        return
    differences.errorbar(
        candidate.behind, place, xerr=candidate.noise, color=color, marker="D", markersize=7, linewidth=2, capsize=4
    )


def _learning(summary: TrainingSummary) -> Learning:
    return Learning(summary.task, summary.metric, n_classes=len(summary.recipe.configuration.declaration.classes))


def _calibrated(summary: TrainingSummary, candidate_comparison: CandidateComparison) -> np.ndarray:
    """Return the cross-calibrated out-of-fold predictions of the chosen map."""
    found = candidate_comparison.out_of_fold
    method = "none" if summary.calibration is None else summary.calibration.method
    _, calibrated = choose_calibration(
        found.target,
        found.prediction,
        found.fold,
        _learning(summary),
        CalibrationParameters(method=method),
        found.weight,
    )
    return calibrated


def _bin(
    target: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin customers into groups of equal size; return mean prediction, mean outcome and size of each."""
    if prediction.ndim == 2:
        observed, predicted = (prediction.argmax(axis=1) == target).astype(np.float64), prediction.max(axis=1)
    else:
        observed, predicted = (target == 1).astype(np.float64), prediction
    weight = np.ones(len(predicted)) if weight is None else weight
    bins = group_by_probability(predicted, _BINS)
    means = [[np.average(values[rows], weights=weight[rows]) for rows in bins] for values in (predicted, observed)]
    return np.array(means[0]), np.array(means[1]), np.array([len(rows) for rows in bins])


def draw_calibration(
    summary: TrainingSummary, candidate_comparison: CandidateComparison, calibrated: np.ndarray
) -> Figure:
    """Draw the reliability of the out-of-fold predictions before and after calibration.

    Args:
        summary: The chosen calibration.
        candidate_comparison: Uncalibrated out-of-fold predictions.
        calibrated: Calibrated out-of-fold predictions.

    Returns:
        The figure: observed against predicted, and their difference.

    Raises:
        ValueError: The task is regression.
    """
    if summary.calibration is None:
        raise ValueError("found task regression; calibration needs classes")
    from churn_kedro.reporting.figures.text_figure import PlainTextFigure as Figure

    found, calibration = candidate_comparison.out_of_fold, summary.calibration
    kept = calibration.method == "none"
    binary = summary.task == "binary"
    figure = Figure(figsize=(10.5, 4.9), layout="constrained")
    how = "scores are not changed" if kept else f"the map is {calibration.method}"
    title = f"Calibration of out-of-fold predictions: {how}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    reliability, gaps = figure.subplots(1, 2)
    reliability.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect")
    gaps.axhline(0, color=MUTED, linestyle="--", linewidth=1)
    before = (found.prediction, calibration.ece_before)
    series = (
        [("as they are", *before, MAIN)]
        if kept
        else [("before", *before, MUTED), ("after", calibrated, calibration.ece_after, MAIN)]
    )
    limits = []
    for name, prediction, error, color in series:
        predicted, observed, sizes = _bin(found.target, prediction, found.weight)
        label = f"{name}: mean distance (ECE) {100 * error:.2f} points"
        reliability.plot(predicted, observed, "o-", color=color, linewidth=2, label=label)
        gaps.plot(predicted, 100 * (observed - predicted), "o-", color=color, linewidth=2)
        limits += [predicted.min(), predicted.max(), observed.min(), observed.max()]
    # The last series is the calibrated one.
    chance = 196 * np.sqrt(predicted * (1 - predicted) / sizes)
    gaps.fill_between(predicted, -chance, chance, color=MUTED, alpha=0.2, linewidth=0)
    low, high = max(0.0, min(limits) - 0.03), min(1.0, max(limits) + 0.03)
    reliability.set_xlim(low, high)
    reliability.set_ylim(low, high)
    what = "probability of leaving" if binary else "probability of the most probable class"
    reliability.set_xlabel(f"Predicted {what}")
    reliability.set_ylabel("Share that left" if binary else "Share predicted correctly")
    reliability.legend(loc="upper left", frameon=False)
    reliability.set_title(f"{min(_BINS, len(found.target))} groups of equally many customers", loc="left", fontsize=10)
    gaps.set_xlim(low, high)
    gaps.set_xlabel(f"Predicted {what}")
    gaps.set_ylabel("Observed minus predicted, in points")
    gaps.set_title("As a difference; shaded: 95 % range of chance", loc="left", fontsize=10)
    for axes in (reliability, gaps):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_threshold(
    summary: TrainingSummary,
    choice: ThresholdChoice,
    candidate_comparison: CandidateComparison,
    calibrated: np.ndarray,
    development: Development | None = None,
) -> Figure | None:
    """Draw the choice of the decision threshold: profit over the customers contacted, or objective over thresholds.

    Args:
        summary: Summary of the training.
        choice: The chosen threshold.
        candidate_comparison: Targets of the out-of-fold predictions.
        calibrated: Calibrated out-of-fold probabilities of leaving.
        development: Development set; needed if a column gives the value of a customer.

    Returns:
        The figure; None with a single class, or if values of customers are missing.
    """
    target = candidate_comparison.out_of_fold.target
    if np.ptp(target) == 0:
        return None
    economics = summary.recipe.configuration.campaigns.economics
    if choice.objective != "profit" or economics is None:
        return _draw_objective(summary, choice, target, calibrated)
    if not isinstance(economics.value, ValueColumn):
        return _draw_profit(choice, economics, target, calibrated, np.full(len(target), float(economics.value)))
    if development is None:
        return None
    value = fit_contact_value(economics, development.customers)
    values = value.of(development.customers.iloc[candidate_comparison.out_of_fold.rows])
    return _draw_profit(choice, economics, target, calibrated, values)


def _draw_profit(
    choice: ThresholdChoice, economics: Economics, target: np.ndarray, calibrated: np.ndarray, values: np.ndarray
) -> Figure:
    curve = profit_curve(target, calibrated, values, economics)
    share, profit = curve.contacted_share, curve.profit
    drawn = _spread(0, len(share) - 1, _MOST_POINTS)
    figure, axes = new_figure("Expected profit by share of customers contacted", 7.4, 5.0)
    axes.axhline(0, color="black", linewidth=0.8, label="contact none: 0.00")
    axes.plot([0, share[-1]], [0, profit[-1]], color=MUTED, linestyle="--", linewidth=1.5, label="contact at random")
    axes.plot(share[drawn], profit[drawn], color=MAIN, linewidth=2, label="contact the most likely leavers first")
    axes.plot(share[-1], profit[-1], "s", color=MUTED, markersize=7, label=f"contact everybody: {profit[-1]:.2f}")
    if economics.capacity is not None:
        axes.axvline(economics.capacity, color=SECOND, linestyle=":", label=f"capacity {economics.capacity:.0%}")
    if economics.budget is not None and not curve.within_budget(economics).all():
        limit = share[curve.within_budget(economics)][-1]
        axes.axvline(limit, color=SECOND, linestyle="-.", label=f"budget {economics.budget:.2f} per customer")
    chosen = choice.profit_per_customer or 0.0
    axes.plot(
        choice.contacted_share,
        chosen,
        "o",
        color=SECOND,
        markersize=10,
        label=f"chosen: threshold {choice.threshold:.3f}, {choice.contacted_share:.1%} contacted, profit {chosen:.2f}",
    )
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("Share of the customers contacted")
    axes.set_ylabel("Expected profit, in money per customer")
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure


def _spread(first: int, last: int, most: int) -> np.ndarray:
    """Return integers from first to last, evenly spaced if there are too many."""
    return np.unique(np.linspace(first, last, min(most, last - first + 1)).astype(np.intp))


def _metrics_of(objective: str) -> dict[str, Callable[..., float]]:
    """Return titles and functions of the curves of an objective."""
    from sklearn import metrics

    if objective == "recall_at_precision":
        return {"recall": metrics.recall_score, "precision": metrics.precision_score}
    name = {"f1": "f1_score", "accuracy": "accuracy_score", "balanced_accuracy": "balanced_accuracy_score"}
    return {objective: getattr(metrics, name.get(objective, objective))}


def _draw_objective(
    summary: TrainingSummary, choice: ThresholdChoice, target: np.ndarray, calibrated: np.ndarray
) -> Figure:
    steps = threshold_steps(calibrated)
    # The first threshold flags no customer.
    shown = _spread(1, len(steps.flagged) - 1, _MOST_STEPS)
    shown = np.union1d(shown, max(1, int(np.abs(steps.thresholds - choice.threshold).argmin())))
    hits, flagged = steps.accumulate(target)[shown], steps.flagged[shown]
    left, total = int(target.sum()), len(target)
    tables = np.column_stack([hits, flagged - hits, left - hits, total - left - (flagged - hits)])
    figure, axes = new_figure(f"{_spaced(choice.objective)} by decision threshold".capitalize(), 7.0, 4.8)
    for color, (name, measure) in zip((MAIN, MUTED), _metrics_of(choice.objective).items(), strict=False):
        # Four weighted rows, one per cell of the confusion matrix, replace all customers.
        scores = [
            float(measure([1, 0, 1, 0], [1, 1, 0, 0], sample_weight=table.astype(np.float64))) for table in tables
        ]
        axes.plot(steps.thresholds[shown], scores, color=color, linewidth=2, label=_spaced(name))
    first = _spaced(next(iter(_metrics_of(choice.objective))))
    floor = summary.recipe.configuration.campaigns.min_precision
    if floor is not None:
        axes.axhline(floor, color=SECOND, linestyle=":", label=f"least precision {floor:.0%}")
    if choice.value is not None:
        axes.plot(
            choice.threshold,
            choice.value,
            "o",
            color=SECOND,
            markersize=10,
            label=f"chosen: threshold {choice.threshold:.3f}, {first} {choice.value:.3f}, "
            f"{choice.contacted_share:.1%} contacted",
        )
    axes.set_xlabel("Decision threshold on the probability of leaving")
    axes.set_ylabel(" and ".join(_spaced(name) for name in _metrics_of(choice.objective)).capitalize())
    axes.set_xlim(0, 1)
    figure.legend(loc="outside lower center", frameon=False, fontsize=9, ncols=2)
    return figure
