"""The declaration of a customer table: names, roles, kinds and domains of its columns.

A declaration is typed configuration (``conf/<use case>/parameters/customers.yml``). The pandera schema, the feature
pipeline, the model signature and the header check are derived from it.
"""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from churn_estimators.cells import CellReader, CellType, UnreadablePolicy, is_number
from churn_kedro.base import Parameters, UserInputError
from churn_kedro.customers.tasks import Task
from churn_kedro.customers.treatments import Treatment

Role = Literal["id", "feature", "target", "time", "group", "weight", "value", "segment", "ignored"]
Kind = Literal["numeric", "categorical", "binary", "ordinal", "date"]
Direction = Literal["increasing", "decreasing"]
# Columns of the scored list; identifiers must not have these names.
RESERVED_NAMES = frozenset(
    {
        "probability",
        "prediction",
        "decision",
        "expected_value",
        "risk_band",
        "rank",
        "decile",
        "campaign",
        "model_name",
        "model_version",
        "data_digest",
        "scored_at",
        "outcome_known",
        "place",
        "suggestion",
        "unreadable",
    }
)


class CustomerTableError(UserInputError):
    """An invalid customer table."""


def _reject_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(
            f"{value} was read as a boolean. YAML turns unquoted yes, no, true and false into booleans: "
            "quote the word as the file writes it."
        )
    return value


Level = Annotated[str | int | float, BeforeValidator(_reject_boolean)]


def level_text(level: Level) -> str:
    """Return a level as text, as a key of ``level_labels``.

    Args:
        level: Text or number.

    Returns:
        The text; of a number, without a decimal point where it is whole.
    """
    return level if isinstance(level, str) else f"{level:.15g}"


def _write_levels(labels: Any) -> Any:
    """Write the keys of a mapping as text, since YAML reads numbers and JSON writes text."""
    if not isinstance(labels, dict):
        return labels
    return {level_text(_reject_boolean(level)): label for level, label in labels.items()}


class Range(Parameters):
    """Closed interval of allowed numbers; a bound that is left out is infinite."""

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
    role: Role = Field("feature", description="Use of the column.")
    kind: Kind | None = Field(None, description="Statistical kind; required of features.")
    domain: Range | list[Level] | None = Field(
        None, description="Allowed numbers (min, max) or allowed levels, in order for an ordinal column."
    )
    whole: bool = Field(False, description="Whether a numeric column has whole numbers only.")
    nullable: bool = Field(False, description="Whether a row without a value is valid.")
    missing: list[str] = Field(
        default_factory=list,
        description="Cells that mean 'missing' in this column, exactly as the raw file writes them, in addition to "
        "blank cells.",
    )
    date_format: str | None = Field(
        None, description="Format of dates in strptime codes; left out: ISO 8601 such as 2026-01-31."
    )
    remove: list[str] = Field(
        default_factory=list,
        description="Words or signs before or after the numbers of this column, such as $, % or km, which are left "
        "out. With these or thousands, a number in parentheses is negative.",
    )
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        None,
        description="Thousands separator of the numbers of this column. Decimal marks are then the others of comma and "
        "point, whatever the decimal of the table.",
    )
    treatment: Treatment | None = Field(None, description="Differences from the treatment of the column's kind.")
    monotone: Direction | None = Field(
        None,
        description="Monotone constraint: direction of the prediction (probability of leaving, or the number) as the "
        "column rises, all else equal.",
    )
    cost: float | None = Field(
        None, gt=0, description="Cost of the column in money per scored customer (campaigns.economics)."
    )
    segment: bool = Field(False, description="Whether evaluation reports on the groups of this column.")
    protected: bool = Field(
        False,
        description="Whether evaluation compares decisions between the groups of this column; implies segment.",
    )
    private: bool = Field(
        False, description="Whether the prediction log stores a keyed hash of each cell instead of the cell."
    )
    bands: list[float] | None = Field(
        None,
        min_length=1,
        description="Ascending numbers at which a numeric segment is cut into groups; left out: the quartiles.",
    )
    level_labels: Annotated[dict[str, str], BeforeValidator(_write_levels)] = Field(
        default_factory=dict,
        description="Names of levels in reports, by level; of the target of task multiclass, names of its classes.",
    )
    phrase: Annotated[str | dict[str, str] | None, BeforeValidator(_write_levels)] = Field(
        None,
        description="How a call agent says that a cell of this column is a reason: text with {value}, or by level.",
    )
    suggestion: str | None = Field(
        None,
        min_length=1,
        description="What a call agent can offer or ask if this column is the strongest reason.",
    )
    description: str = Field(
        min_length=1,
        description="One line about the column. Up to the first comma, semicolon or bracket, it is the column's name "
        "in reports.",
    )

    @model_validator(mode="after")
    def _fitting_kind(self) -> Self:
        # The other keys of an ignored column are documentation.
        if self.role == "ignored":
            return self
        if self.role == "feature" and self.kind is None:
            raise ValueError(f"feature '{self.name}' needs a kind: numeric, categorical, binary, ordinal or date")
        if self.role == "segment" and self.kind not in (None, "numeric", "categorical"):
            raise ValueError(
                f"column '{self.name}' has role segment, which takes kind numeric or categorical (the default), "
                f"found {self.kind}"
            )
        if self.role not in ("feature", "segment") and self.kind is not None:
            raise ValueError(f"column '{self.name}' has role {self.role}; only features and segments take a kind")
        if self.role != "feature" and self.treatment is not None:
            raise ValueError(f"column '{self.name}' has role {self.role}; only features take a treatment")
        if self.role not in ("feature", "target") and self.domain is not None:
            raise ValueError(f"column '{self.name}' has role {self.role}; only features take a domain")
        if self.role != "feature" and (self.monotone is not None or self.cost is not None):
            raise ValueError(f"column '{self.name}' has role {self.role}; only features take monotone or cost")
        if self.monotone is not None and self.kind in ("categorical", "date"):
            raise ValueError(
                f"column '{self.name}' of kind {self.kind} cannot be monotone, which needs numbers or ordered levels"
            )
        return self

    @model_validator(mode="after")
    def _fitting_format(self) -> Self:
        if self.role == "ignored":
            return self
        if self.date_format is not None and self.kind != "date" and self.role != "time":
            raise ValueError(
                f"column '{self.name}' has a date_format but is not a date: give it kind date or role time"
            )
        if self.whole and self.kind != "numeric":
            raise ValueError(f"column '{self.name}' is declared whole but is not numeric")
        formatted = bool(self.remove) or self.thousands is not None
        if formatted and self.cells != "number" and self.role != "target":
            raise ValueError(
                f"column '{self.name}' has remove or thousands, which need numbers: give it kind numeric, or leave "
                "them out"
            )
        empty = [word for word in self.remove if not word.strip() or is_number(word)]
        if empty:
            raise ValueError(f"column '{self.name}' removes {empty}: name the words or signs around the numbers")
        return self

    @model_validator(mode="after")
    def _fitting_segment(self) -> Self:
        if self.role == "ignored":
            return self
        if self.segment and self.role not in ("feature", "segment"):
            raise ValueError(
                f"column '{self.name}' has role {self.role}; only features take segment: true. A column that the "
                "model must not use takes role segment instead"
            )
        if self.protected and self.role not in ("feature", "segment"):
            raise ValueError(
                f"column '{self.name}' has role {self.role}; only a feature, or a column of role segment, can be "
                "protected"
            )
        if self.bands is None:
            return self
        if not self.is_segment:
            raise ValueError(
                f"column '{self.name}' has bands but is not a segment: give it segment: true, protected: true or role "
                "segment"
            )
        if self.cells != "number" or self.levels:
            raise ValueError(
                f"column '{self.name}' has bands, which need numbers, but holds levels or dates: give it kind numeric, "
                "or remove the bands"
            )
        if not all(math.isfinite(cut) for cut in self.bands) or sorted(set(self.bands)) != self.bands:
            raise ValueError(f"column '{self.name}' has bands {self.bands}; they must be finite and ascending")
        return self

    @model_validator(mode="after")
    def _fitting_domain(self) -> Self:
        levels = self.levels
        if self.role == "ignored":
            return self
        if self.kind == "date" and self.domain is not None:
            raise ValueError(f"date column '{self.name}' takes no domain")
        if self.kind == "numeric" and levels:
            raise ValueError(f"numeric column '{self.name}' takes a domain of min and max, not a list of levels")
        if self.role == "feature" and self.kind != "numeric" and isinstance(self.domain, Range):
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
            raise ValueError(f"column '{self.name}' has blanks around levels: {padded}; remove them, as reading does")
        numeric_text = [level for level in levels if isinstance(level, str) and is_number(level)]
        if numeric_text:
            raise ValueError(
                f"column '{self.name}' quotes numbers in its domain: {numeric_text}; remove the quotes, so that 1, 1.0 "
                "and '1' in a file are the same level"
            )
        return self

    @model_validator(mode="after")
    def _known_level_labels(self) -> Self:
        if self.level_labels and (self.role not in ("feature", "segment", "target") or self.cells == "date"):
            raise ValueError(
                f"column '{self.name}' has level_labels, which only features, segments and the target with levels take"
            )
        unknown = sorted(set(self.level_labels) - set(map(level_text, self.levels))) if self.levels else []
        if unknown:
            raise ValueError(f"column '{self.name}' has level_labels of {unknown}, which are not in {self.levels}")
        shown = [self.level_labels.get(text, text) for text in map(level_text, self.levels)]
        shown = shown or list(self.level_labels.values())
        repeated = sorted({label for label in shown if shown.count(label) > 1})
        if self.level_labels and repeated:
            raise ValueError(f"column '{self.name}' has several levels named {repeated} in level_labels; name each one")
        return self

    @model_validator(mode="after")
    def _fitting_phrase(self) -> Self:
        if self.role != "feature" and (self.phrase is not None or self.suggestion is not None):
            raise ValueError(f"column '{self.name}' has role {self.role}; only features take phrase or suggestion")
        if isinstance(self.phrase, dict) and self.levels:
            unknown = sorted(set(self.phrase) - set(map(level_text, self.levels)))
            if unknown:
                raise ValueError(f"column '{self.name}' has phrases of {unknown}, which are not in {self.levels}")
        return self

    @property
    def levels(self) -> list[Level]:
        """Declared levels in order; empty if none are declared."""
        return self.domain if isinstance(self.domain, list) else []

    @property
    def is_segment(self) -> bool:
        """Whether evaluation reports on the groups of this column."""
        return self.role == "segment" or (self.role != "ignored" and (self.segment or self.protected))

    @property
    def cells(self) -> CellType:
        """Type of a normalised cell: number, date or text. It does not apply to the target."""
        if self.kind == "date" or self.role == "time":
            return "date"
        if self.role in ("weight", "value") or self.kind == "numeric":
            return "number"
        if self.levels and not isinstance(self.levels[0], str):
            return "number"
        return "text"


class Labels(Parameters):
    """Labels of the target's classes: a positive and a negative one, or a list."""

    positive: Level | None = Field(None, description="Label of customers who left (task binary).")
    negative: Level | None = Field(None, description="Label of customers who stayed (task binary).")
    classes: list[Level] = Field(default_factory=list, description="All classes in order (task multiclass).")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.positive is None) != (self.negative is None):
            raise ValueError("labels need both positive and negative")
        if (self.positive is None) == (not self.classes):
            raise ValueError("labels are either positive and negative, or classes")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.classes:
            if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
                raise ValueError(f"classes must be at least two distinct labels, found {self.classes}")
        elif self.positive == self.negative:
            raise ValueError(f"positive and negative label are both {self.positive!r}")
        if len({isinstance(label, str) for label in self.in_order}) > 1:
            raise ValueError(f"some labels are text and others numbers: {', '.join(map(repr, self.in_order))}")
        for label in self.in_order:
            if isinstance(label, str) and is_number(label):
                raise ValueError(f"label {label!r} is a quoted number; write it without quotes")
        return self

    @property
    def in_order(self) -> list[Level]:
        """Labels in the order of their codes; the positive one has code 1."""
        return self.classes or [label for label in (self.negative, self.positive) if label is not None]


class DerivedColumn(Parameters):
    """A model input computed from two columns."""

    name: str = Field(min_length=1, description="Name of the new input.")
    operation: Literal["ratio", "product", "difference", "sum"] = Field(
        description="A ratio with a denominator of 0 is missing."
    )
    of: tuple[str, str] = Field(description="Two numeric columns, in order.")


class AllowedLeak(Parameters):
    """A finding of the leakage checks that was reviewed and accepted."""

    check: str = Field(min_length=1, description="Name of the check in the finding.")
    column: str | None = Field(None, description="Column of the finding; left out for findings on the whole table.")
    reason: str = Field(min_length=10, description="Why the finding is acceptable; recorded with the model.")


class CustomerDeclaration(Parameters):
    """The declaration of a customer table."""

    description: str = Field(min_length=1, description="One line: whose customers, which table.")
    task: Task = Field(description="What is predicted: one of two classes, one of several, or a number.")
    labels: Labels | None = Field(None, description="Labels of the target column; none for a number.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of numbers in a text file.")
    unreadable: UnreadablePolicy = Field(
        "set_aside",
        description="Rows with a cell that does not have the type of its column: set_aside (left out, with reasons), "
        "refuse (an error), or missing (the cell counts as missing).",
    )
    label_days: float | None = Field(
        None,
        gt=0,
        description="Days after the time of a row (role time) until its label is known. A split by time must have at "
        "least such a gap.",
    )
    columns: list[Column] = Field(min_length=1, description="All columns that the project may use.")
    derived: list[DerivedColumn] = Field(default_factory=list, description="Model inputs computed from two columns.")
    interactions: list[list[str]] = Field(
        default_factory=list,
        description="Interaction constraints: groups of features that may interact; a feature in no group has no "
        "interactions. Empty: no constraint.",
    )
    allowed_leaks: list[AllowedLeak] = Field(
        default_factory=list, description="Findings of the leakage checks that do not stop the run."
    )

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
        reserved = sorted(RESERVED_NAMES.intersection(self.id_names))
        if reserved:
            raise ValueError(f"{reserved[0]!r} is a column of the scored list: an identifier needs another name")
        for role in ("time", "group", "weight"):
            with_role = [column.name for column in self.columns if column.role == role]
            if len(with_role) > 1:
                raise ValueError(f"at most one column may have role {role}, found {with_role}")
        if self.label_days is not None and self.time is None:
            raise ValueError("label_days needs a column of role time, the time from which the days count")
        return self

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        labels = self.labels
        if self.task == "regression":
            if labels is not None:
                raise ValueError("a regression predicts a number: it takes no labels")
        elif labels is None:
            raise ValueError(f"task {self.task} needs labels")
        elif (self.task == "multiclass") != bool(labels.classes):
            wanted = "classes" if self.task == "multiclass" else "positive and negative"
            raise ValueError(f"task {self.task} takes labels.{wanted}")
        target = next(column for column in self.columns if column.role == "target")
        named = set(map(level_text, self.classes)) if self.task == "multiclass" else set()
        if not set(target.level_labels) <= named:
            raise ValueError(
                f"target '{target.name}' takes level_labels of its labels.classes in task multiclass, and none "
                "otherwise: the classes of task binary are called left and stayed"
            )
        if target.domain is not None and not (self.task == "regression" and isinstance(target.domain, Range)):
            raise ValueError(
                f"target '{target.name}' takes a domain of min and max in a regression, and none otherwise"
            )
        return self

    @model_validator(mode="after")
    def _constrainable(self) -> Self:
        known = {*self.feature_names, *(derived.name for derived in self.derived)}
        for group in self.interactions:
            unknown = [name for name in group if name not in known]
            if unknown:
                raise ValueError(f"interactions name {unknown}, which are not features or derived columns")
        monotone = [column.name for column in self.features if column.monotone is not None]
        for derived in self.derived:
            bound = [name for name in derived.of if name in monotone]
            if bound:
                raise ValueError(
                    f"derived column '{derived.name}' is computed from '{bound[0]}', which is monotone, and could "
                    "break the constraint. Remove the derived column or the constraint"
                )
        if monotone and self.task == "multiclass":
            raise ValueError(f"columns {monotone} are declared monotone, which task multiclass does not support")
        return self

    @model_validator(mode="after")
    def _derivable(self) -> Self:
        numbers = {column.name for column in self.features if column.kind == "numeric"}
        taken = {column.name for column in self.columns}
        for derived in self.derived:
            unknown = [name for name in derived.of if name not in numbers]
            if unknown:
                raise ValueError(
                    f"derived column '{derived.name}' is computed from {unknown}, which are not numeric features"
                )
            if derived.name in taken:
                raise ValueError(f"derived column '{derived.name}' has the name of another column")
            taken.add(derived.name)
        return self

    def cell_reader(self, column: Column, *, required: bool = True) -> CellReader:
        """Return how the cells of a column are read.

        Args:
            column: The column; not the target of a classification, whose cells are labels.
            required: Whether a table must have it.

        Returns:
            The reader.
        """
        cells: CellType = "number" if column.role == "target" else column.cells
        return CellReader(
            column.name,
            cells,
            list(column.missing),
            self.decimal,
            column.date_format,
            required=required,
            remove=list(column.remove),
            thousands=column.thousands or "",
        )

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

    @property
    def time(self) -> str | None:
        """Name of the column with the time of observation of a row, if one is declared."""
        return next((column.name for column in self.columns if column.role == "time"), None)

    @property
    def group(self) -> str | None:
        """Name of the column whose equal values are kept in one part of a split, if one is declared."""
        return next((column.name for column in self.columns if column.role == "group"), None)

    @property
    def weight(self) -> str | None:
        """Name of the column of sample weights, if one is declared."""
        return next((column.name for column in self.columns if column.role == "weight"), None)

    @property
    def segments(self) -> list[Column]:
        """Columns whose groups evaluation reports on, in declared order: segments and protected columns."""
        return [column for column in self.columns if column.is_segment]

    @property
    def protected(self) -> list[Column]:
        """Columns whose groups' decisions evaluation compares, in declared order."""
        return [column for column in self.columns if column.is_segment and column.protected]

    @property
    def classes(self) -> list[Level]:
        """Labels in the order of their codes: the negative and the positive one, or all; none for a regression."""
        return self.labels.in_order if self.labels else []

    def required_columns(self, *, with_target: bool) -> list[Column]:
        """Return the columns that a table must have.

        Args:
            with_target: Whether the target is known. Columns of role target, weight, value and segment are required
                only then.

        Returns:
            The columns in declared order, without the ignored ones.
        """
        skipped = {"ignored"} if with_target else {"ignored", "target", "weight", "value", "segment"}
        return [column for column in self.columns if column.role not in skipped]


def match_header(header: list[str], declaration: CustomerDeclaration, *, with_target: bool) -> dict[str, str]:
    """Find the declared columns in a file's header.

    A name matches exactly, or else by its letters and digits only (``" credit_score"`` matches ``CreditScore``) where
    the match is unique.

    Args:
        header: Column names as the file writes them.
        declaration: The table's declaration.
        with_target: Whether the target column is required.

    Returns:
        Name in the file of each required column, in declared order.

    Raises:
        CustomerTableError: A required column is absent (the message names the nearest match) or repeated.

    Examples:
        >>> declaration = CustomerDeclaration.model_validate(
        ...     {
        ...         "description": "Customers of a bank",
        ...         "task": "binary",
        ...         "labels": {"positive": 1, "negative": 0},
        ...         "columns": [
        ...             {"name": "CreditScore", "kind": "numeric", "description": "Credit score"},
        ...             {"name": "Exited", "role": "target", "description": "Left"},
        ...         ],
        ...     }
        ... )
        >>> match_header(["credit_score", "Exited"], declaration, with_target=True)
        {'CreditScore': 'credit_score', 'Exited': 'Exited'}
    """

    def letters(name: str) -> str:
        return "".join(character for character in name.casefold() if character.isalnum())

    exact = set(header)
    # A column of the file that matches a declared name exactly is no candidate for another one.
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
            f"The customer table has more than one column named {', '.join(map(repr, repeated))} (ignoring blanks "
            "around names). Rename or remove the others in the file."
        )
    return matched
