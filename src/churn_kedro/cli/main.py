"""The command line of the project: Kedro's commands, with user errors shown without a traceback."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run

from churn_kedro.cli.customers import customers
from churn_kedro.cli.errors import hide_in_usage_errors, show_user_errors
from churn_kedro.cli.run_options import require_known_options
from churn_kedro.hooks import protect_output, show_all_records

# Commands that are imported when they are called, so that a run starts faster.
_LAZY = ("models", "serve", "smoke-test")
# Output of the monitoring pipeline that says how its run ends.
_STATUS = "monitoring_status"


class _LazyGroup(click.Group):
    """Group that imports some commands when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands in alphabetical order."""
        return sorted([*super().list_commands(ctx), *_LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name."""
        if cmd_name not in _LAZY:
            return super().get_command(ctx, cmd_name)
        name = cmd_name.replace("-", "_")
        found: click.Command = getattr(import_module(f"churn_kedro.cli.{name}"), name)
        return found


# Before a command imports MLflow, which warns.
protect_output()


@click.group(name="churn_kedro", cls=_LazyGroup)
def cli() -> None:
    """Commands of this project."""


def _run_pipelines(*, verbose: bool, **options: Any) -> Any:
    require_known_options(options)
    if verbose:
        show_all_records()
    # Excludes imported modules from garbage collection, which would otherwise take a tenth of the start-up time.
    gc.freeze()
    results = cast(Callable[..., Any], kedro_run.callback)(**options)
    if _STATUS in (results or {}) and (status := results[_STATUS].load()).exit_status:
        raise SystemExit(status.exit_status)
    return results


_run = copy.copy(kedro_run)
_run.params = [*kedro_run.params, click.Option(["--verbose", "-v"], is_flag=True, help="Show all log records.")]
_run.callback = show_user_errors(_run_pipelines)
hide_in_usage_errors(_run)
cli.add_command(_run)
cli.add_command(customers)
