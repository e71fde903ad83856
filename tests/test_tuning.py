"""Claims about the search for hyperparameters."""

from typing import Any

import pandas as pd
import pytest
import xgboost as xgb
from pydantic import ValidationError
from sklearn.metrics import log_loss, root_mean_squared_error

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Task
from churn_kedro.parameters import ParameterError
from churn_kedro.tuning import (
    Interval,
    SearchParameters,
    SearchResult,
    search_hyperparameters,
)
from tests.task_cases import task_case, treat

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]

SPACE = {
    "max_depth": Interval(low=1.5, high=4.5, integer=True),
    "learning_rate": Interval(low=0.05, high=0.5, log=True),
    "subsample": Interval(low=0.5, high=1.0),
}


def search(splits: Splits, declaration: CustomerDeclaration, **changed: Any) -> SearchResult:
    fields = {
        "n_trials": 5,
        "max_rounds": 30,
        "early_stopping_rounds": 4,
        "random_state": 4,
        "n_jobs": 1,
        "space": SPACE,
    }
    parameters = SearchParameters.model_validate(fields | changed)
    return search_hyperparameters(treat(splits[0], declaration), splits[0], splits[1], declaration, parameters)


@pytest.fixture(scope="module")
def result(splits: Splits, declaration: CustomerDeclaration) -> SearchResult:
    return search(splits, declaration)


def test_the_budget_of_trials_is_spent_in_order(result: SearchResult) -> None:
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3, 4]


def test_the_best_trial_has_the_lowest_log_loss(result: SearchResult) -> None:
    assert result.best in result.trials[1:]
    assert result.best.score == min(trial.score for trial in result.trials)
    assert result.metric == "log_loss"


def test_trials_stay_within_the_space_and_whole_where_asked(result: SearchResult) -> None:
    for trial in result.trials:
        assert set(trial.hyperparameters) == set(SPACE)
        assert isinstance(trial.hyperparameters["max_depth"], int)
        assert trial.hyperparameters["max_depth"] in (2, 3, 4)
        assert 0.05 <= trial.hyperparameters["learning_rate"] <= 0.5
        assert 0.5 <= trial.hyperparameters["subsample"] <= 1.0
        assert 1 <= trial.n_estimators <= 30
    assert len({trial.hyperparameters["learning_rate"] for trial in result.trials}) == 5


def test_the_same_seed_finds_the_same_trials_again(
    result: SearchResult, splits: Splits, declaration: CustomerDeclaration
) -> None:
    assert search(splits, declaration) == result
    assert search(splits, declaration, random_state=2) != result


def test_a_trial_can_be_repeated_with_scikit_learns_interface(splits: Splits, declaration: CustomerDeclaration) -> None:
    space = {"max_depth": Interval(low=3, high=3, integer=True), "learning_rate": Interval(low=0.3, high=0.3)}
    best = search(splits, declaration, n_trials=1, space=space).best
    train, validation, _ = splits
    inputs = treat(train, declaration)

    classifier = xgb.XGBClassifier(
        n_estimators=best.n_estimators,
        max_depth=3,
        learning_rate=0.3,
        enable_categorical=True,
        feature_types=inputs.types,
        tree_method="hist",
        n_jobs=1,
    ).fit(inputs.values, train["Left"])
    probability = classifier.predict_proba(inputs.transformer.transform(validation))[:, 1]

    assert best.score == pytest.approx(log_loss(validation["Left"], probability), abs=1e-5)


def test_early_stopping_keeps_the_number_of_trees_with_the_lowest_log_loss(
    splits: Splits, declaration: CustomerDeclaration
) -> None:
    fixed = {"max_depth": Interval(low=4, high=4, integer=True), "learning_rate": Interval(low=0.5, high=0.5)}
    patient = search(splits, declaration, n_trials=1, space=fixed, max_rounds=60, early_stopping_rounds=60).best
    capped = [search(splits, declaration, n_trials=1, space=fixed, max_rounds=rounds).best for rounds in (1, 3, 60)]

    assert 1 < patient.n_estimators < 60
    assert capped[0].n_estimators == 1
    assert all(patient.score <= trial.score for trial in capped)


def test_a_parameter_that_xgboost_does_not_have_is_refused(splits: Splits, declaration: CustomerDeclaration) -> None:
    space = SPACE | {"max_dept": Interval(low=1, high=2)}

    with pytest.raises(ParameterError, match=r"parameters that XGBoost does not have: \['max_dept'\]"):
        search(splits, declaration, space=space)


@pytest.mark.parametrize("name", ["n_estimators", "random_state", "n_jobs", "eval_metric"])
def test_a_parameter_that_training_sets_by_itself_is_refused(
    name: str, splits: Splits, declaration: CustomerDeclaration
) -> None:
    with pytest.raises(ParameterError, match=rf"parameters that training sets by itself: \['{name}'\]"):
        search(splits, declaration, space={name: Interval(low=1, high=2, integer=True)})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": 2, "high": 1}, "low 2 is above high 1"),
        ({"low": 0, "high": 1, "log": True}, "a logarithmic scale needs low above 0, found 0"),
        ({"low": 1.2, "high": 1.8, "integer": True}, "no whole number from low 1.2 to high 1.8"),
    ],
)
def test_an_interval_that_cannot_be_searched_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Interval.model_validate(fields)


def test_a_search_needs_a_space_and_a_trial() -> None:
    fields = {"n_trials": 1, "max_rounds": 1, "early_stopping_rounds": 1, "random_state": 4, "space": SPACE}
    mistakes: list[dict[str, Any]] = [{"space": {}}, {"n_trials": 0}, {"timeout_seconds": 0}, {"n_jobs": 0}]
    SearchParameters.model_validate(fields)
    for wrong in mistakes:
        with pytest.raises(ValidationError):
            SearchParameters.model_validate(fields | wrong)


def search_case(task: Task, scale: float = 1.0, **changed: Any) -> SearchResult:
    case = task_case(task)
    parts = (case.train, case.validation, case.test)
    if scale != 1:
        parts = tuple(part.assign(Outcome=part["Outcome"] * scale) for part in parts)  # type: ignore[assignment]
    return search(parts, case.declaration, **changed)


@pytest.mark.parametrize(("task", "metric"), [("multiclass", "log_loss"), ("regression", "rmse")])
def test_the_score_follows_the_task_and_is_named(task: Task, metric: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    result = search_case(task)

    assert result.metric == metric
    assert result.best.score == min(trial.score for trial in result.trials)
    assert {"log_loss": "trial 5 of 5: log loss", "rmse": "trial 5 of 5: RMSE"}[metric] in caplog.text


FIXED = {"max_depth": Interval(low=3, high=3, integer=True), "learning_rate": Interval(low=0.3, high=0.3)}


def test_a_trial_of_several_classes_can_be_repeated_with_scikit_learns_interface() -> None:
    case = task_case("multiclass")
    best = search_case("multiclass", n_trials=1, space=FIXED).best
    inputs = treat(case.train, case.declaration)

    classifier = xgb.XGBClassifier(
        n_estimators=best.n_estimators,
        max_depth=3,
        learning_rate=0.3,
        enable_categorical=True,
        feature_types=inputs.types,
        n_jobs=1,
    ).fit(inputs.values, case.train["Outcome"])
    probability = classifier.predict_proba(inputs.transformer.transform(case.validation))

    assert best.score == pytest.approx(log_loss(case.validation["Outcome"], probability), abs=1e-5)


def test_a_trial_of_a_number_can_be_repeated_with_scikit_learns_interface() -> None:
    case = task_case("regression")
    gamma = 0.5
    best = search_case("regression", n_trials=1, space=FIXED | {"gamma": Interval(low=gamma, high=gamma)}).best
    inputs = treat(case.train, case.declaration)

    regressor = xgb.XGBRegressor(
        n_estimators=best.n_estimators,
        max_depth=3,
        learning_rate=0.3,
        gamma=gamma * case.train["Outcome"].var(ddof=0),
        enable_categorical=True,
        feature_types=inputs.types,
        n_jobs=1,
    ).fit(inputs.values, case.train["Outcome"])
    predicted = regressor.predict(inputs.transformer.transform(case.validation))

    assert best.hyperparameters["gamma"] == gamma
    assert best.score == pytest.approx(root_mean_squared_error(case.validation["Outcome"], predicted), rel=1e-5)


def test_the_unit_of_a_number_changes_the_score_and_nothing_else() -> None:
    space = SPACE | {"gamma": Interval(low=0.0, high=2.0)}
    euros, small = (search_case("regression", scale, space=space) for scale in (1.0, 2.0**-12))

    assert [trial.hyperparameters for trial in small.trials] == [trial.hyperparameters for trial in euros.trials]
    assert [trial.n_estimators for trial in small.trials] == [trial.n_estimators for trial in euros.trials]
    assert small.best.score == pytest.approx(euros.best.score * 2.0**-12, rel=1e-4)


def test_a_class_that_no_training_customer_has_is_named() -> None:
    case = task_case("multiclass")
    train = case.train[case.train["Outcome"] != 2]

    with pytest.raises(CustomerTableError, match=r"None of the \d+ training customers has Outcome = 'premium'"):
        search((train, case.validation, case.test), case.declaration)


def test_a_class_that_no_validation_customer_has_does_not_stop_the_search() -> None:
    case = task_case("multiclass")
    validation = case.validation[case.validation["Outcome"] != 0]

    assert len(search((case.train, validation, case.test), case.declaration).trials) == 5
