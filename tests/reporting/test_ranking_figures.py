"""Claims about the figures of an evaluation: what they show, and that it can be read."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from churn_kedro.campaigns.backtest import CampaignReport, measure_campaign
from churn_kedro.campaigns.economics import fit_contact_value
from churn_kedro.campaigns.parameters import Economics
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.display_names import DisplayNames
from churn_kedro.evaluation.fairness import FairnessReport, measure_fairness
from churn_kedro.evaluation.metrics.estimates import (
    BootstrapParameters,
    Evaluation,
    measure_with_intervals,
    metrics_over_thresholds,
)
from churn_kedro.evaluation.slices import SliceParameters, SliceReport, measure_slices
from churn_kedro.models.interface import ScoredCustomers
from churn_kedro.reporting.figures.ranking import (
    draw_fairness,
    draw_gain_curve,
    draw_ks_curve,
    draw_metrics_over_thresholds,
    draw_profit_over_share,
    draw_profit_over_threshold,
    draw_sensitivity,
    draw_slices,
)

RESAMPLING = BootstrapParameters(n_resamples=100, confidence=0.95, random_state=4)
LONG = "A very long name of a column that the marketing department likes"


@cache
def case() -> tuple[ScoredCustomers, pd.DataFrame, CustomerDeclaration]:
    """Customers whose model fails in one town, with a protected column."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "age": random.integers(18, 80, 3000).astype(float),
            LONG: random.choice([f"{LONG} {number}" for number in range(12)], 3000),
            "town": random.choice(["Nice", "Lyon", "Paris"], 3000),
        }
    ).astype({LONG: "str", "town": "str"})
    probability = 1 / (1 + np.exp(1.2 - 1.5 * random.normal(size=3000)))
    true = probability.copy()
    nice = (table["town"] == "Nice").to_numpy()
    true[nice] = random.permutation(true[nice])
    table["left"] = (random.random(3000) < true).astype(int)
    columns: list[dict[str, Any]] = [
        {"name": "age", "kind": "numeric", "protected": True},
        {"name": LONG, "kind": "categorical", "segment": True},
        {"name": "town", "kind": "categorical", "protected": True},
        {"name": "left", "role": "target"},
    ]
    declaration = CustomerDeclaration.model_validate(
        {
            "description": "Test",
            "task": "binary",
            "labels": {"negative": 0, "positive": 1},
            "columns": [{"description": "x", **column} for column in columns],
        }
    )
    return ScoredCustomers("binary", table["left"].to_numpy(), probability, 0.3, ("0", "1")), table, declaration


@cache
def evaluation() -> Evaluation:
    scores, _, _ = case()
    return Evaluation(
        model_name="m",
        model_version=1,
        model_id="i",
        test_digest="d",
        task="binary",
        test_rows=3000,
        test_classes={"0": 1, "1": 1},
        threshold=0.3,
        bootstrap=RESAMPLING,
        metrics=measure_with_intervals(scores, RESAMPLING),
    )


@cache
def slices() -> SliceReport:
    return measure_slices(*case(), SliceParameters(n_resamples=100, max_found=20))


@cache
def fairness() -> FairnessReport:
    report = measure_fairness(*case())
    assert report is not None
    return report


def campaign(**changes: Any) -> CampaignReport:
    scores, table, declaration = case()
    numbers: dict[str, Any] = {"contact_cost": 2, "offer_cost": 20, "save_probability": 0.5, "value": 420}
    economics = Economics(**(numbers | changes))
    value = fit_contact_value(economics, table)
    return measure_campaign(scores, table, table, declaration, value, economics, RESAMPLING)


def words(figure: Any) -> str:
    """All that is written in a figure."""
    renderer_target: Any = FigureCanvasAgg(figure)
    renderer_target.draw()
    return "\n".join(str(text.get_text()) for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """Labels of an axis that run into one another."""
    renderer_target: Any = FigureCanvasAgg(figure)
    renderer_target.draw()
    renderer = renderer_target.get_renderer()
    found = []
    for axes in figure.axes:
        labels = [label for label in axes.get_yticklabels() if label.get_text() and label.get_visible()]
        boxes = [(label.get_text(), label.get_window_extent(renderer)) for label in labels]
        found += [(one, other) for (one, a), (other, b) in pairwise(boxes) if a.overlaps(b)]
    return found


def test_the_gain_curve_starts_at_nothing_ends_at_all_and_shows_the_lift() -> None:
    figure: Any = draw_gain_curve(case()[0], evaluation())

    model = next(line for line in figure.axes[0].lines if line.get_label() == "model")
    assert model.get_xydata()[[0, -1]].tolist() == [[0, 0], [1, 1]]
    lift = evaluation().metrics["lift_10"]
    assert f"lift {lift.value:.2f} ({lift.low:.2f} to {lift.high:.2f})" in words(figure)


def test_the_largest_distance_is_the_statistic() -> None:
    figure: Any = draw_ks_curve(case()[0], evaluation())

    left, stayed = (line.get_ydata() for line in figure.axes[0].lines[:2])
    assert np.abs(left - stayed).max() == pytest.approx(evaluation().metrics["ks"].value)


@pytest.mark.slow
def test_the_decision_threshold_is_marked_among_the_metrics() -> None:
    scores, _, _ = case()

    figures = draw_metrics_over_thresholds(metrics_over_thresholds(scores, RESAMPLING), 0.3)

    assert list(figures) == ["metrics_over_thresholds.png", "quality_over_thresholds.png"]
    for figure in figures.values():
        assert "threshold 0.300" in words(figure)
        assert overlapping(figure) == []


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"capacity": 0.2}, {"contact_cost": 0, "budget": 3}])
def test_the_profit_of_the_model_is_at_its_threshold(changes: dict[str, Any]) -> None:
    report = campaign(**changes)

    figures: list[tuple[Any, float]] = [
        (draw_profit_over_threshold(report), report.chosen.threshold),
        (draw_profit_over_share(report), report.chosen.contacted_share),
    ]
    for figure, place in figures:
        chosen = figure.axes[0].containers[0].lines[0]
        assert chosen.get_xydata()[0].tolist() == [place, report.chosen.profit_per_customer.value]
        assert f"model: {report.chosen.profit_per_customer.value:,.2f}" in words(figure)
    assert ("capacity" in words(draw_profit_over_share(report))) == ("capacity" in changes)


def test_the_number_that_matters_most_is_on_top() -> None:
    figure: Any = draw_sensitivity(campaign())

    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert set(labels[:2]) == {"Value of a customer", "Probability of saving"}
    assert labels[-1] == "Cost of a contact"
    assert overlapping(figure) == []


@pytest.mark.slow
def test_groups_that_are_worse_stand_out_on_top() -> None:
    report = slices()

    figures = draw_slices(report)

    assert list(figures) == ["slices.png", "slices_calibration.png"]
    labels = [text.get_text().replace("\n", " ") for text in figures["slices.png"].axes[0].get_yticklabels()]
    assert report.slices[0].worse
    worst = " and ".join(f"{one.column}: {one.text}" for one in report.slices[0].conditions)
    assert labels[0] == f"{worst} ({report.slices[0].rows:,})"
    assert len(labels) <= 25
    assert [overlapping(figure) for figure in figures.values()] == [[], []]


def test_reports_without_groups_have_no_figure() -> None:
    empty = slices().model_copy(update={"slices": [], "whole": None})

    assert draw_slices(empty) == {}


@pytest.mark.slow
def test_protected_groups_have_a_row_each_under_their_column() -> None:
    names = DisplayNames({"town": "Town of residence"}, {"town": {"Nice": "Nice, Alpes-Maritimes"}})

    figures = draw_fairness(fairness(), names)

    assert list(figures) == ["fairness_1.png", "fairness_2.png"]
    assert figures["fairness_1.png"].get_suptitle() == "age: share that is contacted"
    assert figures["fairness_2.png"].get_suptitle() == "Town of residence: share that is contacted"
    labels = [text.get_text().replace("\n", " ") for text in figures["fairness_2.png"].axes[0].get_yticklabels()]
    nice = next(group for group in fairness().columns[1].groups if group.group == "Nice")
    assert f"Nice, Alpes-Maritimes ({nice.rows:,})" in labels
    assert [overlapping(figure) for figure in figures.values()] == [[], []]


@pytest.mark.slow
def test_long_names_of_protected_groups_do_not_push_the_panels_into_one_another() -> None:
    columns = [
        column.model_copy(
            update={"column": LONG, "groups": [group.model_copy(update={"group": LONG}) for group in column.groups]}
        )
        for column in fairness().columns
    ]

    figures = draw_fairness(fairness().model_copy(update={"columns": columns}))
    assert [overlapping(figure) for figure in figures.values()] == [[], []]
