"""Claims about models in ONNX: the file gives the scores of the model, or says what it leaves out."""

import json
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from churn_estimators.calibration import CalibrationMap
from churn_estimators.model import CustomerModel
from churn_kedro.base import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.tasks import Task
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.treatment import fit_features
from churn_kedro.models import onnx_export
from churn_kedro.models.onnx_export import OnnxExport, export_to_onnx
from churn_kedro.training.calibration import fit_calibration
from tests import treatment_cases
from tests.model_cases import column_model
from tests.task_cases import task_case

_WITHOUT_ONNX = ("knn", "iterative")


def _run(exported: OnnxExport, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Scores by one thread: several threads sum float32 numbers in another order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported.model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([exported.description["output"]["name"]], feeds)[0])


def _cells(model: CustomerModel, raw: pd.DataFrame) -> dict[str, np.ndarray]:
    """Feeds as the description of the inputs asks for: numbers with NaN, text without blanks, empty where missing."""
    table = model.read(raw).table
    return {
        reader.column: (
            table[reader.column].astype(object).where(table[reader.column].notna(), "").to_numpy(object)[:, None]
            if reader.cells == "text"
            else table[reader.column].to_numpy(np.float64)[:, None]
        )
        for reader in model.readers
    }


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_file_with_its_treatment_scores_the_columns_of_a_table(task: Task) -> None:
    case = task_case(task)
    model = case.trained.estimator

    exported = export_to_onnx(model, case.raw.head(5))

    np.testing.assert_allclose(_run(exported, _cells(model, case.raw)), model.scores(case.raw), rtol=0, atol=1e-6)
    assert exported.reason == ""
    assert exported.largest_difference < 1e-6
    assert exported.description["treatment_included"]
    assert exported.description["threshold"] == model.threshold
    named = [(one["name"], one["type"], one["missing"]) for one in exported.description["inputs"]]
    assert named == [("Age", "double", "NaN"), ("Country", "string", ""), ("Visits", "double", "NaN")]


def _treated_model(task: Task, scaling: str) -> tuple[CustomerModel, pd.DataFrame]:
    """A model whose treatment has every step that can be written in ONNX."""
    declared = treatment_cases.declare(task).model_dump(mode="json", exclude_none=True)
    columns: list[dict[str, Any]] = [one for one in declared["columns"] if one["name"] != "Since"]
    for column in columns:
        treatment = column.get("treatment", {})
        if treatment.get("missing") in _WITHOUT_ONNX:
            treatment["missing"] = "median"
        if "scaling" in treatment:
            treatment["scaling"] = scaling
    declaration = CustomerDeclaration.model_validate({**declared, "columns": columns})
    raw = treatment_cases.fabricate(task)
    customers = normalise(raw, declaration, with_target=True).table
    inputs = fit_features(customers, declaration, FeatureParameters())
    kind = xgb.XGBRegressor if task == "regression" else xgb.XGBClassifier
    trees = kind(n_estimators=20, max_depth=4, feature_types=inputs.types, enable_categorical=True)
    trees.fit(inputs.values, customers[declaration.target].to_numpy())
    model = CustomerModel(
        [declaration.cell_reader(column) for column in declaration.features],
        inputs.transformer,
        trees,
        task=task,
        classes=declaration.classes,
        threshold=0.5,
    )
    return model, raw


@pytest.mark.parametrize(
    ("task", "scaling"), [("binary", "standard"), ("multiclass", "min_max"), ("regression", "robust")]
)
def test_every_step_with_an_onnx_form_is_part_of_the_file(task: Task, scaling: str) -> None:
    model, raw = _treated_model(task, scaling)

    exported = export_to_onnx(model, raw.head(20))

    assert exported.reason == ""
    np.testing.assert_allclose(_run(exported, _cells(model, raw)), model.scores(raw), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", ["temperature", "sigmoid", "isotonic"])
def test_every_calibration_is_part_of_the_file(method: Any, n_classes: int) -> None:
    case = task_case("binary" if n_classes == 2 else "multiclass")
    probability = copy(case.trained.estimator).set_params(calibration=None).predict_proba(case.raw)
    noisy = np.random.default_rng(1).permutation(len(case.raw)) % n_classes
    target = np.where(np.arange(len(noisy)) % 3 == 0, noisy, probability.argmax(axis=1))
    calibration = fit_calibration(method, target, probability[:, 1] if n_classes == 2 else probability)
    model = copy(case.trained.estimator).set_params(calibration=calibration)

    exported = export_to_onnx(model, case.raw.head(5))

    assert exported.reason == ""
    np.testing.assert_allclose(_run(exported, _cells(model, case.raw)), model.scores(case.raw), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_without_its_treatment_the_file_takes_the_described_inputs_of_the_trees() -> None:
    case = treatment_cases.treatment_case("binary", "model")
    model = case.trained.estimator

    exported = export_to_onnx(model, case.raw.head(10))

    scores = _run(exported, {"inputs": model.inputs(case.raw).astype(np.float32)})
    np.testing.assert_allclose(scores, model.scores(case.raw), rtol=0, atol=1e-6)
    assert exported.reason == "column 'Since' is a date"
    (described,) = exported.description["inputs"]
    assert [one["name"] for one in described["columns"]] == model.features[-1].get_feature_names_out().tolist()
    calls = next(one for one in described["columns"] if one["name"] == "Calls")
    assert calls["computed"] == {
        "operation": "Bin",
        "of": {"operation": "Fill", "of": {"column": "Calls"}, "number": 0.0},
        "edges": (2.0, 5.0),
    }
    assert json.loads(json.dumps(exported.description))["treatment_left_out_because"] == exported.reason


def test_the_file_contains_its_description_and_avoids_the_names_of_columns() -> None:
    import onnx

    case = task_case("binary")
    raw = case.raw.rename(columns={"Visits": "probability"})
    model, _ = copy(case.trained.estimator), raw
    renamed = [copy(reader) for reader in model.readers]
    object.__setattr__(renamed[2], "column", "probability")
    first = copy(model.features[0])
    first.transformers_ = [
        (name, step, ["Age", "probability"] if "Visits" in columns else columns)
        for name, step, columns in first.transformers_
    ]
    features = copy(model.features)
    features.steps = [("read", first), *model.features.steps[1:]]
    model.set_params(readers=renamed, features=features)

    exported = export_to_onnx(model, raw.head(5))

    properties = onnx.load_from_string(exported.model).metadata_props
    assert json.loads(properties[0].value)["output"]["name"] == "probability_"
    np.testing.assert_allclose(_run(exported, _cells(model, raw)), model.scores(raw), rtol=0, atol=1e-6)


def test_a_model_that_has_no_onnx_form_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    model, raw = task_case("binary").trained.estimator, task_case("binary").raw.head(5)

    def refuse(changed: CustomerModel, match: str) -> None:
        with pytest.raises(ParameterError, match=match):
            export_to_onnx(changed, raw)

    class Learner:
        def predict_proba(self, inputs: np.ndarray) -> np.ndarray:
            return np.full((len(inputs), 2), 0.5)

    refuse(copy(model).set_params(learner=Learner()), "the learner is a Learner, expected trees of XGBoost")
    refuse(column_model("Age"), "the first step of the treatment, 'functiontransformer', is a FunctionTransformer")
    unknown = CalibrationMap([Learner()])
    unknown.maps[0].predict = lambda scores: scores * 0
    refuse(copy(model).set_params(calibration=unknown), "the calibration map Learner has no ONNX form")
    monkeypatch.setattr(onnx_export, "has_onnx", lambda: False)
    refuse(model, r"not installed: `pip install 'churn_kedro\[serve\]'`")
