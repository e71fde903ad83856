"""A model's file depends on the model alone, and loads to the same model."""

import copy
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import mlflow
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow.model_files import canonical, log_model, model_digest
from churn_kedro.datasets.mlflow.models import TRUSTED_TYPES
from churn_kedro.models.interface import TrainedModel, predict
from tests import ROOT
from tests.task_cases import task_case
from tests.treatment_cases import treatment_case

TRUSTED = list(TRUSTED_TYPES)


def _hold(**values: Any) -> FunctionTransformer:
    """A transformer that holds values, as an estimator holds its attributes."""
    return FunctionTransformer(kw_args=values)


def _held(data: bytes) -> dict[str, Any]:
    held: dict[str, Any] = skops.io.loads(data, trusted=TRUSTED).kw_args
    return held


def _file(estimator: Any) -> bytes:
    return canonical(skops.io.dumps(estimator))


def _with_schema(data: bytes, schema: dict[str, Any]) -> bytes:
    written = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as archive, ZipFile(written, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, json.dumps(schema) if name == "schema.json" else archive.read(name))
    return written.getvalue()


def _schema(data: bytes) -> dict[str, Any]:
    with ZipFile(io.BytesIO(data)) as archive:
        schema: dict[str, Any] = json.loads(archive.read("schema.json"))
    return schema


@pytest.mark.slow
def test_two_processes_train_the_same_bytes(tmp_path: Path) -> None:
    script = """
from churn_kedro.datasets.mlflow.model_files import model_digest
from tests.task_cases import task_case
from tests.treatment_cases import treatment_case
for case in (
    *(task_case(task) for task in ("binary", "multiclass", "regression")),
    *(treatment_case("binary", selection) for selection in ("none", "model", "mutual_information", "variance")),
):
    print(model_digest(case.trained.estimator))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, threads in (("1", "1"), ("2", "2"))
    ]

    one, other = (process.communicate(timeout=300)[0].split() for process in processes)

    assert len(set(one)) == 7
    assert one == other


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_file_loads_to_a_model_that_says_and_stores_the_same(task: Task) -> None:
    case = treatment_case(task)
    estimator = case.trained.estimator
    written = skops.io.dumps(estimator)

    data = canonical(written)
    loaded = skops.io.loads(data, trusted=TRUSTED)

    np.testing.assert_array_equal(predict(loaded, case.test, task), predict(estimator, case.test, task))
    assert skops.io.get_untrusted_types(data=data) == skops.io.get_untrusted_types(data=written)
    assert canonical(data) == data
    # A loaded forest has other bytes of memory between the fields of its nodes.
    assert model_digest(loaded) == hashlib.sha256(data).hexdigest()


def test_copies_have_the_same_bytes_and_changed_ones_have_not(trained: TrainedModel) -> None:
    same, changed = copy.deepcopy(trained.estimator), copy.deepcopy(trained.estimator)
    changed.threshold += 0.001  # type: ignore[attr-defined] # it is a binary one

    assert skops.io.dumps(same) != skops.io.dumps(trained.estimator)
    assert model_digest(same) == model_digest(trained.estimator)
    assert model_digest(changed) != model_digest(trained.estimator)


def test_scoring_does_not_change_the_bytes(trained: TrainedModel, customers: pd.DataFrame) -> None:
    fresh = copy.deepcopy(trained.estimator)
    before = model_digest(fresh)

    predict(fresh, customers, "binary")

    assert model_digest(fresh) == before


def test_what_the_model_refers_to_several_times_is_in_the_file_once(trained: TrainedModel) -> None:
    written = skops.io.dumps(trained.estimator)
    with ZipFile(io.BytesIO(written)) as archive:
        trees = [entry.file_size for entry in archive.infolist() if entry.filename.endswith(".bin")]
    assert len(trees) == 4

    with ZipFile(io.BytesIO(canonical(written))) as archive:
        assert [entry.file_size for entry in archive.infolist() if entry.filename.endswith(".bin")] == trees[:1]


def test_entries_tell_nothing_of_the_machine_or_the_time() -> None:
    arrays = {str(number): np.arange(number) for number in range(20)}

    with ZipFile(io.BytesIO(_file(_hold(**arrays)))) as archive:
        entries = archive.infolist()
        names = [hashlib.sha256(archive.read(entry)).hexdigest() for entry in entries[:-1]]

    assert len(names) == 20
    assert {(entry.date_time, entry.create_system, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 3, 0)
    }
    assert [Path(entry.filename).stem for entry in entries] == [*sorted(names), "schema"]


def test_one_object_stays_one_and_two_equal_ones_stay_two() -> None:
    shared, other = np.arange(3.0), np.arange(3.0)
    inner = [shared]

    held = _held(_file(_hold(a=shared, b=shared, c=other, d=inner, e=inner)))

    assert held["a"] is held["b"] is held["d"][0]
    assert held["d"] is held["e"]
    assert held["c"] is not held["a"]
    np.testing.assert_array_equal(held["c"], other)


def test_which_equal_constants_are_one_object_does_not_matter() -> None:
    text = "a text that is made anew: {}"
    shared = (text.format(1), 1e300)
    equal = [(text.format(1), float("1e300")) for _ in range(2)]
    assert equal[0] is not equal[1]

    assert _file(_hold(a=shared, b=shared)) == _file(_hold(a=equal[0], b=equal[1]))


def test_what_a_tuple_holds_stays_one() -> None:
    pair = ([1], [2])

    held = _held(_file(_hold(a=pair, b=pair)))

    assert held["a"] == pair
    assert held["a"][0] is held["b"][0]


@pytest.mark.parametrize("kind", [set, frozenset])
def test_sets_come_in_an_order_of_their_own(kind: type) -> None:
    # Numbers that fall into the same slot of a small hash table lie in the order of their coming.
    one, other = frozenset([0, 8, 16]), frozenset([16, 8, 0])
    assert list(one) != list(other)
    values = {"flat": kind(one), "nested": kind([("a", one), ("b", one), None])}
    same_values = {"flat": kind([16, 8, 0]), "nested": kind([None, ("b", other), ("a", other)])}

    data = _file(_hold(values=values))

    assert data == _file(_hold(values=same_values))
    assert skops.io.loads(data, trusted=["builtins.frozenset"]).kw_args["values"] == values


def test_an_object_that_is_read_first_where_it_is_written_last_is_found() -> None:
    # A tree's arguments are written before its content and read after it; here they share an array.
    tree = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0]], [0.0, 1.0]).tree_
    written = skops.io.dumps(tree)
    schema = _schema(written)
    arguments, content = schema["__reduce__"]["args"]["content"], schema["content"]
    assert list(schema).index("__reduce__") < list(schema).index("content")
    content["content"]["n_classes"] = copy.deepcopy(arguments[1])
    content["key_types"]["content"].append(copy.deepcopy(content["key_types"]["content"][0]))

    data = canonical(_with_schema(written, schema))

    assert _schema(data)["__reduce__"]["args"]["content"][1]["__loader__"] == "CachedNode"
    loaded = skops.io.loads(data, trusted=TRUSTED)
    np.testing.assert_array_equal(loaded.predict(np.array([[0.0], [1.0]], dtype="float32")).ravel(), [0.0, 1.0])


def test_keys_that_look_like_the_format_are_data() -> None:
    values = {"__id__": 1, "__loader__": "SetNode", "file": "none.npy", "content": [2, 1], "__class__": "frozenset"}

    assert _held(_file(_hold(values=values)))["values"] == values


def test_what_is_logged_is_mlflows_own_flavor_with_the_canonical_file(tracking: str) -> None:
    case = task_case("multiclass")
    with mlflow.start_run():
        info, file = log_model(
            case.trained.estimator,
            name="churn_model",
            skops_trusted_types=TRUSTED,
            pip_requirements=[],
            pyfunc_predict_fn="predict_proba",
            input_example=case.trained.example,
        )

    folder = Path(mlflow.artifacts.download_artifacts(info.model_uri))
    data = (folder / "model.skops").read_bytes()
    assert (file.sha256, file.n_bytes) == (model_digest(case.trained.estimator), len(data))
    assert hashlib.sha256(data).hexdigest() == file.sha256
    flavors = mlflow.models.get_model_info(info.model_uri).flavors
    assert flavors["python_function"]["loader_module"] == "mlflow.sklearn"
    assert flavors["sklearn"]["serialization_format"] == "skops"
    # MLflow counts what lay there when it wrote the model: the file and the example.
    counted = [path.stat().st_size for path in folder.iterdir() if path.name.startswith(("model", "input", "serving"))]
    assert mlflow.models.Model.load(str(folder)).model_size_bytes == sum(counted)
    expected = predict(case.trained.estimator, case.test, "multiclass")
    np.testing.assert_array_equal(predict(mlflow.sklearn.load_model(info.model_uri), case.test, "multiclass"), expected)
    answer = mlflow.pyfunc.load_model(info.model_uri).predict(case.test)
    np.testing.assert_array_equal(np.asarray(answer, dtype="float64"), expected)
