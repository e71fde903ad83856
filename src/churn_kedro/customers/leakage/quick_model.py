"""A quick model of all features: a table that it predicts perfectly was not found in the world."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_kedro.base import training_threads
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.leakage.association import (
    Codes,
    Floats,
    Target,
    assign_folds,
    entity_of,
    has_numbers,
    number_values,
    strength_of_predictions,
)
from churn_kedro.customers.leakage.findings import Finding, LeakageParameters, Severity
from churn_kedro.customers.tasks import TASKS

_FOLDS = 3
# Trees in all, one of each class per round.
_TREES = 60


def _inputs(customers: pd.DataFrame, names: list[str], declaration: CustomerDeclaration) -> Floats:
    inputs = np.empty((len(customers), len(names)), dtype=np.float64)
    declared = {column.name: column for column in declaration.features}
    for position, name in enumerate(names):
        if has_numbers(declared[name]):
            inputs[:, position] = number_values(customers[name])
        else:
            codes = pd.factorize(customers[name], sort=True)[0].astype(np.float64)
            inputs[:, position] = np.where(codes < 0, np.nan, codes)
    return inputs


def _predictions(inputs: Floats, target: Target, folds: Codes, seed: int) -> Floats:
    """Out-of-fold predictions: of a regression one per row, otherwise one per row and class."""
    import xgboost

    n_classes = len(target.labels)
    settings: dict[str, object] = {"objective": "reg:squarederror"}
    if target.task != "regression":
        settings = {"objective": "multi:softprob", "num_class": n_classes}
        if n_classes == 2:
            settings = {"objective": "binary:logistic"}
    settings |= {
        "max_depth": 6,
        "eta": 0.3,
        "tree_method": "hist",
        "max_bin": 128,
        "seed": seed,
        "nthread": training_threads(len(inputs), None),
        "verbosity": 0,
    }
    rounds = max(_TREES // max(n_classes - 1, 1), 5)
    shape = (len(inputs),) if target.task == "regression" else (len(inputs), n_classes)
    predictions = np.empty(shape)
    for fold in np.unique(folds):
        held_out = folds == fold
        learned = xgboost.QuantileDMatrix(inputs[~held_out], target.values[~held_out], max_bin=128)
        model = xgboost.train(settings, learned, num_boost_round=rounds)
        predicted = model.inplace_predict(inputs[held_out])
        predictions[held_out] = np.column_stack([1 - predicted, predicted]) if n_classes == 2 else predicted
    return predictions


def check_perfect_model(
    customers: pd.DataFrame,
    target: Target,
    known_leaks: set[str],
    declaration: CustomerDeclaration,
    parameters: LeakageParameters,
) -> list[Finding]:
    """Look for a target that a few trees predict all but perfectly.

    Args:
        customers: Rows looked at.
        target: Their target.
        known_leaks: Features that give the target away by themselves; the model does without them, so that it finds
            what they would hide.
        declaration: The table's declaration.
        parameters: Limits.

    Returns:
        At most one finding.
    """
    names = [name for name in declaration.feature_names if name not in known_leaks]
    if not names or len(customers) < 2 * _FOLDS or (target.task != "regression" and len(target.labels) < 2):
        return []
    random = np.random.default_rng(parameters.random_state)
    folds = assign_folds(target.values, entity_of(customers, declaration), random, _FOLDS)
    inputs = _inputs(customers, names, declaration)
    strength = strength_of_predictions(_predictions(inputs, target, folds, parameters.random_state), target)
    if strength.low < parameters.model_warning.of(target.task):
        return []
    enough = int(target.class_rows.min()) >= parameters.model_min_class_rows
    severity: Severity = "leak" if enough and strength.low >= parameters.model_leak.of(target.task) else "warning"
    measure = TASKS[target.task].association
    without = f" without {', '.join(sorted(known_leaks))}" if known_leaks else ""
    return [
        Finding(
            check="perfect_model",
            severity=severity,
            evidence=f"A quick model of {len(names)} features{without} reaches {measure} {strength.value:.5f} (at "
            f"least {strength.low:.5f}) on rows it was not trained on.",
            value=strength.value,
            advice="Customers are not that predictable. Look for features that are filled after the outcome, or rows "
            "that were made up by rule; the strongest single columns are where to begin.",
        )
    ]
