"""Claims about runs that would fail halfway."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Node, Pipeline

from churn_kedro.base import ParameterError
from churn_kedro.datasets import RawTablePartsDataset
from churn_kedro.hooks.run_checks import RunCheckHooks
from churn_kedro.pipelines.inference import create_pipeline

STORED = ("champion_model@registry", "champion_reference", "earlier_batches", "new_customers")


@pytest.fixture(scope="module", autouse=True)
def _configured() -> None:
    configure_project("churn_kedro")
    pipelines.set_requested(["inference"])


def check(selected: Pipeline, datasets: dict[str, Any], conf: dict[str, Any] | None = None, **run: Any) -> None:
    hooks = RunCheckHooks()
    hooks.after_catalog_created(conf or {})
    hooks.before_pipeline_run(run, selected, DataCatalog(datasets))


def test_nodes_without_the_makers_of_their_inputs_are_refused_with_the_options_that_work() -> None:
    selected = create_pipeline().only_nodes("inference.explain_contacts")
    stored = {name: MemoryDataset(1) for name in (*STORED, "scored_customers")}

    with pytest.raises(ParameterError) as raised:
        check(selected, stored, node_names=("inference.explain_contacts",))
    with pytest.raises(ParameterError, match=r"`kedro run --from-nodes inference.list_unscored`"):
        check(selected, stored)

    message = str(raised.value)
    assert "ranked_customers (inference.rank_scored_customers)" in message
    assert (
        "`kedro run --nodes inference.explain_contacts,inference.rank_scored_customers,inference.list_unscored`"
        in message
    )


def test_a_whole_pipeline_and_its_end_are_accepted() -> None:
    stored = {name: MemoryDataset(1) for name in STORED}
    whole = create_pipeline()

    check(whole, stored)
    end = whole.from_nodes("inference.measure_batch")
    check(end, {name: MemoryDataset(1) for name in ("batch_report", "ranked_customers", "batch_drift")})


def test_a_raw_table_that_is_absent_is_reported_before_anything_runs(tmp_path: Path) -> None:
    path = (tmp_path / "new.csv").as_posix()
    stored = {name: MemoryDataset(1) for name in STORED} | {"new_customers": RawTablePartsDataset(filepath=path)}
    conf = {"new_customers": {"filepath": path}}

    with pytest.raises(DatasetError, match=r"new\.csv does not exist"):
        check(create_pipeline(), stored, conf)
    pd.DataFrame({"a": [1]}).to_csv(path)
    check(create_pipeline(), stored, conf)


def test_a_raw_table_that_the_same_run_writes_is_refused(tmp_path: Path) -> None:
    path = (tmp_path / "new.csv").as_posix()
    stored = {name: MemoryDataset(1) for name in STORED} | {"new_customers": RawTablePartsDataset(filepath=path)}

    with pytest.raises(ParameterError, match=r"predictions and new_customers are the same file, .*new\.csv: a run"):
        check(create_pipeline(), stored, {"new_customers": {"filepath": path}, "predictions": {"filepath": path}})


def test_a_raw_table_that_a_node_reads_after_the_same_run_has_written_it_is_none_to_refuse(tmp_path: Path) -> None:
    path = (tmp_path / "test.csv").as_posix()
    ordered = Pipeline(
        [
            Node(lambda raw: (raw, raw), "raw", ["written", "model"], name="write"),
            Node(lambda model, table: table, ["model", "new_customers"], "scored", name="read"),
        ]
    )
    stored = {"raw": MemoryDataset(1), "new_customers": RawTablePartsDataset(filepath=path)}

    check(ordered, stored, {"new_customers": {"filepath": path}, "written": {"filepath": path}})


def test_parallel_processes_are_refused() -> None:
    with pytest.raises(ParameterError, match="ParallelRunner is not supported: its processes share neither"):
        check(Pipeline([]), {}, runner="<kedro.runner.parallel_runner.ParallelRunner object at 0x7>")
