"""A model keeps its answers, signature and origin through the registry; only a promotion moves its aliases."""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from mlflow import MlflowClient

from churn_estimators.cells import UnreadablePolicy
from churn_kedro.campaigns.scored_parts import score_parts
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.parts import as_parts
from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow import stored_models
from churn_kedro.datasets.mlflow.model_digests import model_digest
from churn_kedro.datasets.mlflow.models import PromotionDataset, RegistryModelDataset
from churn_kedro.datasets.mlflow.signatures import PACKAGE_DIGEST_TAG
from churn_kedro.datasets.mlflow.stored_models import digest_package, package_digest
from churn_kedro.models.interface import (
    RegisteredModel,
    TrainedModel,
    explain_task_mismatch,
    score_labelled,
)
from churn_kedro.registry.gate import Promotion
from churn_kedro.registry.lifecycle import Alias
from tests.mlflow_store import register_trained
from tests.task_cases import task_case
from tests.treatment_cases import treatment_case


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
    register_trained(trained, "same", tmp_path)

    loaded = _load("same")

    assert (loaded.name, loaded.version) == ("same", 1)
    assert loaded.estimator.threshold == trained.estimator.threshold
    np.testing.assert_array_equal(loaded.estimator.scores(customers), trained.estimator.scores(customers))


@pytest.mark.slow
def test_a_version_carries_its_facts_and_the_code_it_came_from(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    register_trained(trained, "facts", tmp_path)

    tags = _load("facts").tags

    assert {**trained.facts, "use_case": "test"}.items() <= tags.items()
    assert tags["git_commit"] == "unknown"  # the folder is no git checkout


@pytest.mark.slow
def test_a_version_has_a_digest_of_its_content_and_the_size_of_its_file(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    register_trained(trained, "digest", tmp_path)
    register_trained(trained, "digest", tmp_path)

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
    register_trained(trained, "files", tmp_path)

    folder = Path(mlflow.artifacts.download_artifacts("models:/files/1"))

    assert (folder / "model.skops").is_file()
    assert not list(folder.rglob("*.pkl"))
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {line.split("==")[0].removesuffix("-cpu") for line in requirements} == {
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
        "calibration.py",
        "cells.py",
        "digests.txt",
        "ensembles.py",
        "model.py",
        "transformers.py",
        "value.py",
    ]


@pytest.mark.slow
def test_the_signature_names_the_columns_of_model_and_answer(
    trained: TrainedModel, declaration: CustomerDeclaration, tracking: str, tmp_path: Path
) -> None:
    register_trained(trained, "signature", tmp_path)

    signature = mlflow.models.get_model_info("models:/signature/1").signature

    assert signature is not None
    assert signature.inputs.input_names() == declaration.feature_names
    # A cell of any type is read by the model itself.
    assert {column["type"] for column in signature.inputs.to_dict()} == {"any"}
    assert {column["name"]: column["type"] for column in signature.outputs.to_dict()} == {
        "probability": "double",
        "decision": "string",
        "unreadable": "string",
    }


def _score_elsewhere(
    name: str, raw: pd.DataFrame, tracking: str, folder: Path, versions: Sequence[int] = (1,)
) -> pd.DataFrame:
    """Answers of a version's pyfunc model, in a process that cannot import churn_kedro; those of several, stacked."""
    raw.to_pickle(folder / "raw.pickle")
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
import pandas as pd
mlflow.set_tracking_uri({tracking!r})
raw = pd.read_pickle("raw.pickle")
models = [mlflow.pyfunc.load_model(f"models:/{name}/{{version}}") for version in {list(versions)!r}]
pd.concat([model.predict(raw) for model in models]).to_pickle("answer.pickle")
""",
        encoding="utf-8",
    )
    # Without the site module no .pth file is read, so the editable installation of churn_kedro is out of reach.
    subprocess.run([sys.executable, "-I", "-S", script], cwd=folder, check=True)
    answer = pd.read_pickle(folder / "answer.pickle")  # noqa: S301 - written by this test
    assert isinstance(answer, pd.DataFrame)
    return answer


@pytest.mark.slow
def test_the_model_scores_raw_rows_where_churn_kedro_is_not_installed(
    trained: TrainedModel,
    customers: pd.DataFrame,
    raw_customers: pd.DataFrame,
    tracking: str,
    tmp_path: Path,
) -> None:
    register_trained(trained, "travels", tmp_path)

    answer = _score_elsewhere("travels", raw_customers, tracking, tmp_path)

    np.testing.assert_array_equal(answer["probability"], trained.estimator.scores(customers))
    assert list(answer) == ["probability", "decision", "unreadable"]


# Cells of the first rows, of every type that a file or a program can hold.
ODD_CELLS: dict[str, list[Any]] = {
    "Age": ["old", True, float("inf"), "1e2", " 30,5 ", "-1", "", None, 41, "0x1f"],
    "Income": [float("-inf"), "1.000,5", "nan", False, "2", 3.5, None, "1_000", "-0", "+7"],
    "Since": [
        "2024-01-31",
        "31.01.2024",
        "soon",
        pd.Timestamp("2024-01-31"),
        None,
        "",
        "2024-13-01",
        7,
        "1.2.24",
        True,
    ],
    "Country": ["Utopia", " Spain ", "spain", None, "", True, 1, 2.0, "Fr", "France"],
    "Tier": ["9", 1, 2.0, "3", " 1 ", True, "none", None, "2,0", float("inf")],
    "Card": [True, False, 0, 1.0, "1", "yes", None, "", 2, "0"],
}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["set_aside", "missing"])
def test_an_odd_cell_means_the_same_in_batch_in_pyfunc_in_an_evaluation_and_in_a_bare_call(
    policy: UnreadablePolicy, tracking: str, tmp_path: Path
) -> None:
    case = treatment_case("binary", "none")
    declaration = case.declaration.model_copy(update={"unreadable": policy})
    model = copy(case.trained.estimator).set_params(unreadable=policy)
    register_trained(replace(case.trained, estimator=model), f"odd-{policy}", tmp_path)
    raw = case.raw.drop(columns="Outcome").astype(object)
    for column, cells in ODD_CELLS.items():
        raw.loc[raw.index[: len(cells)], column] = pd.Series(cells, index=raw.index[: len(cells)], dtype=object)

    bare = model.predict(raw)
    elsewhere = _score_elsewhere(f"odd-{policy}", raw, tracking, tmp_path)
    champion = _load(f"odd-{policy}")
    (part,) = score_parts(as_parts(raw), champion, declaration, perf_counter)
    batch, unscored, report = part.answer, part.rejected, part.counts
    labelled = normalise(raw.assign(Outcome="1"), declaration, with_target=True)
    evaluated = score_labelled(model, labelled.table, declaration)

    pd.testing.assert_frame_equal(elsewhere, bare, check_dtype=False)
    odd = bare["unreadable"] != ""
    assert odd.sum() == 9
    if policy == "set_aside":
        assert bare["probability"].isna().equals(odd)
        assert report.rows_rejected == len(unscored) == odd.sum()
        assert unscored["reasons"].tolist() == bare.loc[odd, "unreadable"].tolist()
        assert sorted(set(labelled.unreadable["row"])) == bare.index[odd].tolist()
    else:
        assert report.rows_rejected == 0
        assert labelled.unreadable.empty
    answered = bare["probability"].notna()
    np.testing.assert_array_equal(batch["probability"], bare.loc[answered, "probability"])
    np.testing.assert_array_equal(batch["decision"], bare.loc[answered, "decision"])
    np.testing.assert_array_equal(evaluated.prediction[answered], bare.loc[answered, "probability"])
    np.testing.assert_array_equal(evaluated.decision[answered], bare.loc[answered, "decision"] == "contact")
    np.testing.assert_array_equal(model.decide(raw)[answered], bare.loc[answered, "decision"] == "contact")


@pytest.mark.slow
def test_versions_of_two_packages_answer_in_one_process_as_they_were_registered(
    trained: TrainedModel,
    raw_customers: pd.DataFrame,
    tracking: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, order = "ages", (1, 2)
    other = replace(trained, estimator=copy(trained.estimator).set_params(threshold=0.9, unreadable="missing"))
    for model in (trained, other):
        register_trained(model, name, tmp_path)
    # The second version was made with a package to which something was added.
    client = MlflowClient()
    model_id = str(client.get_model_version(name, "2").source).removeprefix("models:/")
    package = (
        Path(client.get_logged_model(model_id).artifact_location.removeprefix("file://")) / "code/churn_estimators"
    )
    (package / "later.py").write_text('"""Something new."""\n', encoding="utf-8")
    digest = digest_package(package)
    client.set_model_version_tag(name, "2", PACKAGE_DIGEST_TAG, digest)
    with pytest.raises(DatasetError, match="which this installation does not know"):
        _load(name, model_version="2")
    monkeypatch.setattr(stored_models, "known_packages", lambda: [package_digest(), digest])

    here = [_load(name, model_version=str(version)).estimator.predict(raw_customers) for version in order]
    elsewhere = _score_elsewhere(name, raw_customers, tracking, tmp_path, order)

    expected = pd.concat([(trained, other)[version - 1].estimator.predict(raw_customers) for version in order])
    pd.testing.assert_frame_equal(pd.concat(here), expected)
    pd.testing.assert_frame_equal(elsewhere, expected, check_dtype=False)


@pytest.mark.slow
def test_an_absent_version_names_those_there_are(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    register_trained(trained, "few", tmp_path)

    for which in ("7", "seven"):
        with pytest.raises(
            DatasetError, match=rf"no version or alias {which} of the model 'few'; the last versions are 1"
        ):
            _load("few", model_version=which)


@pytest.mark.slow
def test_an_absent_champion_is_an_error_with_the_command(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Model 'nobody' has no version in the registry"):
        _load("nobody", alias="champion")

    register_trained(trained, "uncrowned", tmp_path)
    with pytest.raises(DatasetError, match="No version of the model 'uncrowned' has the alias 'champion'; versions: 1"):
        _load("uncrowned", alias="champion")


def test_no_incumbent_is_an_answer_not_an_error(tracking: str) -> None:
    assert RegistryModelDataset(model_name="nobody", alias="champion", missing_ok=True).load() is None


@pytest.mark.slow
def test_a_promotion_moves_the_alias_and_keeps_the_reasons(
    trained: TrainedModel, tracking: str, tmp_path: Path
) -> None:
    registry = _promotions(tmp_path)
    register_trained(trained, "rising", tmp_path)
    register_trained(trained, "rising", tmp_path)

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
    register_trained(trained, "contested", tmp_path)
    register_trained(trained, "contested", tmp_path)
    registry.save(_promotion("contested", 1, "champion", expected=None))

    with pytest.raises(
        DatasetError, match="version 1 is champion of contested now, but this was decided when it was none"
    ):
        registry.save(_promotion("contested", 2, "champion", expected=None))

    assert _load("contested", alias="champion").version == 1
    assert "decision" not in _load("contested", model_version="2").tags


@pytest.mark.slow
def test_a_refused_version_gets_its_tags_but_no_alias(trained: TrainedModel, tracking: str, tmp_path: Path) -> None:
    register_trained(trained, "refused", tmp_path)

    _promotions(tmp_path).save(_promotion("refused", 1, None, expected=None))

    assert MlflowClient().get_registered_model("refused").aliases == {}
    assert _load("refused").tags["decision"] == "promoted"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_model_of_another_task_answers_alike_through_the_registry_and_mlflow(
    task: Task, tracking: str, tmp_path: Path
) -> None:
    case, name = task_case(task), f"other-{task}"
    register_trained(case.trained, name, tmp_path)
    expected = case.trained.estimator.scores(case.test)

    loaded = _load(name)
    answer = mlflow.pyfunc.load_model(f"models:/{name}/1").predict(case.raw)

    np.testing.assert_array_equal(loaded.estimator.scores(case.test), expected)
    assert explain_task_mismatch(loaded, case.declaration) is None
    in_test = case.raw["Id"].isin(case.test["Id"]).to_numpy()
    if task == "multiclass":
        labels = [str(label) for label in case.declaration.classes]
        assert list(answer) == ["prediction", *(f"probability_{label}" for label in labels), "unreadable"]
        np.testing.assert_array_equal(answer.loc[in_test, [f"probability_{label}" for label in labels]], expected)
        np.testing.assert_array_equal(answer.loc[in_test, "prediction"], np.array(labels)[expected.argmax(axis=1)])
    else:
        assert list(answer) == ["prediction", "unreadable"]
        np.testing.assert_array_equal(answer.loc[in_test, "prediction"], expected)
    signature = mlflow.models.get_model_info(f"models:/{name}/1").signature
    assert signature is not None
    assert signature.outputs.input_names() == list(answer)
