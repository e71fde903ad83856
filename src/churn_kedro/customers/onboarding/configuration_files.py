"""The configuration files of an inferred declaration, with a comment for each guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churn_kedro.customers.configuration_writer import KeyPath, write_configuration
from churn_kedro.customers.onboarding.inference import Onboarding

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


def render_catalog(reading: Mapping[str, str | int]) -> str:
    """Render ``catalog/data_processing.yml``: the given options of reading.

    Args:
        reading: ``encoding``, ``delimiter`` or ``sheet``.

    Returns:
        YAML text.

    Raises:
        CustomerTableError: An option has no form in YAML.
    """
    return write_configuration(
        {entry: dict(reading) for entry in ("raw_customers", "new_customers", "scoring_header")},
        {(): ["Options of reading, as given to `kedro customers onboard`."]},
    )


def render_data_processing(rejected_share: float, *, by_time: bool) -> str:
    """Render ``parameters/data_processing.yml``: parameters that differ from the defaults.

    Args:
        rejected_share: Share of rows that will be rejected.
        by_time: Whether to split by time.

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
        values["split"] = {"method": "time"}
        comments["data_processing", "split", "method"] = [
            "(?) Customers have several rows over time: train on the past, test on the latest rows."
        ]
    return write_configuration({"data_processing": values}, comments) if values else ""
