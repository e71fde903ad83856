"""The configuration files of an inferred declaration, with a comment for each guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churn_kedro.customers.configuration_writer import KeyPath, write_configuration
from churn_kedro.customers.onboarding.inference import Onboarding
from churn_kedro.customers.snapshots import SnapshotParameters

_COLUMN_KEYS = (
    *("name", "role", "kind", "domain", "date_format", "nullable", "missing", "remove", "thousands", "description"),
)
# Share of rejected rows that the default limit accepts with room to spare.
_REJECTED_BY_DEFAULT = 0.03


def render_declaration(onboarding: Onboarding, source: str) -> str:
    """Render ``parameters/customers.yml``.

    Args:
        onboarding: The inferred declaration.
        source: File it was inferred from.

    Returns:
        YAML text of the declaration.

    Raises:
        CustomerTableError: A name or level has no form in YAML.
    """
    declaration = onboarding.declaration
    labels = None if declaration.labels is None else declaration.labels.model_dump(exclude_none=True)
    if labels is not None and not labels["classes"]:
        del labels["classes"]
    values: dict[str, Any] = {
        "description": declaration.description,
        "task": declaration.task,
        **({} if labels is None else {"labels": labels}),
        **({} if declaration.decimal == "." else {"decimal": declaration.decimal}),
        **({} if declaration.label_days is None else {"label_days": declaration.label_days}),
        "columns": [
            {key: guess.fields[key] for key in _COLUMN_KEYS if key in guess.fields} for guess in onboarding.columns
        ],
    }
    comments: dict[KeyPath, list[str]] = {
        (): [
            f"Inferred from {source} by `kedro customers onboard`: review and correct it.",
            "Comments summarise the values of each column; lines with (?) are guesses to review.",
            "All keys: docs/declaration.md.",
            *[f"(?) {doubt}" for doubt in onboarding.doubts],
        ]
    }
    for position, guess in enumerate(onboarding.columns):
        comments["customers", "columns", position] = [guess.seen, *[f"(?) {doubt}" for doubt in guess.doubts]]
    return write_configuration({"customers": values}, comments)


def render_globals(name: str, source: str, table: str) -> str:
    """Render ``globals.yml``.

    Args:
        name: Name of the use case.
        source: Name of the onboarded file, for the comment.
        table: Path of the file in the catalog: relative to the project, or absolute.

    Returns:
        YAML text.

    Raises:
        CustomerTableError: The path has no form in YAML.
    """
    return write_configuration(
        {"use_case": name, "registered_model": f"{name}_churn", "raw_customers": table},
        {
            (): [f"A use case made from {source} by `kedro customers onboard`."],
            ("raw_customers",): [
                "",
                f"Path of the table; without this line: data/01_raw/{name}/customers.csv. A line `new_customers: PATH`",
                "names the customers to score; without it the test customers are scored, whose outcome is known.",
            ],
        },
    )


def render_event_globals(name: str, source: str, table: str) -> str:
    """Render ``globals.yml`` of a use case whose customers are made from events.

    Args:
        name: Name of the use case.
        source: Name of the onboarded file, for the comment.
        table: Path of the event table in the catalog: relative to the project, or absolute.

    Returns:
        YAML text.

    Raises:
        CustomerTableError: The path has no form in YAML.
    """
    head = write_configuration(
        {"use_case": name, "registered_model": f"{name}_churn", "events": table},
        {
            (): [f"A use case made from the events in {source} by `kedro customers onboard`."],
            ("events",): ["", "Path of the event table."],
        },
    )
    folder = f"${{environment:CHURN_DATA_ROOT, data}}/02_intermediate/{name}"
    return (
        f"{head}\n# Customers with labels, and customers to score, by `kedro run --env {name} --pipelines snapshots`.\n"
        f"raw_customers: {folder}/snapshots.csv\nnew_customers: {folder}/snapshots_to_score.csv\n"
    )


def render_event_catalog() -> str:
    """Render ``catalog/data_processing.yml`` of a use case whose customers are made from events.

    Returns:
        YAML text: what to do where there are no customers yet.
    """
    made = {"expected": "It is made from the events: `kedro run --pipelines snapshots`."}
    return write_configuration(
        {"raw_customers": made, "new_customers": made}, {(): ["Tables that are made from events."]}
    )


def render_snapshots(parameters: SnapshotParameters, doubts: Sequence[str]) -> str:
    """Render ``parameters/snapshots.yml``.

    Args:
        parameters: The inferred parameters.
        doubts: Doubts about them.

    Returns:
        YAML text.

    Raises:
        CustomerTableError: A column name has no form in YAML.
    """
    values = parameters.model_dump(exclude={"max_unreadable_share", "first_cutoff", "last_cutoff"})
    comments: dict[KeyPath, list[str]] = {
        (): ["All keys: conf/base/parameters/snapshots.yml.", *[f"(?) {doubt}" for doubt in doubts]]
    }
    return write_configuration({"snapshots": values}, comments)


def render_catalog(
    reading: Mapping[str, str | int], entries: Sequence[str] = ("raw_customers", "new_customers", "scoring_header")
) -> str:
    """Render a file of the catalog: the given options of reading.

    Args:
        reading: ``encoding``, ``delimiter`` or ``sheet``.
        entries: Entries that have them.

    Returns:
        YAML text.

    Raises:
        CustomerTableError: An option has no form in YAML.
    """
    return write_configuration(
        {entry: dict(reading) for entry in entries},
        {(): ["Options of reading, as given to `kedro customers onboard`."]},
    )


def render_data_processing(rejected_share: float, *, by_time: bool, gap_days: float = 0) -> str:
    """Render ``parameters/data_processing.yml``: parameters that differ from the defaults.

    Args:
        rejected_share: Share of rows that will be rejected.
        by_time: Whether to split by time.
        gap_days: Gap between the parts of a split by time.

    Returns:
        YAML text; empty where the defaults apply.
    """
    values: dict[str, Any] = {}
    comments: dict[KeyPath, list[str]] = {}
    if rejected_share > _REJECTED_BY_DEFAULT:
        values["max_rejected_share"] = min(1.0, round(rejected_share + 0.05, 2))
        comments["data_processing", "max_rejected_share"] = [
            f"(?) {rejected_share:.1%} of the rows are rejected, see the doubts in customers.yml."
        ]
    if by_time:
        values["split"] = {"method": "time", **({"gap_days": gap_days} if gap_days else {})}
        comments["data_processing", "split", "method"] = [
            "(?) Customers have several rows over time: train on the past, test on the latest rows."
        ]
    if by_time and gap_days:
        comments["data_processing", "split", "gap_days"] = [
            "The label window: no part sees the labels of an earlier one."
        ]
    return write_configuration({"data_processing": values}, comments) if values else ""
