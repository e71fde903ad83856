"""The command line of the project: Kedro's commands, with user errors shown without a traceback."""

from __future__ import annotations

import copy
import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.utils import find_kedro_project

from churn_kedro.base import ParameterError, escape_controls, one_line
from churn_kedro.cli.errors import hide_in_usage_errors, show_user_errors
from churn_kedro.cli.run_options import require_known_options
from churn_kedro.hooks import protect_output, show_all_records

if TYPE_CHECKING:
    from churn_kedro.customers import Onboarding

_USE_CASE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NO_USE_CASES = ("base", "local")
_SHOWN_WIDTH, _NAME_WIDTH = 64, 40


class _LazyGroup(click.Group):
    """Group that imports the command ``models`` when it is called, so that a run starts faster."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands in alphabetical order."""
        return sorted([*super().list_commands(ctx), "models"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name."""
        if cmd_name != "models":
            return super().get_command(ctx, cmd_name)
        from churn_kedro.cli.models import models

        return models


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
    return cast(Callable[..., Any], kedro_run.callback)(**options)


_run = copy.copy(kedro_run)
_run.params = [*kedro_run.params, click.Option(["--verbose", "-v"], is_flag=True, help="Show all log records.")]
_run.callback = show_user_errors(_run_pipelines)
hide_in_usage_errors(_run)
cli.add_command(_run)


@cli.group()
def customers() -> None:
    """Customer tables and their declarations."""


@customers.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", required=True, metavar="COLUMN", help="Column to predict.")
@click.option("--name", required=True, metavar="NAME", help="Name of the use case: kedro run --env NAME.")
@click.option("--positive", metavar="LABEL", help="Label of the customers who left; inferred if left out.")
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    help="Task; inferred if left out.",
)
@click.option("--description", default="", metavar="TEXT", help="One line: whose customers, which table.")
@click.option("--encoding", metavar="NAME", help="Character encoding, such as cp1251; detected if left out.")
@click.option("--delimiter", metavar="CHARACTER", help="Delimiter; detected if left out.")
@click.option("--sheet", metavar="SHEET", help="Sheet of an Excel file; the first if left out.")
@click.option("--force", is_flag=True, help="Overwrite the files of an existing use case.")
@show_user_errors
def onboard(
    path: Path,
    target: str,
    name: str,
    positive: str | None,
    task: Any,
    description: str,
    encoding: str | None,
    delimiter: str | None,
    sheet: str | None,
    force: bool,
) -> None:
    """Infer the declaration of the customer table PATH (CSV, Parquet or Excel), and write it to conf/NAME."""
    from churn_kedro.customers import (
        infer_declaration,
        render_catalog,
        render_data_processing,
        render_declaration,
        render_globals,
    )
    from churn_kedro.datasets import DocumentDataset, RawTableDataset

    project = find_kedro_project(Path.cwd()) or Path.cwd()
    folder = project / "conf" / name
    _require_free_name(name, folder, force)
    given = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet}
    reading: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    raw = RawTableDataset(filepath=path.resolve().as_posix(), **reading).load()
    onboarding = infer_declaration(raw, target, positive=positive, task=task, description=description)
    texts = {"parameters/customers.yml": render_declaration(onboarding, path.name)}
    if reading:
        texts["catalog/data_processing.yml"] = render_catalog(reading)
    processing = render_data_processing(onboarding.unlabelled_share, by_time=onboarding.by_time)
    if processing:
        texts["parameters/data_processing.yml"] = processing
    # Written last, since it makes the folder a use case.
    texts["globals.yml"] = render_globals(name, path.name, _as_configured(path, project))
    for file, text in texts.items():
        DocumentDataset(filepath=(folder / file).as_posix()).save(text)
    click.echo(_describe_onboarding(onboarding, raw.shape, path, name, [f"conf/{name}/{file}" for file in texts]))


def _require_free_name(name: str, folder: Path, force: bool) -> None:
    if not _USE_CASE_NAME.fullmatch(name) or name in _NO_USE_CASES:
        raise ParameterError(
            f"'{name}' cannot name a use case: use lower-case letters, digits and underscores, a letter "
            f"first, and not {' or '.join(_NO_USE_CASES)}."
        )
    existing = sorted(file for file in folder.rglob("*.yml")) if folder.is_dir() else []
    if existing and not force:
        raise ParameterError(
            f"The use case '{name}' is there already ({', '.join(str(file) for file in existing)}). Nothing was "
            "written. Choose another --name, or overwrite it with --force."
        )


def _as_configured(path: Path, project: Path) -> str:
    absolute = path.resolve()
    return (
        absolute.relative_to(project.resolve()) if absolute.is_relative_to(project.resolve()) else absolute
    ).as_posix()


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _describe_onboarding(
    onboarding: Onboarding, shape: tuple[int, int], path: Path, name: str, files: list[str]
) -> str:
    names = {guess.name: _short(one_line(guess.name), _NAME_WIDTH) for guess in onboarding.columns}
    width = max(map(len, names.values()))
    lines = [
        f"{path.name}: {shape[0]:,} rows, {shape[1]} columns",
        f"  task {onboarding.declaration.task}, target {onboarding.declaration.target}: {onboarding.target_seen}",
        "",
    ]
    for guess in onboarding.columns:
        role = guess.fields.get("role") or guess.fields.get("kind", "")
        seen = one_line(guess.seen)
        lines.append(f"  {names[guess.name]:<{width}}  {role:<11}  {_short(seen, _SHOWN_WIDTH)}")
    doubts = [f"the table: {doubt}" for doubt in onboarding.doubts]
    doubts += [f"{names[guess.name]}: {doubt}" for guess in onboarding.columns for doubt in guess.doubts]
    if doubts:
        lines += ["", "please review:", *[f"  (?) {one_line(doubt)}" for doubt in doubts]]
    lines += ["", "written:", *[f"  {file}" for file in files], "", f"next: kedro run --env {name}"]
    return "\n".join(map(escape_controls, lines))
