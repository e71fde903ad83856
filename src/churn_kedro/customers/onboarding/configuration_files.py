"""The configuration files of an inferred declaration, with a comment for each guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from churn_kedro.customers.onboarding.inference import ColumnGuess, Onboarding

_WIDTH = 118


def render_declaration(onboarding: Onboarding, source: str) -> str:
    """Render ``parameters/customers.yml``.

    Args:
        onboarding: The inferred declaration.
        source: File it was inferred from.

    Returns:
        YAML text of the declaration.
    """
    declaration = onboarding.declaration
    lines = [
        f"# Inferred from {source} by `kedro customers onboard`: review and correct it.",
        "# Comments summarise the values of each column; lines with (?) are guesses to review.",
        "# All keys: docs/declaration.md.",
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
    """Return text on one line, since cells may have line breaks."""
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
    """Render ``globals.yml``.

    Args:
        name: Name of the use case.
        source: Name of the onboarded file, for the comment.
        table: Path of the file in the catalog: relative to the project, or absolute.

    Returns:
        YAML text.
    """
    return (
        f"# A use case made from {source} by `kedro customers onboard`.\n"
        f"use_case: {name}\n"
        f"registered_model: {name}_churn\n\n"
        f"# Path of the table; without this line: data/01_raw/{name}/customers.csv.\n"
        f"raw_customers: {_scalar(table)}\n\n"
        "# Customers to score. Until there is a file of new customers, those of the table are scored.\n"
        f"new_customers: {_scalar(table)}\n"
    )


def render_catalog(reading: Mapping[str, str | int]) -> str:
    """Render ``catalog/data_processing.yml``: the given options of reading.

    Args:
        reading: ``encoding``, ``delimiter`` or ``sheet``.

    Returns:
        YAML text.
    """
    lines = [f"  {key}: {_scalar(value)}" for key, value in reading.items()]
    entries = [[f"{entry}:", *lines] for entry in ("raw_customers", "new_customers", "scoring_header")]
    return "# Options of reading, as given to `kedro customers onboard`.\n" + "\n".join(
        "\n".join(entry) + "\n" for entry in entries
    )


def render_data_processing(unlabelled_share: float, *, by_time: bool) -> str:
    """Render ``parameters/data_processing.yml``: parameters that differ from the defaults.

    Args:
        unlabelled_share: Share of rows that have no target.
        by_time: Whether to split by time.

    Returns:
        YAML text; empty where the defaults apply.
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
            "    # (?) Customers have several rows over time: train on the past, test on the latest rows.",
            "    method: time",
        ]
    return "\n".join(["data_processing:", *lines, ""]) if lines else ""
