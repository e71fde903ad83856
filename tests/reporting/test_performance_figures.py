"""Claims about what the figures show."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters, Evaluation, measure_with_intervals
from churn_kedro.models.interface import (
    ScoredCustomers,
    TrainedModel,
    score_labelled,
)
from churn_kedro.reporting.figures.performance import (
    draw_calibration_curve,
    draw_confusion_matrix,
    draw_performance,
    draw_precision_recall_curve,
    draw_predicted_against_actual,
    draw_residual_distribution,
    draw_residuals_against_predicted,
    draw_roc_curve,
)
from churn_kedro.reporting.figures.style import new_figure
from tests.task_cases import CLASSES, task_case

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

Scored = tuple[ScoredCustomers, Evaluation]

RESAMPLING = BootstrapParameters(n_resamples=100, confidence=0.95, random_state=0)


def evaluate(scores: ScoredCustomers) -> Scored:
    evaluation = Evaluation(
        model_name="churn",
        model_version=1,
        model_id="m",
        test_digest="d",
        task=scores.task,
        test_rows=len(scores.target),
        test_classes={},
        threshold=scores.threshold,
        bootstrap=RESAMPLING,
        metrics=measure_with_intervals(scores, RESAMPLING),
    )
    return scores, evaluation


def score(target: np.ndarray, probability: np.ndarray, threshold: float) -> Scored:
    return evaluate(ScoredCustomers("binary", target, probability, threshold, ("0", "1")))


def score_case(task: Task) -> Scored:
    case = task_case(task)
    return evaluate(score_labelled(case.trained.estimator, case.test, case.declaration))


@pytest.fixture(scope="module")
def scored(trained: TrainedModel, splits: Splits) -> Scored:
    threshold = trained.estimator.threshold
    assert threshold is not None
    return score(splits[2]["Left"].to_numpy(), trained.estimator.scores(splits[2]), threshold)


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=50)
    return file.getvalue()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def marker(figure: Figure) -> tuple[float, float]:
    """The one dot that stands for the decision threshold."""
    lines = [np.asarray(line.get_xydata()) for line in figure.axes[0].lines if line.get_marker() == "o"]
    dots = [line for line in lines if line.shape == (1, 2)]
    assert len(dots) == 1
    return float(dots[0][0, 0]), float(dots[0][0, 1])


def error_bars(figure: Figure) -> ErrorbarContainer:
    container = figure.axes[0].containers[0]
    assert isinstance(container, ErrorbarContainer)
    return container


def calibration_points(figure: Figure) -> np.ndarray:
    line = error_bars(figure).lines[0]
    assert line is not None
    return np.asarray(line.get_xydata())


@pytest.mark.parametrize(
    ("draw", "x_label", "y_label"),
    [
        (draw_confusion_matrix, "Decision", "Customer"),
        (draw_roc_curve, "False positive rate", "True positive rate"),
        (draw_precision_recall_curve, "Recall", "Precision"),
        (draw_calibration_curve, "Predicted probability of leaving", "Share that left"),
    ],
)
def test_a_figure_of_the_scores_names_its_axes_and_can_be_saved(
    draw: Callable[[ScoredCustomers, Evaluation], Any],
    x_label: str,
    y_label: str,
    scored: Scored,
) -> None:
    figure = draw(*scored)

    assert isinstance(figure, Figure)
    assert figure.axes[0].get_xlabel().startswith(x_label)
    assert figure.axes[0].get_ylabel().startswith(y_label)
    assert figure.get_suptitle()
    assert png(figure).startswith(b"\x89PNG")


def test_figures_leave_pyplot_and_its_settings_alone(scored: Scored) -> None:
    settings = dict(mpl.rcParams)

    figures = [draw(*scored) for draw in (draw_confusion_matrix, draw_roc_curve, draw_calibration_curve)]

    assert len({id(figure) for figure in figures}) == 3
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def test_the_confusion_matrix_counts_customers_by_hand() -> None:
    # Stayed: 3, of whom 1 is contacted. Left: 2, both contacted.
    figure = draw_confusion_matrix(*score(np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.5, 0.9]), 0.5))

    assert texts(figure) == ["2\n66.7% of the row", "1\n33.3% of the row", "0\n0.0% of the row", "2\n100.0% of the row"]
    assert figure.get_suptitle() == "Confusion matrix at threshold 0.500"


def test_the_threshold_is_marked_on_both_curves() -> None:
    scores = score(np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.4, 0.9]), 0.5)

    assert marker(draw_roc_curve(*scores)) == pytest.approx((1 / 3, 1 / 2))
    assert marker(draw_precision_recall_curve(*scores)) == pytest.approx((1 / 2, 1 / 2))


def test_a_threshold_above_all_probabilities_has_no_precision_to_mark() -> None:
    figure = draw_precision_recall_curve(*score(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]), 0.9))

    assert not any(line.get_marker() == "o" for line in figure.axes[0].lines)


def test_curves_carry_their_metric_with_its_interval(scored: Scored) -> None:
    metrics = scored[1].metrics
    for draw, name in (
        (draw_roc_curve, "roc_auc"),
        (draw_precision_recall_curve, "pr_auc"),
        (draw_calibration_curve, "brier"),
    ):
        shown = f"{metrics[name].value:.3f} ({metrics[name].low:.3f} to {metrics[name].high:.3f})"
        assert any(shown in label for label in legend(draw(*scored)))


def test_calibration_shows_tenths_of_the_customers_with_wilson_intervals(
    scored: Scored,
) -> None:
    # The hundred test customers make ten tenths of ten.
    table = pd.DataFrame({"target": scored[0].target, "probability": scored[0].prediction})
    ranked = table.sort_values("probability", kind="stable")
    tenths = [ranked.iloc[start : start + 10] for start in range(0, 100, 10)]
    figure = draw_calibration_curve(*scored)
    points, bars = calibration_points(figure), error_bars(figure).lines[2]

    np.testing.assert_allclose(points[:, 0], np.array([tenth["probability"].mean() for tenth in tenths]))
    np.testing.assert_allclose(points[:, 1], np.array([tenth["target"].mean() for tenth in tenths]))
    for tenth, segment in zip(tenths, bars[0].get_segments(), strict=True):
        interval = binomtest(int(tenth["target"].sum()), len(tenth)).proportion_ci(0.95, method="wilson")
        np.testing.assert_allclose(segment[:, 1], [interval.low, interval.high], atol=1e-6)


def test_fewer_than_ten_customers_can_be_drawn_too() -> None:
    figure = draw_calibration_curve(*score(np.array([0, 1, 0]), np.array([0.1, 0.8, 0.3]), 0.5))

    np.testing.assert_allclose(calibration_points(figure), np.array([[0.1, 0], [0.3, 0], [0.8, 1]]))
    assert png(figure)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("binary", ["confusion_matrix", "roc_curve", "precision_recall_curve", "calibration_curve"]),
        ("multiclass", ["confusion_matrix", "roc_curve", "precision_recall_curve", "calibration_curve"]),
        ("regression", ["predicted_against_actual", "residuals_against_predicted", "residual_distribution"]),
    ],
)
def test_the_figures_follow_the_task(task: Task, names: list[str]) -> None:
    figures = draw_performance(*score_case(task))

    assert list(figures) == [f"{name}.png" for name in names]
    for figure in figures.values():
        assert figure.get_suptitle()
        assert figure.axes[0].get_xlabel()
        assert figure.axes[0].get_ylabel()
        assert png(figure).startswith(b"\x89PNG")


def three_classes() -> Scored:
    # Of three, one is taken for another; of two, both are right; of one, none is.
    probability = np.array(
        [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.5, 0.3, 0.2]]
    )
    return evaluate(ScoredCustomers("multiclass", np.array([0, 0, 0, 1, 1, 2]), probability, None, ("a", "b", "c")))


def test_the_confusion_matrix_of_several_classes_names_and_counts_them() -> None:
    figure = draw_confusion_matrix(*three_classes())

    axes = figure.axes[0]
    assert texts(figure) == [
        *("2\n66.7%", "1\n33.3%", "0\n0.0%"),
        *("0\n0.0%", "2\n100.0%", "0\n0.0%"),
        *("1\n100.0%", "0\n0.0%", "0\n0.0%"),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]


def many_classes(n_classes: int) -> Scored:
    random = np.random.default_rng(0)
    # Later classes are less frequent; the last one does not occur.
    shares = np.arange(n_classes, 0, -1.0)
    target = random.choice(n_classes - 1, 400, p=shares[:-1] / shares[:-1].sum())
    probability = random.dirichlet(shares, 400)
    labels = tuple(f"class {code}" for code in range(n_classes))
    return evaluate(ScoredCustomers("multiclass", target, probability, None, labels))


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [7, 12, 30])
def test_many_classes_can_be_drawn_the_most_frequent_ones_as_curves(n_classes: int) -> None:
    scores = many_classes(n_classes)
    figures = draw_performance(*scores)

    assert all(png(figure) for figure in figures.values())
    assert len(texts(figures["confusion_matrix.png"])) == (n_classes**2 if n_classes <= 16 else 0)
    drawn = [label.split(":")[0] for label in legend(figures["roc_curve.png"]) if label.startswith("class")]
    frequent = np.sort(np.argsort(-np.bincount(scores[0].target), kind="stable")[:8])
    assert drawn == [f"class {code}" for code in frequent]
    assert f"the {len(drawn)} most frequent classes" in figures["roc_curve.png"].get_suptitle().replace("\n", " ")


def test_each_class_has_a_curve_with_its_own_area_and_the_mean_comes_with_its_interval() -> None:
    scores, evaluation = score_case("multiclass")
    roc = legend(draw_roc_curve(scores, evaluation))
    figure = draw_precision_recall_curve(scores, evaluation)
    recall = [text.get_text() for text in figure.legends[0].get_texts()]

    for code, label in enumerate(CLASSES):
        member, probability = scores.target == code, scores.prediction[:, code]
        assert f"{label}: area {roc_auc_score(member, probability):.3f}" in roc
        average_precision = average_precision_score(member, probability)
        assert f"{label}: average precision {average_precision:.3f} (chance {member.mean():.3f})" in recall
    mean = evaluation.metrics["roc_auc"]
    assert roc[-1] == f"mean area {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"


def test_calibration_of_several_classes_is_that_of_the_predicted_one() -> None:
    scores, evaluation = score_case("multiclass")
    table = pd.DataFrame(
        {"right": scores.prediction.argmax(axis=1) == scores.target, "probability": scores.prediction.max(axis=1)}
    )
    # Ties are assigned to the bin of their middle.
    middle = table["probability"].rank(method="average") - 0.5
    tenths = [tenth for _, tenth in table.groupby((middle * 10 / 150).astype(int))]

    points = calibration_points(draw_calibration_curve(scores, evaluation))

    np.testing.assert_allclose(points[:, 0], np.array([tenth["probability"].mean() for tenth in tenths]))
    np.testing.assert_allclose(points[:, 1], np.array([tenth["right"].mean() for tenth in tenths]))


def test_a_number_is_drawn_against_its_prediction_and_residuals_by_tenths() -> None:
    scores, evaluation = score_case("regression")
    residual = scores.target - scores.prediction

    dots = draw_predicted_against_actual(scores, evaluation).axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(np.asarray(dots), np.column_stack([scores.prediction, scores.target]))

    axes = draw_residuals_against_predicted(scores, evaluation).axes[0]
    np.testing.assert_allclose(
        np.asarray(axes.collections[0].get_offsets()), np.column_stack([scores.prediction, residual])
    )
    ranked = residual[np.argsort(scores.prediction, kind="stable")]
    means = np.asarray(axes.lines[1].get_ydata())
    np.testing.assert_allclose(means, ranked.reshape(10, 15).mean(axis=1))

    figure = draw_residual_distribution(scores, evaluation)
    assert sum(bar.get_height() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)) == 150
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown[0] == f"mean {residual.mean():.4g}"
    assert shown[1].startswith(f"RMSE {evaluation.metrics['rmse'].value:.4g} (")


def test_a_dollar_sign_in_a_name_is_no_formula() -> None:
    figure, axes = new_figure("income $_a_$ and $x^2$")
    axes.barh([0, 1], [1, 2], label="$80K_$")
    axes.set_yticks([0, 1], ["$60K ^ $80K", "$_$"])
    figure.legend()

    figure.savefig(io.BytesIO(), format="png", dpi=40)

    assert not any(text.get_parse_math() for text in [*axes.get_yticklabels(), axes.title])
