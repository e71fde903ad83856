"""The first step of the treatment: encode and flag typed columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from churn_kedro.base import ParameterError
from churn_kedro.customers import Column, DerivedColumn, Level, Task
from churn_kedro.features.columns import LEVELS, READINGS, TreatedColumn, fences_of, group_columns
from churn_kedro.features.parameters import FeatureParameters, RowOutlierParameters

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.compose import ColumnTransformer

_TARGET_FOLDS = 5


@dataclass(frozen=True)
class Branch:
    """Columns that share transformers in the first step.

    Attributes:
        name: Name within the step.
        raw_columns: Customer columns.
        steps: Transformers, one after the other.
    """

    name: str
    raw_columns: list[str]
    steps: list[Any]

    def then(self, name: str, step: BaseEstimator) -> Branch:
        """Return the branch with a further transformer and a prefixed name."""
        return Branch(f"{name}_{self.name}", self.raw_columns, [*self.steps, step])

    def entry(self) -> tuple[str, Any, list[str]]:
        """Return the branch as an entry of ColumnTransformer."""
        from sklearn.pipeline import make_pipeline

        if not self.steps:
            return self.name, "passthrough", self.raw_columns
        transformer = self.steps[0] if len(self.steps) == 1 else make_pipeline(*self.steps)
        return self.name, transformer, self.raw_columns


def read_columns(columns: Sequence[TreatedColumn], **options: Any) -> Branch:
    """Build the branch of columns of one reading.

    Args:
        columns: The columns, at least one.
        options: Options of the transformer.

    Returns:
        A branch with one output per column, or several for dates.
    """
    from churn_estimators.transformers import DateParts, LevelEncoder

    reading = columns[0].reading
    if reading == "derived":
        return _derive([column.origin for column in columns if isinstance(column.origin, DerivedColumn)])
    levels: list[list[Level]] = [column.origin.levels for column in columns if isinstance(column.origin, Column)]
    steps: list[BaseEstimator]
    match reading:
        case "numbers":
            steps = []
        case "dates":
            steps = [DateParts(**options)]
        case "number_levels":
            steps = [LevelEncoder(levels, numbers=True, **options)]
        case "text_levels":
            steps = [LevelEncoder(levels, **options)]
        case "learned_levels":
            steps = [LevelEncoder(**options)]
    return Branch(reading, [column.name for column in columns], steps)


def _derive(derived: list[DerivedColumn]) -> Branch:
    """Build the branch of derived columns."""
    from churn_estimators.transformers import Combiner

    names = list(dict.fromkeys(name for made in derived for name in made.of))
    pairs = [[names.index(name) for name in made.of] for made in derived]
    combiner = Combiner([made.name for made in derived], [made.operation for made in derived], pairs)
    return Branch("derived", names, [combiner])


def read_all_numbers(columns: Sequence[TreatedColumn]) -> Branch:
    """Build the branch of all numeric columns, for the detection of row outliers.

    Args:
        columns: All columns.

    Returns:
        A branch with one output per numeric column; derived columns are left out as redundant.

    Raises:
        ParameterError: No column is numeric.
    """
    numbers = [column for column in columns if column.reading == "numbers"]
    if not numbers:
        raise ParameterError(
            "features.row_outliers needs numeric columns, and the declaration has none: set it to null in "
            "parameters/features.yml."
        )
    return read_columns(numbers)


def isolation_forest(parameters: RowOutlierParameters) -> BaseEstimator:
    """Build the detector of row outliers.

    Args:
        parameters: Share and seed.

    Returns:
        An unfitted isolation forest; it accepts NaN.
    """
    from sklearn.ensemble import IsolationForest

    return IsolationForest(contamination=parameters.contamination, random_state=parameters.random_state)


def build_reading(columns: Sequence[TreatedColumn], task: Task, parameters: FeatureParameters) -> ColumnTransformer:
    """Build the first step.

    Args:
        columns: All columns.
        task: What is predicted.
        parameters: Row outliers, seed.

    Returns:
        A transformer from typed columns to numbers: the outputs of each reading in turn, then the flags.
    """
    from churn_estimators.transformers import TypedColumnTransformer

    branches: list[Branch] = []
    for reading in READINGS:
        here = [column for column in columns if column.reading == reading]
        if reading in LEVELS:
            branches += _level_branches(here, task, parameters)
        elif reading == "dates":
            for parts, group in group_columns(here, lambda column: tuple(column.treatment.parts or ())).items():
                branch = read_columns(group, parts=list(parts))
                branches.append(replace(branch, name="_".join([branch.name, *parts])))
        elif here:
            branches.append(read_columns(here))
    branches += _flag_branches(columns, parameters)
    return TypedColumnTransformer([branch.entry() for branch in branches], verbose_feature_names_out=False)


def _level_branches(columns: Sequence[TreatedColumn], task: Task, parameters: FeatureParameters) -> list[Branch]:
    """Build a branch for each combination of encoding and imputation among columns of one reading."""

    def key(column: TreatedColumn) -> tuple[str, str, float | str | None]:
        treatment = column.treatment
        # The transformer encodes native and ordinal levels alike, as positions.
        encoding = "position" if treatment.encoding in ("native", "ordinal") else str(treatment.encoding)
        return encoding, str(treatment.missing), treatment.fill_value

    branches = []
    for position, ((encoding, missing, fill), group) in enumerate(group_columns(columns, key).items()):
        branch = read_columns(group, missing=missing, fill_value=fill, labels=encoding == "one_hot")
        if encoding == "one_hot":
            branch = branch.then(encoding, _one_hot_encoder())
        elif encoding == "target":
            branch = branch.then(encoding, _target_encoder(task, parameters.random_state))
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


def _flag_branches(columns: Sequence[TreatedColumn], parameters: FeatureParameters) -> list[Branch]:
    """Build the branches of indicators: missing values, outliers and row outliers."""
    from churn_estimators.transformers import MissingFlags, OutlierFences, RowOutliers

    branches = []
    for reading in READINGS:
        here = [column for column in columns if column.reading == reading]
        flagged = [column for column in here if column.treatment.indicator]
        if flagged:
            options = {"parts": ["age"]} if reading == "dates" else {}
            branches.append(read_columns(flagged, **options).then("missing", MissingFlags()))
        for (method, threshold), group in group_columns(here, fences_of("flag")).items():
            fences = OutlierFences(method, threshold, "flag")
            branches.append(read_columns(group).then(f"outlying_{method}_{threshold:g}", fences))
    if parameters.row_outliers is not None and parameters.row_outliers.action == "flag":
        forest = RowOutliers(isolation_forest(parameters.row_outliers))
        branches.append(read_all_numbers(columns).then("strange_rows", forest))
    return branches
