"""Check of the selected nodes and the runner, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.io import MemoryDataset

from churn_kedro.base import ParameterError
from churn_kedro.datasets import RawTableDataset

if TYPE_CHECKING:
    from kedro.io import DataCatalog
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node


class RunCheckHooks:
    """Raise for a run that would fail halfway, with what works instead."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Store the paths of files."""
        entries = {name: entry for name, entry in conf_catalog.items() if isinstance(entry, dict)}
        self._files = {name: entry["filepath"] for name, entry in entries.items() if "filepath" in entry}

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Check the runner, the raw tables, and that no node needs a result that was in the memory of another run."""
        if "ParallelRunner" in str(run_params.get("runner")):
            raise ParameterError(
                "ParallelRunner is not supported: its processes share neither the MLflow run nor tables in memory. "
                "Leave --runner out; training uses all cores."
            )
        written = {self._files[name]: name for name in pipeline.all_outputs() if name in self._files}
        for name in pipeline.inputs():
            dataset = catalog.get(name)
            if not isinstance(dataset, RawTableDataset):
                continue
            output = written.get(self._files.get(name, ""))
            if output is None:
                dataset.require_file()
            elif not _is_read_later(pipeline, output, name):
                raise ParameterError(
                    f"{output} and {name} are the same file, {self._files[name]}: a run that writes and reads it could "
                    "read the former table. Run the pipeline that writes it alone, and then the others: "
                    "`kedro run --pipelines NAME`."
                )
        needed = [name for name in pipeline.inputs() if _is_in_memory(name, catalog)]
        if needed:
            raise ParameterError(_explain_selection(needed, run_params, pipeline, catalog))


def _is_read_later(pipeline: Pipeline, output: str, name: str) -> bool:
    """Whether the nodes that read an input run after the one that writes an output: Kedro orders by data, not files."""
    (writer,) = (node for node in pipeline.nodes if output in node.outputs)
    readers = {node.name for node in pipeline.nodes if name in node.inputs} - {writer.name}
    later = {node.name for node in pipeline.from_nodes(writer.name).nodes}
    return bool(readers) and readers <= later


def _is_in_memory(name: str, catalog: DataCatalog) -> bool:
    if name.startswith("params:") or name == "parameters":
        return False
    dataset = catalog.get(name)
    return dataset is None or (isinstance(dataset, MemoryDataset) and not dataset.exists())


def _explain_selection(
    needed: Iterable[str], run_params: Mapping[str, Any], selected: Pipeline, catalog: DataCatalog
) -> str:
    from kedro.framework.project import pipelines

    everything = [node for name in pipelines for node in pipelines[name].nodes]
    makers = {output: node for node in everything for output in node.outputs}
    absent = [f"{name} ({makers[name].name})" if name in makers else name for name in sorted(needed)]
    wanted: dict[str, Node] = {node.name: node for node in selected.nodes}
    open_nodes = list(wanted.values())
    while open_nodes:
        for name in open_nodes.pop().inputs:
            maker = makers.get(name)
            if maker is not None and maker.name not in wanted and _is_in_memory(name, catalog):
                wanted[maker.name] = maker
                open_nodes.append(maker)
    if run_params.get("node_names"):
        option = f"--nodes {','.join(wanted)}"
    else:
        made = {output for node in wanted.values() for output in node.outputs}
        first = [name for name, node in wanted.items() if not made.intersection(node.inputs)]
        option = f"--from-nodes {','.join(sorted(first))}"
    return (
        "The selected nodes need results that are kept in memory only, and the nodes that make them are left out: "
        f"{', '.join(absent)}. Include these nodes: `kedro run {option}`."
    )
