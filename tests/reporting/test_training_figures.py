"""Claims about the figures of a training: they show what its reports say, and nothing where there is nothing to say."""

import io
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

from churn_kedro.campaigns.economics import fit_contact_value, profit_curve
from churn_kedro.campaigns.parameters import Economics
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.probability_bins import bin_probabilities
from churn_kedro.reporting.figures.training import draw_training
from churn_kedro.training.calibration import expected_calibration_error
from churn_kedro.training.candidates import CandidateComparison
from churn_kedro.training.folds import Development
from churn_kedro.training.recipe import Training, TrainingSummary, fit_model
from churn_kedro.training.search import SearchResult, Trial
from tests.task_cases import compare_given, task_case

SPACES: dict[str, Any] = {
    "xgboost": {
        "max_depth": {"low": 2, "high": 6, "integer": True},
        "learning_rate": {"low": 0.01, "high": 1.0, "log": True},
        "grow_policy": {"choices": ["depthwise", "lossguide"]},
        "subsample": 1.0,
    },
    "logistic_regression": {"C": {"low": 0.01, "high": 10, "log": True}},
    "ridge": {"alpha": {"low": 0.01, "high": 10, "log": True}},
}
ECONOMICS = {"contact_cost": 1, "offer_cost": 10, "save_probability": 0.4, "value": 100}
PROFIT = {"objective": "profit", "economics": ECONOMICS}


@dataclass(frozen=True)
class Trained:
    """Everything that the figures are drawn from."""

    search: SearchResult
    summary: TrainingSummary
    candidate_comparison: CandidateComparison
    development: Development

    def draw(self, **changed: Any) -> dict[str, Figure]:
        return draw_training(
            changed.get("search", self.search),
            changed.get("summary", self.summary),
            self.candidate_comparison,
            changed.get("development", self.development),
        )


def trial(number: int, score: float | None, depth: int, rate: float, **fields: Any) -> Trial:
    folds = [] if score is None else [score - 0.02, score + 0.02]
    policy = "lossguide" if number % 2 else "depthwise"
    hyperparameters = {"max_depth": depth, "learning_rate": rate, "grow_policy": policy, "subsample": 1.0}
    return Trial(
        **{"number": number, "score": score, "fold_scores": folds, "hyperparameters": hyperparameters} | fields
    )


TRIALS = [
    trial(0, 0.50, 3, 0.3, n_estimators=12),
    trial(1, 0.45, 4, 0.1),
    trial(2, None, 6, 0.9, state="pruned"),
    trial(3, 0.48, 2, 0.2),
    # The first fold is the easier one: the trial was on its way to 0.52.
    trial(4, None, 5, 0.5, state="pruned", fold_scores=[0.50]),
    trial(5, 0.47, 5, 0.05),
    trial(6, None, 5, 0.7, state="failed", error="ValueError: no"),
]


def train(task: Task, **changed: Any) -> Trained:
    case = task_case(task)
    compared = compare_given(
        case.train, case.validation, case.manifest, case.declaration, spaces=SPACES, **({"calibration": {}} | changed)
    )
    training: Training = fit_model(
        compared.development,
        compared.candidate_comparison,
        compared.search,
        compared.problem,
        compared.configuration,
    )
    searches = [
        found.model_copy(update={"trials": TRIALS, "best": TRIALS[1]}) if found.algorithm == "xgboost" else found
        for found in compared.search.searches
    ]
    search = compared.search.model_copy(update={"searches": searches})
    return Trained(search, training.summary, compared.candidate_comparison, compared.development)


@cache
def trained(task: Task) -> Trained:
    return train(task, **({"campaigns": PROFIT} if task == "binary" else {}))


@cache
def competition() -> Trained:
    return train("binary", algorithms=["logistic_regression", "xgboost"], ensembles=["soft_vote", "stack"])


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def points(axes: Axes, label: str) -> np.ndarray:
    """Coordinates of the one line whose label begins so."""
    (line,) = [line for line in axes.lines if str(line.get_label()).startswith(label)]
    return np.asarray(line.get_xydata(), dtype=np.float64)


OF_EVERY_TASK = [
    "search_history.png",
    "hyperparameter_importance.png",
    "hyperparameter_slices.png",
    "parallel_coordinates.png",
    "learning_curves.png",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "further"),
    [
        ("binary", ["calibration_before_after.png", "threshold_objective.png"]),
        ("multiclass", ["calibration_before_after.png"]),
        ("regression", []),
    ],
)
def test_the_figures_follow_the_task(task: Task, further: list[str]) -> None:
    figures = trained(task).draw()

    assert list(figures) == OF_EVERY_TASK + further
    for figure in figures.values():
        assert isinstance(figure, Figure)
        assert png(figure).startswith(b"\x89PNG")


@pytest.mark.slow
def test_figures_leave_pyplot_and_its_settings_alone() -> None:
    settings = dict(mpl.rcParams)

    first, second = trained("binary").draw(), trained("binary").draw()

    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings
    assert {name: png(figure) for name, figure in first.items()} == {
        name: png(figure) for name, figure in second.items()
    }


@pytest.mark.slow
def test_the_module_is_imported_without_matplotlib_and_optuna() -> None:
    code = (
        "import churn_kedro.reporting.figures.training, sys; "
        "print([m for m in ('matplotlib', 'optuna') if m in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_figures_that_would_say_nothing_are_left_out() -> None:
    one = trained("regression")
    (found,) = one.search.searches
    short = one.search.model_copy(
        update={"searches": [found.model_copy(update={"trials": TRIALS[:1], "best": TRIALS[0]})]}
    )
    summary = one.summary.model_copy(update={"learning_curves": {}})

    assert list(one.draw(search=short, summary=summary)) == ["search_history.png"]


def test_few_trials_have_slices_but_no_importance() -> None:
    one = trained("regression")
    (found,) = one.search.searches
    short = one.search.model_copy(update={"searches": [found.model_copy(update={"trials": TRIALS[:4]})]})

    drawn = one.draw(search=short)

    assert "hyperparameter_slices.png" in drawn
    assert "hyperparameter_importance.png" not in drawn


def test_the_history_shows_every_trial_once() -> None:
    axes = trained("binary").draw()["search_history.png"].axes[0]

    np.testing.assert_allclose(points(axes, "finished"), [(1, 0.50), (2, 0.45), (4, 0.48), (6, 0.47)])
    np.testing.assert_allclose(points(axes, "best so far")[:, 1], [0.50, 0.45, 0.45, 0.45, 0.45])
    assert points(axes, "pruned in the first fold")[:, 0].tolist() == [3]
    assert points(axes, "failed")[:, 0].tolist() == [7]
    assert axes.get_title(loc="left") == "xgboost: 7 trials, 2 pruned, 1 failed; best 0.4500"


def test_the_score_of_a_pruned_trial_is_extrapolated_from_its_folds() -> None:
    axes = trained("binary").draw()["search_history.png"].axes[0]

    # Finished trials have 0.455 on the first fold and 0.475 on both, on average.
    np.testing.assert_allclose(points(axes, "pruned: estimated"), [(5, 0.475 + 0.50 - 0.455)])


@pytest.mark.slow
def test_each_algorithm_has_a_history_of_its_own() -> None:
    figure = competition().draw()["search_history.png"]

    titles = [axes.get_title(loc="left").split(":")[0] for axes in figure.axes]
    assert titles == ["logistic_regression", "xgboost"]
    assert len(set(legend(figure))) == len(legend(figure))


@pytest.mark.slow
def test_importance_is_the_same_each_time_and_adds_up() -> None:
    axes = trained("multiclass").draw()["hyperparameter_importance.png"].axes[0]
    again = trained("multiclass").draw()["hyperparameter_importance.png"].axes[0]

    widths = [[bar.get_width() for bar in one.containers[0]] for one in (axes, again) if one.containers]
    assert widths[0] == widths[1]
    assert sum(widths[0]) == pytest.approx(1)
    names = {label.get_text() for label in axes.get_yticklabels()}
    assert names == {"max_depth", "learning_rate", "grow_policy"}
    assert "4 finished trials" in axes.get_xlabel()


def test_slices_show_scores_by_value_on_the_scale_of_the_space() -> None:
    panels = {axes.get_xlabel(): axes for axes in trained("binary").draw()["hyperparameter_slices.png"].axes}

    # What was the same for all trials is not drawn.
    assert set(panels) == {"max_depth", "learning_rate", "grow_policy"}
    assert panels["learning_rate"].get_xscale() == "log"
    assert panels["max_depth"].get_xscale() == "linear"
    np.testing.assert_allclose(
        points(panels["learning_rate"], "finished"), [(0.3, 0.50), (0.1, 0.45), (0.2, 0.48), (0.05, 0.47)]
    )
    np.testing.assert_allclose(points(panels["max_depth"], "the best"), [(4, 0.45)])
    assert points(panels["max_depth"], "pruned")[:, 0].tolist() == [6, 5]
    labels = [label.get_text() for label in panels["grow_policy"].get_xticklabels()]
    assert labels == ["depthwise", "lossguide"]


def test_parallel_coordinates_run_from_the_ends_of_the_space_to_the_score() -> None:
    axes = trained("binary").draw()["parallel_coordinates.png"].axes[0]

    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["max_depth", "learning_rate", "grow_policy", "log loss"]
    # Depth 4 of 2 to 6, rate 0.1 in the middle of 0.01 to 1, the second policy, the lowest score.
    np.testing.assert_allclose(points(axes, "best: 0.4500")[:, 1], [0.5, 0.5, 1, 0], atol=1e-9)


@pytest.mark.slow
def test_learning_curves_are_those_of_the_summary_with_the_rounds_kept() -> None:
    one = trained("regression")
    axes = one.draw()["learning_curves.png"].axes[0]

    for name, label in (("train", "training rows"), ("validation", "validation rows")):
        curve = one.summary.learning_curves[name]
        np.testing.assert_allclose(points(axes, label), list(enumerate(curve, start=1)))
    kept = one.summary.comparison.candidates[0].n_estimators
    assert kept == 12
    assert points(axes, "12 rounds kept")[:, 0].tolist() == [12, 12]


@pytest.mark.slow
def test_the_curves_are_those_of_the_algorithm_that_has_some() -> None:
    figure = competition().draw()["learning_curves.png"]

    assert figure.get_suptitle() == "Learning curves of xgboost"


@pytest.mark.slow
def test_candidates_are_compared_as_the_report_compares_them() -> None:
    one = competition()
    comparison = one.summary.comparison
    scores, differences, seconds = one.draw()["candidate_comparison.png"].axes

    names = [candidate.name.replace("_", " ") for candidate in comparison.candidates]
    assert [label.get_text() for label in scores.get_yticklabels()] == names[::-1]
    drawn = [np.asarray(line.get_xydata()) for line in scores.lines]
    for place, candidate in enumerate(reversed(comparison.candidates)):
        np.testing.assert_allclose(drawn[2 * place][:, 0], candidate.fold_scores)
        np.testing.assert_allclose(drawn[2 * place + 1], [(candidate.score, place)])
    others = [candidate for candidate in reversed(comparison.candidates) if candidate.name != comparison.chosen]
    for container, candidate in zip(differences.containers, others, strict=True):
        low, high = container.lines[2][0].get_segments()[0][:, 0]  # type: ignore[attr-defined]
        assert (low, high) == pytest.approx((candidate.behind - candidate.noise, candidate.behind + candidate.noise))
    bars = [container for container in seconds.containers if isinstance(container, BarContainer)]
    ends = [bar.get_x() + bar.get_width() for bar in bars[1]]
    expected = [candidate.search_seconds + candidate.fit_seconds for candidate in reversed(comparison.candidates)]
    assert ends == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_calibration_is_drawn_before_and_after_with_the_errors_of_the_report(task: Task) -> None:
    one = train(task, calibration={"method": "sigmoid"})
    figure = one.draw()["calibration_before_after.png"]
    calibration, found = one.summary.calibration, one.candidate_comparison.out_of_fold
    assert calibration is not None

    before = points(figure.axes[0], f"before: mean distance (ECE) {100 * calibration.ece_before:.2f} points")
    after = points(figure.axes[0], f"after: mean distance (ECE) {100 * calibration.ece_after:.2f} points")

    # The mean of the bins' distances, each counted by its customers, is the error.
    said = found.prediction if found.prediction.ndim == 1 else found.prediction.max(axis=1)
    sizes = np.bincount(bin_probabilities(said, 10))
    sizes = sizes[sizes > 0]
    distances = np.abs(before[:, 0] - before[:, 1])
    assert np.average(distances, weights=sizes) == pytest.approx(calibration.ece_before)
    assert calibration.ece_before == pytest.approx(expected_calibration_error(found.target, found.prediction))
    gaps = np.asarray(figure.axes[1].lines[-1].get_ydata())
    np.testing.assert_allclose(gaps, 100 * (after[:, 1] - after[:, 0]))


@pytest.mark.slow
def test_scores_that_are_kept_as_they_are_are_drawn_once() -> None:
    figure = train("binary", calibration={"method": "none"}).draw()["calibration_before_after.png"]

    drawn = figure.axes[0].get_legend()
    assert drawn is not None
    labels = [text.get_text().split(":")[0] for text in drawn.get_texts()]
    assert labels == ["perfect", "as they are"]


@pytest.mark.slow
def test_profit_is_drawn_over_the_customers_contacted_with_the_choice_of_the_report() -> None:
    one = train("binary", campaigns=PROFIT, calibration={"method": "none"})
    axes = one.draw()["threshold_objective.png"].axes[0]
    choice, found = one.summary.threshold, one.candidate_comparison.out_of_fold
    assert choice is not None
    assert choice.profit_per_customer is not None

    curve = profit_curve(found.target, found.prediction, np.full(len(found.target), 100.0), Economics(**ECONOMICS))
    np.testing.assert_allclose(
        points(axes, "contact the most likely"), np.column_stack([curve.contacted_share, curve.profit])
    )
    np.testing.assert_allclose(points(axes, "chosen"), [(choice.contacted_share, choice.profit_per_customer)])
    np.testing.assert_allclose(points(axes, "contact at random"), [(0, 0), (1, curve.profit[-1])])
    np.testing.assert_allclose(points(axes, "contact everybody"), [(1, curve.profit[-1])])
    assert points(axes, "contact none")[:, 1].tolist() == [0, 0]


@pytest.mark.slow
def test_limits_of_the_campaign_are_drawn() -> None:
    limited = {"objective": "profit", "economics": ECONOMICS | {"capacity": 0.2, "budget": 1.0}}
    one = train("binary", campaigns=limited, calibration={"method": "none"})
    axes = one.draw()["threshold_objective.png"].axes[0]
    choice = one.summary.threshold
    assert choice is not None

    assert points(axes, "capacity 20%")[:, 0].tolist() == [0.2, 0.2]
    budget = points(axes, "budget 1.00 per customer")[0, 0]
    assert choice.contacted_share <= budget
    assert choice.contacted_share <= 0.2


@pytest.mark.slow
def test_the_value_of_customers_is_that_of_their_column() -> None:
    economics = ECONOMICS | {"value": {"column": "Age", "factor": 2.0}}
    one = train("binary", campaigns={"objective": "profit", "economics": economics}, calibration={"method": "none"})
    choice, found = one.summary.threshold, one.candidate_comparison.out_of_fold
    assert choice is not None

    axes = one.draw()["threshold_objective.png"].axes[0]

    value = fit_contact_value(Economics.model_validate(economics), one.development.customers)
    values = value.of(one.development.customers.iloc[found.rows])
    curve = profit_curve(found.target, found.prediction, values, Economics.model_validate(economics))
    np.testing.assert_allclose(points(axes, "contact the most likely")[:, 1], curve.profit)
    assert points(axes, "chosen")[0, 1] == pytest.approx(choice.profit_per_customer)
    assert "threshold_objective.png" not in one.draw(development=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "score"),
    [("f1", f1_score), ("balanced_accuracy", balanced_accuracy_score), ("matthews_corrcoef", matthews_corrcoef)],
)
def test_another_objective_is_drawn_over_thresholds(objective: str, score: Any) -> None:
    one = train("binary", campaigns={"objective": objective}, calibration={"method": "none"})
    choice, found = one.summary.threshold, one.candidate_comparison.out_of_fold
    assert choice is not None
    assert choice.value is not None

    axes = one.draw()["threshold_objective.png"].axes[0]

    drawn = points(axes, objective.replace("_", " "))
    np.testing.assert_allclose(points(axes, "chosen"), [(choice.threshold, choice.value)])
    assert choice.value == pytest.approx(drawn[:, 1].max())
    for threshold, value in drawn[::10]:
        assert value == pytest.approx(score(found.target, found.prediction >= threshold))


@pytest.mark.slow
def test_recall_is_drawn_with_the_required_precision() -> None:
    one = train("binary", campaigns={"objective": "recall_at_precision", "min_precision": 0.6})

    axes = one.draw()["threshold_objective.png"].axes[0]

    assert points(axes, "least precision 60%")[:, 1].tolist() == [0.6, 0.6]
    assert len(points(axes, "precision")) == len(points(axes, "recall"))


@pytest.mark.slow
def test_one_class_alone_has_no_threshold_to_draw() -> None:
    one = trained("binary")
    found = replace(
        one.candidate_comparison.out_of_fold,
        target=np.zeros(len(one.candidate_comparison.out_of_fold.target), dtype=np.int64),
    )

    drawn = draw_training(
        one.search, one.summary, replace(one.candidate_comparison, out_of_fold=found), one.development
    )

    assert "threshold_objective.png" not in drawn
