"""What is recorded beside Kedro's and kedro-mlflow's own records. Hooks watch; they change nothing."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from pydantic import BaseModel

from churn_kedro.datasets import describe_code, loggable_name, require_answer, tracking_uri

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

# Characters of a column's name in a parameter's name, which has a prefix, too.
_LONGEST_NAME = 150
# Files that the closing summary points to.
_FILES = ("data_report", "evaluation_report", "rejected_customers", "predictions", "unscored_customers")


class TrackingServerHooks:
    """Looks whether the tracking server answers, before kedro-mlflow waits for it."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Fail at once where the server is down."""
        require_answer(tracking_uri(Path(context.project_path), os.environ))


class LineageHooks:
    """Tags the MLflow run with its code and use case, and logs the customer tables as its inputs."""

    def __init__(self) -> None:
        self._project_path = Path()
        self._use_case = ""
        self._contexts: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._logged: set[str] = set()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Learn the project and the use case."""
        self._project_path = Path(context.project_path)
        self._use_case = str(context.config_loader["globals"]["use_case"])

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Learn which tables are inputs: those whose catalog metadata names an MLflow context."""
        entries = {name: entry.get("metadata") or {} for name, entry in conf_catalog.items() if isinstance(entry, dict)}
        self._contexts = {name: data["mlflow_context"] for name, data in entries.items() if "mlflow_context" in data}
        self._sources = {name: conf_catalog[name].get("filepath", name) for name in self._contexts}
        self._logged = set()

    @hook_impl(trylast=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Tag the run that kedro-mlflow has just started."""
        import mlflow

        if mlflow.active_run() is None:
            return
        pipelines = run_params.get("pipeline_names") or ["__default__"]
        mlflow.set_tags(
            {
                "use_case": self._use_case,
                "pipeline": ",".join(sorted(pipelines)),
                **describe_code(self._project_path),
            }
        )

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Log a table as an input of the run, with the digest of its whole content."""
        self._log_input(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log a table made in this run like one that was loaded."""
        self._log_input(dataset_name, data)

    def _log_input(self, dataset_name: str, data: Any) -> None:
        if dataset_name not in self._contexts or dataset_name in self._logged:
            return
        import mlflow

        from churn_kedro.datasets import TableInput

        if mlflow.active_run() is None:
            return
        self._logged.add(dataset_name)
        table = TableInput(data, self._sources[dataset_name], f"{self._use_case}.{dataset_name}")
        mlflow.log_input(table, context=self._contexts[dataset_name])


class ParameterHooks:
    """Logs typed parameters field by field: kedro-mlflow does not look into them."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Start afresh."""
        self._logged = set()

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> None:
        """Log the fields of each pydantic parameter as ``name.field``, when the first node takes it."""
        import mlflow

        typed = {
            name.removeprefix("params:"): value
            for name, value in inputs.items()
            if name.startswith("params:") and name not in self._logged and isinstance(value, BaseModel)
        }
        if not typed or mlflow.active_run() is None:
            return
        self._logged |= {f"params:{name}" for name in typed}
        fields: dict[str, Any] = {}
        for name, value in typed.items():
            fields |= _flatten(value.model_dump(), name)
        mlflow.log_params(fields)


def _flatten(value: Any, name: str) -> dict[str, Any]:
    """Leaves of nested configuration by dotted name; entries of a list go by their own name where they have one."""
    if isinstance(value, dict) and value:
        return {key: leaf for part, inner in value.items() for key, leaf in _flatten(inner, f"{name}.{part}").items()}
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        named = {loggable_name(str(entry["name"]), _LONGEST_NAME): entry for entry in value}
        return _flatten({key: {**entry, "name": None} for key, entry in named.items()}, name)
    # What was left out in the configuration says nothing.
    return {} if value in (None, []) else {name: value}


class SummaryHooks:
    """Measures where the time went and ends a run with a short summary."""

    def __init__(self) -> None:
        self._use_case = ""
        self._env: str | None = None
        self._project_path = Path()
        self._files: dict[str, str] = {}
        self._reports: dict[type, Any] = {}
        self._saved: set[str] = set()
        self._seconds: dict[str, float] = {}
        self._mark = 0.0

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Learn the project, the use case and its environment."""
        self._project_path = Path(context.project_path)
        self._env = context.env if context.env not in (None, "local") else None
        self._use_case = str(context.config_loader["globals"]["use_case"])

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Learn where the files are that people open."""
        self._files = {name: conf_catalog[name]["filepath"] for name in _FILES if name in conf_catalog}

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Start afresh."""
        self._reports, self._saved, self._seconds = {}, set(), {}
        self._mark = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node, outputs: dict[str, Any]) -> None:
        """Charge the time since the last node to the node's pipeline, and keep its reports."""
        self._charge(node)
        for report in outputs.values():
            if isinstance(report, BaseModel):
                self._reports[type(report)] = report

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Charge the time of saving to the node that made the dataset."""
        self._saved.add(dataset_name)
        self._charge(node)

    def _charge(self, node: Node) -> None:
        now = time.perf_counter()
        pipeline = min(node.tags, default=node.name)
        # Put last: pipelines are listed in the order in which they ended.
        self._seconds[pipeline] = self._seconds.pop(pipeline, 0.0) + now - self._mark
        self._mark = now

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        """Log the times while the run is open, and print the summary."""
        import mlflow

        from churn_kedro.datasets import log_run_metrics

        run = mlflow.active_run()
        if run is not None:
            log_run_metrics(run.info.run_id, {f"seconds_{name}": value for name, value in self._seconds.items()})
        self._print_summary(run.info.run_id if run else None)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Print what the run found out before it failed: a gate's reasons, for example."""
        if self._reports:
            self._print_summary(None)

    def _print_summary(self, run_id: str | None) -> None:
        from churn_kedro.hooks.summary_text import summarise

        files = {
            name: path.removeprefix(f"{self._project_path.as_posix()}/")
            for name, path in self._files.items()
            if name in self._saved
        }
        text = summarise(
            list(self._reports.values()),
            files,
            self._seconds,
            self._use_case,
            run_id,
            self._env,
        )
        sys.stdout.write(text)
