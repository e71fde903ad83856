"""Transformers that scikit-learn lacks.

This module travels with every logged model, so that the model loads where churn_kedro is not installed. It imports
nothing but numpy, pandas and scikit-learn, and nothing of churn_kedro.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    OneToOneFeatureMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectorMixin
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

Level = str | int | float
DatePart = Literal["age", "month", "season", "weekday"]
Operation = Literal["ratio", "product", "difference", "sum"]

# What a part of a date becomes.
_PART_OUTPUTS: dict[DatePart, tuple[str, ...]] = {
    "age": ("age_days",),
    "month": ("month",),
    "season": ("season_sin", "season_cos"),
    "weekday": ("weekday",),
}
_SECONDS_OF_A_DAY = 86_400
_DAYS_OF_A_YEAR = 365.25
# Bins of a number when its mutual information with the target is estimated.
_MOST_BINS = 32
_ROWS_PER_CELL = 5


class UnlearnableColumnError(ValueError):
    """A treatment that cannot be learned from the training rows of a column.

    Args:
        column: Name of the column.
        reason: What is the matter, as the end of a sentence that begins with the column.
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"column '{column}' {reason}")
        self.column = column
        self.reason = reason


class _RawReader(TransformerMixin, BaseEstimator):
    """Base of the transformers that read raw cells: they take a table of anything."""

    def _remember_columns(self, X: pd.DataFrame) -> None:
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)


class _NumberTransformer(TransformerMixin, BaseEstimator):
    """Base of the transformers that take numbers of which some may be missing."""

    def _numbers(self, X: Any, *, reset: bool) -> np.ndarray:
        numbers: np.ndarray = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=reset)
        return numbers

    def _name(self, position: int) -> str:
        names = getattr(self, "feature_names_in_", None)
        return f"number {position + 1}" if names is None else str(names[position])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _UnlearnedTransformer(_NumberTransformer):
    """Base of those that learn nothing but what their inputs are called."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Remember the inputs.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.
        """
        self._numbers(X, reset=True)
        return self


def _parse_numbers(cells: pd.Series, decimal: str) -> np.ndarray:
    """float64 array; a cell that is no finite number is NaN."""
    if not pd.api.types.is_numeric_dtype(cells.dtype):
        if decimal != ".":
            # Among numbers, text reads as numbers do: str() writes a point.
            cells = cells.astype("str").str.replace(decimal, ".", regex=False)
        cells = pd.to_numeric(cells, errors="coerce")
    numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    # XGBoost refuses a table with an infinite number, and no customer has one.
    return np.where(np.isfinite(numbers), numbers, np.nan)


class NumberReader(OneToOneFeatureMixin, _RawReader):
    """Reads columns as numbers, also where a raw file left text among them.

    A cell that is no finite number (a blank, a marker for "missing") becomes NaN, which XGBoost treats as missing.

    Args:
        decimal: What stands before the decimals of a number that is written as text; a point always may.
        missing: For each column, numbers that mean "missing"; None: there are none.
    """

    def __init__(self, decimal: str = ".", missing: Sequence[Sequence[float]] | None = None) -> None:
        self.decimal = decimal
        self.missing = missing

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Remember the columns.

        Args:
            X: Table of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.
        """
        self._remember_columns(X)
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Read the columns.

        Args:
            X: Table of shape (n_samples, n_features), numbers or text.

        Returns:
            float64 array of the same shape.
        """
        check_is_fitted(self, "n_features_in_")
        numbers = np.empty(X.shape, dtype=np.float64, order="F")
        for position in range(X.shape[1]):
            numbers[:, position] = _parse_numbers(X.iloc[:, position], self.decimal)
            if self.missing is not None and self.missing[position]:
                numbers[np.isin(numbers[:, position], self.missing[position]), position] = np.nan
        return numbers


def _as_level(value: Any) -> str:
    """A cell as the text of a level: without blanks around it, whole floats without their ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


class LevelReader(OneToOneFeatureMixin, _RawReader):
    """Reads columns of levels as the positions of the levels, or as their labels.

    Quicker than scikit-learn's encoders: a level is looked up once, not once a row. A level that is not known counts as
    missing.

    Args:
        levels: Levels of each column in order, text or numbers; None: text levels are learned, in alphabetical order.
        numbers: Whether levels are numbers. The position is that in ascending order then.
        decimal: As for :class:`NumberReader`.
        missing: What stands for a missing level: NaN (keep), the most frequent level, or ``fill_value``.
        fill_value: Level for ``missing="constant"``; a learned column gets it as a further level.
        labels: Whether to give labels instead of positions.

    Attributes:
        levels_: Levels of each column by position.
        fill_positions_: Position that stands for a missing level of each column; NaN where missing is kept.
    """

    def __init__(
        self,
        levels: Sequence[Sequence[Level]] | None = None,
        *,
        numbers: bool = False,
        decimal: str = ".",
        missing: Literal["keep", "most_frequent", "constant"] = "keep",
        fill_value: Level | None = None,
        labels: bool = False,
    ) -> None:
        self.levels = levels
        self.numbers = numbers
        self.decimal = decimal
        self.missing = missing
        self.fill_value = fill_value
        self.labels = labels

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn the levels that are not given, and the most frequent ones where they are wanted.

        Args:
            X: Table of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column whose missing cells get its most frequent level holds none.
        """
        self._remember_columns(X)
        self.levels_: list[list[Any]] = []
        self.fill_positions_: list[float] = []
        for position in range(X.shape[1]):
            cells = X.iloc[:, position]
            self.levels_.append(self._levels_of(cells, position))
            self.fill_positions_.append(self._fill_position(cells, position))
        return self

    def _levels_of(self, cells: pd.Series, position: int) -> list[Any]:
        if self.levels is not None:
            levels: list[Any] = list(self.levels[position])
            return sorted(map(float, levels)) if self.numbers else levels
        learned = sorted({_as_level(value) for value in pd.unique(cells.dropna())})
        further = self.missing == "constant" and self.fill_value not in learned
        return [*learned, self.fill_value] if further else learned

    def _fill_position(self, cells: pd.Series, position: int) -> float:
        levels = self.levels_[position]
        if self.missing == "constant":
            return float(levels.index(self.fill_value))
        if self.missing == "keep":
            return math.nan
        known = self._positions(cells, levels)
        known = known[~np.isnan(known)]
        if not len(known):
            raise UnlearnableColumnError(
                str(self.feature_names_in_[position]), "holds no level that could stand for the missing ones"
            )
        return float(np.bincount(known.astype(np.intp)).argmax())

    def _positions(self, cells: pd.Series, levels: Sequence[Any]) -> np.ndarray:
        """float64 array of shape (n_samples,)."""
        if self.numbers:
            found = pd.Index(levels, dtype=np.float64).get_indexer(_parse_numbers(cells, self.decimal))
            return np.where(found < 0, np.nan, found)
        codes, values = pd.factorize(cells)
        known = {level: float(position) for position, level in enumerate(levels)}
        # factorize gives -1 to the missing ones: the last entry, which stays NaN.
        positions = np.full(len(values) + 1, np.nan)
        positions[:-1] = [known.get(_as_level(value), math.nan) for value in values]
        return positions[codes]

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Look the levels up.

        Args:
            X: Table of shape (n_samples, n_features).

        Returns:
            Array of the same shape: positions as float64, or labels as objects; NaN where the level is missing or
            unknown and nothing stands for it.
        """
        check_is_fitted(self, "levels_")
        positions = np.empty(X.shape, dtype=np.float64, order="F")
        for position, (levels, fill) in enumerate(zip(self.levels_, self.fill_positions_, strict=True)):
            found = self._positions(X.iloc[:, position], levels)
            positions[:, position] = found if math.isnan(fill) else np.where(np.isnan(found), fill, found)
        return self._name_positions(positions) if self.labels else positions

    def level_labels(self, position: int) -> list[str]:
        """Levels of a column as text.

        Args:
            position: Position of the column.

        Returns:
            Labels by position of the level.
        """
        return [_as_level(level) for level in self.levels_[position]]

    def _name_positions(self, positions: np.ndarray) -> np.ndarray:
        names = np.empty(positions.shape, dtype=object)
        for position, levels in enumerate(self.levels_):
            labels = np.array([*self.level_labels(position), np.nan], dtype=object)
            found = positions[:, position]
            names[:, position] = labels[np.where(np.isnan(found), len(levels), found).astype(np.intp)]
        return names


def _parse_dates(cells: pd.Series, date_format: str | None, missing: Sequence[str] = ()) -> pd.Series:
    """datetime64[us] without a time zone, in UTC where the cells name one; NaT where a cell is no date."""
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        dates = cells.dt.tz_convert(None) if isinstance(cells.dtype, pd.DatetimeTZDtype) else cells
        return dates.astype("datetime64[us]")
    text = cells.map(_as_level, na_action="ignore").astype("str")
    text = text.where(~text.isin(list(missing)))
    read = pd.to_datetime(text, format=date_format or "ISO8601", errors="coerce", utc=True)
    if date_format is not None and read.isna().any():
        # Whoever calls the model may write dates as the file does, or as ISO 8601.
        read = read.fillna(pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True))
    return read.dt.tz_convert(None).astype("datetime64[us]")


class DateReader(_RawReader):
    """Reads dates as numbers: their age, and where they stand in the year and in the week.

    Args:
        formats: strptime codes of each column's text; None: ISO 8601, which is read in any case.
        parts: What to give of each date: ``age`` (days before the latest training date; negative after it), ``month``
            (1 to 12), ``season`` (sine and cosine of the day of the year), ``weekday`` (0 is Monday).
        missing: For each column, cells that mean "missing"; None: there are none.

    Attributes:
        latest_: Latest training date of each column, ISO 8601.
    """

    def __init__(
        self,
        formats: Sequence[str | None],
        parts: Sequence[DatePart] = ("age", "month"),
        missing: Sequence[Sequence[str]] | None = None,
    ) -> None:
        self.formats = formats
        self.parts = parts
        self.missing = missing

    def _dates(self, X: pd.DataFrame, position: int) -> pd.Series:
        missing = () if self.missing is None else self.missing[position]
        return _parse_dates(X.iloc[:, position], self.formats[position], missing)

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Find the latest date of each column.

        Args:
            X: Table of shape (n_samples, n_features), dates or text.
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column holds no date.
        """
        self._remember_columns(X)
        self.latest_: list[str] = []
        for position in range(X.shape[1]):
            latest = self._dates(X, position).max()
            if pd.isna(latest):
                raise UnlearnableColumnError(str(self.feature_names_in_[position]), "holds no date")
            self.latest_.append(latest.isoformat())
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Read the dates.

        Args:
            X: Table of shape (n_samples, n_features), dates or text.

        Returns:
            float64 array, for each column its parts in order; NaN where the date is missing.
        """
        check_is_fitted(self, "latest_")
        numbers: list[np.ndarray] = []
        for position, latest in enumerate(self.latest_):
            dates = self._dates(X, position)
            for part in self.parts:
                numbers += _date_part(dates, part, latest)
        return np.column_stack(numbers)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the outputs: the column's name and the part."""
        names = self.feature_names_in_ if input_features is None else input_features
        return np.array([f"{name}_{part}" for name in names for part in self.output_parts()], dtype=object)

    def output_parts(self) -> list[str]:
        """What each column becomes, in order."""
        return [output for part in self.parts for output in _PART_OUTPUTS[part]]


def _date_part(dates: pd.Series, part: DatePart, latest: str) -> list[np.ndarray]:
    match part:
        case "age":
            return [((pd.Timestamp(latest) - dates).dt.total_seconds() / _SECONDS_OF_A_DAY).to_numpy(dtype=np.float64)]
        case "month":
            return [dates.dt.month.to_numpy(dtype=np.float64, na_value=np.nan)]
        case "weekday":
            return [dates.dt.day_of_week.to_numpy(dtype=np.float64, na_value=np.nan)]
        case "season":
            angle = 2 * np.pi * (dates.dt.day_of_year.to_numpy(dtype=np.float64, na_value=np.nan) - 1) / _DAYS_OF_A_YEAR
            return [np.sin(angle), np.cos(angle)]


class Combiner(_UnlearnedTransformer):
    """Makes numbers of two others each.

    Args:
        names: Names of the new numbers.
        operations: What is done with each pair. A ratio with a denominator of 0 is missing.
        pairs: Positions of the two numbers among the inputs.
    """

    def __init__(self, names: Sequence[str], operations: Sequence[Operation], pairs: Sequence[Sequence[int]]) -> None:
        self.names = names
        self.operations = operations
        self.pairs = pairs

    def transform(self, X: Any) -> np.ndarray:
        """Combine the pairs.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of shape (n_samples, number of pairs); NaN where a number is missing or the result is not
            finite.
        """
        check_is_fitted(self, "n_features_in_")
        numbers = self._numbers(X, reset=False)
        combined = np.empty((len(numbers), len(self.pairs)), dtype=np.float64, order="F")
        with np.errstate(all="ignore"):
            for position, (operation, (first, second)) in enumerate(zip(self.operations, self.pairs, strict=True)):
                combined[:, position] = _combine(operation, numbers[:, first], numbers[:, second])
        combined[~np.isfinite(combined)] = np.nan
        return combined

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the new numbers."""
        return np.asarray(self.names, dtype=object)


def _combine(operation: Operation, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    match operation:
        case "ratio":
            return np.asarray(first / second)
        case "product":
            return np.asarray(first * second)
        case "difference":
            return np.asarray(first - second)
        case "sum":
            return np.asarray(first + second)


class MissingFlags(_UnlearnedTransformer):
    """Says with 1 where a number is missing, and with 0 where it is not.

    scikit-learn's MissingIndicator gives booleans, which turn a table of numbers into one of objects.
    """

    def transform(self, X: Any) -> np.ndarray:
        """Flag what is missing.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of the same shape.
        """
        check_is_fitted(self, "n_features_in_")
        return np.asarray(np.isnan(self._numbers(X, reset=False)), dtype=np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the inputs with ``_missing`` behind them."""
        names = self.feature_names_in_ if input_features is None else input_features
        return np.array([f"{name}_missing" for name in names], dtype=object)


class OutlierFences(OneToOneFeatureMixin, _NumberTransformer):
    """Moves numbers that are far from the others to a fence, or says which they are. Missing numbers are neither.

    Args:
        method: ``iqr``: a fence is ``threshold`` interquartile ranges beyond a quartile; ``zscore``: ``threshold``
            standard deviations from the mean.
        threshold: Distance of the fences.
        action: ``clip`` to the fence, or ``flag`` with 1.

    Attributes:
        lower_: Lower fence of each number.
        upper_: Upper fence of each number.
    """

    def __init__(self, method: Literal["iqr", "zscore"], threshold: float, action: Literal["clip", "flag"]) -> None:
        self.method = method
        self.threshold = threshold
        self.action = action

    def fit(self, X: Any, y: Any = None) -> Self:
        """Put the fences up.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column holds no number, or its numbers do not spread.
        """
        numbers = self._numbers(X, reset=True)
        empty = np.isnan(numbers).all(axis=0)
        if empty.any():
            raise UnlearnableColumnError(self._name(int(empty.argmax())), "holds no number")
        if self.method == "iqr":
            low, high = np.nanquantile(numbers, [0.25, 0.75], axis=0)
            spread, advice = high - low, "half of its numbers and more are the same (use zscore, or no fences)"
        else:
            low = high = np.nanmean(numbers, axis=0)
            spread, advice = np.nanstd(numbers, axis=0), "all its numbers are the same (leave its outliers alone)"
        if not spread.all():
            name = self._name(int((spread == 0).argmax()))
            raise UnlearnableColumnError(name, f"has no outliers to speak of: {advice}")
        self.lower_ = low - self.threshold * spread
        self.upper_ = high + self.threshold * spread
        return self

    def outside(self, X: Any) -> np.ndarray:
        """Say which numbers are beyond a fence.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            Boolean array of the same shape.
        """
        check_is_fitted(self, "lower_")
        numbers = self._numbers(X, reset=False)
        return np.asarray((numbers < self.lower_) | (numbers > self.upper_))

    def transform(self, X: Any) -> np.ndarray:
        """Clip or flag.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of the same shape.
        """
        if self.action == "flag":
            return self.outside(X).astype(np.float64)
        check_is_fitted(self, "lower_")
        return np.asarray(np.clip(self._numbers(X, reset=False), self.lower_, self.upper_))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the inputs; of flags, with ``_outlier`` behind them."""
        names = super().get_feature_names_out(input_features)
        end = "" if self.action == "clip" else "_outlier"
        return np.array([f"{name}{end}" for name in names], dtype=object)


class RowOutliers(_NumberTransformer):
    """Flags rows that an outlier detector finds strange as a whole.

    Args:
        detector: scikit-learn outlier detector whose ``predict`` gives -1 for outliers, and that takes missing numbers.
        name: Name of the output.
    """

    def __init__(self, detector: BaseEstimator, name: str = "row_outlier") -> None:
        self.detector = detector
        self.name = name

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what an ordinary row is.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.
        """
        self.detector_ = clone(self.detector).fit(self._numbers(X, reset=True))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Flag strange rows.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of shape (n_samples, 1): 1 for an outlier.
        """
        check_is_fitted(self, "detector_")
        strange = self.detector_.predict(self._numbers(X, reset=False)) == -1
        return np.asarray(strange, dtype=np.float64)[:, None]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name of the flag."""
        return np.array([self.name], dtype=object)


class OtherColumnsImputer(_NumberTransformer):
    """Fills missing numbers from the other numbers of the row.

    The numbers are standardised for the imputer, so that euros do not outweigh years, and the result is in their own
    unit. The imputer learns from a sample where there are many rows.

    Args:
        imputer: scikit-learn imputer: ``KNNImputer`` or ``IterativeImputer``.
        columns: Names of the columns to fill; the others are looked at only.
        max_rows: Most training rows that the imputer learns from.
        random_state: Seed of the sample.
    """

    def __init__(self, imputer: BaseEstimator, columns: Sequence[str], max_rows: int, random_state: int) -> None:
        self.imputer = imputer
        self.columns = columns
        self.max_rows = max_rows
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn how the numbers go together.

        Args:
            X: Table of numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column to fill holds no number.
        """
        numbers = self._numbers(X, reset=True)
        names = [str(name) for name in self.feature_names_in_]
        # What holds no number tells nothing about the others.
        present = ~np.isnan(numbers).all(axis=0)
        for name in self.columns:
            if not present[names.index(name)]:
                raise UnlearnableColumnError(name, "holds no number to learn from")
        self.used_ = np.flatnonzero(present)
        self.filled_ = np.searchsorted(self.used_, [names.index(name) for name in self.columns])
        numbers = numbers[:, self.used_]
        self.scaler_ = StandardScaler().fit(numbers)
        if len(numbers) > self.max_rows:
            random = np.random.default_rng(self.random_state)
            numbers = numbers[np.sort(random.choice(len(numbers), self.max_rows, replace=False))]
        with warnings.catch_warnings():
            # A guess that still moves in its third digit is good enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.imputer_ = clone(self.imputer).fit(self.scaler_.transform(numbers))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Fill the missing numbers.

        Args:
            X: Table of numbers of shape (n_samples, n_features).

        Returns:
            float64 array of shape (n_samples, number of columns to fill).
        """
        check_is_fitted(self, "imputer_")
        numbers = self._numbers(X, reset=False)[:, self.used_]
        wanted = numbers[:, self.filled_]
        holes = np.isnan(wanted).any(axis=1)
        if holes.any():
            guessed = self.scaler_.inverse_transform(self.imputer_.transform(self.scaler_.transform(numbers[holes])))
            wanted[holes] = np.where(np.isnan(wanted[holes]), guessed[:, self.filled_], wanted[holes])
        return wanted

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the filled columns."""
        return np.asarray(self.columns, dtype=object)


class Binner(OneToOneFeatureMixin, _NumberTransformer):
    """Replaces numbers by the position of their interval; a missing number stays missing.

    scikit-learn's KBinsDiscretizer takes no missing numbers and no given edges.

    Args:
        method: ``quantile``: as many training rows in each bin, as far as equal numbers allow; ``width``: bins of equal
            width; ``edges``: between given edges.
        bins: Number of bins; None with edges.
        edges: Inner edges in ascending order; an edge belongs to the bin above it.

    Attributes:
        edges_: Inner edges of each number.
    """

    def __init__(
        self,
        method: Literal["quantile", "width", "edges"],
        bins: int | None = None,
        edges: Sequence[float] | None = None,
    ) -> None:
        self.method = method
        self.bins = bins
        self.edges = edges

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the edges.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column has fewer different numbers than bins, or all of them in one bin.
        """
        numbers = self._numbers(X, reset=True)
        self.edges_ = [self._edges_of(numbers[:, position], position) for position in range(numbers.shape[1])]
        return self

    def _edges_of(self, numbers: np.ndarray, position: int) -> np.ndarray:
        present = numbers[~np.isnan(numbers)]
        different = len(np.unique(present))
        if self.bins is not None and different < self.bins:
            raise UnlearnableColumnError(
                self._name(position), f"has {different} different numbers, too few for {self.bins} bins"
            )
        match self.method:
            case "quantile":
                wanted = np.linspace(0, 1, (self.bins or 0) + 1)[1:-1]
                edges = np.unique(np.quantile(present, wanted))
                # Nothing is below the smallest number.
                edges = edges[edges > present.min()]
            case "width":
                edges = np.linspace(present.min(), present.max(), (self.bins or 0) + 1)[1:-1]
            case "edges":
                edges = np.asarray(self.edges, dtype=np.float64)
        if len(np.unique(np.searchsorted(edges, present, side="right"))) < 2:
            reason = f"has all its numbers in one bin; edges: {edges.tolist()}"
            raise UnlearnableColumnError(self._name(position), reason)
        return edges

    def transform(self, X: Any) -> np.ndarray:
        """Look the intervals up.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of the same shape: positions from 0, NaN where the number is missing.
        """
        check_is_fitted(self, "edges_")
        numbers = self._numbers(X, reset=False)
        positions = np.column_stack(
            [np.searchsorted(edges, numbers[:, place], side="right") for place, edges in enumerate(self.edges_)]
        )
        return np.where(np.isnan(numbers), np.nan, positions)


class InformationSelector(SelectorMixin, _NumberTransformer):
    """Keeps the inputs that tell most about the target: mutual information, missing being a value like any other.

    Numbers are looked at in bins of equal size, at most 32 and fewer for few rows. From the mutual information is taken
    what chance would show with the same counts (Vinh, Epps and Bailey, JMLR 11, 2010), so that a column of many levels
    does not win for nothing. scikit-learn's estimators take no missing numbers.

    Args:
        number: How many inputs to keep.
        categorical: Names of inputs that are positions of levels in no order.
        continuous_target: Whether the target is a number, not a class.

    Attributes:
        scores_: Mutual information of each input with the target in nats, at least 0.
    """

    def __init__(self, number: int, categorical: Sequence[str] = (), *, continuous_target: bool = False) -> None:
        self.number = number
        self.categorical = categorical
        self.continuous_target = continuous_target

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Measure the inputs.

        Args:
            X: Table of numbers of shape (n_samples, n_features).
            y: Target of shape (n_samples,).

        Returns:
            The transformer.
        """
        numbers = self._numbers(X, reset=True)
        target = _discretise(np.asarray(y, dtype=np.float64)) if self.continuous_target else np.asarray(y)
        self.scores_ = np.array(
            [
                _information(
                    _level_codes(column) if str(name) in set(self.categorical) else _discretise(column), target
                )
                for name, column in zip(self.feature_names_in_, numbers.T, strict=True)
            ]
        )
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "scores_")
        return _largest(self.scores_, self.number)


def _level_codes(column: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(column), -1, column).astype(np.intp)


def _discretise(column: np.ndarray) -> np.ndarray:
    """Codes of bins of equal size, of which a pair of columns has at least five rows a cell; -1 is missing."""
    bins = min(_MOST_BINS, max(2, int(math.sqrt(len(column) / _ROWS_PER_CELL))))
    present = column[~np.isnan(column)]
    if not len(present):
        return np.full(len(column), -1)
    different = np.unique(present)
    edges = different
    if len(different) > bins:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[:-1]))
    return np.where(np.isnan(column), -1, np.searchsorted(edges, column, side="right"))


def _information(codes: np.ndarray, target: np.ndarray) -> float:
    """Mutual information in nats, less what chance would show with the same counts."""
    counts = contingency_matrix(target, codes, sparse=True)
    found = float(mutual_info_score(None, None, contingency=counts))
    return max(0.0, found - float(expected_mutual_information(counts, len(target))))


def _largest(scores: np.ndarray, number: int) -> np.ndarray:
    """Mask of the largest scores; of equal ones the first."""
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:number]] = True
    return mask


class ImportanceSelector(SelectorMixin, _NumberTransformer):
    """Keeps the inputs that a model finds important.

    scikit-learn's SelectFromModel would keep the model and could not tell it which inputs are categories.

    Args:
        estimator: XGBoost estimator with ``feature_importances_``.
        number: How many inputs to keep.
        categorical: Names of inputs that are positions of levels in no order.

    Attributes:
        scores_: Importance of each input.
    """

    def __init__(self, estimator: BaseEstimator, number: int, categorical: Sequence[str] = ()) -> None:
        self.estimator = estimator
        self.number = number
        self.categorical = categorical

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Fit the model and ask it.

        Args:
            X: Table of numbers of shape (n_samples, n_features).
            y: Target of shape (n_samples,).

        Returns:
            The transformer.
        """
        numbers = self._numbers(X, reset=True)
        types = ["c" if str(name) in set(self.categorical) else "q" for name in self.feature_names_in_]
        fitted = clone(self.estimator).set_params(feature_types=types).fit(numbers, y)
        self.scores_ = np.asarray(fitted.feature_importances_, dtype=np.float64)
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self, "scores_")
        return _largest(self.scores_, self.number)


class CategoryNames(TransformerMixin, BaseEstimator):
    """Writes positions of levels as text, for a library that takes categories as nothing else.

    Args:
        categories: Positions of the inputs that are categories.
    """

    def __init__(self, categories: Sequence[int]) -> None:
        self.categories = categories

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Nothing to learn."""
        return self

    def transform(self, X: np.ndarray) -> pd.DataFrame:
        """Write the categories as text.

        Args:
            X: Inputs of shape (n_samples, n_inputs).

        Returns:
            Table of the same shape; a missing category is the text ``nan``.
        """
        table = pd.DataFrame(np.asarray(X, dtype=np.float64))
        for position in self.categories:
            # As a list: pandas would keep a missing cell missing.
            table[position] = pd.Series([str(level) for level in table[position]], dtype=object)
        return table

    def __sklearn_is_fitted__(self) -> bool:
        """Always."""
        return True


# A probability of 0 or 1 has no log-odds; the nearest that float64 arithmetic below leaves distinct.
_NEAREST = 1e-12


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Scores on which a map to calibrated probabilities acts.

    Args:
        probability: Of each class, shape (n, n_classes).

    Returns:
        Two classes: log-odds of the second, shape (n,). More: logarithms, shape (n, n_classes).
    """
    clipped = np.clip(probability, _NEAREST, 1 - _NEAREST)
    if clipped.shape[1] == 2:
        return np.asarray(np.log(clipped[:, 1]) - np.log1p(-clipped[:, 1]))
    return np.asarray(np.log(clipped))


class LogOddsClassifier(ClassifierMixin, BaseEstimator):
    """Gives a fitted classifier a decision function, so that scikit-learn calibrates log-odds instead of probabilities.

    Args:
        estimator: Fitted classifier with ``predict_proba``.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the estimator."""
        return np.asarray(self.estimator.classes_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Nothing to learn: the estimator is fitted."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities as the estimator gives them, shape (n_samples, n_classes)."""
        return np.asarray(self.estimator.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of the second of two classes, shape (n_samples,), or logarithms, shape (n_samples, n_classes)."""
        return log_odds(self.predict_proba(X).astype(np.float64))

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class, shape (n_samples,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def __sklearn_is_fitted__(self) -> bool:
        """Always."""
        return True


class BlendClassifier(ClassifierMixin, BaseEstimator):
    """The mean of several fitted classifiers, or what a last one makes of their log-odds.

    scikit-learn's own ensembles would fit their members once more.

    Args:
        members: Fitted classifiers on the same inputs, with the same classes.
        last: Fitted classifier on the members' log-odds, side by side; None for the mean of the probabilities.
    """

    def __init__(self, members: Sequence[Any], last: Any = None) -> None:
        self.members = members
        self.last = last

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the members."""
        return np.asarray(self.members[0].classes_)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Nothing to learn: the members are fitted."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Blended probabilities, shape (n_samples, n_classes)."""
        answers = [np.asarray(member.predict_proba(X), dtype=np.float64) for member in self.members]
        if self.last is None:
            return np.asarray(np.mean(answers, axis=0))
        return np.asarray(self.last.predict_proba(np.column_stack([log_odds(answer) for answer in answers])))

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class, shape (n_samples,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def __sklearn_is_fitted__(self) -> bool:
        """Always."""
        return True


class BlendRegressor(RegressorMixin, BaseEstimator):
    """The mean of several fitted regressors, or what a last one makes of their predictions.

    Args:
        members: Fitted regressors on the same inputs.
        last: Fitted regressor on the members' predictions, side by side; None for their mean.
    """

    def __init__(self, members: Sequence[Any], last: Any = None) -> None:
        self.members = members
        self.last = last

    def fit(self, X: Any, y: Any = None) -> Self:
        """Nothing to learn: the members are fitted."""
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Blended predictions, shape (n_samples,)."""
        answers = np.column_stack([np.asarray(member.predict(X), dtype=np.float64) for member in self.members])
        return answers.mean(axis=1) if self.last is None else np.asarray(self.last.predict(answers))

    def __sklearn_is_fitted__(self) -> bool:
        """Always."""
        return True
