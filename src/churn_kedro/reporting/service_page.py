"""The page of the service: a form for one customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from churn_kedro.base import Record
from churn_kedro.customers import Column, DisplayNames, Task, level_text
from churn_kedro.reporting.pages import html_templates


class FormField(Record):
    """A field of the form.

    Attributes:
        name: Name of the column.
        title: Name for readers.
        allowed: What is allowed.
        example: A value to begin with, as text; empty: none.
        is_number: Whether the value is a number.
        is_required: Whether it must be given.
        levels: Values to choose from, with their labels.
    """

    name: str
    title: str
    allowed: str
    example: str
    is_number: bool
    is_required: bool
    levels: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(cls, column: Column, names: DisplayNames, allowed: str, example: object, *, is_required: bool) -> FormField:
        """Describe a column.

        Args:
            column: The column.
            names: Names for readers.
            allowed: What is allowed.
            example: A value that is.
            is_required: Whether it must be given.

        Returns:
            The field.
        """
        levels = [(text, names.level(column.name, text)) for text in map(level_text, column.levels)]
        text = level_text(example) if isinstance(example, str | int | float) else ""
        return cls(
            name=column.name,
            title=names.column(column.name),
            allowed=allowed,
            example="" if column.role == "id" else text,
            is_number=column.cells == "number" and column.role not in ("id", "group"),
            is_required=is_required,
            levels=levels,
        )


@dataclass(frozen=True)
class ServicePage:
    """What the page shows.

    Attributes:
        use_case: Name of the use case, part of its routes.
        description: Whose customers.
        task: What is predicted.
        fields: Fields of the form.
        others: Addresses of the pages of other use cases, by name.
        needs_key: Whether an API key is needed.
    """

    use_case: str
    description: str
    task: Task
    fields: Sequence[FormField]
    others: Mapping[str, str]
    needs_key: bool


def render_service_page(page: ServicePage) -> str:
    """Write the page.

    Args:
        page: What it shows.

    Returns:
        HTML with one style and one script, and without anything from elsewhere.
    """
    return html_templates().get_template("service_page.html").render(page=page)
