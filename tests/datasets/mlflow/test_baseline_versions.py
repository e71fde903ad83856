"""Claims about finding what a version is to be compared with, and about what stays with it."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient

from churn_kedro.datasets.mlflow.baseline_versions import BaselineDataset
from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.datasets.mlflow.version_documents import VersionDocumentsDataset
from churn_kedro.models.interface import RegisteredModel, TrainedModel
from churn_kedro.reporting.version_documents import VersionDocuments
from tests.mlflow_store import register_trained


@pytest.mark.slow
def test_a_number_an_alias_and_the_default_find_versions(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    for _ in range(2):
        register_trained(trained, "compared", tmp_path)

    missing = BaselineDataset(model_name="compared").load()
    assert (missing.model, missing.by_default) == (None, True)
    MlflowClient().set_registered_model_alias("compared", "champion", "1")
    by_default = BaselineDataset(model_name="compared").load()
    by_alias = BaselineDataset(model_name="compared", baseline="champion").load()
    by_number = BaselineDataset(model_name="compared", baseline=2).load()

    for request, version, alias in ((by_default, 1, "champion"), (by_alias, 1, "champion"), (by_number, 2, None)):
        assert isinstance(request.model, RegisteredModel)
        assert (request.model.version, request.alias) == (version, alias)
        assert request.model.estimator.readers == trained.estimator.readers
    assert (by_default.by_default, by_alias.by_default) == (True, False)


def test_a_simple_model_and_nothing_need_no_registry(tracking: str) -> None:
    assert BaselineDataset(model_name="nobody", baseline="constant").load().name == "constant"
    nothing = BaselineDataset(model_name="nobody", baseline="none").load()
    assert (nothing.model, nothing.name, nothing.by_default) == (None, None, False)


@pytest.mark.slow
def test_an_absent_baseline_is_an_error_with_the_choices(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    register_trained(trained, "alone", tmp_path)
    register_trained(trained, "alone", tmp_path)
    MlflowClient().delete_model_version("alone", "1")

    with pytest.raises(DatasetError, match=r"Baseline 'champoin' does not exist.*logistic_regression"):
        BaselineDataset(model_name="alone", baseline="champoin").load()
    with pytest.raises(DatasetError, match="no version or alias 1 of the model 'alone'; the last versions are 2"):
        BaselineDataset(model_name="alone", baseline=1).load()
    with pytest.raises(DatasetError, match="no version or alias challenger"):
        BaselineDataset(model_name="alone", baseline="challenger").load()


@pytest.mark.slow
def test_a_version_without_files_is_reported(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    model_id = register_trained(trained, "hollow", tmp_path).model_id
    location = MlflowClient().get_logged_model(model_id).artifact_location
    shutil.rmtree(urlsplit(location).path)

    with pytest.raises(DatasetError, match=r"The model file of version 1 of hollow .* cannot be read"):
        RegistryModelDataset(model_name="hollow", model_version=1).load()


@pytest.mark.slow
def test_an_evaluation_stays_with_its_version_and_the_model_still_loads(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    model_id = register_trained(trained, "documented", tmp_path).model_id
    for text in ("first", "second"):
        VersionDocumentsDataset().save(
            VersionDocuments("documented", 1, model_id, text, {"roc_auc": text}, {"model_card.md": text})
        )

    version = MlflowClient().get_model_version("documented", "1")
    card = mlflow.artifacts.download_artifacts(
        artifact_uri="models:/documented/1/evaluation/model_card.md", dst_path=(tmp_path / "card").as_posix()
    )
    assert (version.description, version.tags["roc_auc"]) == ("second", "second")
    assert Path(card).read_text(encoding="utf-8") == "second"
    loaded = RegistryModelDataset(model_name="documented", model_version=1).load()
    assert isinstance(loaded, RegisteredModel)
