"""Claims about spaces of hyperparameters as configuration."""

from typing import Any

import optuna
import pytest
from pydantic import TypeAdapter, ValidationError

from churn_kedro.base.errors import ParameterError
from churn_kedro.training.algorithms import load_algorithm
from churn_kedro.training.parameters import Choices, Interval, Space, TrainingParameters
from churn_kedro.training.search_space import check_spaces, describe_space, find_start, suggest
from tests import ROOT
from tests.task_cases import quick_parameters

SPACES = TypeAdapter(Space)


def drawn(space: dict[str, Any], n_trials: int = 40) -> list[dict[str, Any]]:
    """What trials choose of a space as the configuration writes it."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    return [suggest(study.ask(), SPACES.validate_python(space)) for _ in range(n_trials)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": 2, "high": 1}, "low 2 is above high 1"),
        ({"low": 0, "high": 1, "log": True}, "a logarithmic scale needs low above 0, found 0"),
        ({"low": 1.2, "high": 1.8, "integer": True}, "no whole number between low 1.2 and high 1.8"),
        ({"low": 1, "high": 2, "step": 1}, "Extra inputs are not permitted"),
    ],
)
def test_an_interval_that_cannot_be_searched_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Interval.model_validate(fields)


def test_choices_need_one() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        Choices.model_validate({"choices": []})


def test_numbers_come_from_their_interval_both_ends_included() -> None:
    found = drawn({"whole": {"low": 1.5, "high": 4.5, "integer": True}, "real": {"low": 0.5, "high": 0.7}})

    assert {trial["whole"] for trial in found} == {2, 3, 4}
    assert all(isinstance(trial["whole"], int) and 0.5 <= trial["real"] <= 0.7 for trial in found)


def test_a_logarithmic_scale_tries_each_order_of_magnitude_alike() -> None:
    found = [trial["rate"] for trial in drawn({"rate": {"low": 1e-4, "high": 1.0, "log": True}}, 400)]

    for low in (1e-4, 1e-3, 1e-2, 1e-1):
        assert 70 < sum(low <= rate < low * 10 for rate in found) < 130


def test_choices_keep_their_kind_and_a_value_alone_is_for_all() -> None:
    space = {"policy": {"choices": ["depthwise", "lossguide"]}, "size": {"choices": [1, 2.5, True]}, "depth": 6}

    found = drawn(space)

    assert {trial["policy"] for trial in found} == {"depthwise", "lossguide"}
    assert {type(trial["size"]) for trial in found} == {int, float, bool}
    assert {trial["depth"] for trial in found} == {6}


def test_null_takes_a_parameter_of_the_base_out() -> None:
    merged = {"gamma": {"low": 0, "high": 2}, "max_depth": 3} | {"gamma": None}

    assert drawn(merged, 1) == [{"max_depth": 3}]
    assert describe_space(SPACES.validate_python(merged)) == {"max_depth": 3}


def test_the_first_trial_starts_at_the_values_that_still_are_in_the_space() -> None:
    space = SPACES.validate_python(
        {
            "kept": {"low": 1, "high": 3, "start": 2.5},
            "whole": {"low": 1, "high": 9, "integer": True, "start": 4},
            "left_behind": {"low": 1, "high": 2, "start": 7},
            "no_start": {"low": 1, "high": 2},
            "choice": {"choices": ["a", "b"], "start": "b"},
            "lost_choice": {"choices": ["a", "b"], "start": "c"},
            "constant": 5,
            "out": None,
        }
    )

    assert find_start(space) == {"kept": 2.5, "whole": 4, "choice": "b"}
    assert isinstance(find_start(space)["whole"], int)


def test_a_space_is_the_same_in_any_order_and_with_any_start() -> None:
    one, other = (
        SPACES.validate_python(space)
        for space in (
            {"a": {"low": 1, "high": 2, "start": 1}, "b": {"choices": [1, 2]}},
            {"b": {"choices": [1, 2], "start": 2}, "a": {"low": 1, "high": 2}},
        )
    )

    assert describe_space(one) == describe_space(other)
    assert describe_space(one) != describe_space(one | {"b": Choices(choices=[1, 3])})


@pytest.mark.parametrize(
    ("algorithm", "name", "hint"),
    [
        ("xgboost", "max_dept", r"max_dept \(do you mean max_depth\?\)"),
        ("xgboost", "eta_", "eta_"),
        ("catboost", "l2_leaf_regg", r"do you mean l2_leaf_reg\?"),
        ("logistic_regression", "c", "Expected: C"),
    ],
)
def test_a_parameter_that_the_algorithm_does_not_have_is_refused_with_the_nearest(
    algorithm: Any, name: str, hint: str
) -> None:
    with pytest.raises(ParameterError, match=rf"training.spaces.{algorithm} contains .*{hint}"):
        check_spaces({algorithm: {name: 1}}, [load_algorithm(algorithm)])


@pytest.mark.parametrize(
    ("algorithm", "names"),
    [
        ("xgboost", ["n_estimators", "random_state", "n_jobs", "eval_metric", "device", "monotone_constraints"]),
        ("lightgbm", ["n_estimators", "random_state", "n_jobs"]),
        ("catboost", ["iterations", "random_seed", "thread_count"]),
        ("hist_gradient_boosting", ["max_iter", "random_state", "early_stopping"]),
        ("random_forest", ["n_jobs", "random_state", "class_weight"]),
        ("neural_network", ["max_iter", "random_state"]),
    ],
)
def test_a_parameter_that_training_sets_by_itself_is_refused(algorithm: Any, names: list[str]) -> None:
    for name in names:
        with pytest.raises(ParameterError, match=f"cannot be searched: {name}.*set by training"):
            check_spaces({algorithm: {name: 1}}, [load_algorithm(algorithm)])


def test_an_algorithm_needs_a_space() -> None:
    with pytest.raises(ParameterError, match=r"contains random_forest, but training.spaces has no space for it"):
        check_spaces({"xgboost": {}}, [load_algorithm("xgboost"), load_algorithm("random_forest")])


def test_a_space_of_an_algorithm_that_does_not_compete_is_not_looked_at() -> None:
    check_spaces({"xgboost": {}, "catboost": {"nonsense": 1}}, [load_algorithm("xgboost")])


def test_the_shipped_spaces_are_ones_that_their_algorithms_take() -> None:

    import yaml

    shipped = yaml.safe_load((ROOT / "conf/base/parameters/training.yml").read_text(encoding="utf-8"))["training"]
    parameters = TrainingParameters.model_validate(shipped)

    assert set(parameters.spaces) == set(quick_parameters().spaces)
    check_spaces(parameters.spaces, [load_algorithm(name) for name in parameters.spaces])
    for space in parameters.spaces.values():
        searched = {name for name, values in space.items() if isinstance(values, Interval | Choices)}
        assert set(find_start(space)) == searched
