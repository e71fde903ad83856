"""The first step: raw columns to numbers, by reading, encoding and flagging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers import Column, CustomerDeclaration, DerivedColumn, Level, Task
from churn_kedro.features.columns import LEVELS, READINGS, TreatedColumn, fences_of, group_columns
from churn_kedro.features.parameters import FeatureParameters, RowOutlierParameters

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.compose import ColumnTransformer

_TARGET_FOLDS = 5


@dataclass(frozen=True)
class Branch:
    """Columns on the same way through the first step.

    Attributes:
        name: Name within the step.
        raw_columns: Customer columns that are read.
        steps: Transformers, one after the other.
    """

    name: str
    raw_columns: list[str]
    steps: list[Any]

    def then(self, name: str, step: BaseEstimator) -> Branch:
        """The branch with a further transformer, under a longer name."""
        return Branch(f"{name}_{self.name}", self.raw_columns, [*self.steps, step])

    def entry(self) -> tuple[str, Any, list[str]]:
        """The branch as ColumnTransformer takes it."""
        from sklearn.pipeline import make_pipeline

        transformer = self.steps[0] if len(self.steps) == 1 else make_pipeline(*self.steps)
        return self.name, transformer, self.raw_columns


def _marked_numbers(columns: Sequence[Column]) -> list[list[float]] | None:
    """For each column the numbers that mean "missing", if there are any; other markers are no numbers anyway."""
    read = [pd.to_numeric(pd.Series(column.missing, dtype="str"), errors="coerce") for column in columns]
    found = [[float(number) for number in numbers if np.isfinite(number)] for numbers in read]
    return found if any(found) else None


def read_columns(columns: Sequence[TreatedColumn], declaration: CustomerDeclaration, **options: Any) -> Branch:
    """Build the branch that reads columns of one reading.

    Args:
        columns: The columns, at least one.
        declaration: The table's declaration.
        options: Further options of the reader.

    Returns:
        A branch that gives one number a column, or several where it reads dates.
    """
    from churn_estimators.transformers import DateReader, LevelReader, NumberReader

    reading = columns[0].reading
    if reading == "derived":
        return _derive([column.origin for column in columns if isinstance(column.origin, DerivedColumn)], declaration)
    declared = [column.origin for column in columns if isinstance(column.origin, Column)]
    levels: list[list[Level]] = [column.levels for column in declared]
    decimal = declaration.decimal
    reader: BaseEstimator
    match reading:
        case "numbers":
            reader = NumberReader(decimal, _marked_numbers(declared))
        case "dates":
            markers = [[marker.strip() for marker in column.missing] for column in declared]
            reader = DateReader([column.date_format for column in declared], missing=markers, **options)
        case "number_levels":
            reader = LevelReader(levels, numbers=True, decimal=decimal, **options)
        case "text_levels":
            reader = LevelReader(levels, **options)
        case "learned_levels":
            reader = LevelReader(**options)
    return Branch(reading, [column.name for column in columns], [reader])


def _derive(derived: list[DerivedColumn], declaration: CustomerDeclaration) -> Branch:
    """The branch that reads numbers and makes others of them."""
    from churn_estimators.transformers import Combiner, NumberReader

    names = list(dict.fromkeys(name for made in derived for name in made.of))
    by_name = {column.name: column for column in declaration.columns}
    reader = NumberReader(declaration.decimal, _marked_numbers([by_name[name] for name in names]))
    pairs = [[names.index(name) for name in made.of] for made in derived]
    combiner = Combiner([made.name for made in derived], [made.operation for made in derived], pairs)
    return Branch("derived", names, [reader, combiner])


def read_all_numbers(columns: Sequence[TreatedColumn], declaration: CustomerDeclaration) -> Branch:
    """Build the branch that reads the numbers of whole rows.

    Args:
        columns: All columns.
        declaration: The table's declaration.

    Returns:
        A branch that gives one number for each column of numbers; derived ones would say the same again.

    Raises:
        ParameterError: There are none.
    """
    numbers = [column for column in columns if column.reading == "numbers"]
    if not numbers:
        raise ParameterError(
            "features.row_outliers looks at columns of numbers, and the declaration has none: set it to null."
        )
    return read_columns(numbers, declaration)


def isolation_forest(parameters: RowOutlierParameters) -> BaseEstimator:
    """Build the detector of strange rows.

    Args:
        parameters: Share and seed.

    Returns:
        An unfitted isolation forest. It takes missing numbers.
    """
    from sklearn.ensemble import IsolationForest

    return IsolationForest(contamination=parameters.contamination, random_state=parameters.random_state)


def build_reading(
    columns: Sequence[TreatedColumn], declaration: CustomerDeclaration, parameters: FeatureParameters
) -> ColumnTransformer:
    """Build the first step.

    Args:
        columns: All columns.
        declaration: The table's declaration.
        parameters: Strange rows, seed.

    Returns:
        A transformer from raw columns to numbers: those of each reading in turn, then the flags.
    """
    from sklearn.compose import ColumnTransformer

    branches: list[Branch] = []
    for reading in READINGS:
        here = [column for column in columns if column.reading == reading]
        if reading in LEVELS:
            branches += _level_branches(here, declaration, parameters)
        elif reading == "dates":
            for parts, group in group_columns(here, lambda column: tuple(column.treatment.parts or ())).items():
                branch = read_columns(group, declaration, parts=list(parts))
                branches.append(replace(branch, name="_".join([branch.name, *parts])))
        elif here:
            branches.append(read_columns(here, declaration))
    branches += _flag_branches(columns, declaration, parameters)
    return ColumnTransformer([branch.entry() for branch in branches], verbose_feature_names_out=False)


def _level_branches(
    columns: Sequence[TreatedColumn], declaration: CustomerDeclaration, parameters: FeatureParameters
) -> list[Branch]:
    """A branch for each encoding and filling of columns of one reading."""

    def key(column: TreatedColumn) -> tuple[str, str, float | str | None]:
        treatment = column.treatment
        # To the transformer a native category is a position like an ordinal one.
        encoding = "position" if treatment.encoding in ("native", "ordinal") else str(treatment.encoding)
        return encoding, str(treatment.missing), treatment.fill_value

    branches = []
    for position, ((encoding, missing, fill), group) in enumerate(group_columns(columns, key).items()):
        branch = read_columns(group, declaration, missing=missing, fill_value=fill, labels=encoding == "one_hot")
        if encoding == "one_hot":
            branch = branch.then(encoding, _one_hot_encoder())
        elif encoding == "target":
            branch = branch.then(encoding, _target_encoder(declaration.task, parameters.random_state))
        branches.append(replace(branch, name=f"{branch.name}_{position}" if position else branch.name))
    return branches


def _one_hot_encoder() -> BaseEstimator:
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def _target_encoder(task: Task, random_state: int) -> BaseEstimator:
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    folds = KFold if task == "regression" else StratifiedKFold
    target_types: dict[Task, str] = {"binary": "binary", "multiclass": "multiclass", "regression": "continuous"}
    return TargetEncoder(
        target_type=target_types[task], cv=folds(_TARGET_FOLDS, shuffle=True, random_state=random_state)
    )


def _flag_branches(
    columns: Sequence[TreatedColumn], declaration: CustomerDeclaration, parameters: FeatureParameters
) -> list[Branch]:
    """Inputs that say what was missing, far off or strange."""
    from churn_estimators.transformers import MissingFlags, OutlierFences, RowOutliers

    branches = []
    for reading in READINGS:
        here = [column for column in columns if column.reading == reading]
        flagged = [column for column in here if column.treatment.indicator]
        if flagged:
            options = {"parts": ["age"]} if reading == "dates" else {}
            branches.append(read_columns(flagged, declaration, **options).then("missing", MissingFlags()))
        for (method, threshold), group in group_columns(here, fences_of("flag")).items():
            fences = OutlierFences(method, threshold, "flag")
            branches.append(read_columns(group, declaration).then(f"outlying_{method}_{threshold:g}", fences))
    if parameters.row_outliers is not None and parameters.row_outliers.action == "flag":
        forest = RowOutliers(isolation_forest(parameters.row_outliers))
        branches.append(read_all_numbers(columns, declaration).then("strange_rows", forest))
    return branches
