"""Claims about the digest of a model's content."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

from churn_kedro.customers.tasks import Task
from churn_kedro.datasets.mlflow.model_digests import model_digest
from churn_kedro.datasets.mlflow.stored_models import TRUSTED_TYPES
from churn_kedro.models.interface import TrainedModel
from tests import ROOT
from tests.treatment_cases import treatment_case

TRUSTED = [*TRUSTED_TYPES, "builtins.frozenset"]


def _hold(**values: Any) -> FunctionTransformer:
    """A transformer that holds values, as an estimator holds its attributes."""
    return FunctionTransformer(kw_args=values)


def _reload(estimator: Any) -> Any:
    return skops.io.loads(skops.io.dumps(estimator), trusted=TRUSTED)


@pytest.mark.slow
def test_two_processes_train_models_of_the_same_digest(tmp_path: Path) -> None:
    script = """
from churn_kedro.datasets.mlflow.model_digests import model_digest
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


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_loaded_model_has_the_digest_of_the_trained_one(task: Task) -> None:
    # Its trees have other bytes of memory between the fields of their nodes.
    estimator = treatment_case(task).trained.estimator

    assert model_digest(_reload(estimator)) == model_digest(estimator)


def _algorithm(name: str, random_state: int) -> Any:
    match name:
        case "lightgbm":
            from lightgbm import LGBMClassifier

            return LGBMClassifier(
                n_estimators=5, subsample=0.5, subsample_freq=1, random_state=random_state, n_jobs=1, verbose=-1
            )
        case "xgboost":
            from xgboost import XGBClassifier

            return XGBClassifier(n_estimators=5, subsample=0.5, random_state=random_state)
        case "forest":
            return RandomForestClassifier(5, random_state=random_state)
        case _:
            return HistGradientBoostingClassifier(
                max_iter=5, early_stopping=True, validation_fraction=0.5, random_state=random_state
            )


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "forest", "hist_gradient_boosting"])
def test_every_algorithm_has_one_digest_for_each_seed(name: str) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    y = (X[:, 0] + random.normal(size=200) > 0).astype(int)

    first, again, other = (_algorithm(name, seed).fit(X, y) for seed in (1, 1, 2))

    assert model_digest(first) == model_digest(again) == model_digest(_reload(first))
    assert model_digest(first) != model_digest(other)


def test_catboost_has_one_digest_for_each_training() -> None:
    from catboost import CatBoostClassifier

    X = np.arange(20.0)[:, None]
    digests = []
    for cut in (5, 5, 9):
        model = CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False, thread_count=1)
        model.fit(X, X[:, 0] > cut)
        # Training removes them, too: the moment of training and a random identifier.
        metadata = model.get_metadata()
        metadata["train_finish_time"] = metadata["model_guid"] = ""
        digests.append(model_digest(model))

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_copies_have_the_same_digest_and_changed_ones_have_not(trained: TrainedModel) -> None:
    same, changed = copy.deepcopy(trained.estimator), copy.deepcopy(trained.estimator)
    changed.threshold = 0.001 + (changed.threshold or 0)

    assert skops.io.dumps(same) != skops.io.dumps(trained.estimator)
    assert model_digest(same) == model_digest(trained.estimator)
    assert model_digest(changed) != model_digest(trained.estimator)


def test_scoring_does_not_change_the_digest(trained: TrainedModel, customers: pd.DataFrame) -> None:
    fresh = copy.deepcopy(trained.estimator)
    before = model_digest(fresh)

    fresh.scores(customers)

    assert model_digest(fresh) == before


@pytest.mark.parametrize(
    "value", [np.arange(3.0), [np.arange(3)], (1, 1e300), {"a": [np.float64(2)]}, frozenset({"text"})]
)
def test_whether_equal_attributes_are_one_object_makes_no_difference(value: Any) -> None:
    assert model_digest(_hold(a=value, b=value)) == model_digest(_hold(a=value, b=copy.deepcopy(value)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(3.0), np.arange(3)),
        (np.arange(4), np.arange(4).reshape(2, 2)),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"b": 1}),
        ({1, 2}, {1, 3}),
        (b"ab", b"ac"),
        (np.zeros(1, [("a", "i1"), ("b", "i8")]), np.zeros(1, [("a", "i1"), ("c", "i8")])),
    ],
)
def test_other_attributes_give_another_digest(one: Any, other: Any) -> None:
    assert model_digest(_hold(a=one)) != model_digest(_hold(a=other))


@pytest.mark.parametrize("kind", [set, frozenset])
def test_the_order_of_sets_makes_no_difference(kind: type) -> None:
    # Numbers that fall into the same slot of a small hash table lie in the order of their coming.
    one, other = frozenset([0, 8, 16]), frozenset([16, 8, 0])
    assert list(one) != list(other)
    values = {"flat": kind(one), "nested": kind([("a", one), ("b", one), None])}
    same_values = {"flat": kind([16, 8, 0]), "nested": kind([None, ("b", other), ("a", other)])}

    assert model_digest(_hold(values=values)) == model_digest(_hold(values=same_values))


def test_keys_that_look_like_the_format_are_data() -> None:
    values = {"__id__": 1, "__loader__": "SetNode", "file": "none.npy", "content": [2, 1], "__class__": "frozenset"}

    digests = {model_digest(_hold(values={**values, name: "changed"})) for name in values}

    assert len({model_digest(_hold(values=values)), *digests}) == len(values) + 1
