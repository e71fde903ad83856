"""Claims about runs that would fail halfway."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline

from churn_kedro.base import ParameterError
from churn_kedro.datasets import RawTableDataset
from churn_kedro.hooks.run_checks import RunCheckHooks
from churn_kedro.pipelines.inference import create_pipeline


@pytest.fixture(scope="module", autouse=True)
def _configured() -> None:
    configure_project("churn_kedro")
    pipelines.set_requested(["inference"])


def check(selected: Pipeline, datasets: dict[str, Any], conf: dict[str, Any] | None = None, **run: Any) -> None:
    hooks = RunCheckHooks()
    hooks.after_catalog_created(conf or {})
    hooks.before_pipeline_run(run, selected, DataCatalog(datasets))


def test_nodes_without_the_makers_of_their_inputs_are_refused_with_the_options_that_work() -> None:
    selected = create_pipeline().only_nodes("inference.score_customers")
    stored = {"champion_model@registry": MemoryDataset(1), "new_customers": MemoryDataset(1)}

    with pytest.raises(ParameterError) as raised:
        check(selected, stored, node_names=("inference.score_customers",))
    with pytest.raises(ParameterError, match=r"`kedro run --from-nodes inference.read_new_customers`"):
        check(selected, stored)

    message = str(raised.value)
    assert "typed_new_customers (inference.read_new_customers)" in message
    assert "`kedro run --nodes inference.score_customers,inference.read_new_customers`" in message


def test_a_whole_pipeline_and_its_end_are_accepted() -> None:
    stored = {"champion_model@registry": MemoryDataset(1), "new_customers": MemoryDataset(1)}
    whole = create_pipeline()

    check(whole, stored)
    check(whole.from_nodes("inference.count_scores"), {"scoring_report": MemoryDataset(1)})


def test_a_raw_table_that_is_absent_is_reported_before_anything_runs(tmp_path: Path) -> None:
    path = (tmp_path / "new.csv").as_posix()
    stored = {"champion_model@registry": MemoryDataset(1), "new_customers": RawTableDataset(filepath=path)}
    conf = {"new_customers": {"filepath": path}}

    with pytest.raises(DatasetError, match=r"new\.csv does not exist"):
        check(create_pipeline(), stored, conf)
    # The file is an output of the same run.
    check(create_pipeline(), stored, {**conf, "predictions": {"filepath": path}})
    pd.DataFrame({"a": [1]}).to_csv(path)
    check(create_pipeline(), stored, conf)


def test_parallel_processes_are_refused() -> None:
    with pytest.raises(ParameterError, match="ParallelRunner is not supported: its processes share neither"):
        check(Pipeline([]), {}, runner="<kedro.runner.parallel_runner.ParallelRunner object at 0x7>")
