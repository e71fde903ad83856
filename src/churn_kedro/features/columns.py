"""The treatment of each column, checked against its kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from churn_kedro.base import ParameterError
from churn_kedro.customers import Column, CustomerDeclaration, DerivedColumn, Kind, OutlierMethod, Treatment
from churn_kedro.features.parameters import FeatureParameters

Key = TypeVar("Key", bound=Hashable)
# How the cells of a column are read; also the order of the outputs of the first step.
Reading = Literal["numbers", "derived", "dates", "number_levels", "text_levels", "learned_levels"]
LEVELS: tuple[Reading, ...] = ("number_levels", "text_levels", "learned_levels")
READINGS: tuple[Reading, ...] = ("numbers", "derived", "dates", *LEVELS)


@dataclass(frozen=True)
class TreatedColumn:
    """A customer column, or one derived from two, with the treatment that applies to it.

    Attributes:
        name: Name of the column.
        kind: Statistical kind; derived columns are numeric.
        reading: How its cells are read.
        treatment: Complete treatment.
        origin: Its declaration.
    """

    name: str
    kind: Kind
    reading: Reading
    treatment: Treatment
    origin: Column | DerivedColumn

    @property
    def numbers(self) -> list[str]:
        """Names of its outputs of the first step; a date has one for each part."""
        if self.reading != "dates":
            return [self.name]
        from churn_estimators.transformers import DateParts

        parts = DateParts(self.treatment.parts or [])
        return [str(name) for name in parts.get_feature_names_out([self.name])]

    def place_of(self, key: str) -> str:
        """Return the place in the configuration that sets a key of the treatment, for messages."""
        own = self.origin.treatment if isinstance(self.origin, Column) else None
        if own is not None and key in own.model_fields_set:
            return f"treatment of column '{self.name}' in parameters/customers.yml"
        return f"features.{self.kind}, which column '{self.name}' follows (parameters/features.yml)"


def treat_columns(declaration: CustomerDeclaration, parameters: FeatureParameters) -> list[TreatedColumn]:
    """Find the treatment of each feature and of each derived column.

    Args:
        declaration: The table's declaration.
        parameters: Treatments by kind.

    Returns:
        The columns in declared order, derived ones last.

    Raises:
        ParameterError: A treatment does not fit its column; the message lists all such treatments.
    """
    columns = []
    for column in declaration.features:
        kind = cast(Kind, column.kind)  # validated by the declaration
        default = parameters.of_kind(kind)
        treatment = default if column.treatment is None else column.treatment.over(default)
        columns.append(TreatedColumn(column.name, kind, _reading(column, treatment), treatment, column))
    derived = parameters.of_kind("numeric")
    columns += [TreatedColumn(made.name, "numeric", "derived", derived, made) for made in declaration.derived]
    problems = [*(problem for column in columns for problem in _explain_misfits(column))]
    problems += _explain_missing_predictors(columns)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ParameterError(f"Treatments that do not fit their columns:\n{listed}")
    return columns


def _reading(column: Column, treatment: Treatment) -> Reading:
    match column.cells:
        case "date":
            return "dates"
        case "number":
            # Ordered levels that are numbers keep their values.
            in_order = column.kind != "categorical" and treatment.encoding == "ordinal"
            return "numbers" if in_order or column.kind == "numeric" else "number_levels"
        case "text":
            return "text_levels" if column.levels else "learned_levels"


def _explain_misfits(column: TreatedColumn) -> list[str]:
    treatment = column.treatment
    misfits = [f"{column.place_of(key)}: {misfit}" for key, misfit in treatment.misfits(column.kind).items()]
    if misfits or treatment.missing != "constant" or not isinstance(column.origin, Column) or column.kind == "numeric":
        return misfits
    levels, fill = column.origin.levels, treatment.fill_value
    if levels and fill not in levels:
        reason = f"is not a level of the column, which has {', '.join(map(str, levels))}"
    elif not levels and not isinstance(fill, str):
        reason = "is a number, and the column holds text: quote it"
    else:
        return []
    return [f"{column.place_of('fill_value')}: fill_value {fill!r} {reason}"]


def _explain_missing_predictors(columns: list[TreatedColumn]) -> list[str]:
    numbers = [column for column in columns if column.reading in ("numbers", "derived")]
    if len(numbers) > 1:
        return []
    return [
        f"{column.place_of('missing')}: missing: {column.treatment.missing} imputes from other numeric columns, and "
        "there is none (median imputes from the column itself)"
        for column in numbers
        if column.treatment.missing in ("knn", "iterative")
    ]


def group_columns(
    columns: Iterable[TreatedColumn], key: Callable[[TreatedColumn], Key | None]
) -> dict[Key, list[TreatedColumn]]:
    """Group columns that are treated alike.

    Args:
        columns: Any columns.
        key: Function that returns the group of a column; None leaves the column out.

    Returns:
        Columns by key, in order of first appearance.
    """
    groups: dict[Key, list[TreatedColumn]] = {}
    for column in columns:
        group = key(column)
        if group is not None:
            groups.setdefault(group, []).append(column)
    return groups


def fences_of(action: str) -> Callable[[TreatedColumn], tuple[OutlierMethod, float] | None]:
    """Return a key for :func:`group_columns` that groups by the treatment of outliers.

    Args:
        action: ``clip``, ``flag`` or ``drop``.

    Returns:
        Function that returns the method and threshold of a column with this action, else None.
    """

    def key(column: TreatedColumn) -> tuple[OutlierMethod, float] | None:
        outliers = column.treatment.outliers
        return None if outliers is None or outliers.action != action else (outliers.method, outliers.threshold)

    return key


def native_names(columns: Iterable[TreatedColumn]) -> set[str]:
    """Return the columns that are categorical inputs of XGBoost.

    Args:
        columns: Any columns.

    Returns:
        Their names.
    """
    return {column.name for column in columns if column.treatment.encoding == "native"}
