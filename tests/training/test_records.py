"""Claims about a training in the words of an experiment tracker."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from churn_kedro.base.versions import library_versions
from churn_kedro.customers.tasks import Task
from churn_kedro.models.learning import describe_learning
from churn_kedro.training.calibration import choose_calibration
from churn_kedro.training.records import list_child_runs, list_parameters, summarise_metrics
from churn_kedro.training.search import AlgorithmSearch, SearchResult, Trial
from tests.task_cases import compare_given, quick_parameters, task_case, train_given

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


def test_parameters_have_the_names_of_the_library_and_of_common_practice() -> None:
    summary = task_case("binary").training.summary
    assert summary.threshold is not None

    parameters = list_parameters(summary)

    versions = {name: parameters.pop(name) for name in list(parameters) if name.startswith("version.")}
    assert versions == {f"version.{name}": version for name, version in library_versions().items()}
    assert {"version.python", "version.xgboost", "version.scikit-learn"} <= versions.keys()
    assert parameters == {
        "algorithm": "xgboost",
        "max_depth": 3,
        "learning_rate": 0.3,
        "n_estimators": 20,
        "random_state": 5,
        "test_size": 0.25,
        "validation_size": 0.25,
        "split_method": "random",
        "n_splits": 2,
        "n_features": 3,
        "n_inputs": 3,
        "n_rows": 450,
        "missing_value_strategy": "keep",
        "categorical_encoding": "native",
        "scaling": "none",
        "device": "cpu",
        "n_jobs": 1,
        "calibration": "temperature",
        "decision_threshold": summary.threshold.threshold,
        "threshold_objective": "f1",
    }


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_have_no_parameters_of_a_decision(task: Task) -> None:
    parameters = list_parameters(task_case(task).training.summary)

    assert not {"decision_threshold", "threshold_objective"} & parameters.keys()
    assert ("calibration" in parameters) is (task == "multiclass")


def test_parameters_of_an_ensemble_are_prefixed_with_their_algorithm() -> None:
    summary = task_case("binary").training.summary
    (member,) = summary.members
    linear = member.model_copy(
        update={"algorithm": "logistic_regression", "hyperparameters": {"C": 0.5}, "n_estimators": None}
    )
    both = summary.model_copy(update={"model": "stack", "members": [member, linear]})

    parameters, metrics = list_parameters(both), summarise_metrics(both).values

    assert parameters["algorithm"] == "stack"
    assert parameters["xgboost.max_depth"] == 3
    assert parameters["xgboost.n_estimators"] == 20
    assert parameters["logistic_regression.C"] == 0.5
    assert "logistic_regression.n_estimators" not in parameters
    assert metrics["model_xgboost_trees"] == 20


@pytest.mark.parametrize("task", TASKS)
def test_metrics_are_those_of_customers_that_were_not_learned_from(task: Task) -> None:
    case = task_case(task)
    metrics = summarise_metrics(case.training.summary).values
    given: Any = {"xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 20)}
    found = compare_given(
        case.train, case.validation, case.manifest, case.declaration, given=given
    ).candidate_comparison

    score = "rmse" if task == "regression" else "log_loss"
    folds = [metrics[f"cv_{score}_fold_{place}"] for place in (1, 2)]
    assert metrics[f"cv_{score}_uncalibrated"] == pytest.approx(np.mean(folds))
    assert folds == found.chosen.fold_scores
    assert metrics["model_trees"] == 20 * (3 if task == "multiclass" else 1)
    assert {"seconds_search", "seconds_comparison", "seconds_fit"} <= metrics.keys()
    if task == "regression":
        error = found.out_of_fold.prediction - found.out_of_fold.target
        assert metrics["cv_rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
        assert not any("ece" in name for name in metrics)
    else:
        predictions, learning = found.out_of_fold, describe_learning(case.train, case.declaration)
        parameters = quick_parameters().calibration
        chosen, calibrated = choose_calibration(
            predictions.target, predictions.prediction, predictions.fold, learning, parameters
        )
        assert metrics["cv_log_loss"] == pytest.approx(log_loss(predictions.target, calibrated))
        assert (metrics["cv_ece_before"], metrics["cv_ece_after"]) == (chosen.ece_before, chosen.ece_after)
    assert ("cv_contacted_share" in metrics) is (task == "binary")
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())


def test_profit_is_a_metric_where_the_threshold_is_chosen_for_it() -> None:
    case = task_case("binary")
    economics = {"contact_cost": 5.0, "offer_cost": 50.0, "save_probability": 0.3, "value": 600.0}
    summary = train_given(
        case.train,
        case.validation,
        case.manifest,
        case.declaration,
        campaigns={"objective": "profit", "economics": economics},
    ).summary

    assert summary.threshold is not None
    assert summarise_metrics(summary).values["cv_profit_per_customer"] == summary.threshold.profit_per_customer


SEARCH = SearchResult(
    metric="log_loss",
    objectives=["loss"],
    n_splits=2,
    rows=450,
    searches=[
        AlgorithmSearch(
            algorithm="xgboost",
            best=Trial(number=1, score=0.4, hyperparameters={"max_depth": 3}),
            trials=[
                Trial(
                    number=0,
                    state="pruned",
                    fold_scores=[0.7],
                    n_estimators=4,
                    fold_n_estimators=[4],
                    hyperparameters={"max_depth": 2},
                    seconds=0.5,
                ),
                Trial(
                    number=1,
                    score=0.4,
                    fold_scores=[0.3, 0.5],
                    n_estimators=9,
                    fold_n_estimators=[8, 10],
                    hyperparameters={"max_depth": 3},
                    seconds=1.5,
                    known=True,
                ),
                Trial(number=2, state="failed", hyperparameters={"max_depth": -1}, error="XGBoostError: no depth"),
            ],
            seconds=2.0,
        )
    ],
)


def test_each_trial_becomes_a_run_with_what_it_tried_and_how_it_ended() -> None:
    summary = task_case("binary").training.summary

    pruned, best, failed, curves = list_child_runs(summary, SEARCH, True)

    assert [run.name for run in (pruned, best, failed)] == [f"xgboost trial {number}" for number in (1, 2, 3)]
    assert best.params == {"max_depth": 3}
    assert best.metrics == {
        "log_loss": 0.4,
        "log_loss_fold_1": 0.3,
        "log_loss_fold_2": 0.5,
        "n_estimators": 9.0,
        "seconds": 1.5,
    }
    assert best.tags == {"kind": "trial", "algorithm": "xgboost", "best": "true", "known": "true"}
    assert (pruned.status, best.status, failed.status) == ("pruned", "finished", "failed")
    assert "log_loss" not in pruned.metrics
    assert pruned.metrics["log_loss_fold_1"] == 0.7
    assert failed.tags["error"] == "XGBoostError: no depth"
    assert curves.curves == {
        "train_log_loss": summary.learning_curves["train"],
        "validation_log_loss": summary.learning_curves["validation"],
    }
    assert len(summary.learning_curves["validation"]) == 20


def test_no_runs_are_made_where_none_are_wanted() -> None:
    assert list_child_runs(task_case("binary").training.summary, SEARCH, False) == []
