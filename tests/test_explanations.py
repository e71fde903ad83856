"""Claims about explanations: they add up, and they agree with the trees."""

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from churn_kedro.customers import CustomerDeclaration, Task
from churn_kedro.explanations import explain, explain_classes, tree_importance
from churn_kedro.models import TrainedModel, boosted_trees
from churn_kedro.splits import SplitManifest
from churn_kedro.training import FitParameters, fit_estimator
from churn_kedro.tuning import Trial
from tests.task_cases import CLASSES, task_case, treat
from tests.treatment_cases import treatment_case

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

ORDER = ["Age", "Charges", "Card", "Tier", "Country", "Contract", "City"]


def test_contributions_and_base_sum_to_the_log_odds_of_the_model(trained: TrainedModel, splits: Splits) -> None:
    explanation = explain(trained.estimator, splits[2])
    features, classifier = boosted_trees(trained.estimator)

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
    trees = boosted_trees(trained.estimator)[1].get_booster().trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    gains = splits.groupby("Feature")["Gain"].sum()

    importance = tree_importance(trained.estimator)

    for position, name in enumerate(ORDER):
        assert importance[name] == pytest.approx(gains.get(f"f{position}", 0.0) / gains.sum(), rel=1e-4)


def test_a_column_that_is_always_the_same_has_no_importance_and_no_contribution(
    splits: Splits, manifest: SplitManifest, declaration: CustomerDeclaration, small_trial: Trial
) -> None:
    train, validation, test = (part.assign(Card=1.0) for part in splits)
    parameters = FitParameters(random_state=5, n_jobs=1, calibration="temperature", threshold_metric="f1")
    inputs = treat(train, declaration)
    model = fit_estimator(inputs, train, validation, manifest, declaration, small_trial, parameters)

    assert tree_importance(model.estimator)["Card"] == 0
    assert not explain(model.estimator, test).values[:, ORDER.index("Card")].any()


def test_contributions_to_each_class_sum_to_the_logits_behind_its_probability() -> None:
    case = task_case("multiclass")
    features, classifier = boosted_trees(case.trained.estimator)

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
        explanation.values.sum(axis=1) + explanation.base, case.trained.estimator.predict(case.test), rtol=1e-4
    )
    assert explanation.output == "the predicted Outcome"


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_importance_of_another_task_sums_to_one(task: Task) -> None:
    importance = tree_importance(task_case(task).trained.estimator)

    assert importance.sum() == pytest.approx(1)
    assert importance.index.tolist() == ["Age", "Country", "Visits"]


def test_contributions_of_a_columns_inputs_are_summed_to_one() -> None:
    case = treatment_case()
    features, trees = boosted_trees(case.trained.estimator)
    explanation = explain(case.trained.estimator, case.test)
    names, inputs = list(case.inputs.sources), features.transform(case.test)

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
    trees = boosted_trees(case.trained.estimator)[1].get_booster().trees_to_dataframe()
    splits = trees[trees["Feature"] != "Leaf"]
    inputs = list(case.inputs.sources.values())
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
        assert explanation.columns == list(dict.fromkeys(case.inputs.sources.values()))
        assert explanation.values.shape == (len(case.test), len(explanation.columns))
