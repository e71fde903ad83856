"""Claims about the loading of a version: nothing that comes with it is executed, and only its own file is loaded."""

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from kedro.io import DatasetError
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

from churn_kedro.datasets.mlflow.models import RegistryModelDataset
from churn_kedro.datasets.mlflow.registry import ModelRegistry
from churn_kedro.datasets.mlflow.signatures import PACKAGE_DIGEST_TAG
from churn_kedro.datasets.mlflow.stored_models import (
    MODEL_FILE,
    digest_package,
    installed_package,
    known_packages,
    package_digest,
)
from churn_kedro.models.interface import RegisteredModel, TrainedModel
from churn_kedro.registry.health import FILE_DIGEST_TAG
from tests.mlflow_store import register_trained


def register(trained: TrainedModel, name: str, project: Path) -> Path:
    """Register a version and return the folder of its files."""
    model_id = register_trained(trained, name, project).model_id
    location = MlflowClient().get_logged_model(model_id).artifact_location
    return Path(location.removeprefix("file://"))


def load(name: str) -> RegisteredModel:
    model = RegistryModelDataset(model_name=name, model_version="1").load()
    assert isinstance(model, RegisteredModel)
    return model


def set_tag(name: str, key: str, value: str) -> None:
    MlflowClient().set_model_version_tag(name, "1", key, value)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Marking:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.slow
def test_modules_in_the_code_folder_of_a_version_are_never_imported(
    trained: TrainedModel, customers: pd.DataFrame, tracking: str, tmp_path: Path
) -> None:
    folder, marker = register(trained, "modules", tmp_path), tmp_path / "imported"
    for module in ("skops", "xgboost", "sklearn", "shap", "churn_estimators"):
        package = folder / "code" / module
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(f"open({str(marker)!r}, 'w')\n", encoding="utf-8")

    loaded = load("modules")

    np.testing.assert_array_equal(loaded.estimator.scores(customers), trained.estimator.scores(customers))
    assert not marker.exists()


def test_a_pickle_is_never_loaded_whatever_the_tags_say(tracking: str, tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.trap = Marking(marker)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="churn_model",
            registered_model_name="pickled",
            serialization_format="cloudpickle",
            pip_requirements=[],
        )
    marker.unlink(missing_ok=True)
    folder = Path(MlflowClient().get_logged_model(info.model_id).artifact_location.removeprefix("file://"))

    with pytest.raises(DatasetError, match=f"has no tag {FILE_DIGEST_TAG}"):
        load("pickled")
    set_tag("pickled", FILE_DIGEST_TAG, sha256((folder / "model.pkl").read_bytes()))
    set_tag("pickled", PACKAGE_DIGEST_TAG, package_digest())
    with pytest.raises(DatasetError, match=r"The model file of version 1 of pickled .* cannot be read"):
        load("pickled")
    shutil.copy(folder / "model.pkl", folder / MODEL_FILE)
    with pytest.raises(DatasetError, match="is not a model in skops format"):
        load("pickled")
    assert not marker.exists()


def test_a_loader_module_of_another_flavor_is_never_called(tracking: str, tmp_path: Path) -> None:
    marker, code = tmp_path / "loaded", tmp_path / "trap_loader.py"
    code.write_text(f"def _load_pyfunc(path):\n    open({str(marker)!r}, 'w')\n", encoding="utf-8")
    data = tmp_path / MODEL_FILE
    data.write_bytes(b"nothing")
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="churn_model",
            registered_model_name="flavored",
            loader_module="trap_loader",
            data_path=str(data),
            code_paths=[str(code)],
            pip_requirements=[],
        )
    marker.unlink(missing_ok=True)
    set_tag("flavored", FILE_DIGEST_TAG, sha256(b"nothing"))
    set_tag("flavored", PACKAGE_DIGEST_TAG, package_digest())

    with pytest.raises(DatasetError, match="version 1 of flavored"):
        load("flavored")

    assert not marker.exists()


@pytest.mark.slow
def test_types_that_are_not_listed_are_not_built(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    folder = register(trained, "foreign", tmp_path)
    content = (folder / MODEL_FILE).read_bytes()
    changed = io.BytesIO()
    with ZipFile(io.BytesIO(content)) as before, ZipFile(changed, "w") as after:
        for name in before.namelist():
            text = before.read(name)
            if name == "schema.json":
                text = text.replace(b'"__class__": "CustomerModel"', b'"__class__": "Popen"', 1)
                text = text.replace(b'"__module__": "churn_estimators.model"', b'"__module__": "subprocess"', 1)
            after.writestr(name, text)
    (folder / MODEL_FILE).write_bytes(changed.getvalue())
    set_tag("foreign", FILE_DIGEST_TAG, sha256(changed.getvalue()))

    with pytest.raises(DatasetError, match=r"contains types that are not trusted.*subprocess\.Popen"):
        load("foreign")


@pytest.mark.slow
def test_a_trusted_model_that_is_no_customer_model_is_refused(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    folder = register(trained, "linear", tmp_path)
    content = skops.io.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    (folder / MODEL_FILE).write_bytes(content)
    set_tag("linear", FILE_DIGEST_TAG, sha256(content))

    with pytest.raises(DatasetError, match="is a LogisticRegression, expected a CustomerModel"):
        load("linear")


@pytest.mark.slow
def test_another_file_than_the_registered_one_is_neither_loaded_nor_exported(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    folder = register(trained, "swapped", tmp_path)
    path, first = folder / MODEL_FILE, sha256((folder / MODEL_FILE).read_bytes())
    # Another valid file of the same model: skops stamps the time.
    path.write_bytes(skops.io.dumps(trained.estimator))
    found = sha256(path.read_bytes())

    message = rf"is not the one that was registered: its SHA-256 is {found}, the version's tag .* says {first}"
    with pytest.raises(DatasetError, match=message):
        load("swapped")
    registry = ModelRegistry("swapped", experiment="audits", by="test", git_commit="unknown")
    with pytest.raises(DatasetError, match=message):
        registry.export(1, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()

    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(DatasetError, match="is damaged or was replaced"):
        load("swapped")
    path.unlink()
    with pytest.raises(DatasetError, match=r"model\.skops\) cannot be read.*kedro models retire 1"):
        load("swapped")


@pytest.mark.slow
def test_a_version_of_an_unknown_package_is_refused_with_what_to_do(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    register(trained, "later", tmp_path)
    set_tag("later", PACKAGE_DIGEST_TAG, "0" * 64)

    with pytest.raises(DatasetError, match=r"made with churn_estimators 0{64}, which this installation does not know"):
        load("later")


def test_the_digest_of_a_package_covers_names_and_contents_but_not_line_ends(tmp_path: Path) -> None:
    shutil.copytree(installed_package(), tmp_path / "same", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "same").glob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert digest_package(tmp_path / "same") == package_digest() == known_packages()[-1]

    (tmp_path / "same" / "model.py").rename(tmp_path / "same" / "models.py")
    assert digest_package(tmp_path / "same") != package_digest()
