"""The inputs of a learner as formulas of the typed cells of one row.

A fitted treatment calls pandas and scikit-learn in every step, which takes a thousand times as long for one row as the
arithmetic itself. Formulas have the parameters of the fitted steps and compute the same numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from churn_estimators.cells import CellReader
    from churn_estimators.transformers import Operation

# Values of a row: the typed cells, then the results of the formulas in order.
Values = list[Any]
Evaluate = Callable[[Values], Any]


class UnknownStepError(ValueError):
    """A treatment that cannot be written as formulas."""


@dataclass(frozen=True)
class Lookup:
    """Number of a level; another one for a missing or unknown level."""

    of: int
    numbers: Mapping[Any, float]
    missing: float

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, get, missing = self.of, dict(self.numbers).get, self.missing
        return lambda values: get(values[of], missing)


@dataclass(frozen=True)
class Combine:
    """Result of an operation on two numbers; NaN where it is not finite."""

    operation: Operation
    first: int
    second: int

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        first, second = self.first, self.second
        compute = _OPERATIONS[self.operation]

        def evaluate(values: Values) -> float:
            result = compute(values[first], values[second])
            return result if math.isfinite(result) else math.nan

        return evaluate


def _ratio(first: float, second: float) -> float:
    return first / second if second else math.nan


_OPERATIONS: dict[Operation, Callable[[float, float], float]] = {
    "ratio": _ratio,
    "product": lambda first, second: first * second,
    "difference": lambda first, second: first - second,
    "sum": lambda first, second: first + second,
}


@dataclass(frozen=True)
class IsMissing:
    """1 where a number is missing, else 0."""

    of: int

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of = self.of
        return lambda values: 1.0 if math.isnan(values[of]) else 0.0


@dataclass(frozen=True)
class Clip:
    """A number within limits; NaN stays."""

    of: int
    lower: float
    upper: float

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, lower, upper = self.of, self.lower, self.upper

        def evaluate(values: Values) -> Any:
            number = values[of]
            return lower if number < lower else upper if number > upper else number

        return evaluate


@dataclass(frozen=True)
class IsOutside:
    """1 where a number is beyond the limits, else 0."""

    of: int
    lower: float
    upper: float

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, lower, upper = self.of, self.lower, self.upper
        return lambda values: 1.0 if values[of] < lower or values[of] > upper else 0.0


@dataclass(frozen=True)
class Fill:
    """A number, or another one where it is missing."""

    of: int
    number: float

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, number = self.of, self.number
        return lambda values: number if math.isnan(values[of]) else values[of]


@dataclass(frozen=True)
class Bin:
    """Position of the bin of a number; NaN stays."""

    of: int
    edges: tuple[float, ...]

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, edges = self.of, self.edges

        def evaluate(values: Values) -> float:
            number = values[of]
            return math.nan if math.isnan(number) else float(bisect_right(edges, number))

        return evaluate


@dataclass(frozen=True)
class Standardise:
    """``(number - centre) / scale``."""

    of: int
    centre: float
    scale: float

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, centre, scale = self.of, self.centre, self.scale
        return lambda values: (values[of] - centre) / scale


@dataclass(frozen=True)
class Rescale:
    """``number * factor + offset``."""

    of: int
    factor: float
    offset: float

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, factor, offset = self.of, self.factor, self.offset
        return lambda values: values[of] * factor + offset


@dataclass(frozen=True)
class Transform:
    """All results of a fitted transformer that has no formula of its own, as a tuple."""

    of: tuple[int, ...]
    columns: tuple[str, ...] | None
    transform: Callable[[Any], Any]

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, columns, transform = self.of, self.columns, self.transform

        def evaluate(values: Values) -> tuple[float, ...]:
            row: Any = [[values[place] for place in of]]
            table = np.array(row) if columns is None else pd.DataFrame(row, columns=list(columns))
            return tuple(np.asarray(transform(table), dtype=np.float64)[0].tolist())

        return evaluate


@dataclass(frozen=True)
class Result:
    """One of the results of a transformer."""

    of: int
    position: int

    def compile(self) -> Evaluate:
        """Return the function of a row's values."""
        of, position = self.of, self.position
        return lambda values: values[of][position]


Formula = Lookup | Combine | IsMissing | Clip | IsOutside | Fill | Bin | Standardise | Rescale | Transform | Result


@dataclass(frozen=True)
class InputFormulas:
    """Formulas of the inputs of a learner.

    Attributes:
        columns: Columns of the typed cells, the first values of a row.
        formulas: Formulas of the further values, in the order of their computation.
        inputs: Positions of the learner's inputs among the values.
    """

    columns: tuple[str, ...]
    formulas: tuple[Formula, ...]
    inputs: tuple[int, ...]

    def compile(self) -> Callable[[Values], list[float]]:
        """Return the function from the typed cells of a row, which it extends, to the inputs of the learner."""
        steps, inputs = [formula.compile() for formula in self.formulas], self.inputs

        def compute(values: Values) -> list[float]:
            for step in steps:
                values.append(step(values))
            return [values[place] for place in inputs]

        return compute


def derive_formulas(features: Any, readers: Sequence[CellReader]) -> InputFormulas:
    """Derive the formulas of a fitted treatment.

    Args:
        features: Fitted scikit-learn pipeline from typed columns to the inputs of the learner.
        readers: Readers of the typed columns.

    Returns:
        The formulas. A step that is not known is called with a single row.

    Raises:
        UnknownStepError: The first step does not select its columns by name.
    """
    from sklearn.compose import ColumnTransformer

    columns = tuple(reader.column for reader in readers)
    treatment = _Treatment(len(columns))
    named = {column: place for place, column in enumerate(columns)}
    for number, (name, step) in enumerate(features.steps):
        if isinstance(step, ColumnTransformer):
            places = treatment.transform_columns(step, named)
        elif number == 0:
            raise UnknownStepError(
                f"the first step of the treatment, '{name}', is a {type(step).__name__}, not a ColumnTransformer"
            )
        else:
            places = treatment.transform(step, list(named.values()), list(named))
        named = dict(zip(map(str, step.get_feature_names_out()), places, strict=True))
    return InputFormulas(columns, tuple(treatment.formulas), tuple(named.values()))


class _Treatment:
    """Formulas of the steps so far."""

    def __init__(self, n_cells: int) -> None:
        self._n_cells = n_cells
        self.formulas: list[Formula] = []

    def _add(self, formula: Formula) -> int:
        self.formulas.append(formula)
        return self._n_cells + len(self.formulas) - 1

    def transform_columns(self, step: Any, named: Mapping[str, int]) -> list[int]:
        """Add a ColumnTransformer; return the places of its outputs."""
        places: dict[int, int] = {}
        for name, transformer, selected in step.transformers_:
            if isinstance(transformer, str) and transformer == "drop":
                continue
            names = [one if isinstance(one, str) else str(step.feature_names_in_[one]) for one in selected]
            outputs = step.output_indices_[name]
            made = self.transform(transformer, [named[one] for one in names], names)
            places |= dict(zip(range(outputs.start, outputs.stop), made, strict=True))
        return [places[position] for position in sorted(places)]

    def transform(self, step: Any, of: list[int], names: list[str]) -> list[int]:
        """Add a fitted transformer of some values; return the places of its outputs."""
        from sklearn.feature_selection import SelectorMixin
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import FunctionTransformer

        from churn_estimators.transformers import LevelEncoder

        match step:
            case LevelEncoder():
                return self._look_up(step, [step], of)
            case Pipeline() if isinstance(step[0], LevelEncoder):
                return self._look_up(step[0], [one for _, one in step.steps], of)
            case Pipeline():
                for _, one in step.steps:
                    of = self.transform(one, of, names)
                    names = [str(name) for name in one.get_feature_names_out()]
                return of
            case FunctionTransformer(func=None):
                # What "passthrough" becomes when it is fitted.
                return of
            case SelectorMixin():
                return [place for place, kept in zip(of, step.get_support(), strict=True) if kept]
        formulas = _describe_step(step, of)
        if formulas is not None:
            return [self._add(formula) for formula in formulas]
        columns = tuple(names) if hasattr(step, "feature_names_in_") else None
        called = self._add(Transform(tuple(of), columns, step.transform))
        return [self._add(Result(called, position)) for position in range(len(step.get_feature_names_out()))]

    def _look_up(self, encoder: Any, steps: Sequence[Any], of: list[int]) -> list[int]:
        """Add an encoder of levels and the steps after it, whose results for each level are tabulated."""
        from sklearn.preprocessing import OneHotEncoder

        levels = encoder.levels_
        height = max(map(len, levels)) + 1
        # One row for each level of the column with most levels; the last row is missing in all columns.
        cells = {
            name: [*each, *[math.nan] * (height - len(each))]
            for name, each in zip(encoder.feature_names_in_, levels, strict=True)
        }
        table: Any = pd.DataFrame(cells, dtype=np.float64 if encoder.numbers else object)
        for step in steps:
            table = step.transform(table)
        table = np.asarray(table, dtype=np.float64)
        widths = [table.shape[1] // len(of)] * len(of)
        if isinstance(steps[-1], OneHotEncoder):
            widths = [len(names) for names in steps[-1].categories_]
        if sum(widths) != table.shape[1]:
            raise UnknownStepError(f"{type(steps[-1]).__name__} has {table.shape[1]} outputs of {len(of)} columns")
        places, outputs = [], iter(table.T.tolist())
        for place, each, width in zip(of, levels, widths, strict=True):
            for _ in range(width):
                numbers = next(outputs)
                places.append(self._add(Lookup(place, dict(zip(each, numbers, strict=False)), numbers[-1])))
        return places


def _describe_step(step: Any, of: list[int]) -> list[Formula] | None:
    """Return the formulas of the outputs of a transformer of numbers; None where it is not known."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    from churn_estimators.transformers import Binner, Combiner, MissingFlags, OutlierFences

    match step:
        case Combiner():
            pairs = zip(step.operations, step.pairs, strict=True)
            return [Combine(operation, of[first], of[second]) for operation, (first, second) in pairs]
        case MissingFlags():
            return [IsMissing(place) for place in of]
        case OutlierFences():
            kind = Clip if step.action == "clip" else IsOutside
            return _each(kind, of, step.lower_, step.upper_)
        case Binner():
            return [Bin(place, tuple(edges.tolist())) for place, edges in zip(of, step.edges_, strict=True)]
        case SimpleImputer() if _fills_all(step, len(of)):
            return _each(Fill, of, step.statistics_)
        case StandardScaler(with_mean=True, with_std=True):
            return _each(Standardise, of, step.mean_, step.scale_)
        case RobustScaler(with_centering=True, with_scaling=True):
            return _each(Standardise, of, step.center_, step.scale_)
        case MinMaxScaler(clip=False):
            return _each(Rescale, of, step.scale_, step.min_)
    return None


def _each(kind: Callable[..., Formula], of: list[int], *parameters: np.ndarray) -> list[Formula]:
    """Return a formula for each column, with the column's parameters."""
    columns = zip(of, *(each.astype(np.float64).tolist() for each in parameters), strict=True)
    return [kind(*column) for column in columns]


def _fills_all(imputer: Any, n_columns: int) -> bool:
    """Return whether an imputer replaces NaN in every column by a number, and does nothing else."""
    statistics = np.asarray(imputer.statistics_, dtype=np.float64)
    missing = imputer.missing_values
    return (
        not imputer.add_indicator
        and isinstance(missing, float)
        and math.isnan(missing)
        and len(statistics) == n_columns
        and not np.isnan(statistics).any()
    )
