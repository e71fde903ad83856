"""Requests: their types, derived from the declaration, and what is wrong with a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, NotRequired, Required

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from churn_kedro.base import Record
from churn_kedro.customers import Column, CustomerDeclaration, Range

_NUMBER = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_TEXT = Annotated[str, Field(strict=True)]
_WHOLE = Annotated[int, Field(strict=True)]
_FLAG = Annotated[bool, Field(strict=True)]
# JSON types of a cell. The model reads it: a number column takes text such as "1,200.50" if the declaration allows it.
_TYPES: Mapping[str, Any] = {
    "number": _NUMBER | _TEXT | None,
    "date": _TEXT | None,
    "text": _TEXT | _WHOLE | _NUMBER | _FLAG | None,
}
_LISTED, _SHOWN = 20, 100


class FieldProblem(Record):
    """A field that cannot be used, or one that is outside of its domain."""

    field: str = Field(description="Name of the field; empty: the request as a whole.")
    row: int | None = Field(None, description="Position of the customer in a batch, from 0.")
    value: Any = Field(None, description="The value, shortened.")
    message: str = Field(description="What is wrong.")
    allowed: str | None = Field(None, description="What is allowed.")

    def write(self) -> dict[str, Any]:
        """Return the fields that are known."""
        return self.model_dump(exclude_none=True)


class RequestError(Exception):
    """A request that cannot be answered.

    Args:
        status: HTTP status.
        message: What was found, and what was expected.
        problems: The fields at fault.
    """

    def __init__(self, status: int, message: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.problems = list(problems)


def describe_allowed(column: Column) -> str:
    """Describe the values that the declaration allows.

    Args:
        column: A declared column.

    Returns:
        Text such as ``a number from 18 to 120`` or ``France, Germany or Spain``.

    Examples:
        >>> describe_allowed(Column(name="Age", kind="numeric", domain={"min": 18, "max": 120}, description="Age"))
        'a number from 18 to 120'
        >>> describe_allowed(
        ...     Column(name="Card", kind="binary", domain=["no", "yes"], nullable=True, description="Has a card")
        ... )
        'no or yes, or null'
    """
    if column.levels:
        *first, last = (f"{level:.15g}" if isinstance(level, int | float) else level for level in column.levels)
        text = f"{', '.join(first)} or {last}" if first else last
    elif column.cells == "number":
        text = "a whole number" if column.whole else "a number"
        if isinstance(column.domain, Range):
            low, high = column.domain.min, column.domain.max
            text += (f" from {low:.15g}" if high is not None else f" of at least {low:.15g}") if low is not None else ""
            text += (f" to {high:.15g}" if low is not None else f" up to {high:.15g}") if high is not None else ""
    elif column.cells == "date":
        text = f"a date of the form {column.date_format or 'YYYY-MM-DD'}"
    else:
        text = "text"
    return f"{text}, or null" if column.nullable else text


def make_example(column: Column) -> Any:
    """Make a value that the declaration allows.

    Args:
        column: A declared column.

    Returns:
        A value of JSON.
    """
    if column.levels:
        return column.levels[0]
    if column.cells == "number":
        domain = column.domain if isinstance(column.domain, Range) else Range(min=None, max=None)
        low, high = domain.min, domain.max
        number = (
            (low + high) / 2
            if low is not None and high is not None
            else next((bound for bound in (low, high) if bound is not None), 1.0)
        )
        is_whole = column.whole or all(bound is None or float(bound).is_integer() for bound in (low, high))
        return round(number) if is_whole else number
    if column.cells == "date":
        import datetime

        return datetime.date(2026, 1, 31).strftime(column.date_format or "%Y-%m-%d")
    return "1" if column.role == "id" else "text"


class CustomerRequests:
    """Reads requests about customers of a declared table.

    Args:
        declaration: The table's declaration.
        max_rows: Largest number of customers in one request.

    Attributes:
        columns: Columns that a request may have. Identifiers and nullable columns may be left out, and so may columns
            that batch scoring does not require.
        schema: JSON schema of a customer.
        example: A customer that the declaration allows.
        max_rows: Largest number of customers in one request.
    """

    def __init__(self, declaration: CustomerDeclaration, max_rows: int) -> None:
        self.columns = [column for column in declaration.columns if column.role not in ("ignored", "target")]
        self._allowed = {column.name: describe_allowed(column) for column in self.columns}
        self.max_rows = max_rows
        self._ids = [
            (column.name, declaration.cell_reader(column).cell_function())
            for column in self.columns
            if column.role == "id"
        ]
        fields: dict[str, Any] = {}
        for column in self.columns:
            kind: Any = _TYPES["text" if column.role in ("id", "group") else column.cells]
            text = f"{column.description}. Declared: {self._allowed[column.name]}."
            described: Any = Annotated[kind, Field(description=text, examples=[make_example(column)])]
            fields[column.name] = (Required if self.is_required(column) else NotRequired)[described]
        customer = _object("Customer", fields)
        self._one: TypeAdapter[Any] = TypeAdapter(customer)
        self._many: TypeAdapter[Any] = TypeAdapter(_object("Batch", {"customers": _at_least_one(customer)}))
        self._empty = {column.name: None for column in self.columns}
        self.schema: dict[str, Any] = self._one.json_schema()
        self.example = {column.name: make_example(column) for column in self.columns}

    @staticmethod
    def is_required(column: Column) -> bool:
        """Return whether a request must have a column."""
        return column.role == "feature" and not column.nullable

    def identify(self, row: Mapping[str, Any]) -> str | None:
        """Join the identifiers of a customer, as batch scoring does.

        Args:
            row: Cells by column.

        Returns:
            Text; None: the customer has none.
        """
        parts = [read(row[name]) or "" for name, read in self._ids]
        return ",".join(parts) if any(parts) else None

    def allowed(self, name: str) -> str | None:
        """Describe the values of a column."""
        return self._allowed.get(name)

    def read_one(self, body: bytes) -> dict[str, Any]:
        """Read a request about one customer.

        Args:
            body: JSON.

        Returns:
            Cells of all columns; None where there is none.

        Raises:
            RequestError: It is no JSON, or a field is absent, unknown or of a wrong type.
        """
        try:
            return {**self._empty, **self._one.validate_json(body)}
        except ValidationError as error:
            raise self._explain(error) from None

    def read_many(self, body: bytes) -> list[dict[str, Any]]:
        """Read a request about several customers.

        Args:
            body: JSON.

        Returns:
            As :meth:`read_one` for each customer.

        Raises:
            RequestError: As above, or there are too many customers.
        """
        try:
            customers = self._many.validate_json(body)["customers"]
        except ValidationError as error:
            raise self._explain(error) from None
        if len(customers) > self.max_rows:
            raise RequestError(
                413,
                f"The request has {len(customers):,} customers, at most {self.max_rows:,} are allowed "
                "(serving.max_batch_rows). Send them in several requests, or score a file: `kedro run --pipelines "
                "inference --params new_customers=PATH`.",
            )
        return [{**self._empty, **customer} for customer in customers]

    def read_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Check customers that were read in another way.

        Args:
            rows: Cells by column.

        Returns:
            As :meth:`read_many`.

        Raises:
            RequestError: A field is absent, unknown or of a wrong type.
        """
        try:
            customers = self._many.validate_python({"customers": rows})["customers"]
        except ValidationError as error:
            raise self._explain(error) from None
        return [{**self._empty, **customer} for customer in customers]

    def _explain(self, error: ValidationError) -> RequestError:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            return RequestError(400, f"The body is no valid JSON: {found[0]['ctx']['error']}.")
        problems = list(self._problems(found))
        count = len(problems)
        listed = "" if count <= _LISTED else f" The first {_LISTED} are listed."
        fields = "1 field cannot be used" if count == 1 else f"{count:,} fields cannot be used"
        return RequestError(422, f"{fields}: see problems.{listed}", problems[:_LISTED])

    def _problems(self, found: Sequence[Any]) -> Iterator[FieldProblem]:
        seen: set[tuple[Any, ...]] = set()
        for one in found:
            location = list(one["loc"])
            row = location[1] if location[:1] == ["customers"] and len(location) > 1 else None
            place = location[2:] if row is not None else location
            name = str(place[0]) if place else ""
            # A union reports an error of each of its types.
            if (row, name) in seen:
                continue
            seen.add((row, name))
            yield self._problem(row, name, one)

    def _problem(self, row: int | None, name: str, one: Any) -> FieldProblem:
        if one["type"] == "missing":
            return FieldProblem(field=name, row=row, message="is missing", allowed=self.allowed(name))
        if one["type"] == "extra_forbidden":
            close = get_close_matches(name, self._allowed, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            return FieldProblem(
                field=shorten(name),
                row=row,
                value=shorten(one["input"]),
                message=f"is unknown{hint}",
                allowed=f"the fields {', '.join(self._allowed)}",
            )
        message = "has a wrong type" if name in self._allowed else str(one["msg"])
        return FieldProblem(
            field=name, row=row, value=shorten(one["input"]), message=message, allowed=self.allowed(name)
        )


def shorten(value: Any) -> Any:
    """Shorten a value for a message.

    Args:
        value: A value of JSON.

    Returns:
        A number, boolean or None as it is; other values as text of at most 100 characters.
    """
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 64 else "a number of more than 19 digits"
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)} elements"
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _object(name: str, fields: Mapping[str, Any]) -> Any:
    """Type of a JSON object without further fields; a validated object is a plain dictionary."""
    # Untyped, since the type is made of data.
    make: Any = TypedDict
    made = make(name, dict(fields))
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


def _at_least_one(item: Any) -> Any:
    return Annotated[list[item], Field(min_length=1)]
