"""The steps after the first: clipping, imputation, binning, scaling and selection. Unconfigured steps are absent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from churn_kedro.customers import BinningMethod, Task
from churn_kedro.features.columns import LEVELS, TreatedColumn, fences_of, group_columns, native_names
from churn_kedro.features.parameters import FeatureParameters

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.compose import ColumnTransformer

# Hyperparameters of the model whose feature importances select inputs.
_SELECTION_TREES = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1, "importance_type": "total_gain"}


def _by_name(entries: list[tuple[str, Any, list[str]]]) -> ColumnTransformer | None:
    """Build a transformer of some columns that passes the others through; None without entries."""
    from sklearn.compose import ColumnTransformer

    if not entries:
        return None
    return ColumnTransformer(entries, remainder="passthrough", verbose_feature_names_out=False)


def _numbers_of(columns: Iterable[TreatedColumn]) -> list[str]:
    return [name for column in columns for name in column.numbers]


def build_clipping(columns: list[TreatedColumn]) -> ColumnTransformer | None:
    """Build the step that clips outliers. It precedes imputation, so that imputed numbers do not shift the fences.

    Args:
        columns: All columns.

    Returns:
        The step, or None.
    """
    from churn_estimators.transformers import OutlierFences

    groups = group_columns(columns, fences_of("clip"))
    return _by_name(
        [
            (f"{method}_{threshold:g}", OutlierFences(method, threshold, "clip"), _numbers_of(group))
            for (method, threshold), group in groups.items()
        ]
    )


def build_filling(columns: list[TreatedColumn], parameters: FeatureParameters) -> ColumnTransformer | None:
    """Build the step that imputes missing numbers. Missing levels are filled when they are read.

    Args:
        columns: All columns.
        parameters: Imputation from other columns, seed.

    Returns:
        The step, or None.
    """
    from sklearn.impute import SimpleImputer

    from churn_estimators.transformers import OtherColumnsImputer

    numbers = [column for column in columns if column.reading not in LEVELS]
    groups = group_columns(numbers, lambda column: (str(column.treatment.missing), column.treatment.fill_value))
    kept = groups.pop(("keep", None), [])
    # Dates are no predictors: customers who joined on the same day would become neighbours.
    predictors = _numbers_of(column for column in numbers if column.reading != "dates")
    entries: list[tuple[str, Any, list[str]]] = []
    for position, ((missing, fill), group) in enumerate(groups.items()):
        names = _numbers_of(group)
        if missing in ("knn", "iterative"):
            imputer = _imputer(missing, parameters)
            filling = OtherColumnsImputer(imputer, names, parameters.imputation.max_rows, parameters.random_state)
            entries.append((missing, filling, predictors))
        else:
            entries.append((f"{missing}_{position}", SimpleImputer(strategy=missing, fill_value=fill), names))
    if kept and entries:
        # ColumnTransformer's remainder leaves out columns that are predictors of an imputer.
        entries.append(("keep", "passthrough", _numbers_of(kept)))
    return _by_name(entries)


def _imputer(missing: str, parameters: FeatureParameters) -> BaseEstimator:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next import possible
    from sklearn.impute import IterativeImputer, KNNImputer

    if missing == "knn":
        return KNNImputer(n_neighbors=parameters.imputation.n_neighbors)
    return IterativeImputer(max_iter=parameters.imputation.max_iter, random_state=parameters.random_state)


def build_binning(columns: list[TreatedColumn]) -> ColumnTransformer | None:
    """Build the step that replaces numbers by the positions of their bins.

    Args:
        columns: All columns.

    Returns:
        The step, or None.
    """
    from churn_estimators.transformers import Binner

    def key(column: TreatedColumn) -> tuple[BinningMethod, int | None, tuple[float, ...] | None] | None:
        binning = column.treatment.binning
        if binning is None:
            return None
        return binning.method, binning.bins, None if binning.edges is None else tuple(binning.edges)

    return _by_name(
        [
            (f"{method}_{position}", Binner(method, bins, None if edges is None else list(edges)), _numbers_of(group))
            for position, ((method, bins, edges), group) in enumerate(group_columns(columns, key).items())
        ]
    )


def build_scaling(columns: list[TreatedColumn]) -> ColumnTransformer | None:
    """Build the step that centres and scales numbers.

    Args:
        columns: All columns.

    Returns:
        The step, or None.
    """
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    scalers = {"standard": StandardScaler, "min_max": MinMaxScaler, "robust": RobustScaler}
    groups = group_columns(columns, lambda column: column.treatment.scaling)
    return _by_name([(name, scalers[name](), _numbers_of(group)) for name, group in groups.items() if name != "none"])


def build_selection(columns: list[TreatedColumn], task: Task, parameters: FeatureParameters) -> BaseEstimator | None:
    """Build the step that selects inputs.

    Args:
        columns: All columns.
        task: What is predicted.
        parameters: Method of selection, seed.

    Returns:
        The step, or None.
    """
    selection = parameters.selection
    if selection is None:
        return None
    if selection.method == "variance":
        from sklearn.feature_selection import VarianceThreshold

        return VarianceThreshold(selection.threshold)
    from churn_estimators.transformers import ImportanceSelector, InformationSelector

    number, categorical = selection.number or 0, sorted(native_names(columns))
    if selection.method == "mutual_information":
        return InformationSelector(number, categorical, continuous_target=task == "regression")
    import xgboost as xgb

    model = xgb.XGBRegressor if task == "regression" else xgb.XGBClassifier
    estimator = model(enable_categorical=True, random_state=parameters.random_state, n_jobs=1, **_SELECTION_TREES)
    return ImportanceSelector(estimator, number, categorical)
