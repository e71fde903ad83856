"""Claims about options of `kedro run` that name nothing, or that the pipelines do not support."""

from typing import Any

import pytest
from kedro.framework.project import configure_project

from churn_kedro.base import ParameterError
from churn_kedro.cli.run_options import require_known_options

NOTHING: dict[str, Any] = {
    "is_async": False,
    "runner_params": {},
    "only_missing_outputs": False,
    "runner": None,
    "pipeline": None,
    "pipelines": [],
    "node_names": (),
    "from_nodes": [],
    "to_nodes": [],
    "tags": (),
    "from_inputs": [],
    "to_outputs": [],
    "namespaces": [],
}


@pytest.fixture(scope="module", autouse=True)
def _configured() -> None:
    configure_project("churn_kedro")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"is_async": True}, "--async is not supported: datasets log to the MLflow run of their thread."),
        ({"runner_params": {"is_async": True}}, "--async is not supported"),
        ({"only_missing_outputs": True}, "--only-missing-outputs is not supported"),
        ({"runner": "ThreadRuner"}, "--runner: there is no 'ThreadRuner'. Did you mean 'ThreadRunner'?"),
        ({"pipelines": ["trainin"]}, "--pipelines: there is no 'trainin'. Did you mean 'training'?"),
        ({"pipeline": "trainin"}, "Did you mean 'training'?"),
        ({"pipelines": ["x"]}, "Known: __default__, data_processing, evaluation,"),
        ({"node_names": ("train_model",)}, "--nodes: there is no 'train_model'. Did you mean 'training.train_model'?"),
        ({"from_nodes": ["training.trainmodel"]}, "--from-nodes: there is no 'training.trainmodel'."),
        ({"to_nodes": ["training.trainmodel"]}, "Did you mean 'training.train_model'?"),
        ({"tags": ("inferenc",)}, "--tags: there is no 'inferenc'. Did you mean 'inference'?"),
        ({"namespaces": ["evaluaton"]}, "--namespaces: there is no 'evaluaton'. Did you mean 'evaluation'?"),
        ({"from_inputs": ["raw_custmers"]}, "--from-inputs: there is no 'raw_custmers'. Did you mean 'raw_customers'?"),
        ({"to_outputs": ["predictons"]}, "--to-outputs: there is no 'predictons'. Did you mean 'predictions'?"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_what_works(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as raised:
        require_known_options(NOTHING | given)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"runner": "ThreadRunner"},
        {"runner": "somewhere.else.Runner"},
        {"pipelines": ["training", "registry"]},
        {"pipelines": ["__default__"]},
        {"node_names": ("training.train_model",), "tags": ("training",), "namespaces": ["training"]},
        {"from_inputs": ["churn_model"], "to_outputs": ["predictions"]},
        {"from_inputs": ["churn_model@registry"]},
    ],
)
def test_other_options_are_left_to_kedro(given: dict[str, Any]) -> None:
    require_known_options(NOTHING | given)
