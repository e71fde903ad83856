"""Lineage of an MLflow run: code, use case and tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.framework.hooks import hook_impl

from churn_kedro.customers import TableParts
from churn_kedro.datasets import (
    close_abandoned_runs,
    describe_code,
    describe_experiment,
    describe_process,
    describe_run,
)

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext

    from churn_kedro.datasets import TableInput


def name_run(use_case: str, pipelines: Sequence[str] | None, version: int | None = None) -> str:
    """Name a run after what it does.

    Args:
        use_case: Name of the use case.
        pipelines: Requested pipelines; none: the main job.
        version: Version that was made or used, if any.

    Returns:
        For example ``bank · main job · version 2``.
    """
    job = " + ".join(sorted(pipelines)) if pipelines else "main job"
    return " · ".join([use_case, job, *([] if version is None else [f"version {version}"])])


class LineageHooks:
    """Tag the MLflow run with its code and use case, and log the customer tables as inputs."""

    def __init__(self) -> None:
        self._project_path = Path()
        self._use_case, self._description = "", ""
        self._contexts: dict[str, str] = {}
        # Path, address or query of each table to log, by dataset name.
        self.sources: dict[str, str] = {}
        # Tables that are inputs of the active run, by dataset name.
        self.inputs: dict[str, TableInput] = {}
        # Tables whose parts are being read; their digests are known at the end.
        self._in_parts: dict[str, TableParts] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Store the project and the use case."""
        self._project_path = Path(context.project_path)
        values = context.config_loader["globals"]
        self._use_case, self._description = str(values["use_case"]), str(values["customers"]["description"])

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Find the tables to log: those with an MLflow context in their catalog metadata."""
        entries = {name: entry.get("metadata") or {} for name, entry in conf_catalog.items() if isinstance(entry, dict)}
        self._contexts = {name: data["mlflow_context"] for name, data in entries.items() if "mlflow_context" in data}
        self.sources = {name: _find_source(conf_catalog[name], name) for name in self._contexts}
        self.inputs, self._in_parts = {}, {}

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Tag the run that kedro-mlflow has started, and close those that killed processes have left."""
        import mlflow

        run = mlflow.active_run()
        if run is None:
            return
        pipelines = run_params.get("pipeline_names") or ["__default__"]
        mlflow.set_tags(
            {
                "use_case": self._use_case,
                "pipeline": ",".join(sorted(pipelines)),
                **describe_code(self._project_path, self._use_case),
                **describe_process(),
            }
        )
        describe_run(run.info.run_id, name_run(self._use_case, run_params.get("pipeline_names")))
        describe_experiment(run.info.experiment_id, self._description)
        close_abandoned_runs(run.info.experiment_id)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Log a table as an input of the run, with the digest of its whole content."""
        if isinstance(data, TableParts):
            self._in_parts[dataset_name] = data
        else:
            self._log_input(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log a table that is made in this run as an input, and those that were read to the end in parts."""
        self._log_input(dataset_name, data)
        for name in [name for name, parts in self._in_parts.items() if parts.digest]:
            self._log_input(name, self._in_parts.pop(name))

    def _log_input(self, dataset_name: str, data: Any) -> None:
        # A table of another dataset may come as an iterator, which can be read only once.
        is_table = isinstance(data, pd.DataFrame | TableParts)
        if dataset_name not in self._contexts or dataset_name in self.inputs or not is_table:
            return
        import mlflow

        from churn_kedro.datasets import TableInput

        if mlflow.active_run() is None:
            return
        table = TableInput(data, self.sources[dataset_name], f"{self._use_case}.{dataset_name}")
        self.inputs[dataset_name] = table
        mlflow.log_input(table, context=self._contexts[dataset_name])


def _find_source(entry: dict[str, Any], name: str) -> str:
    """Find where a table is read from: a file, a folder, an address or a query of a catalog entry; else its name."""
    dataset = entry.get("dataset", entry)
    if "sql" in dataset:
        return " ".join(str(dataset["sql"]).split())
    return str(next((dataset[key] for key in ("filepath", "path", "url") if key in dataset), name))
