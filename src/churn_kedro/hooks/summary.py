"""Summary of a run, and the time of each pipeline."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from churn_kedro.base import Record, hide_secrets
from churn_kedro.hooks.lineage import name_run

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node

    from churn_kedro.hooks.lineage import LineageHooks

_LONGEST_SOURCE = 100


class SummaryHooks:
    """Measure the time of each pipeline, and print a summary at the end of a run.

    Args:
        lineage: Hooks that describe the tables of the run.
    """

    def __init__(self, lineage: LineageHooks) -> None:
        self._lineage = lineage
        self._use_case = ""
        self._env: str | None = None
        self._project_path = Path()
        self._files: dict[str, str] = {}
        self._reports: dict[type, Any] = {}
        self._saved: set[str] = set()
        self._seconds: dict[str, float] = {}
        self._mark = 0.0
        self._requested: list[str] | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Store the project, the use case and its environment."""
        self._project_path = Path(context.project_path)
        self._env = context.env if context.env not in (None, "local") else None
        self._use_case = str(context.config_loader["globals"]["use_case"])

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Store the paths of all files."""
        entries = {name: entry.get("dataset", entry) for name, entry in conf_catalog.items() if isinstance(entry, dict)}
        self._files = {name: entry["filepath"] for name, entry in entries.items() if "filepath" in entry}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Reset the measurements."""
        self._requested = run_params.get("pipeline_names")
        self._reports, self._saved, self._seconds = {}, set(), {}
        self._mark = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node, outputs: dict[str, Any]) -> None:
        """Add the time since the last event to the pipeline of the node, and store its reports."""
        self._add_time(node)
        for report in outputs.values():
            if isinstance(report, Record):
                self._reports[type(report)] = report

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Add the time of saving to the pipeline of the node that made the dataset."""
        # A table without columns, such as the campaign list of another task than binary, is no file; nor are no tables.
        if len(data if isinstance(data, dict) else getattr(data, "columns", "-")):
            self._saved.add(dataset_name)
        self._add_time(node)

    def _add_time(self, node: Node) -> None:
        now = time.perf_counter()
        pipeline = str(node.namespace)
        # Removed and inserted again, so that pipelines are listed in the order in which they ended.
        self._seconds[pipeline] = self._seconds.pop(pipeline, 0.0) + now - self._mark
        self._mark = now

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline) -> None:
        """Log the times in the active run, name it, and print the summary, which becomes its description."""
        import mlflow

        from churn_kedro.datasets import describe_run, find_registered_version, log_run_metrics, run_page

        run = mlflow.active_run()
        text = self._summarise(run_page(run) if run else None)
        sys.stdout.write(text)
        if run is not None:
            run_id = run.info.run_id
            log_run_metrics(run_id, {f"time/{name}": value for name, value in self._seconds.items()})
            used = [report.model_version for report in self._reports.values() if hasattr(report, "model_version")]
            version = used[0] if used else find_registered_version(run_id)
            describe_run(run_id, name_run(self._use_case, self._requested, version), text)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Print the reports of a failed run, for example the reasons of a gate."""
        if self._reports:
            sys.stdout.write(self._summarise(None))

    def _summarise(self, page: str | None) -> str:
        from churn_kedro.hooks.summary_text import summarise

        return summarise(
            list(self._reports.values()),
            {name: self._shorten(path) for name, path in self._files.items() if name in self._saved},
            self._seconds,
            self._use_case,
            page,
            self._env,
            [self._describe_input(name) for name in self._lineage.inputs if name not in self._saved],
        )

    def _shorten(self, path: str) -> str:
        return hide_secrets(path.removeprefix(f"{self._project_path.as_posix()}/"))

    def _describe_input(self, name: str) -> str:
        from churn_kedro.datasets import describe_age

        table, source = self._lineage.inputs[name], self._lineage.sources[name]
        age = describe_age(source) if name in self._files else ""
        facts = [f"{table.profile['num_rows']:,} rows", f"digest {table.digest[:8]}", age]
        # A query may be long.
        shown = source if len(source) <= _LONGEST_SOURCE or name in self._files else f"{source[:_LONGEST_SOURCE]}…"
        return f"{self._shorten(shown)}: {', '.join(filter(None, facts))}"
