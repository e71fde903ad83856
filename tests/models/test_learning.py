"""Claims about the loss of each task."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import log_loss, mean_squared_error, root_mean_squared_error

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.tasks import Task
from churn_kedro.models.learning import Learning, absent_classes, describe_learning
from tests.task_cases import declare, task_case

BINARY = Learning("binary", "log_loss", n_classes=2)
SEVERAL = Learning("multiclass", "log_loss", n_classes=3)
NUMBER = Learning("regression", "rmse", unit=2.0)
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.uniform(0.1, 3, 50)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_scores_are_those_of_scikit_learn(weight: np.ndarray | None) -> None:
    codes, probability = np.arange(50) % 2, RANDOM.uniform(0.01, 0.99, 50)
    assert BINARY.measure(codes, probability, weight) == pytest.approx(
        log_loss(codes, probability, sample_weight=weight)
    )

    codes, shares = np.arange(50) % 3, RANDOM.dirichlet(np.ones(3), 50)
    assert SEVERAL.measure(codes, shares, weight) == pytest.approx(log_loss(codes, shares, sample_weight=weight))

    numbers, predicted = RANDOM.normal(size=50), RANDOM.normal(size=50)
    expected = root_mean_squared_error(numbers, predicted, sample_weight=weight)
    assert NUMBER.measure(numbers, predicted, weight) == pytest.approx(expected)


def test_the_score_is_the_mean_loss_of_the_rows() -> None:
    codes, probability = np.arange(50) % 2, RANDOM.uniform(0.01, 0.99, 50)
    numbers, predicted = RANDOM.normal(size=50), RANDOM.normal(size=50)

    assert BINARY.losses(codes, probability).mean() == pytest.approx(BINARY.measure(codes, probability))
    assert NUMBER.losses(numbers, predicted).mean() == pytest.approx(mean_squared_error(numbers, predicted))
    np.testing.assert_allclose(
        BINARY.losses(codes, probability),
        [log_loss([code], [p], labels=[0, 1]) for code, p in zip(codes, probability, strict=True)],
    )


@given(probability=st.floats(0, 1), code=st.integers(0, 1))
def test_the_loss_of_one_customer_is_finite(probability: float, code: int) -> None:
    assert 0 <= BINARY.measure(np.array([code]), np.array([probability])) < 35


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_score_of_a_constant_equals_that_of_a_dummy_model(task: Task) -> None:
    case = task_case(task)
    learning = describe_learning(case.train, case.declaration)
    train, test = (part["Outcome"].to_numpy() for part in (case.train, case.test))

    found = learning.measure_constant(train, test)

    if task == "regression":
        dummy = DummyRegressor().fit(train[:, None], train)
        assert found == pytest.approx(root_mean_squared_error(test, dummy.predict(test[:, None])))
    else:
        dummy = DummyClassifier(strategy="prior").fit(train[:, None], train)
        assert found == pytest.approx(log_loss(test, dummy.predict_proba(test[:, None])))


def test_the_learning_problem_follows_from_declaration_and_customers() -> None:
    cases = {task: task_case(task) for task in ("binary", "multiclass", "regression")}
    found = {task: describe_learning(case.train, case.declaration) for task, case in cases.items()}

    assert found["binary"] == Learning("binary", "log_loss", n_classes=2, unit=1.0)
    assert found["multiclass"] == Learning("multiclass", "log_loss", n_classes=3, unit=1.0)
    assert found["regression"] == Learning(
        "regression", "rmse", n_classes=0, unit=float(np.std(cases["regression"].train["Outcome"]))
    )


def test_a_class_that_no_customer_has_is_named_by_its_label() -> None:
    customers = pd.DataFrame({"Outcome": [0, 0, 2]})

    assert absent_classes(customers, declare("multiclass")) == [1]
    with pytest.raises(CustomerTableError, match=r"None of the 3 training customers has Outcome = 'plus'"):
        describe_learning(customers, declare("multiclass"))
    assert absent_classes(customers, declare("regression")) == []
