"""The commands ``kedro customers``: a use case from a table that nobody declared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.utils import find_kedro_project

from churn_kedro.base import ParameterError, escape_controls, one_line
from churn_kedro.cli.errors import show_user_errors

if TYPE_CHECKING:
    import pandas as pd

    from churn_kedro.customers import Onboarding

_USE_CASE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NO_USE_CASES = ("base", "local")
_SHOWN_WIDTH, _NAME_WIDTH = 64, 40
_SHOWN_COLUMNS = 8
# Files that onboarding writes; which of them depends on the table.
_FILES = (
    "parameters/snapshots.yml",
    "parameters/customers.yml",
    "catalog/data_processing.yml",
    "catalog/snapshots.yml",
    "parameters/data_processing.yml",
    "globals.yml",
)


@click.group()
def customers() -> None:
    """Customer tables and their declarations."""


@customers.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", metavar="COLUMN", help="Column to predict; required without --events.")
@click.option("--name", required=True, metavar="NAME", help="Name of the use case: kedro run --env NAME.")
@click.option("--positive", metavar="LABEL", help="Label of the customers who left; inferred if left out.")
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    help="Task; inferred if left out.",
)
@click.option("--events", is_flag=True, help="PATH has one row per event; the customers and who left are made from it.")
@click.option("--customer", metavar="COLUMN", help="With --events: column that identifies the customer.")
@click.option("--timestamp", metavar="COLUMN", help="With --events: column with the time of the event.")
@click.option("--amount", metavar="COLUMN", help="With --events: column with the amount; guessed if left out.")
@click.option("--description", default="", metavar="TEXT", help="One line: whose customers, which table.")
@click.option("--encoding", metavar="NAME", help="Character encoding, such as cp1251; detected if left out.")
@click.option("--delimiter", metavar="CHARACTER", help="Delimiter; detected if left out.")
@click.option("--sheet", metavar="SHEET", help="Sheet of an Excel file; that with the columns if left out.")
@click.option("--force", is_flag=True, help="Overwrite the files of an existing use case, and delete those not needed.")
@show_user_errors
def onboard(
    path: Path,
    target: str | None,
    name: str,
    positive: str | None,
    task: Any,
    events: bool,
    customer: str | None,
    timestamp: str | None,
    amount: str | None,
    description: str,
    encoding: str | None,
    delimiter: str | None,
    sheet: str | None,
    force: bool,
) -> None:
    """Infer the declaration of the customer table PATH (CSV, Parquet or Excel), and write it to conf/NAME.

    With --events, PATH has one row per event, such as a purchase.
    """
    of_table = {"--target": target, "--positive": positive, "--task": task}
    of_events = {"--customer": customer, "--timestamp": timestamp, "--amount": amount}
    _require_options(events, of_table, of_events)
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    folder = project / "conf" / name
    _require_free_name(name, folder, force)
    wanted = [str(column) for column in (target, customer, timestamp, amount) if column is not None]
    found_sheet, doubts = _find_sheet(path, wanted) if sheet is None else (sheet, [])
    given = {"encoding": encoding, "delimiter": delimiter, "sheet": found_sheet}
    reading: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    raw = _read(path, reading)
    table = _as_configured(path, project)
    if events:
        onboarding, texts, found = _onboard_events(
            raw, str(customer), str(timestamp), amount, description, name, path.name, table, reading
        )
        doubts += found
    else:
        onboarding, texts = _onboard_table(
            raw, str(target), positive, task, description, name, path.name, table, reading
        )
    texts = {file: text for file, text in texts.items() if text}
    stale = [file for file in _FILES if file not in texts and (folder / file).is_file()]
    _write(folder, texts, stale)
    changed = {"written": list(texts), "deleted, since this table needs no such file": stale}
    files = {title: [f"conf/{name}/{file}" for file in listed] for title, listed in changed.items() if listed}
    steps = [f"kedro run --env {name} --pipelines snapshots"] if events else []
    steps.append(f"kedro run --env {name}")
    click.echo(_describe_onboarding(onboarding, raw.shape, path, doubts, files, steps))


def _require_options(events: bool, of_table: Mapping[str, Any], of_events: Mapping[str, Any]) -> None:
    needed = ["--customer", "--timestamp"] if events else ["--target"]
    own, other = (of_events, of_table) if events else (of_table, of_events)
    absent = [option for option in needed if own[option] is None]
    if absent:
        kind = "a table of events" if events else "a table of customers"
        alternative = "" if events else " For a table with one row per event: --events --customer C --timestamp T."
        raise ParameterError(f"{' and '.join(absent)} must name a column of {kind}.{alternative}")
    useless = [option for option, value in other.items() if value is not None]
    if useless:
        raise ParameterError(
            f"{', '.join(useless)} {'has' if len(useless) == 1 else 'have'} no meaning "
            f"{'with' if events else 'without'} --events. Leave it out."
        )


def _read(path: Path, reading: Mapping[str, Any]) -> pd.DataFrame:
    from churn_kedro.datasets import RawTableDataset

    table: pd.DataFrame = RawTableDataset(filepath=path.resolve().as_posix(), **reading).load()
    return table


def _find_sheet(path: Path, columns: Sequence[str]) -> tuple[str | None, list[str]]:
    """Find the sheet of an Excel file that has the columns; None: the first, or no Excel file."""
    from churn_kedro.datasets import read_sheet_headers

    headers = read_sheet_headers(path.resolve().as_posix())
    if not headers:
        return None, []
    having = [sheet for sheet, header in headers.items() if set(columns) <= set(header)]
    if not having:
        listed = "\n".join(
            f"  {sheet!r}: {', '.join(header[:_SHOWN_COLUMNS]) or 'empty'}"
            + (", …" if len(header) > _SHOWN_COLUMNS else "")
            for sheet, header in headers.items()
        )
        raise ParameterError(
            f"No sheet of {path.name} has the column{'s' if len(columns) > 1 else ''} {', '.join(map(repr, columns))} "
            f"in its first row. Its sheets are\n{listed}\nName the sheet with --sheet, or another column."
        )
    doubts = [f"{', '.join(map(repr, having))} have the columns: {having[0]!r} is read"] if len(having) > 1 else []
    return (None if having[0] == next(iter(headers)) else having[0]), doubts


def _onboard_table(
    raw: pd.DataFrame,
    target: str,
    positive: str | None,
    task: Any,
    description: str,
    name: str,
    source: str,
    table: str,
    reading: Mapping[str, Any],
) -> tuple[Onboarding, dict[str, str]]:
    from churn_kedro.customers import (
        infer_declaration,
        render_catalog,
        render_data_processing,
        render_declaration,
        render_globals,
    )

    onboarding = infer_declaration(raw, target, positive=positive, task=task, description=description)
    return onboarding, {
        "parameters/customers.yml": render_declaration(onboarding, source),
        "catalog/data_processing.yml": render_catalog(reading) if reading else "",
        "parameters/data_processing.yml": render_data_processing(onboarding.rejected_share, by_time=onboarding.by_time),
        "globals.yml": render_globals(name, source, table),
    }


def _onboard_events(
    raw: pd.DataFrame,
    customer: str,
    timestamp: str,
    amount: str | None,
    description: str,
    name: str,
    source: str,
    table: str,
    reading: Mapping[str, Any],
) -> tuple[Onboarding, dict[str, str], list[str]]:
    from churn_kedro.customers import (
        infer_snapshots,
        render_catalog,
        render_data_processing,
        render_declaration,
        render_event_catalog,
        render_event_globals,
        render_snapshots,
    )

    found = infer_snapshots(raw, customer, timestamp, amount, description=description)
    report, onboarding = found.report, found.customers
    counted = (
        f"made of {len(report.cutoffs)} cut-offs: {report.rows:,} rows of {report.customers:,} customers, "
        f"{report.churned / max(report.rows, 1):.1%} left within {found.snapshots.label_days} days"
    )
    texts = {
        "parameters/snapshots.yml": render_snapshots(found.snapshots, found.doubts),
        "parameters/customers.yml": render_declaration(onboarding, f"the snapshots of {source}"),
        "catalog/data_processing.yml": render_event_catalog(),
        "catalog/snapshots.yml": render_catalog(reading, ["events"]) if reading else "",
        "parameters/data_processing.yml": render_data_processing(
            onboarding.rejected_share, by_time=onboarding.by_time, gap_days=found.gap_days
        ),
        "globals.yml": render_event_globals(name, source, table),
    }
    return onboarding, texts, [counted, *found.doubts]


def _write(folder: Path, texts: Mapping[str, str], stale: Sequence[str]) -> None:
    """Delete stale files and write the others; globals.yml is last, since it makes the folder a use case."""
    from churn_kedro.datasets import DocumentDataset

    for file in stale:
        (folder / file).unlink()
    for file, text in texts.items():
        DocumentDataset(filepath=(folder / file).as_posix()).save(text)


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
    onboarding: Onboarding,
    shape: tuple[int, int],
    path: Path,
    further: Sequence[str],
    files: Mapping[str, Sequence[str]],
    steps: Sequence[str],
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
    doubts = [f"the table: {doubt}" for doubt in [*further, *onboarding.doubts]]
    doubts += [f"{names[guess.name]}: {doubt}" for guess in onboarding.columns for doubt in guess.doubts]
    if doubts:
        lines += ["", "please review:", *[f"  (?) {one_line(doubt)}" for doubt in doubts]]
    for title, listed in files.items():
        lines += ["", f"{title}:", *[f"  {file}" for file in listed]]
    lines += ["", f"next: {', then '.join(steps)}"]
    return "\n".join(map(escape_controls, lines))
