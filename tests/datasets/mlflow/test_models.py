"""A model keeps its answers, signature and origin through the registry; only a promotion moves its aliases."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow.model_digests import model_digest
from churn_kedro.datasets.mlflow.models import PromotionDataset, RegistryModelDataset, TrackedModelDataset
from churn_kedro.models.interface import (
    RegisteredModel,
    TrainedModel,
    churn_probability,
    decision_threshold,
    explain_task_mismatch,
    predict,
)
from churn_kedro.registry.gate import Promotion
from churn_kedro.registry.lifecycle import Alias
from tests.task_cases import task_case
from tests.treatment_cases import treatment_case


def _register(trained: TrainedModel, name: str, project: Path) -> None:
    dataset = TrackedModelDataset(
        name="churn_model", registered_model_name=name, use_case="test", project_path=project.as_posix()
    )
    with mlflow.start_run():
        dataset.save(trained)


def _load(name: str, model_version: str | None = None, alias: str | None = None) -> RegisteredModel:
    model = RegistryModelDataset(model_name=name, model_version=model_version, alias=alias).load()
    assert isinstance(model, RegisteredModel)
    return model


def _promotions(folder: Path) -> PromotionDataset:
    return PromotionDataset(
        project_path=folder.as_posix(), experiment="audits", artifact_location=(folder / "audits").as_uri()
    )


def _promotion(name: str, version: int, alias: Alias | None, expected: int | None) -> Promotion:
    return Promotion(
        model_name=name,
        version=version,
        alias=alias,
        expected_champion=expected,
        outcome="promoted" if alias == "champion" else "refused",
        reasons=["because"],
        tags={"decision": "promoted"},
    )


@pytest.mark.slow
def test_a_registered_model_gives_the_probabilities_it_was_trained_to(
    trained: TrainedModel, customers: pd.DataFrame, tracking: str, tmp_path: Path
) -> None:
    _register(trained, "same", tmp_path)

    loaded = _load("same")

    assert (loaded.name, loaded.version) == ("same", 1)
    assert decision_threshold(loaded.estimator) == decision_threshold(trained.estimator)
    np.testing.assert_array_equal(
        churn_probability(loaded.estimator, customers), churn_probability(trained.estimator, customers)
    )


@pytest.mark.slow
def test_a_version_carries_its_facts_and_the_code_it_came_from(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    _register(trained, "facts", tmp_path)

    tags = _load("facts").tags

    assert {**trained.facts, "use_case": "test"}.items() <= tags.items()
    assert tags["git_commit"] == "unknown"  # the folder is no git checkout


@pytest.mark.slow
def test_a_version_has_a_digest_of_its_content_and_the_size_of_its_file(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    _register(trained, "digest", tmp_path)
    _register(trained, "digest", tmp_path)

    one, other = (_load("digest", model_version=version) for version in ("1", "2"))
    file = Path(mlflow.artifacts.download_artifacts("models:/digest/1")) / "model.skops"

    assert one.tags["model_digest"] == other.tags["model_digest"] == model_digest(one.estimator)
    assert one.tags["model_bytes"] == str(file.stat().st_size)
    run = mlflow.get_run(one.run_id)
    assert not {"model_digest", "model_bytes"} & (run.data.tags.keys() | run.data.params.keys())


@pytest.mark.slow
def test_the_model_is_a_skops_file_with_pinned_requirements_and_an_example(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    _register(trained, "files", tmp_path)

    folder = Path(mlflow.artifacts.download_artifacts("models:/files/1"))

    assert (folder / "model.skops").is_file()
    assert not list(folder.rglob("*.pkl"))
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split("==")[0] for line in requirements} == {
        "mlflow",
        "numpy",
        "pandas",
        "scikit-learn",
        "skops",
        "xgboost",
    }
    assert all("==" in line for line in requirements)
    assert (folder / "input_example.json").is_file()
    assert sorted(path.name for path in (folder / "code" / "churn_estimators").iterdir()) == [
        "__init__.py",
        "transformers.py",
    ]


@pytest.mark.slow
def test_the_signature_is_the_declaration(
    trained: TrainedModel, declaration: CustomerDeclaration, tracking: str, tmp_path: Path
) -> None:
    _register(trained, "signature", tmp_path)

    signature = mlflow.models.get_model_info("models:/signature/1").signature

    assert signature is not None
    assert signature.inputs.input_names() == declaration.feature_names
    kinds = {column["name"]: column["type"] for column in signature.inputs.to_dict()}
    assert {name: kind for name, kind in kinds.items() if name in ("Country", "Age", "Charges")} == {
        "Country": "string",
        "Age": "any",
        "Charges": "any",
    }


def _score_elsewhere(name: str, raw: pd.DataFrame, tracking: str, folder: Path) -> np.ndarray:
    """Answers of a version's pyfunc model, in a process that cannot import churn_kedro."""
    raw.to_csv(folder / "raw.csv", index=False)
    script = folder / "score.py"
    script.write_text(
        f"""
import sys
sys.path.append({sysconfig.get_paths()["purelib"]!r})
try:
    import churn_kedro
except ImportError:
    pass
else:
    raise SystemExit("churn_kedro is installed here")
import mlflow
import numpy as np
import pandas as pd
mlflow.set_tracking_uri({tracking!r})
raw = pd.read_csv("raw.csv")
np.save("scores.npy", mlflow.pyfunc.load_model("models:/{name}/1").predict(raw))
""",
        encoding="utf-8",
    )
    # Without the site module no .pth file is read, so the editable installation of churn_kedro is out of reach.
    subprocess.run([sys.executable, "-I", "-S", script], cwd=folder, check=True)
    return np.asarray(np.load(folder / "scores.npy"))


@pytest.mark.slow
def test_the_model_scores_raw_rows_where_churn_kedro_is_not_installed(
    trained: TrainedModel,
    customers: pd.DataFrame,
    raw_customers: pd.DataFrame,
    tracking: str,
    tmp_path: Path,
) -> None:
    _register(trained, "travels", tmp_path)

    scores = _score_elsewhere("travels", raw_customers, tracking, tmp_path)

    np.testing.assert_allclose(scores[:, 1], churn_probability(trained.estimator, customers), rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["none", "model"])
def test_every_treatment_travels_with_the_model(selection: str, tracking: str, tmp_path: Path) -> None:
    case = treatment_case("binary", selection)
    _register(case.trained, f"treated-{selection}", tmp_path)
    # Levels that nobody knows, and cells that cannot be read.
    odd = case.raw.head(3).assign(City="Atlantis", Country="Utopia", Since="soon", Age="old", Tier="9")
    raw = pd.concat([case.raw, odd], ignore_index=True).drop(columns="Outcome")
    typed = normalise(raw, case.declaration, with_target=False).table

    scores = _score_elsewhere(f"treated-{selection}", raw, tracking, tmp_path)

    np.testing.assert_allclose(scores[:, 1], churn_probability(case.trained.estimator, typed), rtol=1e-9)


@pytest.mark.slow
def test_an_absent_version_names_those_there_are(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    _register(trained, "few", tmp_path)

    for which in ("7", "seven"):
        with pytest.raises(
            DatasetError, match=rf"no version or alias {which} of the model 'few'; the last versions are 1"
        ):
            _load("few", model_version=which)


@pytest.mark.slow
def test_an_absent_champion_is_an_error_with_the_command(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Model 'nobody' has no version in the registry"):
        _load("nobody", alias="champion")

    _register(trained, "uncrowned", tmp_path)
    with pytest.raises(DatasetError, match="No version of the model 'uncrowned' has the alias 'champion'; versions: 1"):
        _load("uncrowned", alias="champion")


def test_no_incumbent_is_an_answer_not_an_error(tracking: str) -> None:
    assert RegistryModelDataset(model_name="nobody", alias="champion", missing_ok=True).load() is None


def test_a_model_that_lists_foreign_types_is_not_loaded(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            trained.estimator,
            name="churn_model",
            registered_model_name="foreign",
            skops_trusted_types=[
                "churn_estimators.transformers.LevelReader",
                "churn_estimators.transformers.LogOddsClassifier",
                "churn_estimators.transformers.NumberReader",
                "os.system",
                "sklearn.calibration._CalibratedClassifier",
                "sklearn.calibration._TemperatureScaling",
                "xgboost.core.Booster",
                "xgboost.sklearn.XGBClassifier",
            ],
            pip_requirements=[],
        )

    with pytest.raises(DatasetError, match=r"contains unknown types, which are not loaded: os\.system"):
        _load("foreign")


def test_a_pickled_model_is_not_loaded(trained: TrainedModel, tracking: str) -> None:
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            trained.estimator,
            name="churn_model",
            registered_model_name="pickled",
            serialization_format="cloudpickle",
            pip_requirements=[],
        )

    with pytest.raises(DatasetError, match="is not in skops format"):
        _load("pickled")


@pytest.mark.slow
def test_a_promotion_moves_the_alias_and_keeps_the_reasons(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    registry = _promotions(tmp_path)
    _register(trained, "rising", tmp_path)
    _register(trained, "rising", tmp_path)

    registry.save(_promotion("rising", 1, "champion", expected=None))
    registry.save(_promotion("rising", 2, "challenger", expected=1))
    assert _load("rising", alias="champion").version == 1
    assert _load("rising", alias="challenger").version == 2

    registry.save(_promotion("rising", 2, "champion", expected=1))
    champion = _load("rising", alias="champion")
    assert champion.version == 2
    assert champion.tags["decision"] == "promoted"
    assert "challenger" not in MlflowClient().get_registered_model("rising").aliases


@pytest.mark.slow
def test_a_promotion_against_a_champion_that_is_gone_changes_nothing(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    registry = _promotions(tmp_path)
    _register(trained, "contested", tmp_path)
    _register(trained, "contested", tmp_path)
    registry.save(_promotion("contested", 1, "champion", expected=None))

    with pytest.raises(
        DatasetError, match="version 1 is champion of contested now, but this was decided when it was none"
    ):
        registry.save(_promotion("contested", 2, "champion", expected=None))

    assert _load("contested", alias="champion").version == 1
    assert "decision" not in _load("contested", model_version="2").tags


@pytest.mark.slow
def test_a_refused_version_gets_its_tags_but_no_alias(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    _register(trained, "refused", tmp_path)

    _promotions(tmp_path).save(_promotion("refused", 1, None, expected=None))

    assert MlflowClient().get_registered_model("refused").aliases == {}
    assert _load("refused").tags["decision"] == "promoted"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_model_of_another_task_answers_alike_through_the_registry_and_mlflow(
    task: Task, tracking: str, tmp_path: Path
) -> None:
    case, name = task_case(task), f"other-{task}"
    _register(case.trained, name, tmp_path)
    expected = predict(case.trained.estimator, case.test, task)

    loaded = _load(name)
    answer = mlflow.pyfunc.load_model(f"models:/{name}/1").predict(case.raw)

    np.testing.assert_array_equal(predict(loaded.estimator, case.test, task), expected)
    assert explain_task_mismatch(loaded, case.declaration) is None
    assert answer.shape == ((600, 3) if task == "multiclass" else (600,))
    in_test = case.raw["Id"].isin(case.test["Id"]).to_numpy()
    np.testing.assert_array_equal(answer[in_test].astype(np.float64), expected)
    signature = mlflow.models.get_model_info(f"models:/{name}/1").signature
    assert signature is not None
    (output,) = signature.outputs.inputs
    assert output.shape == ((-1, 3) if task == "multiclass" else (-1,))
    assert output.type == answer.dtype
