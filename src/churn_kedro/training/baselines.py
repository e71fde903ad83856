"""Simple baseline models, trained on demand for the comparison with a version."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.campaigns import choose_threshold, customer_values
from churn_kedro.customers import TASKS, CustomerDeclaration, SplitManifest
from churn_kedro.evaluation import BaselineName
from churn_kedro.features import fit_features
from churn_kedro.models import Estimator
from churn_kedro.training.algorithms import load_algorithm
from churn_kedro.training.folds import build_development, sample_of
from churn_kedro.training.parameters import TrainingConfiguration
from churn_kedro.training.recipe import assemble_pipeline, decide_at, describe_problem


def train_baseline(
    name: BaselineName,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    configuration: TrainingConfiguration,
) -> Estimator:
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
    fitted = (
        _fit_constant(train, declaration)
        if name == "constant"
        else _fit_algorithm(name, train, validation, manifest, configuration)
    )
    if declaration.task != "binary":
        return fitted  # type: ignore[no-any-return]
    target = validation[declaration.target].to_numpy()
    probability = fitted.predict_proba(validation[declaration.feature_names])[:, 1]
    economics = campaigns.economics if campaigns.objective == "profit" else None
    values = None if economics is None else customer_values(economics, validation)
    choice = choose_threshold(target, probability, campaigns, values)
    return decide_at(fitted, choice.threshold, train, declaration)


def _fit_constant(train: pd.DataFrame, declaration: CustomerDeclaration) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    model = DummyRegressor() if declaration.task == "regression" else DummyClassifier(strategy="prior")
    return model.fit(train[declaration.feature_names], train[declaration.target])


def _fit_algorithm(
    name: Any,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    configuration: TrainingConfiguration,
) -> Any:
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
    return assemble_pipeline(inputs, TASKS[declaration.task].step, algorithm.fit(sample, {}, problem, None))
