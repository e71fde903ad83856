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

from churn_kedro.explanations import explain, tree_importance
from churn_kedro.figures import (
    draw_beeswarm,
    draw_calibration_curve,
    draw_confusion_matrix,
    draw_importance,
    draw_precision_recall_curve,
    draw_roc_curve,
)
from churn_kedro.metrics import BootstrapParameters, Evaluation, measure_with_intervals
from churn_kedro.models import TrainedModel, churn_probability

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

RESAMPLING = BootstrapParameters(n_resamples=100, confidence=0.95, random_state=0)


def score(target: np.ndarray, probability: np.ndarray, threshold: float) -> tuple[pd.DataFrame, Evaluation]:
    scores = pd.DataFrame({"target": target, "probability": probability, "flagged": probability >= threshold})
    evaluation = Evaluation(
        model_name="churn",
        model_version=1,
        model_id="m",
        test_digest="d",
        test_rows=len(target),
        test_positives=int(target.sum()),
        threshold=threshold,
        bootstrap=RESAMPLING,
        metrics=measure_with_intervals(target, probability, threshold, RESAMPLING),
    )
    return scores, evaluation


@pytest.fixture(scope="module")
def scored(trained: TrainedModel, splits: Splits) -> tuple[pd.DataFrame, Evaluation]:
    return score(
        splits[2]["Left"].to_numpy(), churn_probability(trained.estimator, splits[2]), trained.estimator.threshold
    )


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=50)
    return file.getvalue()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure: Figure) -> list[str]:
    drawn = figure.axes[0].get_legend()
    assert drawn is not None
    return [text.get_text() for text in drawn.get_texts()]


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
    draw: Callable[[pd.DataFrame, Evaluation], Any],
    x_label: str,
    y_label: str,
    scored: tuple[pd.DataFrame, Evaluation],
) -> None:
    figure = draw(*scored)

    assert isinstance(figure, Figure)
    assert figure.axes[0].get_xlabel().startswith(x_label)
    assert figure.axes[0].get_ylabel().startswith(y_label)
    assert figure.axes[0].get_title(loc="left")
    assert png(figure).startswith(b"\x89PNG")


def test_figures_leave_pyplot_and_its_settings_alone(
    scored: tuple[pd.DataFrame, Evaluation], trained: TrainedModel, splits: Splits
) -> None:
    settings = dict(mpl.rcParams)

    figures = [draw(*scored) for draw in (draw_confusion_matrix, draw_roc_curve, draw_calibration_curve)]
    figures += [
        draw_beeswarm(explain(trained.estimator, splits[2])),
        draw_importance(tree_importance(trained.estimator)),
    ]

    assert len({id(figure) for figure in figures}) == 5
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def test_the_confusion_matrix_counts_customers_by_hand() -> None:
    # Stayed: 3, of whom 1 is contacted. Left: 2, both contacted.
    figure = draw_confusion_matrix(*score(np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.5, 0.9]), 0.5))

    assert texts(figure) == ["2\n66.7% of the row", "1\n33.3% of the row", "0\n0.0% of the row", "2\n100.0% of the row"]
    assert figure.axes[0].get_title(loc="left") == "Confusion matrix at threshold 0.500"


def test_the_threshold_is_marked_on_both_curves() -> None:
    scores = score(np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.4, 0.9]), 0.5)

    assert marker(draw_roc_curve(*scores)) == pytest.approx((1 / 3, 1 / 2))
    assert marker(draw_precision_recall_curve(*scores)) == pytest.approx((1 / 2, 1 / 2))


def test_a_threshold_that_nobody_reaches_has_no_precision_to_mark() -> None:
    figure = draw_precision_recall_curve(*score(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4]), 0.9))

    assert not any(line.get_marker() == "o" for line in figure.axes[0].lines)


def test_curves_carry_their_metric_with_its_interval(scored: tuple[pd.DataFrame, Evaluation]) -> None:
    metrics = scored[1].metrics
    for draw, name in (
        (draw_roc_curve, "roc_auc"),
        (draw_precision_recall_curve, "pr_auc"),
        (draw_calibration_curve, "brier"),
    ):
        shown = f"{metrics[name].value:.3f} ({metrics[name].low:.3f} to {metrics[name].high:.3f})"
        assert any(shown in label for label in legend(draw(*scored)))


def test_calibration_shows_tenths_of_the_customers_with_wilson_intervals(
    scored: tuple[pd.DataFrame, Evaluation],
) -> None:
    # The hundred test customers make ten tenths of ten.
    ranked = scored[0].sort_values("probability", kind="stable")
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


def test_importance_shows_the_largest_share_on_top() -> None:
    shares = pd.Series({"Age": 0.5, "Tier": 0.3, "City": 0.2})

    figure = draw_importance(shares)

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["City", "Tier", "Age"]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == [0.2, 0.3, 0.5]
    assert texts(figure) == ["20.0%", "30.0%", "50.0%"]
    assert axes.get_xlabel() == "Share of the loss removed by splits on the column"
    assert png(figure)


def test_importance_shows_twenty_columns_at_most() -> None:
    shares = pd.Series(np.linspace(0.09, 0.01, 25), index=[f"c{number}" for number in range(25)])

    axes = draw_importance(shares).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == [f"c{number}" for number in range(19, -1, -1)]


def test_the_beeswarm_shows_every_column_and_says_how_many_customers(trained: TrainedModel, splits: Splits) -> None:
    explanation = explain(trained.estimator, splits[2])

    figure = draw_beeswarm(explanation)

    axes = figure.axes[0]
    assert isinstance(figure, Figure)
    assert axes.get_title(loc="left") == "SHAP values of 100 customers"
    assert axes.get_xlabel() == "Contribution to the log-odds of leaving"
    assert {label.get_text() for label in axes.get_yticklabels()} == set(explanation.columns)
    assert png(figure)
