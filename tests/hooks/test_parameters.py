"""Claims about the validation of the parameters of all pipelines."""

from typing import Any

import pytest
import yaml

from churn_kedro.base.errors import ParameterError
from churn_kedro.base.parameters import Parameters
from churn_kedro.hooks.parameters import RUNTIME_PARAMETERS, ProjectParameters, validate_parameters
from tests import ROOT


@pytest.fixture
def raw() -> dict[str, Any]:
    """The parameters that the project ships."""
    groups: dict[str, Any] = {}
    for path in (ROOT / "conf/base/parameters").glob("*.yml"):
        groups |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return groups


def test_the_shipped_parameters_become_their_typed_classes(raw: dict[str, Any]) -> None:
    validated = validate_parameters(raw)

    for name in ProjectParameters.model_fields:
        assert isinstance(validated[name], Parameters), name
    assert validated["training"].search.n_trials == raw["training"]["search"]["n_trials"]
    assert validated["customers"].target == "Exited"
    assert validated["fabrication"] == raw["fabrication"]


@pytest.mark.parametrize("name", RUNTIME_PARAMETERS)
def test_parameters_of_the_catalog_are_allowed(raw: dict[str, Any], name: str) -> None:
    assert validate_parameters(raw | {name: "x"})[name] == "x"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(raw_custmers="a.csv"), "'raw_custmers' is unknown. Did you mean 'raw_customers'?"),
        (lambda raw: raw.update(trainng={}), "'trainng' is unknown. Did you mean 'training'?"),
        (
            lambda raw: raw["training"]["search"].update(n_trails=3),
            "'training.search.n_trails' is unknown. Did you mean 'training.search.n_trials'?",
        ),
        (
            lambda raw: raw["data_processing"]["split"].update(test_siz=0.1),
            "'data_processing.split.test_siz' is unknown. Did you mean 'data_processing.split.test_size'?",
        ),
        (
            lambda raw: raw["campaigns"]["economics"].update(contact_cost=-1),
            "'campaigns.economics.contact_cost': Input should be greater than or equal to 0, found -1.",
        ),
        (lambda raw: raw["registry"].pop("gate"), "'registry.gate' is missing."),
        (lambda raw: raw.update(n_trials=3), "'n_trials' is unknown. Did you mean 'training.search.n_trials'?"),
        (lambda raw: raw.update(split={}), "'split' is unknown. Did you mean 'data_processing.split'?"),
        (
            lambda raw: raw["registry"].update(approval="mannual"),
            "'registry.approval': Input should be 'auto' or 'manual', found 'mannual'. Did you mean 'manual'?",
        ),
        (
            lambda raw: raw["training"]["spaces"]["xgboost"].update(max_depth={"low": 3}),
            "'training.spaces.xgboost.max_depth.high' is missing.",
        ),
        (
            lambda raw: raw["customers"]["columns"][5].update(domain={"mn": 1}),
            "'customers.columns.5.domain.mn' is unknown. Did you mean 'customers.columns.5.domain.min'?",
        ),
        (
            lambda raw: raw["campaigns"]["economics"].update(value="much"),
            "'campaigns.economics.value': Input should be a valid number, unable to parse string as a number, or a "
            "valid dictionary or instance of ValueColumn, found 'much'.",
        ),
        (
            lambda raw: raw["registry"]["gate"]["binary"]["bounds"].update(rocauc=0.5),
            "'registry.gate': binary: bounds contain unknown metrics ['rocauc']",
        ),
    ],
)
def test_an_invalid_parameter_is_named_with_its_correction(raw: dict[str, Any], change: Any, message: str) -> None:
    change(raw)

    with pytest.raises(ParameterError) as raised:
        validate_parameters(raw)

    assert str(raised.value).startswith(f"Invalid parameters:\n- {message}")
    assert "\n" not in str(raised.value).removeprefix("Invalid parameters:\n")


def test_all_invalid_parameters_are_listed_at_once(raw: dict[str, Any]) -> None:
    raw["training"]["devize"] = "cpu"
    raw["inference"]["max_unscored_share"] = 2

    with pytest.raises(ParameterError) as raised:
        validate_parameters(raw | {"modelversion": 3})

    assert len(str(raised.value).splitlines()) == 4
