"""The final fit on all rows of a table larger than memory, without a cluster."""

from types import SimpleNamespace
from typing import Any

import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
import xgboost.dask

from churn_kedro.base import ParameterError, UserInputError
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.large_tables import PART, describe_large_table, prepare_partition, read_customers
from churn_kedro.customers.splits import SplitManifest, SplitParameters, WholeTable
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.treatment import fit_features
from churn_kedro.training.algorithms import xgboost_trees
from churn_kedro.training.folds import build_development, sample_of
from churn_kedro.training.large_tables import encode_rows, require_large_table_support, weight_factors
from churn_kedro.training.parameters import ClassWeight
from churn_kedro.training.recipe import TrainingSummary
from churn_kedro.training.reproduction import train_again
from churn_kedro.training.search import NoArchive, SearchContext
from tests.task_cases import TaskCase, compare_given, configure, declare, fabricate, task_case

SPLIT = SplitParameters(method="hash", test_size=0.25, validation_size=0.25, random_state=3)


def _weighted() -> tuple[pd.DataFrame, CustomerDeclaration]:
    columns = [column.model_dump(exclude_unset=True) for column in declare("binary").columns]
    fields = declare("binary").model_dump(exclude_unset=True) | {
        "columns": [*columns, {"name": "Copies", "role": "weight", "description": "A column"}]
    }
    raw = fabricate("binary").assign(Copies=(np.arange(600) % 5 + 1).astype(str))
    return raw, CustomerDeclaration.model_validate(fields)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_have_the_inputs_and_weights_that_they_have_in_memory(weighted: bool, class_weight: ClassWeight) -> None:
    raw, declaration = _weighted() if weighted else (fabricate("binary"), declare("binary"))
    prepared = prepare_partition(raw, declaration, SPLIT)
    frames = {str(name): dd.from_pandas(rows, npartitions=3) for name, rows in prepared.groupby(PART)}
    whole = describe_large_table(frames, declaration, 0.0)
    assert whole is not None
    train = read_customers(prepared[prepared[PART] == "train"], declaration)
    inputs = fit_features(train, declaration, FeatureParameters())
    expected = sample_of(train, inputs.values, inputs, declaration, class_weight)

    factors = weight_factors(frames, whole, declaration, class_weight)
    found = frames["train"].map_partitions(encode_rows, inputs.transformer, declaration, factors).compute()

    np.testing.assert_array_equal(found["target"], expected.target)
    np.testing.assert_allclose(found.filter(regex="^f").to_numpy(), expected.values.astype(np.float32))
    if expected.weight is None:
        assert "weight" not in found
    else:
        np.testing.assert_allclose(found["weight"], expected.weight, rtol=1e-6)


@pytest.fixture
def case() -> TaskCase:
    """A case whose table is a sample."""
    case = task_case("binary")
    manifest = case.manifest
    whole = WholeTable(
        rows_read=60_000,
        rows_rejected=0,
        duplicates_dropped=0,
        rejection_examples=[],
        train=manifest.train,
        validation=manifest.validation,
        test=manifest.test,
    )
    changed = manifest.model_copy(update={"whole": whole})
    return TaskCase(**(vars(case) | {"manifest": changed}))


def test_other_algorithms_are_refused_before_the_search(case: TaskCase) -> None:
    configuration = configure(case.declaration, algorithms=["random_forest"])
    development = build_development(
        case.train, case.validation, case.manifest, case.declaration, configuration.features
    )

    with pytest.raises(ParameterError, match=r"only xgboost is fitted on all rows .* Set it to \[xgboost\]"):
        require_large_table_support(development, configuration)


def test_dropped_outliers_are_refused_before_the_search(case: TaskCase) -> None:
    left_out: SplitManifest = case.manifest.model_copy(update={"rows_left_out": {"outliers": 3}})
    configuration = configure(case.declaration)
    development = build_development(case.train, case.validation, left_out, case.declaration, configuration.features)

    with pytest.raises(ParameterError, match="Choose another action for outliers"):
        require_large_table_support(development, configuration)


def test_a_version_of_a_large_table_cannot_be_rebuilt_from_its_sample(case: TaskCase) -> None:
    summary: TrainingSummary = case.training.summary
    tables = {"train": case.train, "validation": case.validation}

    with pytest.raises(CustomerTableError, match="of which only a sample is stored"):
        train_again(tables, case.manifest, summary, SearchContext(NoArchive()), None)  # type: ignore[arg-type]


class _LostWorkers:
    """Stands in for the distributed fit: some attempts lose a worker."""

    def __init__(self, losses: int) -> None:
        self.losses, self.attempts = losses, 0

    def __call__(self, client: Any, settings: dict[str, Any], matrix: xgb.DMatrix, **given: Any) -> dict[str, Any]:
        self.attempts += 1
        if self.attempts <= self.losses:
            raise xgb.core.XGBoostError("src/collective/result.cc:83: Ring allgather failed")
        return {"booster": xgb.train(settings, matrix, given["num_boost_round"])}


@pytest.mark.parametrize("losses", [0, 2, 3])
def test_a_fit_that_loses_workers_begins_again_twice(losses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = task_case("binary")
    known = compare_given(case.train, case.validation, case.manifest, case.declaration)
    sample, fit = known.folds.comparison[0].train, _LostWorkers(losses)
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": {}}, wait_for_workers=lambda *_, **__: None)
    monkeypatch.setattr(distributed, "get_client", lambda: client)
    monkeypatch.setattr(xgboost.dask, "train", fit)
    monkeypatch.setattr(
        xgboost_trees,
        "_build_distributed_matrix",
        lambda rows, types: xgb.DMatrix(sample.values, sample.target, feature_types=list(types)),
    )

    def grow() -> Any:
        return xgboost_trees.XGBoost().grow_on_cluster(None, sample, {"max_depth": 3}, known.problem, 5)

    if losses < 3:
        assert grow().get_booster().num_boosted_rounds() == 5
        assert fit.attempts == losses + 1
    else:
        with pytest.raises(UserInputError, match="lost in each of 3 attempts"):
            grow()


def test_another_error_of_the_fit_is_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("label must not be negative")

    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": {}}, wait_for_workers=lambda *_, **__: None)
    monkeypatch.setattr(distributed, "get_client", lambda: client)
    monkeypatch.setattr(xgboost_trees, "_build_distributed_matrix", fail)
    case = task_case("binary")
    known = compare_given(case.train, case.validation, case.manifest, case.declaration)

    with pytest.raises(ValueError, match="label must not be negative"):
        xgboost_trees.XGBoost().grow_on_cluster(None, known.folds.comparison[0].train, {}, known.problem, 5)
