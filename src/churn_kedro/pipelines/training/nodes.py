"""Nodes of the training pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features import FeatureParameters, TrainingInputs, fit_features
from churn_kedro.features.fitted import FittedFeatures, describe_features
from churn_kedro.models import TrainedModel
from churn_kedro.parameters import Parameters
from churn_kedro.splits import SplitManifest
from churn_kedro.training import FitParameters, fit_estimator
from churn_kedro.tuning import SearchParameters, SearchResult, search_hyperparameters


class TrainingParameters(Parameters):
    """Parameters of the training pipeline."""

    search: SearchParameters
    fit: FitParameters


def treat_customers(
    train: pd.DataFrame, manifest: SplitManifest, declaration: CustomerDeclaration, features: FeatureParameters
) -> tuple[TrainingInputs, FittedFeatures]:
    """Learn the treatment of the columns from the training customers, and apply it to them.

    Args:
        train: Training customers.
        manifest: Identifies them.
        declaration: The table's declaration.
        features: Treatment of the columns.

    Returns:
        What XGBoost sees of them with the fitted treatment, and what was learned, for people to read.

    Raises:
        CustomerTableError: The table is not that of the manifest.
        ParameterError: A treatment does not fit its column.
    """
    manifest.verify(train=train)
    inputs = fit_features(train, declaration, features)
    return inputs, describe_features(inputs, declaration, features)


def search_xgboost(
    inputs: TrainingInputs,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    parameters: TrainingParameters,
) -> SearchResult:
    """Search hyperparameters on the validation customers.

    Args:
        inputs: What XGBoost sees of the training customers.
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
    return search_hyperparameters(inputs, train, validation, declaration, parameters.search)


def train_model(
    inputs: TrainingInputs,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    search: SearchResult,
    declaration: CustomerDeclaration,
    parameters: TrainingParameters,
) -> TrainedModel:
    """Fit, calibrate and threshold the estimator with the best hyperparameters.

    Args:
        inputs: What XGBoost sees of the training customers.
        train: Training customers.
        validation: Validation customers.
        manifest: Identifies both.
        search: What the search found.
        declaration: The table's declaration.
        parameters: Calibration, threshold and seed.

    Returns:
        The estimator, ready to be registered.
    """
    return fit_estimator(inputs, train, validation, manifest, declaration, search.best, parameters.fit)
