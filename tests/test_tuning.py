"""Claims about the search for hyperparameters."""

from typing import Any

import pandas as pd
import pytest
import xgboost as xgb
from pydantic import ValidationError
from sklearn.metrics import log_loss

from churn_kedro.customers import CustomerDeclaration, ParameterError
from churn_kedro.features import build_features, input_types
from churn_kedro.tuning import (
    Interval,
    SearchParameters,
    SearchResult,
    search_hyperparameters,
)

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
    return search_hyperparameters(splits[0], splits[1], declaration, parameters)


@pytest.fixture(scope="module")
def result(splits: Splits, declaration: CustomerDeclaration) -> SearchResult:
    return search(splits, declaration)


def test_the_budget_of_trials_is_spent_in_order(result: SearchResult) -> None:
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3, 4]


def test_the_best_trial_has_the_lowest_log_loss(result: SearchResult) -> None:
    assert result.best in result.trials[1:]
    assert result.best.log_loss == min(trial.log_loss for trial in result.trials)


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
    features = build_features(declaration).fit(train)

    classifier = xgb.XGBClassifier(
        n_estimators=best.n_estimators,
        max_depth=3,
        learning_rate=0.3,
        enable_categorical=True,
        feature_types=input_types(declaration),
        tree_method="hist",
        n_jobs=1,
    ).fit(features.transform(train), train["Left"])
    probability = classifier.predict_proba(features.transform(validation))[:, 1]

    assert best.log_loss == pytest.approx(log_loss(validation["Left"], probability), abs=1e-5)


def test_early_stopping_keeps_the_number_of_trees_with_the_lowest_log_loss(
    splits: Splits, declaration: CustomerDeclaration
) -> None:
    fixed = {"max_depth": Interval(low=4, high=4, integer=True), "learning_rate": Interval(low=0.5, high=0.5)}
    patient = search(splits, declaration, n_trials=1, space=fixed, max_rounds=60, early_stopping_rounds=60).best
    capped = [search(splits, declaration, n_trials=1, space=fixed, max_rounds=rounds).best for rounds in (1, 3, 60)]

    assert 1 < patient.n_estimators < 60
    assert capped[0].n_estimators == 1
    assert all(patient.log_loss <= trial.log_loss for trial in capped)


def test_a_parameter_that_xgboost_does_not_have_is_refused(splits: Splits, declaration: CustomerDeclaration) -> None:
    space = SPACE | {"max_dept": Interval(low=1, high=2)}

    with pytest.raises(ParameterError, match=r"parameters that XGBoost does not have: \['max_dept'\]"):
        search(splits, declaration, space=space)


@pytest.mark.parametrize("name", ["n_estimators", "random_state", "n_jobs"])
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
