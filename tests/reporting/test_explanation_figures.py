"""Claims about what the figures that explain a model show."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from churn_kedro.customers.display_names import DisplayNames
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.explanations import (
    AxisKind,
    ExplainedCustomers,
    Explanation,
    ExplanationParameters,
    PartialDependence,
    Partner,
    PermutationImportance,
    ShownCustomer,
    explain,
    explain_classes,
    explain_customers,
    explain_shown,
    partial_dependence,
)
from churn_kedro.models.interface import TrainedModel, score_labelled
from churn_kedro.reporting.figures.explanations import (
    draw_beeswarm,
    draw_class_contributions,
    draw_contributions,
    draw_dependence,
    draw_importance,
    draw_partial_dependence,
    draw_permutation_importance,
    draw_shap_bars,
    draw_shap_summary,
    draw_waterfalls,
)
from tests.task_cases import CLASSES, TaskCase, task_case, train_given
from tests.treatment_cases import treatment_case

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=50)
    return file.getvalue()


def title(figure: Figure) -> str:
    return str(figure.get_suptitle()).replace("\n", " ")


def label(figure: Figure) -> str:
    return str(figure.axes[0].get_xlabel()).replace("\n", " ")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_importance_shows_the_largest_share_on_top() -> None:
    shares = pd.Series({"Age": 0.5, "Tier": 0.3, "City": 0.2})

    figure = draw_importance(shares)

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Age", "Tier", "City"]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == [0.5, 0.3, 0.2]
    assert texts(figure) == ["50.0%", "30.0%", "20.0%"]
    assert label(figure) == "Share of the loss removed by splits on the column"
    assert png(figure)


def test_importance_names_its_basis() -> None:
    figure = draw_importance(pd.Series({"Age": 0.7, "City": 0.3}), "shuffling")

    assert title(figure) == "Permutation importance of features"
    assert label(figure) == "Share of the loss added when the column is shuffled"


def test_importance_shows_twenty_columns_at_most() -> None:
    shares = pd.Series(np.linspace(0.09, 0.01, 25), index=[f"c{number}" for number in range(25)])

    axes = draw_importance(shares).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == [f"c{number}" for number in range(20)]


def test_the_beeswarm_shows_every_column_and_the_number_of_customers(trained: TrainedModel, splits: Splits) -> None:
    explanation = explain(trained.estimator, splits[2])

    figure = draw_beeswarm(explanation)

    axes = figure.axes[0]
    assert isinstance(figure, Figure)
    assert title(figure) == "SHAP values of 100 customers"
    assert label(figure) == "Contribution to the log-odds of leaving"
    assert {label.get_text() for label in axes.get_yticklabels()} == set(explanation.columns)
    assert png(figure)


def test_contributions_to_classes_are_stacked_means_strongest_column_on_top() -> None:
    case = task_case("multiclass")
    explanations = explain_classes(case.trained.estimator, case.test, CLASSES)

    figure = draw_class_contributions(explanations)

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Age", "Country", "Visits"]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = [np.abs(one.values[:, column]).mean() for one in explanations for column in (2, 1, 0)]
    assert [explanations[0].columns[column] for column in (0, 1, 2)] == ["Age", "Visits", "Country"]
    assert sorted(widths) == pytest.approx(sorted(expected))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"logit of {label}" for label in CLASSES]
    assert png(figure)


def test_a_beeswarm_names_the_explained_output() -> None:
    case = task_case("regression")

    figure = draw_beeswarm(explain(case.trained.estimator, case.test, "the predicted Outcome"))

    assert label(figure) == "Contribution to the predicted Outcome"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "algorithm", "expected"),
    [
        ("binary", "random_forest", "SHAP values of 100 customers, estimated"),
        ("multiclass", "lightgbm", "Mean absolute SHAP value, 100 customers, estimated"),
        ("regression", "ridge", "SHAP values of 100 customers, estimated"),
        ("binary", "xgboost", "SHAP values of 150 customers"),
    ],
)
def test_contributions_are_drawn_for_any_algorithm_and_say_where_they_are_estimates(
    task: Task, algorithm: str, expected: str
) -> None:
    case = task_case(task)
    trained = train_given(case.train, case.validation, case.manifest, case.declaration, algorithms=[algorithm])

    figure = draw_contributions(trained.model.estimator, case.test, case.declaration)

    axes = figure.axes[0]
    assert title(figure) == expected
    assert {label.get_text() for label in axes.get_yticklabels()} == {"Age", "Country", "Visits"}
    assert png(figure)


@pytest.mark.slow
def test_a_class_of_an_estimated_explanation_contributes_in_probability() -> None:
    case = task_case("multiclass")
    algorithms = ["logistic_regression"]
    trained = train_given(case.train, case.validation, case.manifest, case.declaration, algorithms=algorithms)

    figure = draw_contributions(trained.model.estimator, case.test, case.declaration)

    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == [f"probability of {label}" for label in CLASSES]


SMALL_SAMPLES = ExplanationParameters(max_explained=60, max_permuted=100, n_repeats=3, max_grid_customers=30)


def explained_case(task: Task) -> tuple[TaskCase, ExplainedCustomers]:
    case = task_case(task)
    return case, explain_customers(case.trained.estimator, case.test, case.declaration, SMALL_SAMPLES)


def test_bars_are_mean_absolute_values_and_say_of_how_many_customers() -> None:
    _, explained = explained_case("binary")

    figure = draw_shap_bars(explained)

    axes = figure.axes[0]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = np.abs(explained.outputs[0].values).mean(axis=0)
    np.testing.assert_allclose(sorted(widths), sorted(expected))
    assert axes.get_yticklabels()[0].get_text() == "Age"
    assert title(figure) == "Mean absolute SHAP value, 60 of 150 customers"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_dependence_shows_every_customer_against_the_raw_cell(task: Task) -> None:
    case, explained = explained_case(task)
    partners = {"Age": Partner("Country", exact=True), "Country": Partner("Age", exact=False)}

    figures = {label(figure): figure for figure in draw_dependence(explained, partners).values()}

    panels = {name: figure.axes[0] for name, figure in figures.items()}
    assert sorted(panels) == ["Age", "Country", "Visits"]
    assert "60 of 150 customers" in title(figures["Age"])
    dots = np.asarray(panels["Age"].collections[0].get_offsets())
    one = explained.strongest_output("Age")
    np.testing.assert_allclose(dots, np.column_stack([explained.cells["Age"], one.values[:, 0]]))
    assert one.output in panels["Age"].get_ylabel().replace("\n", " ")
    legend = figures["Age"].legends[0]
    assert legend.get_title().get_text() == "Country"
    assert [text.get_text() for text in legend.get_texts()] == ["France", "Spain"]
    assert [label.get_text() for label in panels["Country"].get_xticklabels()] == ["France", "Spain"]
    assert "Age (guessed)" in [axes.get_ylabel() for axes in figures["Country"].axes]
    assert all(png(figure) for figure in figures.values())
    assert case.test["Visits"].isna().any()
    assert "missing" in [text.get_text() for text in panels["Visits"].texts]


@pytest.mark.slow
def test_columns_of_every_kind_can_be_drawn() -> None:
    case = treatment_case()
    estimator, declaration = case.trained.estimator, case.declaration
    explained = explain_customers(estimator, case.test, declaration, SMALL_SAMPLES)
    names = [str(name) for name in explained.strengths.index]
    # Every column is drawn, and every one is the colour of another one.
    partners = {name: Partner(names[place - 1], exact=True) for place, name in enumerate(names)}

    dependence = draw_dependence(explained, partners, most=len(names))
    curves = partial_dependence(estimator, case.test, declaration.feature_names, declaration, SMALL_SAMPLES)
    figures = [
        *dependence.values(),
        draw_shap_summary(explained),
        *draw_partial_dependence(curves, ["probability of leaving"]).values(),
    ]

    assert len(dependence) == len(names)
    assert all(png(figure).startswith(b"\x89PNG") for figure in figures)


@pytest.mark.slow
def test_waterfalls_lead_from_the_base_to_the_answer() -> None:
    case = task_case("binary")
    scores = score_labelled(case.trained.estimator, case.test, case.declaration)
    shown = explain_shown(case.trained.estimator, case.test, scores, case.declaration)

    figures = draw_waterfalls(shown)

    assert list(figures) == [f"shap_waterfall_{place}.png" for place in range(1, len(shown) + 1)]
    for figure, one in zip(figures.values(), shown, strict=True):
        axes = figure.axes[0]
        bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
        # In percentage points, from the mean probability to the one that the model returns.
        assert bars[0].get_x() == pytest.approx(100 * one.explanation.base)
        assert sum(bar.get_width() for bar in bars) == pytest.approx(100 * one.explanation.values.sum())
        widths = [abs(bar.get_width()) for bar in bars]
        assert widths == sorted(widths, reverse=True)
        age = one.cells[one.explanation.columns.index("Age")]
        assert f"Age: {age}" in [text.get_text() for text in axes.get_yticklabels()]
        answer = one.answer.removeprefix("probability of leaving ").replace("%", " %")
        assert f"on average to {answer}" in label(figure)
        assert title(figure).startswith(one.title[:40])
        assert png(figure)


def test_a_waterfall_of_many_columns_sums_the_weak_ones() -> None:
    values = np.arange(12, 0, -1.0)[np.newaxis]
    names = [f"column {place}" for place in range(12)]
    one = ShownCustomer("Likeliest to leave", "", Explanation(values, 1.0, values, names), ["x"] * 12, "answer")

    figure = draw_waterfalls([one])["shap_waterfall_1.png"]
    axes = figure.axes[0]

    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [*(f"column {place}: x" for place in range(8)), "4 other columns"]
    bars = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert bars == [*range(12, 4, -1), 4 + 3 + 2 + 1]
    assert "from 1 on average to 79" in label(figure)


def test_shuffling_is_drawn_with_its_spread() -> None:
    rises = pd.DataFrame({0: [0.1, 0.5], 1: [0.3, 0.7]}, index=["City", "Age"])

    figure = draw_permutation_importance(PermutationImportance(0.4, "log_loss", rises, 1234))

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Age", "City"]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == pytest.approx([0.6, 0.2])
    segments = axes.collections[0].get_segments() if hasattr(axes.collections[0], "get_segments") else []
    np.testing.assert_allclose([segment[:, 0] for segment in segments], [[0.5, 0.7], [0.1, 0.3]])
    assert "1,234 customers" in label(figure)
    assert title(figure) == "Rise of the log loss when a column is shuffled"


def test_twenty_columns_at_most_are_drawn_with_a_note() -> None:
    names = [f"c{place}" for place in range(25)]
    rises = pd.DataFrame(np.linspace(1, 0.1, 25)[:, np.newaxis] + [[0, 0.01]], index=names)

    figure = draw_permutation_importance(PermutationImportance(0.4, "rmse", rises, 100))

    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == names[:20]
    assert "the 20 strongest of 25 columns" in label(figure)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_partial_dependence_draws_the_means_of_each_answer(task: Task) -> None:
    case = task_case(task)
    curves = partial_dependence(case.trained.estimator, case.test, ["Age", "Country"], case.declaration, SMALL_SAMPLES)
    outputs = CLASSES if task == "multiclass" else ["the answer"]

    figures = list(draw_partial_dependence(curves, outputs).values())

    assert [label(figure) for figure in figures] == ["Age", "Country"]
    lines = [line for line in figures[0].axes[0].lines if line.get_label() in (*CLASSES, "mean, the answer")]
    assert len(lines) == len(outputs)
    for position, line in enumerate(lines):
        np.testing.assert_allclose(np.asarray(line.get_ydata()), curves[0].mean[:, position])
    assert figures[0].axes[0].get_ylim() == figures[1].axes[0].get_ylim()
    assert "30 customers" in title(figures[0])
    assert all(png(figure) for figure in figures)


def test_of_many_classes_those_that_vary_most_are_drawn() -> None:
    mean = np.vstack([np.zeros(12), np.arange(12)]) / 20
    grid = np.array([0.0, 1.0])
    curve = PartialDependence("Age", "number", grid, mean, mean, mean, grid, 5)

    figure = draw_partial_dependence([curve], [f"class {code}" for code in range(12)])["partial_dependence_1.png"]

    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [name.split(" (")[0] for name in shown] == [f"class {code}" for code in range(4, 12)]
    assert shown[-1].endswith("(8 of 12 classes)")


def test_without_values_nothing_is_drawn() -> None:
    assert draw_partial_dependence([], ["the answer"]) == {}


def test_columns_and_levels_have_their_declared_names() -> None:
    names = DisplayNames({"Active": "Was active lately"}, {"Active": {"1": "yes", "0": "no"}})
    values = np.array([[0.2]])
    one = Explanation(values, 0.1, values, ["Active"], "the probability of leaving", exact=False)
    mean = np.array([[0.1], [0.3]])
    curve = PartialDependence("Active", "level", np.array(["0", "1"]), mean, mean, mean, np.array(["0", "1"]), 9)

    waterfall = draw_waterfalls([ShownCustomer("Likeliest", "", one, ["1"], "", is_probability=True)], names)
    dependence = draw_partial_dependence([curve], ["the answer"], names)
    importance = draw_importance(pd.Series({"Active": 1.0}), names=names)

    steps = waterfall["shap_waterfall_1.png"].axes[0]
    assert steps.get_yticklabels()[0].get_text() == "Was active lately: yes"
    assert [text.get_text() for text in steps.texts] == ["+20.0"]
    levels = dependence["partial_dependence_1.png"].axes[0]
    assert [text.get_text() for text in levels.get_xticklabels()] == ["no", "yes"]
    assert importance.axes[0].get_yticklabels()[0].get_text() == "Was active lately"


HOSTILE = ["$x^{ <script>alert(1)</script>", "n" * 80, "a|b\\c_d {e}"]


@pytest.mark.slow
def test_any_name_and_any_level_can_be_drawn() -> None:
    random = np.random.default_rng(0)
    levels = [f"level ${{{number}}} of a long name" for number in range(30)]
    cells = pd.DataFrame(
        {
            HOSTILE[0]: random.choice(levels, 80),
            HOSTILE[1]: random.normal(size=80) * 1e9,
            HOSTILE[2]: pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 900, 80), unit="D"),
        }
    )
    cells.loc[:5, HOSTILE[0]] = None
    cells.loc[:9, HOSTILE[1]] = np.nan
    cells.loc[:3, HOSTILE[2]] = pd.NaT
    axes: dict[str, AxisKind] = dict(zip(HOSTILE, ("level", "number", "date"), strict=True))
    one = Explanation(random.normal(size=(80, 3)), 0.0, random.normal(size=(80, 3)), HOSTILE, "$\\frac{the answer")
    explained = ExplainedCustomers([one], cells, axes, {HOSTILE[0]: levels}, 80)
    partners = {name: Partner(HOSTILE[place - 1], exact=False) for place, name in enumerate(HOSTILE)}
    alone = Explanation(one.values[:1], 0.0, one.inputs[:1], HOSTILE, one.output)
    shown = ShownCustomer("$" * 200, "$id " * 50, alone, levels[:3], "$answer")
    mean = random.normal(size=(30, 1))
    curve = PartialDependence(HOSTILE[0], "level", np.array(levels), mean, mean - 1, mean + 1, np.array(levels), 9)
    rises = pd.DataFrame(random.normal(size=(3, 2)), index=HOSTILE)

    dependence = draw_dependence(explained, partners)
    figures = [
        *dependence.values(),
        draw_shap_bars(explained),
        *draw_waterfalls([shown]).values(),
        *draw_partial_dependence([curve], ["$\\frac{the answer"]).values(),
        draw_permutation_importance(PermutationImportance(0.4, "log_loss", rises, 10)),
    ]

    assert all(png(figure) for figure in figures)
    assert "missing" in [
        label.get_text() for figure in dependence.values() for axes in figure.axes for label in axes.get_xticklabels()
    ]


def test_figures_are_not_registered_with_pyplot() -> None:
    settings = dict(mpl.rcParams)
    _, explained = explained_case("binary")

    draw_dependence(explained, {})
    draw_shap_bars(explained)

    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings
