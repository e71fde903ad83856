"""An inferred declaration as the configuration files of a use case, with a comment for each guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from churn_kedro.customers.onboarding.inference import ColumnGuess, Onboarding

_WIDTH = 118


def render_declaration(onboarding: Onboarding, source: str) -> str:
    """Write ``parameters/customers.yml``.

    Args:
        onboarding: The inferred declaration.
        source: File it was inferred from.

    Returns:
        YAML text; read back, it is the declaration.
    """
    declaration = onboarding.declaration
    lines = [
        f"# Inferred from {source} by `kedro customers onboard`: read it and correct it.",
        "# Each comment says what was seen in a column; lines with (?) are guesses that somebody should look at.",
        "# What each key means: docs/declaration.md.",
        *[f"# (?) {doubt}" for doubt in onboarding.doubts],
        "customers:",
        f"  description: {_scalar(declaration.description)}",
        f"  task: {declaration.task}",
    ]
    if declaration.labels is not None:
        lines.append("  labels:")
        if declaration.labels.classes:
            lines.append(f"    classes: {_flow(declaration.labels.classes)}")
        else:
            lines.append(f"    positive: {_scalar(declaration.labels.positive)}")
            lines.append(f"    negative: {_scalar(declaration.labels.negative)}")
    if declaration.decimal != ".":
        lines.append(f"  decimal: {_scalar(declaration.decimal)}")
    lines.append("  columns:")
    for guess in onboarding.columns:
        lines += _render_column(guess)
    return "\n".join(lines) + "\n"


def _render_column(guess: ColumnGuess) -> list[str]:
    fields = dict(guess.fields)
    order = ["role", "kind", "domain", "date_format", "nullable", "missing", "description"]
    return [
        f"    # {_comment(guess.seen)}",
        *[f"    # (?) {_comment(doubt)}" for doubt in guess.doubts],
        f"    - name: {_scalar(fields['name'])}",
        *[f"      {key}: {_flow(fields[key])}" for key in order if key in fields],
    ]


def _comment(text: str) -> str:
    """Text on one line: a cell may hold line breaks."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDTH else flat[: _WIDTH - 1] + "…"


def _scalar(value: Any) -> str:
    return str(yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10_000)).strip()[1:-1]


def _flow(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return str(yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)).strip()
    return _scalar(value)


def render_globals(name: str, source: str, table: str) -> str:
    """Write ``globals.yml``.

    Args:
        name: Name of the use case.
        source: File that was onboarded, for people.
        table: The same as the catalog reads it: relative to the project, or absolute.

    Returns:
        YAML text.
    """
    return (
        f"# A use case made from {source} by `kedro customers onboard`.\n"
        f"use_case: {name}\n"
        f"registered_model: {name}_churn\n\n"
        f"# Where the table is read; without this line: data/01_raw/{name}/customers.csv.\n"
        f"raw_customers: {_scalar(table)}\n\n"
        "# Customers to score. As long as there is no file of new ones, those of the table are scored.\n"
        f"new_customers: {_scalar(table)}\n"
    )


def render_catalog(reading: Mapping[str, str | int]) -> str:
    """Write ``catalog/data_processing.yml``: how the file is read, where the user told.

    Args:
        reading: ``encoding``, ``delimiter`` or ``sheet``.

    Returns:
        YAML text.
    """
    lines = [f"  {key}: {_scalar(value)}" for key, value in reading.items()]
    entries = [[f"{entry}:", *lines] for entry in ("raw_customers", "new_customers", "scoring_header")]
    return "# How the file is read, as given to `kedro customers onboard`.\n" + "\n".join(
        "\n".join(entry) + "\n" for entry in entries
    )


def render_data_processing(unlabelled_share: float, *, by_time: bool) -> str:
    """Write ``parameters/data_processing.yml``: what the table asks for beside the defaults.

    Args:
        unlabelled_share: Share of rows that have no target.
        by_time: Whether the split is to be by time.

    Returns:
        YAML text; empty where the defaults will do.
    """
    lines = []
    if unlabelled_share:
        lines += [
            f"  # (?) {unlabelled_share:.1%} of the rows have no target and are rejected.",
            f"  max_rejected_share: {min(1.0, round(unlabelled_share + 0.05, 2))}",
        ]
    if by_time:
        lines += [
            "  split:",
            "    # (?) Customers come back: train on the past, test on the latest rows.",
            "    method: time",
        ]
    return "\n".join(["data_processing:", *lines, ""]) if lines else ""
