"""Building of reference profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.evaluation import column_importance
from churn_kedro.monitoring.counts import SAMPLE_ROWS, code_column, code_customers, count_column
from churn_kedro.monitoring.performance import reference_scores
from churn_kedro.monitoring.profiles import (
    GroupResiduals,
    ReferenceColumn,
    ReferenceProfile,
    column_kind,
    count_outside,
    profile_column,
)
from churn_kedro.monitoring.statistics import jensen_shannon_divergence, shares, simulate_divergence
from churn_kedro.training import ValidatedPredictions

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

_SEED = 42
# Periods into which the reference is divided in the order of its time.
_PERIODS = 10


@dataclass(frozen=True)
class Reference:
    """What monitoring compares with.

    Attributes:
        profile: Histograms of columns and predictions.
        sample: Numbers of bins of a sample of the training customers, see
            :func:`churn_kedro.monitoring.counts.code_customers`.
    """

    profile: ReferenceProfile
    sample: pd.DataFrame


def build_reference(
    customers: pd.DataFrame,
    validated: pd.DataFrame,
    predictions: ValidatedPredictions,
    declaration: CustomerDeclaration,
) -> Reference:
    """Describe the customers that a model is trained on, and what it predicts for them.

    Args:
        customers: Typed training and validation customers with their target.
        validated: Customers of the predictions, in the same order.
        predictions: Calibrated predictions of customers that the predicting model was not trained on.
        declaration: The table's declaration.

    Returns:
        The profile, and a sample of customers as numbers of bins. Private columns have no sample.
    """
    order = _order_by_time(customers, declaration)
    columns = []
    for column in declaration.features:
        cells = customers[column.name]
        found = profile_column(
            cells,
            column.name,
            column_kind(column),
            outside=count_outside(cells, column),
            importance=float(predictions.importance.get(column.name, 0.0)),
        )
        variation = measure_period_variation(found, cells, order)
        columns.append(found.model_copy(update={"period_variation": variation}))
    private = {column.name for column in declaration.features if column.private}
    profile = ReferenceProfile(task=declaration.task, rows=len(customers), columns=columns)
    profile = _add_predictions(profile, validated, predictions, declaration)
    shown = customers.drop(columns=sorted(private.intersection(customers.columns)))
    sample = shown.sample(min(SAMPLE_ROWS, len(shown)), random_state=_SEED)
    return Reference(profile, code_customers(sample, profile).reset_index(drop=True))


def measure_period_variation(column: ReferenceColumn, cells: pd.Series, order: np.ndarray | None) -> float:
    """Measure how much the periods of the reference differ beyond chance.

    Args:
        column: Histogram of the reference.
        cells: Its typed cells, shape (n,).
        order: Positions of the customers in the order of their time, shape (n,); None: unknown.

    Returns:
        Largest Jensen-Shannon divergence between a period and the rest, less its 95th percentile by chance; 0 without
        an order.
    """
    if order is None or len(cells) < 50 * _PERIODS:
        return 0.0
    whole = column.group_counts(np.asarray(column.counts, dtype=float), column.missing)
    largest = 0.0
    for period, positions in enumerate(np.array_split(order, _PERIODS)):
        counted = count_column(cells.iloc[positions], column)
        part = column.group_counts(counted.counts.astype(float), counted.missing)
        divergence = float(jensen_shannon_divergence(shares(whole - part), shares(part)))
        chance = simulate_divergence(column.population(), int((whole - part).sum()), int(part.sum()), period)
        largest = max(largest, divergence - chance.quantile(0.95))
    return largest


def _order_by_time(customers: pd.DataFrame, declaration: CustomerDeclaration) -> np.ndarray | None:
    """Order customers by the declared time.

    Args:
        customers: Typed customers, n rows.
        declaration: The table's declaration.

    Returns:
        Positions in the order of time, shape (n,); None without a column of time, or if it has a single value.
    """
    if declaration.time is None or declaration.time not in customers:
        return None
    times = customers[declaration.time]
    return np.asarray(times.argsort(kind="stable")) if times.nunique() > 1 else None


def _add_predictions(
    profile: ReferenceProfile,
    customers: pd.DataFrame,
    predictions: ValidatedPredictions,
    declaration: CustomerDeclaration,
) -> ReferenceProfile:
    target, prediction = predictions.target, predictions.prediction
    if declaration.task == "multiclass":
        labels = np.array([str(label) for label in declaration.classes], dtype=object)[prediction.argmax(axis=1)]
        accuracy = float((prediction.argmax(axis=1) == target).mean())
        return profile.model_copy(
            update={
                "prediction": profile_column(pd.Series(labels), "prediction", "level"),
                "errors": {"accuracy": accuracy},
            }
        )
    if declaration.task == "regression":
        error = prediction - target
        errors = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
        return profile.model_copy(
            update={"prediction": profile_column(pd.Series(prediction), "prediction", "number"), "errors": errors}
        )
    contacted = np.zeros(len(target), dtype=bool) if predictions.contacted is None else predictions.contacted
    columns = [_add_residuals(column, customers, target, prediction) for column in profile.columns]
    return profile.model_copy(
        update={
            "columns": columns,
            "prediction": profile_column(pd.Series(prediction), "probability", "number"),
            "scores": reference_scores(target, prediction, contacted, predictions.profit),
            "positive_rate": float(target.mean()),
        }
    )


def _add_residuals(
    column: ReferenceColumn, customers: pd.DataFrame, target: np.ndarray, probability: np.ndarray
) -> ReferenceColumn:
    groups = column.groups_of(code_column(customers[column.name], column))
    residuals = GroupResiduals(
        customers=np.bincount(groups, minlength=column.n_groups).astype(float).tolist(),
        residual=np.bincount(groups, target - probability, column.n_groups).tolist(),
        variance=np.bincount(groups, probability * (1 - probability), column.n_groups).tolist(),
    )
    return column.model_copy(update={"residuals": residuals})


def rebuild_reference(
    model: CustomerModel,
    training: pd.DataFrame,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
) -> Reference:
    """Build the reference of a version that was trained without one.

    Args:
        model: The model of the version.
        training: Its typed training and validation customers.
        test: Its typed test customers, whose predictions replace those out of fold.
        declaration: The table's declaration.

    Returns:
        The reference.
    """
    read = model.read(test).table
    target, prediction = test[declaration.target].to_numpy(dtype=float), model.scores(read)
    is_binary = model.task == "binary"
    value = model.contact_value
    predictions = ValidatedPredictions(
        np.arange(len(test)),
        target,
        prediction,
        contacted=np.asarray(model.decide(read), dtype=bool) if is_binary else None,
        profit=model.expected_value(read) if is_binary and value is not None else None,
        importance=column_importance(model, test, declaration),
    )
    return build_reference(training, test, predictions, declaration)
