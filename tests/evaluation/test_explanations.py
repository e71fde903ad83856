"""Claims about explanations: they add up, and they agree with the model."""

from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.inspection import permutation_importance as sklearn_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.splits import describe_splits
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.explanations import (
    ExplainedCustomers,
    Explanation,
    ExplanationParameters,
    ExplanationSummary,
    Partner,
    PermutationImportance,
    cells_as_text,
    choose_customers_to_show,
    choose_explained,
    explain,
    explain_classes,
    explain_customers,
    explain_interactions,
    explain_shown,
    find_partners,
    partial_dependence,
    permutation_importance,
    share_importance,
    summarise_explanations,
    tree_importance,
    write_cell,
)
from churn_kedro.features.sources import source_columns
from churn_kedro.models.interface import ScoredCustomers, TrainedModel, score_labelled
from churn_kedro.training.algorithms import AlgorithmName
from churn_kedro.training.recipe import fit_model
from tests.conftest import SHARES
from tests.evidence_cases import subject
from tests.task_cases import CLASSES, TaskCase, compare_given, task_case, train_given
from tests.treatment_cases import treatment_case

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

ORDER = ["Age", "Charges", "Card", "Tier", "Country", "Contract", "City"]


def test_contributions_and_base_sum_to_the_log_odds_of_the_model(trained: TrainedModel, splits: Splits) -> None:
    explanation = explain(trained.estimator, splits[2])
    features, classifier = trained.estimator.features, trained.estimator.learner

    probability = classifier.predict_proba(features.transform(splits[2]))[:, 1].astype(float)

    log_odds = np.log(probability / (1 - probability))
    np.testing.assert_allclose(explanation.values.sum(axis=1) + explanation.base, log_odds, atol=1e-4)


def test_the_base_is_that_of_every_customer(trained: TrainedModel, splits: Splits) -> None:
    first, last = splits[2].head(1), splits[2].tail(1)

    assert explain(trained.estimator, first).base == pytest.approx(explain(trained.estimator, last).base)


def test_an_explanation_speaks_of_the_customer_columns(trained: TrainedModel, splits: Splits) -> None:
    explanation = explain(trained.estimator, splits[2])

    assert explanation.columns == ORDER
    assert explanation.values.shape == explanation.inputs.shape == (100, 7)
    np.testing.assert_array_equal(explanation.inputs[:, 0], splits[2]["Age"])
    np.testing.assert_array_equal(explanation.inputs[:, 5], splits[2]["Contract"] == "year")


def test_the_columns_that_make_customers_leave_contribute_as_they_were_made_to(
    trained: TrainedModel, splits: Splits
) -> None:
    values = pd.DataFrame(explain(trained.estimator, splits[2]).values, columns=ORDER)
    test = splits[2]

    assert values["Age"].corr(test["Age"]) > 0.8
    assert values["Contract"][test["Contract"] == "year"].max() < values["Contract"][test["Contract"] == "month"].min()


def test_importance_sums_to_one_largest_first(trained: TrainedModel) -> None:
    importance = tree_importance(trained.estimator)

    assert importance.sum() == pytest.approx(1)
    assert importance.is_monotonic_decreasing
    assert set(importance.index) == set(ORDER)
    assert importance.index[0] == "Age"


def test_importance_is_the_gain_of_the_splits_on_a_column(trained: TrainedModel) -> None:
    trees = trained.estimator.learner.get_booster().trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    gains = splits.groupby("Feature")["Gain"].sum()

    importance = tree_importance(trained.estimator)

    for position, name in enumerate(ORDER):
        assert importance[name] == pytest.approx(gains.get(f"f{position}", 0.0) / gains.sum(), rel=1e-4)


def test_a_column_that_is_always_the_same_has_no_importance_and_no_contribution(
    splits: Splits, declaration: CustomerDeclaration
) -> None:
    train, validation, test = (part.assign(Card=1.0) for part in splits)
    described = describe_splits(train, validation, test, declaration, SHARES, {})
    estimator = train_given(train, validation, described, declaration).model.estimator

    assert tree_importance(estimator)["Card"] == 0
    assert not explain(estimator, test).values[:, ORDER.index("Card")].any()


def test_contributions_to_each_class_sum_to_the_logits_behind_its_probability() -> None:
    case = task_case("multiclass")
    features, classifier = case.trained.estimator.features, case.trained.estimator.learner

    explanations = explain_classes(case.trained.estimator, case.test, CLASSES)

    assert [explanation.output for explanation in explanations] == [f"logit of {label}" for label in CLASSES]
    logits = np.stack([explanation.values.sum(axis=1) + explanation.base for explanation in explanations], axis=1)
    raised = np.exp(logits)
    np.testing.assert_allclose(
        raised / raised.sum(axis=1, keepdims=True), classifier.predict_proba(features.transform(case.test)), atol=1e-4
    )


def test_contributions_to_a_number_sum_to_the_prediction() -> None:
    case = task_case("regression")

    explanation = explain(case.trained.estimator, case.test, "the predicted Outcome")

    np.testing.assert_allclose(
        explanation.values.sum(axis=1) + explanation.base, case.trained.estimator.scores(case.test), rtol=1e-4
    )
    assert explanation.output == "the predicted Outcome"


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_importance_of_another_task_sums_to_one(task: Task) -> None:
    importance = tree_importance(task_case(task).trained.estimator)

    assert importance.sum() == pytest.approx(1)
    assert importance.index.tolist() == ["Age", "Country", "Visits"]


@pytest.mark.slow
def test_contributions_of_a_columns_inputs_are_summed_to_one() -> None:
    case = treatment_case()
    features, trees = case.trained.estimator.features, case.trained.estimator.learner
    explanation = explain(case.trained.estimator, case.test)
    names, inputs = list(source_columns(features)), features.transform(case.test)

    matrix = xgb.DMatrix(inputs, feature_types=trees.feature_types, enable_categorical=True)
    by_input = pd.DataFrame(trees.get_booster().predict(matrix, pred_contribs=True)[:, :-1], columns=names)

    columns = [*case.declaration.feature_names, "Pace", "row_outlier"]
    assert sorted(explanation.columns) == sorted(columns)
    assert explanation.values.shape == explanation.inputs.shape == (len(case.test), len(columns))
    for name in columns:
        parts = [part for part in names if part == name or part.startswith(f"{name}_")]
        position = explanation.columns.index(name)
        np.testing.assert_allclose(explanation.values[:, position], by_input[parts].sum(axis=1), atol=1e-5)
        strongest = by_input[parts].abs().sum().idxmax()
        np.testing.assert_array_equal(explanation.inputs[:, position], inputs[:, names.index(str(strongest))])
    log_odds = trees.predict(inputs, output_margin=True)
    np.testing.assert_allclose(explanation.values.sum(axis=1) + explanation.base, log_odds, atol=1e-4)


def test_importance_of_a_columns_inputs_is_summed_to_one() -> None:
    case = treatment_case()
    trees = case.trained.estimator.learner.get_booster().trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    inputs = list(source_columns(case.trained.estimator.features).values())
    gains = splits["Gain"].groupby(splits["Feature"].str[1:].astype(int).map(lambda place: inputs[place])).sum()

    importance = tree_importance(case.trained.estimator)

    assert set(importance.index) == {*case.declaration.feature_names, "Pace", "row_outlier"}
    assert importance.sum() == pytest.approx(1)
    pd.testing.assert_series_equal(
        importance[gains.index], gains / gains.sum(), check_names=False, rtol=1e-4, check_index_type=False
    )


def test_several_classes_are_explained_in_columns_too() -> None:
    case = treatment_case("multiclass", "model")

    for explanation in explain_classes(case.trained.estimator, case.test, ["basic", "plus", "premium"]):
        assert explanation.columns == list(dict.fromkeys(source_columns(case.trained.estimator.features).values()))
        assert explanation.values.shape == (len(case.test), len(explanation.columns))


CLASSIFIERS: list[AlgorithmName] = [
    "xgboost",
    "logistic_regression",
    "random_forest",
    "hist_gradient_boosting",
    "neural_network",
    "catboost",
    "lightgbm",
]
REGRESSORS: list[AlgorithmName] = ["ridge" if name == "logistic_regression" else name for name in CLASSIFIERS]
ENSEMBLES = ["soft_vote", "stack"]
MODELS = [
    *((task, name) for task in ("binary", "multiclass") for name in [*CLASSIFIERS, *ENSEMBLES]),
    *(("regression", name) for name in [*REGRESSORS, *ENSEMBLES]),
]


@cache
def fitted(task: Task, name: str) -> Any:
    """An estimator of the algorithm, or an ensemble of XGBoost and a linear model."""
    if name in ENSEMBLES:
        algorithms = ["xgboost", "ridge" if task == "regression" else "logistic_regression"]
        return blend(task, algorithms, name)
    return train(task, algorithms=[name])


def train(task: Task, **changed: Any) -> Any:
    case = task_case(task)
    return train_given(case.train, case.validation, case.manifest, case.declaration, **changed).model.estimator


def blend(task: Task, algorithms: list[str], kind: str) -> Any:
    """The ensemble, whether or not it would win."""
    case = task_case(task)
    compared = compare_given(
        case.train, case.validation, case.manifest, case.declaration, algorithms=algorithms, ensembles=[kind]
    )
    candidate_comparison = compared.candidate_comparison
    ensemble = candidate_comparison.comparison.candidates[-1]
    last = None
    if kind == "stack":
        found = len(algorithms) * (len(CLASSES) if task == "multiclass" else 1)
        values, target = (
            np.random.default_rng(0).normal(size=(200, found)),
            candidate_comparison.out_of_fold.target[:200],
        )
        learner = LinearRegression() if task == "regression" else LogisticRegression()
        last = learner.fit(values + target[:, np.newaxis] / max(1, np.abs(target).max()), target)
    training = fit_model(
        compared.development,
        replace(candidate_comparison, chosen=ensemble, last=last),
        compared.search,
        compared.problem,
        compared.configuration,
    )
    assert type(training.model.estimator.learner).__name__.startswith("Blend")
    return training.model.estimator


def uncalibrated(estimator: Any, case: TaskCase, customers: pd.DataFrame) -> np.ndarray:
    """What the contributions add up to, shape (n, n_outputs)."""
    features, model = estimator.features, estimator.learner
    inputs = features.transform(customers)
    if case.declaration.task == "regression":
        return np.asarray(model.predict(inputs), dtype=np.float64)[:, np.newaxis]
    probability = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    return probability[:, 1:] if case.declaration.task == "binary" else probability


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), MODELS)
def test_contributions_and_base_sum_to_the_prediction(task: Task, name: str) -> None:
    case, estimator = task_case(task), fitted(task, name)
    customers = case.test.head(15)

    if task == "multiclass":
        explanations = explain_classes(estimator, customers, CLASSES, background=case.test)
    else:
        explanations = [explain(estimator, customers, background=case.test)]

    said = np.stack([one.values.sum(axis=1) + one.base for one in explanations], axis=1)
    if name == "xgboost" and task == "binary":
        said = 1 / (1 + np.exp(-said))
    if name == "xgboost" and task == "multiclass":
        said = np.exp(said) / np.exp(said).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(said, uncalibrated(estimator, case, customers), rtol=1e-4, atol=1e-5)
    for one in explanations:
        assert one.columns == ["Age", "Visits", "Country"]
        assert one.values.shape == one.inputs.shape == (15, 3)
        assert one.exact == (name == "xgboost")
        assert np.abs(one.values).max() > 0


@pytest.mark.slow
def test_estimates_are_those_of_all_orders_of_the_columns() -> None:
    case, estimator = task_case("binary"), fitted("binary", "random_forest")
    features, model = estimator.features, estimator.learner
    customers, background = case.test.head(8), case.train.head(60)
    inputs, others = features.transform(customers), features.transform(background)

    def mean_with(customer: np.ndarray, known: tuple[int, ...]) -> float:
        mixed = others.copy()
        mixed[:, known] = customer[list(known)]
        return float(model.predict_proba(mixed)[:, 1].mean())

    exact = np.zeros((8, 3))
    for row, customer in enumerate(inputs):
        for order in permutations(range(3)):
            for step, column in enumerate(order):
                gain = mean_with(customer, order[: step + 1]) - mean_with(customer, order[:step])
                exact[row, column] += gain / 6
    explanation = explain(estimator, customers, background=background)

    assert explanation.base == pytest.approx(model.predict_proba(others)[:, 1].mean())
    assert explanation.output == "the probability of leaving"
    np.testing.assert_allclose(explanation.values, exact, atol=0.03)
    assert np.abs(exact).max() > 0.2


def test_a_column_contributes_as_much_more_as_the_prediction_of_a_linear_model_rises() -> None:
    case, estimator = task_case("regression"), fitted("regression", "ridge")
    customers = case.test.head(10)
    older = customers.assign(Age=customers["Age"] + 10)

    now, then = (explain(estimator, table, background=case.test) for table in (customers, older))

    rise = estimator.scores(older) - estimator.scores(customers)
    np.testing.assert_allclose(then.values[:, 0] - now.values[:, 0], rise)
    np.testing.assert_allclose(then.values[:, 1:], now.values[:, 1:], atol=1e-6 * np.abs(rise).max())


def test_estimates_are_the_same_each_time_and_leave_the_global_seed_alone() -> None:
    case, estimator = task_case("binary"), fitted("binary", "neural_network")
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)

    first, second = (explain(estimator, case.test.head(5), background=case.test) for _ in range(2))

    assert np.random.random() == expected
    np.testing.assert_array_equal(first.values, second.values)


def test_one_customer_alone_cannot_be_explained_by_comparison() -> None:
    case, estimator = task_case("binary"), fitted("binary", "logistic_regression")

    with pytest.raises(ValueError, match="background"):
        explain(estimator, case.test.head(1))

    assert np.abs(explain(estimator, case.test.head(1), background=case.test).values).max() > 0


def test_as_many_customers_are_explained_as_can_be_in_little_time() -> None:
    case = task_case("binary")

    assert choose_explained(fitted("binary", "xgboost"), case.test) is case.test
    shown = choose_explained(fitted("binary", "random_forest"), case.test)
    assert len(shown) == 100
    assert shown.index.isin(case.test.index).all()
    pd.testing.assert_frame_equal(shown, choose_explained(fitted("binary", "random_forest"), case.test))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logistic_regression", "lightgbm"])
def test_columns_with_several_inputs_are_estimated_as_one(name: AlgorithmName) -> None:
    case = treatment_case()
    manifest = describe_splits(case.train, case.train, case.test, case.declaration, SHARES, {})
    estimator = train_given(
        case.train, case.train, manifest, case.declaration, features=case.parameters, algorithms=[name]
    ).model.estimator
    features, model = estimator.features, estimator.learner
    customers = case.test.head(10)

    explanation = explain(estimator, customers, background=case.test)

    inputs = features.transform(customers)
    assert sorted(explanation.columns) == sorted([*case.declaration.feature_names, "Pace", "row_outlier"])
    np.testing.assert_allclose(
        explanation.values.sum(axis=1) + explanation.base, model.predict_proba(inputs)[:, 1], atol=1e-9
    )
    sources = source_columns(features)
    for position, column in enumerate(explanation.columns):
        parts = [place for place, part in enumerate(sources) if sources[part] == column]
        shown = explanation.inputs[:, position]
        assert any(np.array_equal(shown, inputs[:, place], equal_nan=True) for place in parts)


def shuffle(estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration) -> PermutationImportance:
    return permutation_importance(estimator, customers, declaration, ExplanationParameters())


@pytest.mark.parametrize(
    ("task", "name"), [("binary", "random_forest"), ("multiclass", "lightgbm"), ("regression", "soft_vote")]
)
def test_importance_without_trees_of_xgboost_is_the_loss_that_shuffling_adds(task: Task, name: str) -> None:
    case, estimator = task_case(task), fitted(task, name)

    importance, measure = share_importance(estimator, shuffle(estimator, case.test, case.declaration))

    assert measure == "shuffling"
    assert importance.sum() == pytest.approx(1)
    assert importance.is_monotonic_decreasing
    # Most of the outcome was made of the age, less of the country, hardly any of the visits.
    assert importance.index.tolist() == ["Age", "Country", "Visits"]
    again, _ = share_importance(estimator, shuffle(estimator, case.test, case.declaration))
    pd.testing.assert_series_equal(importance, again)


def test_importance_of_xgboost_is_its_gain() -> None:
    case = task_case("binary")

    importance, measure = share_importance(
        case.trained.estimator, shuffle(case.trained.estimator, case.test, case.declaration)
    )

    assert measure == "gain"
    pd.testing.assert_series_equal(importance, tree_importance(case.trained.estimator))


def test_a_constant_model_has_no_important_column() -> None:
    case = task_case("binary")
    estimator = fitted("binary", "logistic_regression")
    flat = case.test.assign(Age=50.0, Country=case.test["Country"].iloc[0], Visits=4.0)

    importance, _ = share_importance(estimator, shuffle(estimator, flat, case.declaration))

    assert importance.to_dict() == {"Age": 0, "Country": 0, "Visits": 0}


QUICK = ExplanationParameters(max_explained=40, max_permuted=1000, n_repeats=20, max_grid_customers=30, random_state=1)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_interactions_of_a_column_sum_to_its_contribution(task: Task) -> None:
    case = task_case(task)
    estimator = case.trained.estimator

    interactions = explain_interactions(estimator, case.test)
    explained = explain_customers(estimator, case.test, case.declaration, ExplanationParameters())

    assert interactions is not None
    assert interactions.columns == explained.outputs[0].columns
    contributions = np.stack([one.values for one in explained.outputs], axis=-1)
    np.testing.assert_allclose(interactions.values.sum(axis=2), contributions, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(interactions.values, interactions.values.swapaxes(1, 2), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_interactions_of_a_columns_inputs_are_summed_to_one() -> None:
    case = treatment_case()
    interactions = explain_interactions(case.trained.estimator, case.test)

    assert interactions is not None
    explanation = explain(case.trained.estimator, case.test)
    assert interactions.columns == explanation.columns
    np.testing.assert_allclose(interactions.values[..., 0].sum(axis=2), explanation.values, atol=1e-4)
    strengths = interactions.strengths
    assert (np.diag(strengths) == 0).all()
    first, second = np.unravel_index(int(strengths.to_numpy().argmax()), strengths.shape)
    expected = 2 * np.abs(interactions.values[:, first, second, 0]).mean()
    assert strengths.iloc[int(first), int(second)] == pytest.approx(expected)


def test_no_more_interactions_are_computed_than_can_be_afforded() -> None:
    case = task_case("binary")
    estimator = case.trained.estimator
    leaves = sum(tree.count("leaf=") for tree in estimator.learner.get_booster().get_dump())

    some = explain_interactions(estimator, case.test, budget=leaves * 3 * 3 * 50)
    again = explain_interactions(estimator, case.test, budget=leaves * 3 * 3 * 50)

    assert some is not None
    assert again is not None
    assert len(some.values) == 50
    np.testing.assert_array_equal(some.values, again.values)
    assert explain_interactions(estimator, case.test, budget=leaves) is None
    assert explain_interactions(fitted("binary", "random_forest"), case.test) is None


def together(column: np.ndarray, partner: np.ndarray) -> ExplainedCustomers:
    """Customers whose contribution of one column depends on another one, and on nothing else."""
    idle = np.random.default_rng(2).normal(size=len(column))
    values = np.column_stack([column * partner, np.zeros(len(column)), np.zeros(len(column))])
    cells = pd.DataFrame({"a": column, "b": partner, "c": idle})
    axes: dict[str, Any] = dict.fromkeys("abc", "number")
    one = Explanation(values, 0.0, cells.to_numpy(), ["a", "b", "c"])
    return ExplainedCustomers([one], cells, axes, {}, len(column))


def test_without_interactions_the_partner_of_a_column_is_guessed_from_the_spread() -> None:
    random = np.random.default_rng(3)
    explained = together(random.normal(size=200), random.integers(0, 2, 200) * 2.0 - 1)

    partners = find_partners(explained, ["a", "b"], None)

    assert partners == {"a": Partner("b", exact=False)}


def test_the_partner_of_a_column_is_the_one_with_the_strongest_interaction() -> None:
    case = task_case("binary")
    interactions = explain_interactions(case.trained.estimator, case.test)
    explained = explain_customers(case.trained.estimator, case.test, case.declaration, QUICK)

    assert interactions is not None
    partners = find_partners(explained, ["Age"], interactions)

    expected = max(
        ("Country", "Visits"),
        key=lambda name: np.abs(interactions.values[:, 0, interactions.columns.index(name)]).mean(),
    )
    assert partners == {"Age": Partner(expected, exact=True)}


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), [("binary", "xgboost"), ("regression", "ridge")])
def test_shuffling_raises_the_loss_as_scikit_learn_finds(task: Task, name: AlgorithmName) -> None:
    case, estimator = task_case(task), fitted(task, name)
    inputs, target = case.test[case.declaration.feature_names], case.test["Outcome"].to_numpy()

    def score(model: Any, table: pd.DataFrame, truth: np.ndarray) -> float:
        if task == "regression":
            return -float(np.sqrt(np.mean((model.scores(table) - truth) ** 2)))
        return -float(log_loss(truth, model.scores(table)))

    expected = sklearn_importance(estimator, inputs, target, scoring=score, n_repeats=20, random_state=0)
    found = permutation_importance(estimator, case.test, case.declaration, QUICK)

    assert found.loss == pytest.approx(-score(estimator, inputs, target))
    assert found.customers == len(case.test)
    assert found.rises.shape == (3, 20)
    for place, column in enumerate(case.declaration.feature_names):
        error = (expected.importances_std[place] + found.spreads[column]) / np.sqrt(20)
        assert abs(found.means[column] - expected.importances_mean[place]) < 4 * error + 1e-9
    assert found.means.is_monotonic_decreasing
    assert found.spreads.index.tolist() == found.means.index.tolist()
    assert found.shares.sum() == pytest.approx(1)


def test_samples_have_the_requested_size_and_are_reproducible() -> None:
    case = task_case("binary")
    parameters = ExplanationParameters(max_explained=12, max_permuted=60, n_repeats=3, random_state=5)

    first, second = (
        explain_customers(case.trained.estimator, case.test, case.declaration, parameters) for _ in range(2)
    )
    shuffled = [permutation_importance(case.trained.estimator, case.test, case.declaration, parameters) for _ in "ab"]

    assert len(first.cells) == len(first.outputs[0].values) == 12
    assert first.total == len(case.test)
    pd.testing.assert_frame_equal(first.cells, second.cells)
    assert shuffled[0].customers == 60
    pd.testing.assert_frame_equal(shuffled[0].rises, shuffled[1].rises)


def test_cells_are_raw_and_levels_are_in_declared_order() -> None:
    case = treatment_case()
    explained = explain_customers(case.trained.estimator, case.test, case.declaration, ExplanationParameters())

    assert explained.axes["Age"] == "number"
    assert explained.axes["Since"] == "date"
    assert explained.axes["Pace"] == explained.axes["row_outlier"] == "number"
    # Numbers that are names of levels.
    assert explained.levels["Tier"] == ["3", "1", "2"]
    assert explained.levels["Size"] == ["small", "large"]
    assert explained.cells["Tier"].dropna().isin(["1", "2", "3"]).all()
    pd.testing.assert_series_equal(explained.cells["Age"], case.test["Age"].reset_index(drop=True))
    assert explained.cells["Since"].isna().sum() == case.test["Since"].isna().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_partial_dependence_is_that_of_a_loop_over_cells_and_customers(task: Task) -> None:
    case = task_case(task)
    table = case.test.head(30)

    curves = partial_dependence(case.trained.estimator, table, ["Age", "Country", "Visits"], case.declaration, QUICK)

    assert [curve.column for curve in curves] == ["Age", "Country", "Visits"]
    assert curves[1].grid.tolist() == ["France", "Spain"]
    for curve in curves:
        assert curve.customers == 30
        assert len(curve.observed) == table[curve.column].notna().sum()
        for point in (0, len(curve.grid) - 1):
            answers = []
            for _, customer in table.iterrows():
                one = customer.to_frame().T.astype(table.dtypes)
                one[curve.column] = pd.Series([curve.grid[point]], index=one.index).astype(table.dtypes[curve.column])
                answers.append(case.trained.estimator.scores(one).reshape(-1))
            np.testing.assert_allclose(curve.mean[point], np.mean(answers, axis=0), rtol=1e-5)
            np.testing.assert_allclose(curve.low[point], np.quantile(answers, 0.1, axis=0), rtol=1e-5)
            np.testing.assert_allclose(curve.high[point], np.quantile(answers, 0.9, axis=0), rtol=1e-5)


@pytest.mark.slow
def test_a_column_of_any_kind_can_be_varied() -> None:
    case = treatment_case()
    names = case.declaration.feature_names

    curves = partial_dependence(case.trained.estimator, case.test, names, case.declaration, QUICK)

    by_name = {curve.column: curve for curve in curves}
    assert list(by_name) == names
    assert by_name["Tier"].grid.tolist() == ["3", "1", "2"]
    assert np.issubdtype(by_name["Since"].grid.dtype, np.datetime64)
    assert np.isin(by_name["Calls"].grid, case.test["Calls"].dropna()).all()
    assert all(np.isfinite(curve.mean).all() for curve in curves)


def test_a_column_without_any_cell_is_not_varied() -> None:
    case = task_case("binary")
    empty = case.test.assign(Visits=np.nan)

    assert partial_dependence(case.trained.estimator, empty, ["Visits"], case.declaration, QUICK) == []


def test_the_example_customers_are_extremes_and_errors() -> None:
    # Threshold 0.5: the second is missed most surely, the fifth is contacted in vain most surely.
    target = np.array([1, 1, 1, 0, 0, 0])
    scores = ScoredCustomers("binary", target, np.array([0.9, 0.1, 0.3, 0.6, 0.8, 0.48]), 0.5, ("0", "1"))
    assert choose_customers_to_show(scores) == {
        "Likeliest to leave": 0,
        "At the decision threshold": 5,
        "Left despite a low probability": 1,
        "Stayed despite a high probability": 4,
    }

    twice = ScoredCustomers("binary", np.array([0, 0]), np.array([0.9, 0.2]), 0.5, ("0", "1"))
    assert choose_customers_to_show(twice) == {
        "Likeliest to leave; Stayed despite a high probability": 0,
        "At the decision threshold": 1,
    }

    classes = ScoredCustomers(
        "multiclass", np.array([0, 1, 1]), np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3]]), None, ("a", "b")
    )
    assert choose_customers_to_show(classes) == {
        "Most confident, correct": 1,
        "Most confident, wrong": 2,
    }

    numbers = ScoredCustomers("regression", np.array([1.0, 2.0, 9.0]), np.array([1.0, 4.0, 2.0]))
    assert choose_customers_to_show(numbers) == {"Largest prediction": 1, "Median prediction; Worst error": 2}


@pytest.mark.parametrize(
    ("task", "name"),
    [("binary", "xgboost"), ("binary", "random_forest"), ("multiclass", "xgboost"), ("regression", "ridge")],
)
def test_a_customer_shown_is_explained_up_to_the_final_prediction(task: Task, name: str) -> None:
    case, estimator = task_case(task), fitted(task, name)
    scores = score_labelled(estimator, case.test, case.declaration)

    shown = explain_shown(estimator, case.test, scores, case.declaration)

    for one, (reason, place) in zip(shown, choose_customers_to_show(scores).items(), strict=True):
        customer = case.test.iloc[place]
        assert one.title.startswith(reason)
        assert one.name == f"Id {customer['Id']}"
        assert one.cells[one.explanation.columns.index("Age")] == f"{customer['Age']:.0f}"
        said = one.explanation.values.sum() + one.explanation.base
        code = int(np.asarray(scores.prediction[place]).argmax())
        predicted = scores.prediction[place][code] if task == "multiclass" else scores.prediction[place]
        # Probabilities are those after calibration.
        assert said == pytest.approx(predicted, rel=1e-6)
        assert one.is_probability == (task != "regression")
        if task == "multiclass":
            assert one.answer == f"probability of {CLASSES[code]} {predicted:.1%}"
        if task == "binary":
            assert one.answer == f"probability of leaving {predicted:.1%}"


def test_the_summary_repeats_what_was_found() -> None:
    case = task_case("binary")
    explained = explain_customers(case.trained.estimator, case.test, case.declaration, QUICK)
    shuffled = permutation_importance(case.trained.estimator, case.test, case.declaration, QUICK)
    interactions = explain_interactions(case.trained.estimator, case.test)

    summary = summarise_explanations(subject(), explained, shuffled, interactions)

    assert [one.column for one in summary.strengths] == explained.strengths.index.tolist()
    assert {one.column: one.rise for one in summary.shuffled} == shuffled.means.to_dict()
    assert summary.loss_name == "log loss"
    assert summary.exact
    assert (summary.explained_customers, summary.shuffled_customers, summary.total_customers) == (40, 150, 150)
    assert interactions is not None
    assert summary.interacting_customers == len(interactions.values)
    assert summary.pairs[0].mean_absolute == pytest.approx(interactions.strengths.max().max())
    assert ExplanationSummary.model_validate_json(summary.model_dump_json()) == summary
    without = summarise_explanations(subject(), explained, shuffled, None)
    assert without.pairs == []


def test_levels_and_cells_are_written_as_people_do() -> None:
    assert [write_cell(cell) for cell in (46.0, 0.5, 1234567.0, None, np.nan, "x", pd.Timestamp("2026-01-31"))] == [
        *("46", "0.5", "1234567", "missing", "missing", "x", "2026-01-31")
    ]
    assert cells_as_text(pd.Series([1.0, np.nan, 2.5, 2000001.0])).tolist() == ["1", None, "2.5", "2000001"]
