"""Nodes of the training pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, Parameters
from churn_kedro.models import TrainedModel
from churn_kedro.splits import SplitManifest
from churn_kedro.training import FitParameters, fit_estimator
from churn_kedro.tuning import SearchParameters, SearchResult, search_hyperparameters


class TrainingParameters(Parameters):
    """Parameters of the training pipeline."""

    search: SearchParameters
    fit: FitParameters


def search_xgboost(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    parameters: TrainingParameters,
) -> SearchResult:
    """Search hyperparameters on the validation customers.

    Args:
        train: Training customers.
        validation: Validation customers.
        manifest: Identifies both.
        declaration: The table's declaration.
        parameters: Budget, space and seed.

    Returns:
        The best trial and all others.

    Raises:
        CustomerTableError: The tables are not those of the manifest.
    """
    manifest.verify(train=train, validation=validation)
    return search_hyperparameters(train, validation, declaration, parameters.search)


def train_model(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    search: SearchResult,
    declaration: CustomerDeclaration,
    parameters: TrainingParameters,
) -> TrainedModel:
    """Fit, calibrate and threshold the estimator with the best hyperparameters.

    Args:
        train: Training customers.
        validation: Validation customers.
        manifest: Identifies both.
        search: What the search found.
        declaration: The table's declaration.
        parameters: Calibration, threshold and seed.

    Returns:
        The estimator, ready to be registered.
    """
    return fit_estimator(train, validation, manifest, declaration, search.best, parameters.fit)
