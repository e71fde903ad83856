"""Claims about signatures: a version that was promoted without the key does not score."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient

from churn_kedro.base import ParameterError
from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.datasets.mlflow.registry import ModelRegistry
from churn_kedro.datasets.mlflow.signatures import SIGNATURE_TAG
from churn_kedro.models.interface import RegisteredModel, TrainedModel
from churn_kedro.registry import plan_manual_promotion
from tests.mlflow_store import register_trained

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Keys:
    private: str
    public: str


def make_keys(kind: str = "ed25519") -> Keys:
    """Keys as openssl writes them."""
    options = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else []
    command = ["openssl", "genpkey", "-algorithm", kind, *options]
    private = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    command = ["openssl", "pkey", "-pubout"]
    public = subprocess.run(command, input=private, capture_output=True, text=True, check=True).stdout
    return Keys(private, public)


KEYS = make_keys()


def promote(name: str, version: int) -> None:
    registry = ModelRegistry(name, experiment=name, by="ann", git_commit="0")
    registry.apply(lambda state: plan_manual_promotion(state, version, override="test"))


def load(name: str) -> int:
    model = RegistryModelDataset(model_name=name, alias="champion").load()
    assert isinstance(model, RegisteredModel)
    return model.version


def test_a_version_that_is_promoted_with_the_key_is_loaded_where_its_public_key_is_asked_for(
    trained: TrainedModel, tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_trained(trained, "signed", tmp_path)
    monkeypatch.setenv("CHURN_SIGNING_KEY", KEYS.private)
    promote("signed", 1)
    monkeypatch.delenv("CHURN_SIGNING_KEY")

    # Among several, so that keys can be exchanged.
    monkeypatch.setenv("CHURN_VERIFY_KEY", make_keys().public + KEYS.public)
    assert load("signed") == 1

    monkeypatch.setenv("CHURN_VERIFY_KEY", make_keys().public)
    with pytest.raises(DatasetError, match="signed with another key"):
        load("signed")


def test_who_writes_the_registry_without_the_key_cannot_make_another_model_score(
    trained: TrainedModel, tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_trained(trained, "attacked", tmp_path)
    monkeypatch.setenv("CHURN_SIGNING_KEY", KEYS.private)
    promote("attacked", 1)
    monkeypatch.delenv("CHURN_SIGNING_KEY")
    monkeypatch.setenv("CHURN_VERIFY_KEY", KEYS.public)
    register_trained(trained, "attacked", tmp_path)
    client = MlflowClient()

    # The alias alone.
    client.set_registered_model_alias("attacked", "champion", "2")
    with pytest.raises(DatasetError, match="Version 2 of attacked is not signed"):
        load("attacked")
    # The signature of another version.
    signature = client.get_model_version("attacked", "1").tags[SIGNATURE_TAG]
    client.set_model_version_tag("attacked", "2", SIGNATURE_TAG, signature)
    with pytest.raises(DatasetError, match="signed with another key"):
        load("attacked")
    # No signature at all.
    client.set_model_version_tag("attacked", "2", SIGNATURE_TAG, "none of base64")
    with pytest.raises(DatasetError, match="signed with another key"):
        load("attacked")
    # A changed file of the signed version.
    client.set_registered_model_alias("attacked", "champion", "1")
    assert load("attacked") == 1
    client.set_model_version_tag("attacked", "1", "model_file_sha256", "0" * 64)
    with pytest.raises(DatasetError, match="its tags were changed"):
        load("attacked")


@pytest.mark.parametrize("text", ["no key", make_keys("ec").private, KEYS.public])
def test_another_signing_key_is_refused_and_nothing_is_promoted(
    trained: TrainedModel, tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    register_trained(trained, "refused", tmp_path)
    version = int(MlflowClient().search_model_versions("name = 'refused'")[0].version)
    monkeypatch.setenv("CHURN_SIGNING_KEY", text)

    with pytest.raises(ParameterError, match="CHURN_SIGNING_KEY is no Ed25519 private key"):
        promote("refused", version)

    assert "champion" not in MlflowClient().get_registered_model("refused").aliases


def test_a_public_key_that_is_none_is_an_error(
    trained: TrainedModel, tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_trained(trained, "unreadable", tmp_path)
    MlflowClient().set_registered_model_alias("unreadable", "champion", "1")
    MlflowClient().set_model_version_tag("unreadable", "1", SIGNATURE_TAG, "AAAA")
    for text in ("no key", make_keys("ec").public):
        monkeypatch.setenv("CHURN_VERIFY_KEY", text)
        with pytest.raises(DatasetError, match="CHURN_VERIFY_KEY has no Ed25519 public key"):
            load("unreadable")
