"""Simple baseline models, trained on demand for the comparison with a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.campaigns import choose_threshold
from churn_kedro.customers import TASKS, SplitManifest
from churn_kedro.evaluation import BaselineName
from churn_kedro.features import TrainingInputs, fit_features
from churn_kedro.training.algorithms import load_algorithm
from churn_kedro.training.folds import build_development, sample_of
from churn_kedro.training.parameters import TrainingConfiguration
from churn_kedro.training.recipe import assemble_model, contact_value_of, describe_problem

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel


def train_baseline(
    name: BaselineName,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    configuration: TrainingConfiguration,
) -> CustomerModel:
    """Train a simple model with default hyperparameters on the training set, without search and calibration.

    For task binary, the decision threshold is chosen on the validation set by the objective of training.

    Args:
        name: Name of the model; ``constant`` predicts the class frequencies or the mean for all customers.
        train: Training customers.
        validation: Validation customers.
        manifest: Manifest of both splits.
        configuration: Declaration, features, seed, threads and the objective of the threshold.

    Returns:
        A fitted estimator on raw columns.

    Raises:
        ParameterError: The model does not support the task.
    """
    declaration, campaigns = configuration.declaration, configuration.campaigns
    if name == "constant":
        inputs, fitted = _fit_constant(train, configuration)
    else:
        inputs, fitted = _fit_algorithm(name, train, validation, manifest, configuration)
    simple = assemble_model(inputs, fitted, configuration)
    if declaration.task != "binary":
        return simple
    value = contact_value_of(train, configuration)
    choice = choose_threshold(
        validation[declaration.target].to_numpy(),
        simple.scores(validation),
        campaigns,
        None if value is None else value.of(validation),
    )
    return assemble_model(inputs, fitted, configuration, threshold=choice.threshold, value=value)


def _fit_constant(train: pd.DataFrame, configuration: TrainingConfiguration) -> tuple[TrainingInputs, Any]:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    declaration = configuration.declaration
    model = DummyRegressor() if declaration.task == "regression" else DummyClassifier(strategy="prior")
    inputs = fit_features(train, declaration, configuration.features)
    return inputs, model.fit(inputs.values, train[declaration.target])


def _fit_algorithm(
    name: Any,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    configuration: TrainingConfiguration,
) -> tuple[TrainingInputs, Any]:
    declaration, features = configuration.declaration, configuration.features
    algorithm = load_algorithm(name)
    if declaration.task not in algorithm.tasks:
        raise ParameterError(
            f"Baseline {name} does not support task {declaration.task}; choose {TASKS[declaration.task].linear_model}."
        )
    # Declared constraints do not apply to a baseline.
    free = declaration.model_copy(
        update={
            "columns": [column.model_copy(update={"monotone": None}) for column in declaration.columns],
            "interactions": [],
        }
    )
    alone = configuration.training.model_copy(update={"algorithms": [name], "ensembles": [], "external_memory": False})
    simple = configuration.model_copy(update={"declaration": free, "training": alone})
    development = build_development(train, validation, manifest, free, features)
    problem = describe_problem(development, simple)
    inputs = fit_features(train, free, features)
    sample = sample_of(train, inputs.values, inputs, free, None)
    return inputs, algorithm.fit(sample, {}, problem, None)
