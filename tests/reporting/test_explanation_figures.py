"""Claims about what the figures that explain a model show."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_importance_shows_the_largest_share_on_top() -> None:
    shares = pd.Series({"Age": 0.5, "Tier": 0.3, "City": 0.2})

    figure = draw_importance(shares)

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["City", "Tier", "Age"]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == [0.2, 0.3, 0.5]
    assert texts(figure) == ["20.0%", "30.0%", "50.0%"]
    assert axes.get_xlabel() == "Share of the loss removed by splits on the column"
    assert png(figure)


def test_importance_names_its_basis() -> None:
    axes = draw_importance(pd.Series({"Age": 0.7, "City": 0.3}), "shuffling").axes[0]

    assert axes.get_title(loc="left") == "Permutation importance of features"
    assert axes.get_xlabel() == "Share of the loss added when the column is shuffled"


def test_importance_shows_twenty_columns_at_most() -> None:
    shares = pd.Series(np.linspace(0.09, 0.01, 25), index=[f"c{number}" for number in range(25)])

    axes = draw_importance(shares).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == [f"c{number}" for number in range(19, -1, -1)]


def test_the_beeswarm_shows_every_column_and_the_number_of_customers(trained: TrainedModel, splits: Splits) -> None:
    explanation = explain(trained.estimator, splits[2])

    figure = draw_beeswarm(explanation)

    axes = figure.axes[0]
    assert isinstance(figure, Figure)
    assert axes.get_title(loc="left") == "SHAP values of 100 customers"
    assert axes.get_xlabel() == "Contribution to the log-odds of leaving"
    assert {label.get_text() for label in axes.get_yticklabels()} == set(explanation.columns)
    assert png(figure)


def test_contributions_to_classes_are_stacked_means_strongest_column_on_top() -> None:
    case = task_case("multiclass")
    explanations = explain_classes(case.trained.estimator, case.test, CLASSES)

    figure = draw_class_contributions(explanations)

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Visits", "Country", "Age"]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = [np.abs(one.values[:, column]).mean() for one in explanations for column in (2, 1, 0)]
    assert [explanations[0].columns[column] for column in (0, 1, 2)] == ["Age", "Visits", "Country"]
    assert sorted(widths) == pytest.approx(sorted(expected))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"logit of {label}" for label in CLASSES]
    assert png(figure)


def test_a_beeswarm_names_the_explained_output() -> None:
    case = task_case("regression")

    figure = draw_beeswarm(explain(case.trained.estimator, case.test, "the predicted Outcome"))

    assert figure.axes[0].get_xlabel() == "Contribution to the predicted Outcome"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "algorithm", "title"),
    [
        ("binary", "random_forest", "SHAP values of 100 customers, estimated"),
        ("multiclass", "lightgbm", "Mean absolute SHAP value, 100 customers, estimated"),
        ("regression", "ridge", "SHAP values of 100 customers, estimated"),
        ("binary", "xgboost", "SHAP values of 150 customers"),
    ],
)
def test_contributions_are_drawn_for_any_algorithm_and_say_where_they_are_estimates(
    task: Task, algorithm: str, title: str
) -> None:
    case = task_case(task)
    trained = train_given(case.train, case.validation, case.manifest, case.declaration, algorithms=[algorithm])

    figure = draw_contributions(trained.model.estimator, case.test, case.declaration)

    axes = figure.axes[0]
    assert axes.get_title(loc="left") == title
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


def title(figure: Figure) -> str:
    heading = figure.get_suptitle() or figure.axes[0].get_title(loc="left")
    return str(heading)


def test_bars_are_mean_absolute_values_and_say_of_how_many_customers() -> None:
    _, explained = explained_case("binary")

    figure = draw_shap_bars(explained)

    axes = figure.axes[0]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = np.abs(explained.outputs[0].values).mean(axis=0)
    np.testing.assert_allclose(sorted(widths), sorted(expected))
    assert axes.get_yticklabels()[-1].get_text() == "Age"
    assert title(figure) == "Mean absolute SHAP value, 60 of 150 customers"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_dependence_shows_every_customer_against_the_raw_cell(task: Task) -> None:
    case, explained = explained_case(task)
    partners = {"Age": Partner("Country", exact=True), "Country": Partner("Age", exact=False)}

    figure = draw_dependence(explained, partners)

    panels = {axes.get_xlabel(): axes for axes in figure.axes if axes.get_xlabel()}
    assert sorted(panels) == ["Age", "Country", "Visits"]
    assert "60 of 150 customers" in title(figure)
    dots = np.asarray(panels["Age"].collections[0].get_offsets())
    one = explained.strongest_output("Age")
    np.testing.assert_allclose(dots, np.column_stack([explained.cells["Age"], one.values[:, 0]]))
    assert one.output in panels["Age"].get_ylabel().replace("\n", " ")
    legend = panels["Age"].get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "Country"
    assert [text.get_text() for text in legend.get_texts()] == ["France", "Spain"]
    assert [label.get_text() for label in panels["Country"].get_xticklabels()] == ["France", "Spain"]
    assert "Age (guessed)" in [axes.get_ylabel() for axes in figure.axes]
    assert png(figure)
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

    figures = [
        draw_dependence(explained, partners, most=len(names)),
        draw_shap_summary(explained),
        draw_partial_dependence(
            partial_dependence(estimator, case.test, declaration.feature_names, declaration, SMALL_SAMPLES),
            ["probability of leaving"],
        ),
    ]

    assert len([axes for axes in figures[0].axes if axes.get_xlabel()]) == len(names)
    assert all(png(figure).startswith(b"\x89PNG") for figure in figures)


@pytest.mark.slow
def test_waterfalls_lead_from_the_base_to_the_answer() -> None:
    case = task_case("binary")
    scores = score_labelled(case.trained.estimator, case.test, case.declaration)
    shown = explain_shown(case.trained.estimator, case.test, scores, case.declaration)

    figure = draw_waterfalls(shown)

    assert len(figure.axes) == len(shown)
    for axes, one in zip(figure.axes, shown, strict=True):
        bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
        assert bars[0].get_x() == pytest.approx(one.explanation.base)
        assert sum(bar.get_width() for bar in bars) == pytest.approx(one.explanation.values.sum())
        widths = [abs(bar.get_width()) for bar in bars]
        assert widths == sorted(widths, reverse=True)
        age = one.cells[one.explanation.columns.index("Age")]
        assert f"Age = {age}" in [label.get_text() for label in axes.get_yticklabels()]
        assert one.answer in axes.get_xlabel()
        assert axes.get_title(loc="left").startswith(one.title[:40])
    assert png(figure)


def test_a_waterfall_of_many_columns_sums_the_weak_ones() -> None:
    values = np.arange(12, 0, -1.0)[np.newaxis]
    names = [f"column {place}" for place in range(12)]
    one = ShownCustomer("Likeliest to leave", "", Explanation(values, 1.0, values, names), ["x"] * 12, "answer")

    axes = draw_waterfalls([one]).axes[0]

    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == [*(f"column {place} = x" for place in range(8)), "4 other columns"]
    bars = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert bars == [*range(12, 4, -1), 4 + 3 + 2 + 1]
    assert "from 1 on average to 79" in axes.get_xlabel()


def test_shuffling_is_drawn_with_its_spread() -> None:
    rises = pd.DataFrame({0: [0.1, 0.5], 1: [0.3, 0.7]}, index=["City", "Age"])

    figure = draw_permutation_importance(PermutationImportance(0.4, "log_loss", rises, 1234))

    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["City", "Age"]
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == pytest.approx([0.2, 0.6])
    segments = axes.collections[0].get_segments() if hasattr(axes.collections[0], "get_segments") else []
    np.testing.assert_allclose([segment[:, 0] for segment in segments], [[0.1, 0.3], [0.5, 0.7]])
    assert "1,234 customers" in axes.get_xlabel()
    assert title(figure) == "Rise of the log loss when a column is shuffled"


def test_twenty_columns_at_most_are_drawn_with_a_note() -> None:
    names = [f"c{place}" for place in range(25)]
    rises = pd.DataFrame(np.linspace(1, 0.1, 25)[:, np.newaxis] + [[0, 0.01]], index=names)

    axes = draw_permutation_importance(PermutationImportance(0.4, "rmse", rises, 100)).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == names[19::-1]
    assert "the 20 strongest of 25 columns" in axes.get_xlabel()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_partial_dependence_draws_the_means_of_each_answer(task: Task) -> None:
    case = task_case(task)
    curves = partial_dependence(case.trained.estimator, case.test, ["Age", "Country"], case.declaration, SMALL_SAMPLES)
    outputs = CLASSES if task == "multiclass" else ["the answer"]

    figure = draw_partial_dependence(curves, outputs)

    assert [axes.get_xlabel() for axes in figure.axes] == ["Age", "Country"]
    lines = [line for line in figure.axes[0].lines if line.get_label() in (*CLASSES, "mean, the answer")]
    assert len(lines) == len(outputs)
    for position, line in enumerate(lines):
        np.testing.assert_allclose(np.asarray(line.get_ydata()), curves[0].mean[:, position])
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert "30 customers" in title(figure)
    assert png(figure)


def test_of_many_classes_those_that_vary_most_are_drawn() -> None:
    mean = np.vstack([np.zeros(12), np.arange(12)]) / 20
    grid = np.array([0.0, 1.0])
    curve = PartialDependence("Age", "number", grid, mean, mean, mean, grid, 5)

    figure = draw_partial_dependence([curve], [f"class {code}" for code in range(12)])

    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [name.split(" (")[0] for name in shown] == [f"class {code}" for code in range(4, 12)]
    assert shown[-1].endswith("(8 of 12 classes)")


def test_without_values_a_note_is_drawn() -> None:
    assert title(draw_partial_dependence([], ["the answer"])) == "No column has an observed value"


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

    figures = [
        draw_dependence(explained, partners),
        draw_shap_bars(explained),
        draw_waterfalls([shown]),
        draw_partial_dependence([curve], ["$\\frac{the answer"]),
        draw_permutation_importance(PermutationImportance(0.4, "log_loss", rises, 10)),
    ]

    assert all(png(figure) for figure in figures)
    assert "missing" in [label.get_text() for axes in figures[0].axes for label in axes.get_xticklabels()]


def test_figures_are_not_registered_with_pyplot() -> None:
    settings = dict(mpl.rcParams)
    _, explained = explained_case("binary")

    draw_dependence(explained, {})
    draw_shap_bars(explained)

    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings
