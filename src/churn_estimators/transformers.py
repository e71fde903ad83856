"""Transformers of typed columns and of numbers that scikit-learn lacks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectorMixin
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

Level = str | int | float
DatePart = Literal["age", "month", "season", "weekday"]
Operation = Literal["ratio", "product", "difference", "sum"]

# Outputs of each part of a date.
_PART_OUTPUTS: dict[DatePart, tuple[str, ...]] = {
    "age": ("age_days",),
    "month": ("month",),
    "season": ("season_sin", "season_cos"),
    "weekday": ("weekday",),
}
_SECONDS_OF_A_DAY = 86_400
_DAYS_OF_A_YEAR = 365.25
# Bins of a numeric input when its mutual information with the target is estimated.
_MOST_BINS = 32
_ROWS_PER_CELL = 5
# Below this number of rows, looking up each cell is faster than finding the distinct ones.
_FEW_ROWS = 100


class UnlearnableColumnError(ValueError):
    """A transformer that cannot be fitted on the training rows of a column.

    Args:
        column: Name of the column.
        reason: Predicate of the message; its subject is the column.
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"column '{column}' {reason}")
        self.column = column
        self.reason = reason


class _ColumnTransformer(TransformerMixin, BaseEstimator):
    """Base of transformers of typed columns, see :mod:`churn_estimators.cells`."""

    def _remember_columns(self, X: pd.DataFrame) -> None:
        self.n_features_in_ = X.shape[1]
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)

    def _columns(self, X: pd.DataFrame) -> list[pd.Series]:
        """The columns that were fitted; a table may have others, too."""
        return [X[name] for name in self.feature_names_in_]


class _NumberTransformer(TransformerMixin, BaseEstimator):
    """Base of transformers of numbers; NaN is allowed."""

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


class _StatelessTransformer(_NumberTransformer):
    """Base of transformers whose ``fit`` stores the names of the inputs only."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Store number and names of the inputs.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.
        """
        self._numbers(X, reset=True)
        return self


class TypedColumnTransformer(ColumnTransformer):
    """scikit-learn's ColumnTransformer on a table of typed columns, without its checks at every call.

    These take several times as long as the transformers for a single row. Outputs are dense.
    """

    def transform(self, X: pd.DataFrame, **params: Any) -> np.ndarray:
        """Apply the transformers.

        Args:
            X: Table with the columns of the transformers, shape (n_samples, n_columns).
            params: Ignored.

        Returns:
            Their outputs side by side, float64, shape (n_samples, n_outputs).
        """
        outputs = np.empty((len(X), sum(part.stop - part.start for part in self.output_indices_.values())))
        for name, transformer, columns in self.transformers_:
            places = self.output_indices_[name]
            if isinstance(transformer, FunctionTransformer):
                # What "passthrough" becomes when it is fitted.
                for place, column in enumerate(columns, start=places.start):
                    outputs[:, place] = X[column]
            elif isinstance(transformer, _ColumnTransformer):
                # It selects its columns itself, which is faster than a part of the table for a single row.
                outputs[:, places] = transformer.transform(X)
            elif transformer != "drop":
                outputs[:, places] = transformer.transform(X[columns])
        return outputs


def _as_level(value: Any) -> str:
    """A level as text; whole floats without ``.0``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class LevelEncoder(OneToOneFeatureMixin, _ColumnTransformer):
    """Encode columns of levels as positions or labels.

    Each distinct level is looked up once, not once per row, which is faster than scikit-learn's encoders. An unknown
    level is treated as missing.

    Args:
        levels: Levels of each column in order, text or numbers; None: text levels of the training rows, in alphabetical
            order.
        numbers: Whether levels are numbers. Positions then follow their ascending order.
        missing: Replacement of a missing level: none (keep), the most frequent level, or ``fill_value``.
        fill_value: Level for ``missing="constant"``; added to the levels of a column that lacks it.
        labels: Whether to return labels instead of positions.

    Attributes:
        levels_: Levels of each column by position.
        fill_positions_: Position that replaces a missing level of each column; NaN where missing is kept.

    Examples:
        >>> table = pd.DataFrame({"plan": ["basic", "plus", None, "gold"]})
        >>> LevelEncoder([["basic", "plus"]]).fit_transform(table)[:, 0].tolist()
        [0.0, 1.0, nan, nan]
    """

    def __init__(
        self,
        levels: Sequence[Sequence[Level]] | None = None,
        *,
        numbers: bool = False,
        missing: Literal["keep", "most_frequent", "constant"] = "keep",
        fill_value: Level | None = None,
        labels: bool = False,
    ) -> None:
        self.levels = levels
        self.numbers = numbers
        self.missing = missing
        self.fill_value = fill_value
        self.labels = labels

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Find the levels that are not given, and the level that replaces missing ones.

        Args:
            X: Table of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: ``missing="most_frequent"``, and a column has no level.
        """
        self._remember_columns(X)
        self.levels_: list[list[Any]] = []
        self.fill_positions_: list[float] = []
        for position, cells in enumerate(self._columns(X)):
            self.levels_.append(self._levels_of(cells, position))
            self.fill_positions_.append(self._fill_position(cells, position))
        return self

    def _levels_of(self, cells: pd.Series, position: int) -> list[Any]:
        if self.levels is not None:
            levels: list[Any] = list(self.levels[position])
            return sorted(map(float, levels)) if self.numbers else levels
        fitted = sorted(pd.unique(cells.dropna()))
        add_fill = self.missing == "constant" and self.fill_value not in fitted
        return [*fitted, self.fill_value] if add_fill else fitted

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
                str(self.feature_names_in_[position]), "has no level in the training rows to replace missing ones"
            )
        return float(np.bincount(known.astype(np.intp)).argmax())

    def _positions(self, cells: pd.Series, levels: Sequence[Any]) -> np.ndarray:
        """float64 array of shape (n_samples,)."""
        if self.numbers:
            indices = pd.Index(levels, dtype=np.float64).get_indexer(cells.to_numpy(dtype=np.float64))
            return np.where(indices < 0, np.nan, indices)
        known = {level: float(position) for position, level in enumerate(levels)}
        if len(cells) < _FEW_ROWS:
            return np.array([known.get(cell, math.nan) for cell in cells.tolist()])
        codes, values = pd.factorize(cells)
        # factorize codes missing cells as -1, which indexes the last entry: NaN.
        positions = np.full(len(values) + 1, np.nan)
        positions[:-1] = [known.get(value, math.nan) for value in values]
        return positions[codes]

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Encode the levels.

        Args:
            X: Table of shape (n_samples, n_features).

        Returns:
            Array of the same shape: positions as float64, or labels as objects; NaN where the level is missing or
            unknown and not replaced.
        """
        check_is_fitted(self, "levels_")
        positions = np.empty((len(X), len(self.levels_)), dtype=np.float64, order="F")
        for position, cells in enumerate(self._columns(X)):
            codes, fill = self._positions(cells, self.levels_[position]), self.fill_positions_[position]
            positions[:, position] = codes if math.isnan(fill) else np.where(np.isnan(codes), fill, codes)
        return self._name_positions(positions) if self.labels else positions

    def level_labels(self, position: int) -> list[str]:
        """Return the levels of a column as text.

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
            codes = positions[:, position]
            names[:, position] = labels[np.where(np.isnan(codes), len(levels), codes).astype(np.intp)]
        return names


class DateParts(_ColumnTransformer):
    """Convert dates to numbers: age, month, season and weekday.

    Args:
        parts: Outputs for each date: ``age`` (days before the latest training date; negative after it), ``month``
            (1 to 12), ``season`` (sine and cosine of the day of the year), ``weekday`` (0 is Monday).

    Attributes:
        latest_: Latest training date of each column, ISO 8601.
    """

    def __init__(self, parts: Sequence[DatePart] = ("age", "month")) -> None:
        self.parts = parts

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Find the latest date of each column.

        Args:
            X: Dates of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column has no date.
        """
        self._remember_columns(X)
        self.latest_: list[str] = []
        for position, dates in enumerate(self._columns(X)):
            latest = dates.max()
            if pd.isna(latest):
                raise UnlearnableColumnError(str(self.feature_names_in_[position]), "has no date in the training rows")
            self.latest_.append(latest.isoformat())
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Convert the dates.

        Args:
            X: Dates of shape (n_samples, n_features).

        Returns:
            float64 array with the parts of each column in order; NaN where the date is missing.
        """
        check_is_fitted(self, "latest_")
        numbers: list[np.ndarray] = []
        for dates, latest in zip(self._columns(X), self.latest_, strict=True):
            for part in self.parts:
                numbers += _date_part(dates, part, latest)
        return np.column_stack(numbers)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the outputs: ``<column>_<part>``."""
        names = self.feature_names_in_ if input_features is None else input_features
        return np.array([f"{name}_{part}" for name in names for part in self.output_parts()], dtype=object)

    def output_parts(self) -> list[str]:
        """Return the suffixes of the outputs of one column, in order."""
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


class Combiner(_StatelessTransformer):
    """Compute derived inputs from pairs of inputs.

    Args:
        names: Names of the derived inputs.
        operations: Operation on each pair. A ratio with a denominator of 0 is missing.
        pairs: Positions of the two operands among the inputs.

    Examples:
        >>> combiner = Combiner(["debt_per_income"], ["ratio"], [(0, 1)])
        >>> combiner.fit_transform([[50.0, 200.0], [50.0, 0.0]])[:, 0].tolist()
        [0.25, nan]
    """

    def __init__(self, names: Sequence[str], operations: Sequence[Operation], pairs: Sequence[Sequence[int]]) -> None:
        self.names = names
        self.operations = operations
        self.pairs = pairs

    def transform(self, X: Any) -> np.ndarray:
        """Compute the derived inputs.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of shape (n_samples, n_pairs); NaN where an operand is missing or the result is not finite.
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
        """Return the names of the derived inputs."""
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


class MissingFlags(_StatelessTransformer):
    """Indicator of missing values: 1 where missing, else 0.

    scikit-learn's MissingIndicator returns booleans, which beside numbers make a table of objects.
    """

    def transform(self, X: Any) -> np.ndarray:
        """Compute the indicators.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of the same shape.
        """
        check_is_fitted(self, "n_features_in_")
        return np.asarray(np.isnan(self._numbers(X, reset=False)), dtype=np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the outputs: ``<input>_missing``."""
        names = self.feature_names_in_ if input_features is None else input_features
        return np.array([f"{name}_missing" for name in names], dtype=object)


class OutlierFences(OneToOneFeatureMixin, _NumberTransformer):
    """Clip or flag outliers of each input. Missing values stay missing and are not flagged.

    Args:
        method: ``iqr``: fences lie ``threshold`` interquartile ranges beyond the quartiles; ``zscore``: ``threshold``
            standard deviations from the mean.
        threshold: Distance of the fences.
        action: ``clip`` to the fence, or ``flag`` with 1.

    Attributes:
        lower_: Lower fence of each input.
        upper_: Upper fence of each input.

    Examples:
        >>> numbers = [[0.0], [1.0], [2.0], [3.0], [4.0], [100.0]]
        >>> fences = OutlierFences("iqr", 1.5, "clip").fit(numbers)
        >>> fences.upper_.tolist(), fences.transform(numbers)[-1].tolist()
        ([7.5], [7.5])
    """

    def __init__(self, method: Literal["iqr", "zscore"], threshold: float, action: Literal["clip", "flag"]) -> None:
        self.method = method
        self.threshold = threshold
        self.action = action

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute the fences.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column has no number, or its interquartile range or standard deviation is 0.
        """
        numbers = self._numbers(X, reset=True)
        empty = np.isnan(numbers).all(axis=0)
        if empty.any():
            raise UnlearnableColumnError(self._name(int(empty.argmax())), "has no number in the training rows")
        if self.method == "iqr":
            low, high = np.nanquantile(numbers, [0.25, 0.75], axis=0)
            spread, advice = high - low, "its interquartile range is 0 (use method zscore, or outliers: null)"
        else:
            low = high = np.nanmean(numbers, axis=0)
            spread, advice = np.nanstd(numbers, axis=0), "its standard deviation is 0 (use outliers: null)"
        if not spread.all():
            name = self._name(int((spread == 0).argmax()))
            raise UnlearnableColumnError(name, f"has no outlier fences: {advice}")
        self.lower_ = low - self.threshold * spread
        self.upper_ = high + self.threshold * spread
        return self

    def outside(self, X: Any) -> np.ndarray:
        """Find the numbers beyond a fence.

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
        """Return the names of the outputs: those of the inputs, with suffix ``_outlier`` for flags."""
        names = super().get_feature_names_out(input_features)
        suffix = "" if self.action == "clip" else "_outlier"
        return np.array([f"{name}{suffix}" for name in names], dtype=object)


class RowOutliers(_NumberTransformer):
    """Flag rows that a multivariate outlier detector finds anomalous.

    Args:
        detector: scikit-learn outlier detector whose ``predict`` returns -1 for outliers, and that accepts NaN.
        name: Name of the output.
    """

    def __init__(self, detector: BaseEstimator, name: str = "row_outlier") -> None:
        self.detector = detector
        self.name = name

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the detector.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.
        """
        self.detector_ = clone(self.detector).fit(self._numbers(X, reset=True))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Flag the outliers.

        Args:
            X: Numbers of shape (n_samples, n_features).

        Returns:
            float64 array of shape (n_samples, 1): 1 for an outlier.
        """
        check_is_fitted(self, "detector_")
        outlying = self.detector_.predict(self._numbers(X, reset=False)) == -1
        return np.asarray(outlying, dtype=np.float64)[:, None]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the name of the flag."""
        return np.array([self.name], dtype=object)


class OtherColumnsImputer(_NumberTransformer):
    """Impute missing numbers from the other numbers of the row.

    The imputer works on standardised numbers, so that the unit of a column does not weigh; the result is in the
    original unit. On many rows, the imputer is fitted on a sample.

    Args:
        imputer: scikit-learn imputer: ``KNNImputer`` or ``IterativeImputer``.
        columns: Names of the columns to fill; the others are predictors only.
        max_rows: Maximum number of training rows that the imputer is fitted on.
        random_state: Seed of the sample.
    """

    def __init__(self, imputer: BaseEstimator, columns: Sequence[str], max_rows: int, random_state: int) -> None:
        self.imputer = imputer
        self.columns = columns
        self.max_rows = max_rows
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Fit the imputer.

        Args:
            X: Table of numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column to fill has no number.
        """
        numbers = self._numbers(X, reset=True)
        names = [str(name) for name in self.feature_names_in_]
        # Empty columns cannot predict the others.
        present = ~np.isnan(numbers).all(axis=0)
        for name in self.columns:
            if not present[names.index(name)]:
                raise UnlearnableColumnError(name, "has no number in the training rows")
        self.used_ = np.flatnonzero(present)
        self.filled_ = np.searchsorted(self.used_, [names.index(name) for name in self.columns])
        numbers = numbers[:, self.used_]
        self.scaler_ = StandardScaler().fit(numbers)
        if len(numbers) > self.max_rows:
            random = np.random.default_rng(self.random_state)
            numbers = numbers[np.sort(random.choice(len(numbers), self.max_rows, replace=False))]
        with warnings.catch_warnings():
            # An imputation that still changes in its third digit is accurate enough.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.imputer_ = clone(self.imputer).fit(self.scaler_.transform(numbers))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Fill the missing numbers.

        Args:
            X: Table of numbers of shape (n_samples, n_features).

        Returns:
            float64 array of shape (n_samples, n_columns_to_fill).
        """
        check_is_fitted(self, "imputer_")
        numbers = self._numbers(X, reset=False)[:, self.used_]
        filled = numbers[:, self.filled_]
        incomplete = np.isnan(filled).any(axis=1)
        if incomplete.any():
            scaled = self.scaler_.transform(numbers[incomplete])
            imputed = self.scaler_.inverse_transform(self.imputer_.transform(scaled))[:, self.filled_]
            filled[incomplete] = np.where(np.isnan(filled[incomplete]), imputed, filled[incomplete])
        return filled

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the filled columns."""
        return np.asarray(self.columns, dtype=object)


class Binner(OneToOneFeatureMixin, _NumberTransformer):
    """Replace numbers by the position of their bin; NaN stays NaN.

    scikit-learn's KBinsDiscretizer accepts neither NaN nor given edges.

    Args:
        method: ``quantile``: bins of equal count, as far as ties allow; ``width``: bins of equal width; ``edges``:
            given edges.
        bins: Number of bins; None with edges.
        edges: Inner edges in ascending order; an edge belongs to the bin above it.

    Attributes:
        edges_: Inner edges of each input.

    Examples:
        >>> Binner("edges", edges=[30, 45]).fit_transform([[29.0], [30.0], [50.0], [np.nan]])[:, 0].tolist()
        [0.0, 1.0, 2.0, nan]
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
        """Compute the edges.

        Args:
            X: Numbers of shape (n_samples, n_features).
            y: Ignored.

        Returns:
            The transformer.

        Raises:
            UnlearnableColumnError: A column has fewer distinct numbers than bins, or all of them in one bin.
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
                # An edge at the minimum would make an empty bin.
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
        """Find the bins.

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
    """Select the inputs with the highest mutual information with the target; missing is a level of its own.

    Quantities are discretised into at most 32 bins of equal count, fewer for few rows. The expected mutual information
    of independent variables with the same counts is subtracted (Vinh, Epps and Bailey, JMLR 11, 2010), so that inputs
    of many levels are not preferred. scikit-learn's estimators of mutual information accept no NaN.

    Args:
        number: Number of inputs to keep.
        categorical: Names of inputs that are positions of unordered levels.
        continuous_target: Whether the target is a number instead of a class.

    Attributes:
        scores_: Mutual information of each input with the target in nats, at least 0.
    """

    def __init__(self, number: int, categorical: Sequence[str] = (), *, continuous_target: bool = False) -> None:
        self.number = number
        self.categorical = categorical
        self.continuous_target = continuous_target

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Compute the mutual information of each input.

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
    """Codes of bins of equal count, few enough that two columns have at least five rows per cell; -1 is missing."""
    bins = min(_MOST_BINS, max(2, int(math.sqrt(len(column) / _ROWS_PER_CELL))))
    present = column[~np.isnan(column)]
    if not len(present):
        return np.full(len(column), -1)
    distinct = np.unique(present)
    edges = distinct
    if len(distinct) > bins:
        edges = np.unique(np.quantile(present, np.linspace(0, 1, bins + 1)[:-1]))
    return np.where(np.isnan(column), -1, np.searchsorted(edges, column, side="right"))


def _information(codes: np.ndarray, target: np.ndarray) -> float:
    """Mutual information in nats minus its expectation under independence; at least 0."""
    counts = contingency_matrix(target, codes, sparse=True)
    observed = float(mutual_info_score(None, None, contingency=counts))
    return max(0.0, observed - float(expected_mutual_information(counts, len(target))))


def _largest(scores: np.ndarray, number: int) -> np.ndarray:
    """Mask of the largest scores; ties go to the first."""
    mask = np.zeros(len(scores), dtype=bool)
    mask[np.argsort(-scores, kind="stable")[:number]] = True
    return mask


class ImportanceSelector(SelectorMixin, _NumberTransformer):
    """Select the inputs with the highest feature importance.

    Unlike scikit-learn's SelectFromModel, it does not store the model, and it passes the categorical inputs to XGBoost.

    Args:
        estimator: XGBoost estimator with ``feature_importances_``.
        number: Number of inputs to keep.
        categorical: Names of inputs that are positions of unordered levels.

    Attributes:
        scores_: Importance of each input.
    """

    def __init__(self, estimator: BaseEstimator, number: int, categorical: Sequence[str] = ()) -> None:
        self.estimator = estimator
        self.number = number
        self.categorical = categorical

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Fit the model and store its feature importances.

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
    """Convert positions of levels to text, for libraries that accept categories as text only.

    Args:
        categories: Positions of the inputs that are categories.
    """

    def __init__(self, categories: Sequence[int]) -> None:
        self.categories = categories

    def fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Do nothing: the transformer is stateless."""
        return self

    def transform(self, X: np.ndarray) -> pd.DataFrame:
        """Convert the categories to text.

        Args:
            X: Inputs of shape (n_samples, n_inputs).

        Returns:
            Table of the same shape; a missing category is the text ``nan``.
        """
        table = pd.DataFrame(np.asarray(X, dtype=np.float64))
        for position in self.categories:
            # From a list: astype would keep missing cells missing.
            table[position] = pd.Series([str(level) for level in table[position]], dtype=object)
        return table

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: there is nothing to fit."""
        return True
