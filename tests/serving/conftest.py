"""A registry with a small model, and the service above it, in this process."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from mlflow import MlflowClient
from starlette.testclient import TestClient

from churn_kedro.campaigns.parameters import BandParameters
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.models.interface import TrainedModel
from churn_kedro.serving.application import Service
from churn_kedro.serving.parameters import ServingParameters
from churn_kedro.serving.settings import ServiceSettings, UseCase
from tests import ROOT
from tests.mlflow_store import mlflow_at, register_trained
from tests.task_cases import task_case

NAME = "bank_churn"
CUSTOMER = {
    "Id": 7,
    "City": "Lyon",
    "Age": 40,
    "Country": "Spain",
    "Charges": 12.5,
    "Tier": 2,
    "Contract": "month",
    "Card": 1,
}
Change = Callable[..., ServiceSettings]


def serving_parameters(**changed: Any) -> ServingParameters:
    text = (ROOT / "conf" / "base" / "parameters" / "serving.yml").read_text(encoding="utf-8")
    return ServingParameters.model_validate({**yaml.safe_load(text)["serving"], **changed})


def begin_experiment(folder: Path) -> None:
    """Let versions be logged to a folder of the tests."""
    experiment = mlflow.create_experiment("versions", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment(experiment_id=experiment)


@pytest.fixture(scope="package")
def registry(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with version 1 of three models, all champions. Tests do not change it."""
    folder = tmp_path_factory.mktemp("registry")
    with mlflow_at(f"sqlite:///{folder / 'mlflow.db'}"):
        begin_experiment(folder)
        for name, model in (
            (NAME, trained),
            ("kinds", task_case("multiclass").trained),
            ("worth", task_case("regression").trained),
        ):
            register_trained(model, name, folder)
            MlflowClient().set_registered_model_alias(name, "champion", "1")
        yield folder


def _use_case(declaration: CustomerDeclaration, folder: Path) -> UseCase:
    bands = BandParameters(medium=0.2, high=0.5)
    return UseCase("bank", NAME, "champion", declaration, bands, 0.0, f"sqlite:///{folder / 'log.db'}")


def _settings(use_case: UseCase, registry: Path, folder: Path, **changed: Any) -> ServiceSettings:
    own = {name: changed.pop(name) for name in [*changed] if name in ServiceSettings.__dataclass_fields__}
    given: dict[str, Any] = {
        "use_cases": (use_case,),
        "parameters": serving_parameters(**changed),
        "tracking_uri": f"sqlite:///{registry / 'mlflow.db'}",
        "requests_file": folder / "requests.jsonl",
    }
    return ServiceSettings(**(given | own))


def client_of(service: Service, **arguments: Any) -> TestClient:
    return TestClient(service.application, base_url="http://localhost", **arguments)


@pytest.fixture(scope="package")
def client(
    registry: Path, declaration: CustomerDeclaration, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """The service with the parameters of the project; tests share it."""
    folder = tmp_path_factory.mktemp("service")
    service = Service(_settings(_use_case(declaration, folder), registry, folder, poll_seconds=3600))
    with client_of(service) as client:
        yield client


@pytest.fixture
def use_case(registry: Path, declaration: CustomerDeclaration, tmp_path: Path) -> UseCase:
    return _use_case(declaration, tmp_path)


@pytest.fixture
def settings(use_case: UseCase, registry: Path, tmp_path: Path) -> Change:
    """Makes settings with files of the test's own; anything can be changed."""
    return partial(_settings, use_case, registry, tmp_path)
