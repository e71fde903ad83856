"""Tables larger than memory, on a Dask cluster of two processes that is found by its address."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from sklearn.metrics import roc_auc_score

from churn_kedro.customers.declaration import CustomerTableError
from churn_kedro.customers.large_tables import LargeTables
from churn_kedro.customers.splits import CustomerParts, SplitManifest, SplitParameters, split_customers
from churn_kedro.customers.validation import set_aside_invalid
from churn_kedro.datasets.large_tables import LargeTableDataset, PreparedTableDataset, SampledTableDataset
from churn_kedro.datasets.runtime import dask_cluster
from churn_kedro.models.interface import score_labelled
from churn_kedro.models.training_rows import digest_training_rows
from churn_kedro.pipelines.data_processing.nodes import (
    describe_parts,
    normalise_customers,
    prepare_all_customers,
)
from churn_kedro.pipelines.evaluation.nodes import measure_all_test_customers
from churn_kedro.pipelines.training.nodes import record_training_rows
from churn_kedro.training.algorithms import AlgorithmName
from churn_kedro.training.recipe import Training, fit_model
from tests import ROOT
from tests.servers import object_store
from tests.task_cases import compare_given, declare, fabricate, task_case

pytestmark = pytest.mark.slow

DECLARATION = declare("binary")
SPLIT = SplitParameters(method="hash", test_size=0.25, validation_size=0.25, random_state=3)
ROWS, SAMPLE_ROWS = 12_000, 3000
GIVEN: dict[AlgorithmName, tuple[dict[str, Any], int | None]] = {
    "xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 30)
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    from distributed import LocalCluster

    with pytest.MonkeyPatch.context() as patch, object_store("large") as storage:
        for name, value in storage.items():
            patch.setenv(name, value)
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as started:
            patch.setenv(dask_cluster.SCHEDULER_VARIABLE, started.scheduler_address)
            yield
            dask_cluster.disconnect()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in four files, of which one row breaks the declaration."""
    raw = fabricate("binary", ROWS)
    raw.loc[5, "Country"] = "Norway"
    folder = tmp_path_factory.mktemp("table")
    for place, rows in enumerate(np.array_split(np.arange(ROWS), 4)):
        raw.iloc[rows].to_parquet(folder / f"part-{place}.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def in_memory(folder: Path) -> CustomerParts:
    """The same rows, divided in memory."""
    raw = pd.concat([pd.read_parquet(path) for path in sorted(folder.iterdir())], ignore_index=True)
    return _divide(raw)


def _divide(raw: pd.DataFrame) -> CustomerParts:
    found = normalise_customers(raw, DECLARATION)
    valid, _ = set_aside_invalid(found.table, found.unreadable, DECLARATION, with_target=True)
    return split_customers(valid, DECLARATION, SPLIT)


def _prepare(table: Path | str, target: Path | str) -> LargeTables:
    raw = LargeTableDataset(filepath=str(table), sample_rows=SAMPLE_ROWS).load()
    dataset = PreparedTableDataset(filepath=str(target), sample_rows=SAMPLE_ROWS)
    dataset.save(prepare_all_customers(raw, DECLARATION, SPLIT))
    return dataset.load()


@pytest.fixture(scope="module")
def prepared(cluster: None, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LargeTables:
    return _prepare(folder, tmp_path_factory.mktemp("prepared") / "all")


@pytest.fixture(scope="module")
def sample(cluster: None, folder: Path) -> CustomerParts:
    return _divide(SampledTableDataset(filepath=str(folder), sample_rows=SAMPLE_ROWS).load())


@pytest.fixture(scope="module")
def manifest(sample: CustomerParts, prepared: LargeTables) -> SplitManifest:
    whole = pd.concat(sample)
    return describe_parts(whole, sample, sample, prepared, DECLARATION, SPLIT, 0.05)


@pytest.fixture(scope="module")
def trained(sample: CustomerParts, manifest: SplitManifest, prepared: LargeTables) -> Training:
    return _train(sample, manifest, prepared)


def _train(sample: CustomerParts, manifest: SplitManifest, prepared: LargeTables) -> Training:
    known = compare_given(sample.train, sample.validation, manifest, DECLARATION, given=GIVEN)
    return fit_model(
        known.development,
        known.candidate_comparison,
        known.search,
        known.problem,
        known.configuration,
        all_customers=prepared,
    )


def test_each_row_has_the_part_that_it_has_in_memory(prepared: LargeTables, in_memory: CustomerParts) -> None:
    for name, expected in in_memory._asdict().items():
        found = prepared[name].compute()
        assert sorted(found["Id"]) == sorted(expected["Id"])


def test_sampled_customers_keep_their_part(sample: CustomerParts, in_memory: CustomerParts) -> None:
    assert abs(sum(map(len, sample)) - SAMPLE_ROWS) < 5
    for part, whole in zip(sample, in_memory, strict=True):
        assert set(part["Id"]) < set(whole["Id"])


def test_the_manifest_counts_all_rows_and_its_digests_do_not_depend_on_partitions(
    manifest: SplitManifest, in_memory: CustomerParts, folder: Path, tmp_path: Path
) -> None:
    one_file = pd.concat([pd.read_parquet(path) for path in sorted(folder.iterdir(), reverse=True)])
    one_file.to_csv(tmp_path / "table.csv", index=False)

    again = _prepare(tmp_path / "table.csv", tmp_path / "all")

    whole = manifest.whole
    assert whole is not None
    assert (whole.rows_read, whole.rows_rejected, whole.duplicates_dropped) == (ROWS, 1, 0)
    assert whole.rejection_examples == ["Country: 'Norway' is not one of: France, Spain"]
    assert [whole.train.rows, whole.validation.rows, whole.test.rows] == [len(part) for part in in_memory]
    assert whole.train.classes["leaves"] == int(in_memory.train["Outcome"].sum())
    assert describe_parts(pd.concat(in_memory), in_memory, in_memory, again, DECLARATION, SPLIT, 0.05).whole == whole


def test_tables_in_object_storage_are_read_and_written(
    manifest: SplitManifest, folder: Path, sample: CustomerParts
) -> None:
    for path in folder.iterdir():
        pd.read_parquet(path).to_parquet(f"s3://large/table/{path.name}", index=False)

    prepared = _prepare("s3://large/table", "s3://large/all")

    assert describe_parts(pd.concat(sample), sample, sample, prepared, DECLARATION, SPLIT, 0.05) == manifest


def test_too_many_rejected_rows_stop_the_run(sample: CustomerParts, prepared: LargeTables) -> None:
    with pytest.raises(CustomerTableError, match=r"1 of 12,000 rows \(0.0%\) break the declaration"):
        describe_parts(pd.concat(sample), sample, sample, prepared, DECLARATION, SPLIT, 0.0)


def test_trees_on_the_cluster_rank_as_well_as_trees_in_memory(trained: Training, in_memory: CustomerParts) -> None:
    known = compare_given(in_memory.train, in_memory.validation, _plain_manifest(in_memory), DECLARATION, given=GIVEN)
    # The same rows: the validation customers are not trained on.
    learnable = np.arange(len(known.development.customers)) < len(in_memory.train)
    development = replace(known.development, learnable=learnable)
    beside = fit_model(development, known.candidate_comparison, known.search, known.problem, known.configuration)

    target = in_memory.test["Outcome"]
    found, expected = (
        score_labelled(training.model.estimator, in_memory.test, DECLARATION) for training in (trained, beside)
    )

    # The standard error of the ROC-AUC is about 0.004.
    assert abs(roc_auc_score(target, found.prediction) - roc_auc_score(target, expected.prediction)) < 0.002
    assert np.abs(found.prediction - expected.prediction).mean() < 0.02
    assert trained.summary.rows["trained"] == len(in_memory.train)
    assert trained.model.facts["all_train_rows"] == str(len(in_memory.train))


def _plain_manifest(parts: CustomerParts) -> SplitManifest:
    return describe_parts(pd.concat(parts), parts, parts, {}, DECLARATION, SPLIT, 0.05)


def test_the_same_partitions_give_the_same_model(
    trained: Training, sample: CustomerParts, manifest: SplitManifest, prepared: LargeTables
) -> None:
    again = _train(sample, manifest, prepared)

    test = sample.test.drop(columns="Outcome")
    np.testing.assert_array_equal(
        again.model.estimator.predict_proba(test), trained.model.estimator.predict_proba(test)
    )


def test_calibration_and_threshold_come_from_validation_customers(trained: Training, sample: CustomerParts) -> None:
    assert len(trained.validated.rows) == len(sample.validation)
    assert trained.validated.rows.min() == len(sample.train)


def test_metrics_of_all_test_customers_are_those_in_memory(
    trained: Training,
    sample: CustomerParts,
    manifest: SplitManifest,
    prepared: LargeTables,
    in_memory: CustomerParts,
) -> None:
    known = compare_given(sample.train, sample.validation, manifest, DECLARATION, given=GIVEN)
    rows = record_training_rows(known.development, prepared, DECLARATION)
    version = task_case("binary").registered(estimator=trained.model.estimator, training_rows=rows)

    found = measure_all_test_customers(version, prepared, DECLARATION)

    scores = score_labelled(trained.model.estimator, in_memory.test, DECLARATION)
    assert found.values["customers"] == len(in_memory.test)
    assert found.values["roc_auc"] == pytest.approx(roc_auc_score(scores.target, scores.prediction))
    everything = pd.concat([in_memory.train, sample.validation])
    pd.testing.assert_frame_equal(rows, digest_training_rows(everything, DECLARATION))

    on_test = (
        version.registered
        if False
        else replace(version, training_rows=digest_training_rows(in_memory.test, DECLARATION))
    )
    with pytest.raises(CustomerTableError, match=f"was trained on {len(in_memory.test):,} of the"):
        measure_all_test_customers(on_test, prepared, DECLARATION)


def test_a_training_without_the_switch_refuses_a_sample(sample: CustomerParts, manifest: SplitManifest) -> None:
    with pytest.raises(CustomerTableError, match="a sample, but sample_rows is not set"):
        _train(sample, manifest, {})


def _die_once(part: pd.DataFrame, flag: str) -> pd.DataFrame:
    if len(part) and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def test_a_partition_of_a_lost_worker_is_computed_again(
    cluster: None, folder: Path, prepared: LargeTables, tmp_path: Path
) -> None:
    raw = LargeTableDataset(filepath=str(folder), sample_rows=SAMPLE_ROWS).load()["raw"]
    frail = {"raw": raw.map_partitions(_die_once, str(tmp_path / "died"), meta=raw._meta)}
    dataset = PreparedTableDataset(filepath=str(tmp_path / "all"), sample_rows=SAMPLE_ROWS)

    dataset.save(prepare_all_customers(frail, DECLARATION, SPLIT))

    assert (tmp_path / "died").exists()
    for name, part in dataset.load().items():
        assert sorted(part["Id"].compute()) == sorted(prepared[name]["Id"].compute())


def _fail(part: pd.DataFrame) -> pd.DataFrame:
    raise CustomerTableError("broken")


def test_a_table_whose_writing_failed_is_not_read(cluster: None, folder: Path, tmp_path: Path) -> None:
    _prepare(folder, tmp_path / "all")
    raw = LargeTableDataset(filepath=str(folder), sample_rows=SAMPLE_ROWS).load()["raw"]
    dataset = PreparedTableDataset(filepath=str(tmp_path / "all"), sample_rows=SAMPLE_ROWS, made_by="data_processing")

    prepared = prepare_all_customers({"raw": raw}, DECLARATION, SPLIT)["prepared"]
    with pytest.raises(DatasetError, match=r"^broken$"):
        dataset.save({"prepared": prepared.map_partitions(_fail, meta=prepared._meta)})

    with pytest.raises(DatasetError, match=r"has no complete table. Run `kedro run --pipelines data_processing` first"):
        dataset.load()


def test_a_local_cluster_has_a_thread_per_core_and_ends_with_the_run() -> None:
    script = (
        "from churn_kedro.base import available_cores\n"
        "from churn_kedro.datasets.runtime.dask_cluster import connect\n"
        "import os\n"
        "if __name__ == '__main__':\n"
        "    client = connect()\n"
        "    assert connect() is client\n"
        "    workers = client.scheduler_info(n_workers=-1)['workers'].values()\n"
        "    assert [worker['nthreads'] for worker in workers] == [1] * available_cores()\n"
        "    print(*client.run(os.getpid).values())"
    )
    environment = {name: value for name, value in os.environ.items() if name != dask_cluster.SCHEDULER_VARIABLE}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    processes = [int(process) for process in run.stdout.split()]
    assert processes
    assert not [process for process in processes if Path(f"/proc/{process}").exists()]


def test_a_scheduler_that_does_not_respond_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "_opened", [])
    monkeypatch.setattr(dask_cluster, "_SECONDS", 1)
    monkeypatch.setenv(dask_cluster.SCHEDULER_VARIABLE, "tcp://127.0.0.1:1")

    with pytest.raises(DatasetError, match=r"No Dask scheduler with workers responds at tcp://127.0.0.1:1"):
        dask_cluster.connect()


def test_without_the_switch_dask_is_not_imported(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from churn_kedro.datasets import *\n"
        f"path, target = {str(folder / 'part-0.parquet')!r}, {str(tmp_path)!r}\n"
        "assert len(SampledTableDataset(filepath=path).load()) == 3000\n"
        "assert LargeTableDataset(filepath=path).load() == {}\n"
        "dataset = PreparedTableDataset(filepath=target)\n"
        "dataset.save(LargeTableDataset(filepath=path).load())\n"
        "assert dataset.load() == {}\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "pandas" in run.stdout
    assert not {"dask", "distributed"} & set(run.stdout.split())


def test_text_files_with_another_header_are_refused(cluster: None, folder: Path, tmp_path: Path) -> None:
    raw = pd.read_parquet(folder / "part-0.parquet")
    raw.to_csv(tmp_path / "a.csv", index=False)
    raw[sorted(raw.columns)].to_csv(tmp_path / "b.csv", index=False)

    with pytest.raises(DatasetError, match=r"b\.csv has the header .*All files of a table need the same columns"):
        LargeTableDataset(filepath=tmp_path.as_posix(), sample_rows=1000).load()
