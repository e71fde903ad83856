"""The declaration of a customer table: the one place where its columns are named.

A declaration is typed configuration (``conf/<use case>/parameters/customers.yml``). The pandera schema, the feature
pipeline, the model signature and the header check are all derived from it.
"""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Role = Literal["id", "feature", "target", "time", "ignored"]
Kind = Literal["numeric", "categorical", "binary", "ordinal"]
SignatureType = Literal["any", "string"]


class UnusableInputError(ValueError):
    """Something a user gave that cannot be used; the message says what was found, what was expected and what to do."""


class CustomerTableError(UnusableInputError):
    """A customer table that cannot be used."""


class ParameterError(UnusableInputError):
    """A parameter that cannot be used."""


class Parameters(BaseModel):
    """Base of all typed parameters: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __str__(self) -> str:
        """Name of the class alone."""
        # MLflow shows a parameter as its string. The fields are recorded one by one, so the whole needs no repetition.
        return f"{type(self).__name__}, recorded field by field"


def _reject_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(
            f"{value} was read as a boolean. YAML turns unquoted yes, no, true and false into booleans: "
            "quote the word as it stands in the file."
        )
    return value


def _is_number(text: str) -> bool:
    try:
        # Python reads 18_25 as 1825; no table does.
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


Level = Annotated[str | int | float, BeforeValidator(_reject_boolean)]


class Range(Parameters):
    """Closed interval of allowed numbers; a side left out is unbounded."""

    min: float | None = Field(None, description="Smallest allowed value.")
    max: float | None = Field(None, description="Largest allowed value.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"domain has min {self.min} above max {self.max}")
        return self


class Column(Parameters):
    """One column of the customer table."""

    name: str = Field(min_length=1, description="Name in the file's header.")
    role: Role = Field("feature", description="What the column is for.")
    kind: Kind | None = Field(None, description="Statistical kind; features need one.")
    domain: Range | list[Level] | None = Field(
        None, description="Allowed numbers (min, max) or allowed levels, in order for an ordinal column."
    )
    nullable: bool = Field(False, description="Whether a row without a value is valid.")
    missing: list[str] = Field(
        default_factory=list,
        description="Cells that mean 'missing' in this column, exactly as the raw file writes them. "
        "Blank cells always do.",
    )
    description: str = Field(min_length=1, description="One line for people.")

    @model_validator(mode="after")
    def _fitting_kind(self) -> Self:
        levels = self.levels
        if self.role == "feature" and self.kind is None:
            raise ValueError(f"feature '{self.name}' needs a kind: numeric, categorical, binary or ordinal")
        if self.role != "feature" and (self.kind is not None or self.domain is not None):
            raise ValueError(f"column '{self.name}' has role {self.role}; only features take a kind and a domain")
        if self.kind == "numeric" and levels:
            raise ValueError(f"numeric column '{self.name}' takes a domain of min and max, not a list of levels")
        if self.kind != "numeric" and isinstance(self.domain, Range):
            raise ValueError(f"column '{self.name}' of kind {self.kind} takes a list of levels, not min and max")
        if self.kind == "ordinal" and not levels:
            raise ValueError(f"ordinal column '{self.name}' needs its levels, lowest first, as domain")
        if self.kind == "binary" and len(levels) != 2:
            raise ValueError(f"binary column '{self.name}' needs exactly two levels as domain, found {levels}")
        return self

    @model_validator(mode="after")
    def _readable_levels(self) -> Self:
        levels = self.levels
        if len(set(levels)) != len(levels):
            raise ValueError(f"column '{self.name}' repeats a level in its domain: {levels}")
        if levels and len({isinstance(level, str) for level in levels}) > 1:
            raise ValueError(f"column '{self.name}' mixes numbers and text in its domain: {levels}")
        padded = [level for level in levels if isinstance(level, str) and level != level.strip()]
        if padded:
            raise ValueError(f"column '{self.name}' has blanks around levels: {padded}; cells are read without them")
        numeric_text = [level for level in levels if isinstance(level, str) and _is_number(level)]
        if numeric_text:
            raise ValueError(
                f"column '{self.name}' quotes numbers in its domain: {numeric_text}; write them without quotes, "
                "so that 1, 1.0 and '1' in a file are the same level"
            )
        return self

    @property
    def levels(self) -> list[Level]:
        """Declared levels in order; empty where none are declared."""
        return self.domain if isinstance(self.domain, list) else []

    @property
    def holds_numbers(self) -> bool:
        """Whether the normalised column is a column of floats rather than of text."""
        if self.role != "feature":
            return False
        return self.kind == "numeric" or bool(self.levels and not isinstance(self.levels[0], str))

    @property
    def signature_type(self) -> SignatureType:
        """Type in the model signature.

        MLflow refuses whole numbers where a signature says double, and missing ones where it says long; which of the
        two pandas reads from a file depends on the rows that happen to be there. Numbers are therefore ``any``, and the
        estimator reads them itself.
        """
        return "any" if self.holds_numbers else "string"


class Labels(Parameters):
    """How the target column writes its two classes."""

    positive: Level = Field(description="The customer left.")
    negative: Level = Field(description="The customer stayed.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.positive == self.negative:
            raise ValueError(f"positive and negative label are both {self.positive!r}")
        if isinstance(self.positive, str) != isinstance(self.negative, str):
            raise ValueError(f"one label is text and the other a number: {self.positive!r} and {self.negative!r}")
        for label in (self.positive, self.negative):
            if isinstance(label, str) and _is_number(label):
                raise ValueError(f"label {label!r} is a quoted number; write it without quotes")
        return self


class CustomerDeclaration(Parameters):
    """A customer table, declared once."""

    description: str = Field(min_length=1, description="One line: whose customers, which table.")
    task: Literal["binary"] = Field(description="What is predicted.")
    labels: Labels = Field(description="Labels of the target column.")
    columns: list[Column] = Field(min_length=1, description="Every column the project may use.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"columns declared more than once: {repeated}")
        targets = [column.name for column in self.columns if column.role == "target"]
        if len(targets) != 1:
            raise ValueError(f"exactly one column must have role target, found {targets}")
        if not self.features:
            raise ValueError("no column has role feature")
        return self

    @property
    def features(self) -> list[Column]:
        """Feature columns in declared order."""
        return [column for column in self.columns if column.role == "feature"]

    @property
    def feature_names(self) -> list[str]:
        """Names of the feature columns in declared order."""
        return [column.name for column in self.features]

    @property
    def id_names(self) -> list[str]:
        """Names of the columns that identify a customer."""
        return [column.name for column in self.columns if column.role == "id"]

    @property
    def target(self) -> str:
        """Name of the target column."""
        return next(column.name for column in self.columns if column.role == "target")

    def required_columns(self, *, with_target: bool) -> list[Column]:
        """Columns a table must have: all but the ignored ones, and the target only where it is known."""
        skipped = {"ignored"} if with_target else {"ignored", "target"}
        return [column for column in self.columns if column.role not in skipped]


def match_header(header: list[str], declaration: CustomerDeclaration, *, with_target: bool) -> dict[str, str]:
    """Find the declared columns in a file's header.

    A name matches exactly, or else by its letters and digits alone (``" credit_score"`` is ``CreditScore``) where only
    one column of the file does.

    Args:
        header: Column names as the file writes them.
        declaration: The table's declaration.
        with_target: Whether the target column is required.

    Returns:
        Name in the file for each declared column that must be there, in declared order.

    Raises:
        CustomerTableError: A declared column is absent, and the message names the nearest match; or it is there twice.
    """

    def letters(name: str) -> str:
        return "".join(character for character in name.casefold() if character.isalnum())

    exact = set(header)
    # A file's column that is another declaration's exact name is spoken for.
    loose: dict[str, list[str]] = {}
    declared = {column.name for column in declaration.columns}
    for name in header:
        if name not in declared and letters(name):
            loose.setdefault(letters(name), []).append(name)
    matched: dict[str, str] = {}
    absent: list[str] = []
    required = declaration.required_columns(with_target=with_target)
    wanted = [letters(column.name) for column in required if column.name not in exact]
    for column in required:
        candidates = loose.get(letters(column.name), [])
        if column.name in exact:
            matched[column.name] = column.name
        elif len(candidates) == 1 and wanted.count(letters(column.name)) == 1:
            matched[column.name] = candidates[0]
        else:
            absent.append(column.name)
    if absent:
        unused = [name for name in header if name not in matched.values()]
        lines = []
        for name in absent:
            nearest = get_close_matches(name, unused, n=1, cutoff=0.5)
            lines.append(f"  '{name}'" + (f" (nearest in the file: '{nearest[0]}')" if nearest else ""))
        raise CustomerTableError(
            "The customer table lacks declared columns:\n"
            + "\n".join(lines)
            + f"\nThe file has: {', '.join(header) or 'no column at all'}.\n"
            "Rename the column in the file, or correct it in parameters/customers.yml."
        )
    repeated = sorted({name for name in matched.values() if header.count(name) > 1})
    if repeated:
        raise CustomerTableError(
            f"The customer table has more than one column named {', '.join(map(repr, repeated))} (blanks around a name "
            "do not count). Rename or remove the others in the file."
        )
    return matched
