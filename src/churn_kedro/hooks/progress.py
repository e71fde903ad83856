"""Progress of a run, pipeline by pipeline, and its log file."""

from __future__ import annotations

import atexit
import logging
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from kedro.framework.hooks import hook_impl

from churn_kedro.base import progress_bar, terminal
from churn_kedro.hooks.log_output import show_in_colour, write_log_file

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.pipeline import Pipeline
    from kedro.pipeline.node import Node
    from rich.progress import Progress

logger = logging.getLogger(__name__)


class ProgressHooks:
    """Log when a pipeline has ended, show a bar of nodes on a terminal, and write all log records to a file."""

    def __init__(self) -> None:
        self._log_file = Path()
        self._left: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        self._began = 0.0
        self._bar: Progress | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Name the log file after the use case."""
        use_case = str(context.config_loader["globals"]["use_case"])
        self._log_file = Path(context.project_path) / "logs" / f"{use_case}.log"

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Begin the log file and the bar."""
        write_log_file(self._log_file)
        show_in_colour()
        self._total = Counter(str(node.namespace) for node in pipeline.nodes)
        self._left = Counter(self._total)
        self._began = time.perf_counter()
        if terminal().is_terminal:
            self._bar = progress_bar()
            self._bar.add_task("", total=len(pipeline.nodes), note="")
            # An interrupted run calls no hook, and the bar hides the cursor.
            atexit.register(self._bar.stop)
            self._bar.start()

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Show the node."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=node.name)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Count the node."""
        pipeline = str(node.namespace)
        self._left[pipeline] -= 1
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0])
        if not self._left[pipeline]:
            nodes = self._total[pipeline]
            logger.info(
                "%s: %d node%s done, %.0f s after the start",
                pipeline,
                nodes,
                "s" if nodes > 1 else "",
                time.perf_counter() - self._began,
            )

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """End the bar, before the summary is printed."""
        self._stop()

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self) -> None:
        """End the bar, before the error is printed."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            atexit.unregister(self._bar.stop)
            self._bar = None
