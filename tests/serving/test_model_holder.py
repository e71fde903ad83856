"""The served version follows the alias, and nothing less than a verified version is served."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from starlette.testclient import TestClient

from churn_kedro.models.compiled import RowAnswer
from churn_kedro.models.interface import TrainedModel
from churn_kedro.serving import model_holder
from churn_kedro.serving.application import Service
from churn_kedro.serving.model_holder import ModelHolder, require_version
from churn_kedro.serving.scoring import RefusedModelError, verify_answers
from tests.mlflow_store import mlflow_at, register_trained
from tests.serving.conftest import CUSTOMER, NAME, Change, client_of
from tests.task_cases import task_case

pytestmark = pytest.mark.slow


@pytest.fixture
def own_registry(registry: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the registry, which a test may change."""
    shutil.copy(registry / "mlflow.db", tmp_path / "mlflow.db")
    with mlflow_at(f"sqlite:///{tmp_path / 'mlflow.db'}"):
        mlflow.set_experiment("versions")
        yield tmp_path
    # What mlflow_at forgets.
    mlflow.set_tracking_uri(f"sqlite:///{registry / 'mlflow.db'}")
    mlflow.set_registry_uri(f"sqlite:///{registry / 'mlflow.db'}")


@pytest.fixture
def serving(own_registry: Path, settings: Change) -> Iterator[tuple[TestClient, ModelHolder]]:
    """The service; the test looks at the registry itself."""
    service = Service(settings(poll_seconds=3600))
    with client_of(service) as client:
        yield client, service.use_cases[0].holder


def _promote(model: TrainedModel, folder: Path, version: str) -> None:
    register_trained(model, NAME, folder)
    MlflowClient().set_registered_model_alias(NAME, "champion", version)


def test_the_version_is_exchanged_when_the_alias_moves(
    serving: tuple[TestClient, ModelHolder], trained: TrainedModel, own_registry: Path
) -> None:
    client, holder = serving
    _promote(trained, own_registry, "2")
    before = client.post("/predict", json=CUSTOMER)
    holder.check()
    after = client.post("/predict", json=CUSTOMER)

    assert (before.headers["x-model-version"], after.headers["x-model-version"]) == ("1", "2")
    assert after.json()["model_version"] == 2
    assert client.get("/model").json()["aliases"] == ["champion"]
    metrics = client.get("/metrics").text
    assert 'churn_model_swaps_total{use_case="bank"} 1.0' in metrics
    assert 'churn_model_version{use_case="bank"} 2.0' in metrics


def test_a_version_that_does_not_fit_is_refused_and_the_old_one_stays(
    serving: tuple[TestClient, ModelHolder], own_registry: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client, holder = serving
    _promote(task_case("multiclass").trained, own_registry, "2")
    holder.check()
    holder.check()
    model = client.get("/model").json()

    assert client.post("/predict", json=CUSTOMER).json()["model_version"] == 1
    assert model["refused"]["version"] == 2
    assert "trained for task multiclass" in model["refused"]["reason"]
    assert "version 2 is refused, version 1 stays" in caplog.text
    # Not loaded again at every look.
    assert 'churn_model_refused_total{use_case="bank"} 1.0' in client.get("/metrics").text

    MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    holder.check()
    assert client.get("/model").json()["refused"] is None


def test_a_version_with_wrong_answers_is_refused(
    serving: tuple[TestClient, ModelHolder],
    trained: TrainedModel,
    own_registry: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, holder = serving
    _promote(trained, own_registry, "2")
    monkeypatch.setattr("churn_kedro.serving.scoring.compile_model", lambda *_: _Constant(0.5))
    holder.check()

    assert client.get("/model").json()["refused"]["version"] == 2
    assert "differ" in client.get("/model").json()["refused"]["reason"]
    assert client.post("/predict", json=CUSTOMER).json()["model_version"] == 1


class _Constant:
    """A scorer that says the same of everybody."""

    is_compiled = True
    fallback_reason = ""

    def __init__(self, score: float) -> None:
        self._score = score

    def answer(self, rows: Any) -> list[RowAnswer]:
        return [RowAnswer(np.array([self._score]), "contact", None, ()) for _ in rows]


@pytest.mark.parametrize("score", [0.5, np.nan, np.inf])
def test_other_scores_than_those_of_the_model_are_refused(trained: TrainedModel, score: float) -> None:
    with pytest.raises(RefusedModelError, match="not served"):
        verify_answers(_registered(trained), _Constant(score), trained.example)


def _registered(trained: TrainedModel) -> Any:
    return replace(task_case("binary").registered(), estimator=trained.estimator)


def test_a_registry_that_is_down_leaves_the_version_in_service(
    serving: tuple[TestClient, ModelHolder],
    trained: TrainedModel,
    own_registry: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, holder = serving

    def fail(*_: object) -> None:
        raise MlflowException("connection refused by http://ada:secret@mlflow")

    with monkeypatch.context() as patch:
        patch.setattr(model_holder, "find_model_version", fail)
        holder.check()
    ready, model = client.get("/ready"), client.get("/model").json()

    assert ready.status_code == 200
    assert ready.json()["use_cases"]["bank"]["stale"] is True
    assert client.post("/predict", json=CUSTOMER).status_code == 200
    assert model["stale"]
    assert "connection refused" in model["registry_failure"]
    assert "secret" not in model["registry_failure"]
    assert 'churn_registry_stale{use_case="bank"} 1.0' in client.get("/metrics").text

    _promote(trained, own_registry, "2")
    holder.check()
    assert client.get("/ready").json()["use_cases"]["bank"] == {
        "model_name": NAME,
        "model_version": 2,
        "stale": False,
    }


def test_an_alias_that_is_removed_leaves_the_version_in_service(serving: tuple[TestClient, ModelHolder]) -> None:
    client, holder = serving
    MlflowClient().delete_registered_model_alias(NAME, "champion")
    holder.check()

    assert client.post("/predict", json=CUSTOMER).json()["model_version"] == 1
    assert "champion" in client.get("/model").json()["registry_failure"]


def test_a_version_that_does_not_exist_is_an_error_at_the_start(own_registry: Path, settings: Change) -> None:
    (use_case,) = settings().use_cases
    for wanted, named in (("challenger", "challenger"), ("7", "version or alias 7")):
        with pytest.raises(DatasetError, match=named):
            require_version(replace(use_case, wanted=wanted))
    require_version(use_case)


def test_a_given_version_is_served_whatever_the_alias_says(
    own_registry: Path, settings: Change, trained: TrainedModel
) -> None:
    (use_case,) = settings().use_cases
    _promote(trained, own_registry, "2")
    service = Service(settings(use_cases=(replace(use_case, wanted="1"),)))
    service.use_cases[0].holder.check()

    assert service.use_cases[0].holder.model.version == 1


def test_the_input_example_is_what_the_model_was_logged_with(registry: Path, trained: TrainedModel) -> None:
    from churn_kedro.datasets.mlflow.stored_models import load_input_example

    found = load_input_example(NAME, 1)

    pd.testing.assert_series_equal(
        trained.estimator.predict(found)["probability"], trained.estimator.predict(trained.example)["probability"]
    )
