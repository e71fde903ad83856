"""For each task a small table and a small model trained on it, and the shortest way from a table to a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from churn_kedro.campaigns.parameters import CampaignParameters
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.splits import SplitManifest, SplitParameters, describe_splits, split_customers
from churn_kedro.customers.tasks import Task
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.treatment import TrainingInputs, fit_features
from churn_kedro.models.interface import RegisteredModel, TrainedModel
from churn_kedro.training.algorithms import AlgorithmName, Problem
from churn_kedro.training.candidates import CandidateComparison, compare_candidates
from churn_kedro.training.folds import (
    Development,
    FoldInputs,
    Folds,
    Sample,
    build_development,
    divide_development,
    prepare_configured_folds,
    sample_of,
)
from churn_kedro.training.parameters import TrainingConfiguration, TrainingParameters
from churn_kedro.training.recipe import PartFolder, Training, describe_problem, fit_model
from churn_kedro.training.search import AlgorithmSearch, SearchResult, Trial

CLASSES = ["basic", "plus", "premium"]
SPLIT = SplitParameters(test_size=0.25, validation_size=0.25, random_state=3)
# Small models of each algorithm; of those that grow in rounds, with their number.
SMALL: dict[AlgorithmName, tuple[dict[str, Any], int | None]] = {
    "xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 12),
    "logistic_regression": ({"C": 0.5}, None),
    "ridge": ({"alpha": 1.0}, None),
    "random_forest": ({"n_estimators": 12, "min_samples_leaf": 5}, None),
    "hist_gradient_boosting": ({"max_leaf_nodes": 6, "learning_rate": 0.3}, 12),
    "neural_network": ({"hidden_units": 8, "learning_rate_init": 0.02}, None),
    "catboost": ({"depth": 3, "learning_rate": 0.3}, 12),
    "lightgbm": ({"num_leaves": 6, "learning_rate": 0.3}, 12),
}


@dataclass(frozen=True)
class TaskCase:
    """A table, divided, and a model trained on it."""

    declaration: CustomerDeclaration
    raw: pd.DataFrame
    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    manifest: SplitManifest
    trained: TrainedModel
    training: Training

    def registered(self, version: int = 1, **changed: Any) -> RegisteredModel:
        """The model as the registry would give it."""
        fields: dict[str, Any] = {
            "name": "test_churn",
            "version": version,
            "model_id": f"m-{version}",
            "run_id": "r",
            "tags": self.trained.facts,
            "estimator": self.trained.estimator,
        }
        return RegisteredModel(**(fields | changed))


def declare(task: Task, classes: list[Any] | None = None) -> CustomerDeclaration:
    """Declaration of the table below."""
    labels: dict[Task, dict[str, Any]] = {
        "binary": {"labels": {"negative": "stays", "positive": "leaves"}},
        "multiclass": {"labels": {"classes": classes or CLASSES}},
        "regression": {},
    }
    return CustomerDeclaration.model_validate(
        {
            "description": "Customers of a test",
            "task": task,
            **labels[task],
            "columns": [
                {"description": "A column", **column}
                for column in (
                    {"name": "Id", "role": "id"},
                    {"name": "Age", "kind": "numeric"},
                    {"name": "Country", "kind": "categorical", "domain": ["France", "Spain"]},
                    {"name": "Visits", "kind": "numeric", "nullable": True},
                    {"name": "Outcome", "role": "target"},
                )
            ],
        }
    )


def fabricate(task: Task, n_customers: int = 600) -> pd.DataFrame:
    """Customers as a CSV file writes them."""
    random = np.random.default_rng(11)
    age, country = random.integers(18, 81, n_customers), random.choice(["France", "Spain"], n_customers)
    visits = random.poisson(4, n_customers)
    drive = (age - 50) / 10 + 2 * (country == "Spain") + random.normal(0, 0.7, n_customers)
    outcomes: dict[Task, np.ndarray] = {
        "binary": np.where(drive > 1, "leaves", "stays"),
        # The middle class is the most frequent one and the hardest to tell.
        "multiclass": np.asarray(CLASSES)[np.digitize(drive + 0.1 * visits, [-0.5, 2.5])],
        "regression": (1000 + 150 * drive + 10 * visits).round(2),
    }
    return pd.DataFrame(
        {
            "Id": np.arange(1, n_customers + 1),
            "Age": age,
            "Country": country,
            "Visits": np.where(random.random(n_customers) < 0.1, "", visits.astype(str)),
            "Outcome": outcomes[task],
        }
    ).astype("str")


def treat(train: pd.DataFrame, declaration: CustomerDeclaration) -> TrainingInputs:
    """What an algorithm sees of training customers under the default treatment."""
    return fit_features(train, declaration, FeatureParameters())


def quick_parameters(**changed: Any) -> TrainingParameters:
    """Training parameters for small tables; anything can be changed."""
    fields: dict[str, Any] = {
        "random_state": 5,
        "n_jobs": 1,
        "device": "cpu",
        "spaces": {name: {} for name in SMALL},
        "folds": {"n_splits": 2},
        "search": {"n_trials": 1, "max_rounds": 30, "early_stopping_rounds": 5},
        "calibration": {"method": "temperature"},
    }
    return TrainingParameters.model_validate(fields | changed)


def configure(
    declaration: CustomerDeclaration,
    features: FeatureParameters | None = None,
    campaigns: Mapping[str, Any] | None = None,
    **changed: Any,
) -> TrainingConfiguration:
    """Configuration of a training with quick parameters; decisions are made by F1 unless told otherwise."""
    return TrainingConfiguration(
        declaration=declaration,
        features=features or FeatureParameters(),
        training=quick_parameters(**changed),
        campaigns=CampaignParameters.model_validate(campaigns or {"objective": "f1"}),
    )


def given_search(
    parameters: TrainingParameters,
    development: Development,
    folds: Folds,
    declaration: CustomerDeclaration,
    given: Mapping[AlgorithmName, tuple[dict[str, Any], int | None]] = SMALL,
) -> SearchResult:
    """What a search would say that found the given hyperparameters."""
    searches = []
    for name in parameters.algorithms:
        hyperparameters, rounds = given[name]
        trial = Trial(number=0, score=0.5, n_estimators=rounds, hyperparameters=hyperparameters)
        searches.append(AlgorithmSearch(algorithm=name, best=trial, trials=[trial], seconds=0.0))
    return SearchResult(
        metric="rmse" if declaration.task == "regression" else "log_loss",
        objectives=["loss"],
        n_splits=len(folds.search),
        rows=len(development.customers),
        searches=searches,
    )


@dataclass(frozen=True)
class Compared:
    """Everything that training knows before the final fit."""

    development: Development
    problem: Problem
    folds: Folds
    search: SearchResult
    candidate_comparison: CandidateComparison
    configuration: TrainingConfiguration


def _share_treatment(
    development: Development,
    declaration: CustomerDeclaration,
    inputs: TrainingInputs,
    parameters: TrainingParameters,
) -> Folds:
    divided, _ = divide_development(development, declaration, parameters.folds, parameters.random_state)
    customers = development.customers
    values = inputs.transformer.transform(customers)

    def sample(rows: np.ndarray) -> Sample:
        return sample_of(customers.iloc[rows], values[rows], inputs, declaration)

    folds = [FoldInputs(fold, inputs, sample(fold.train), sample(fold.validation)) for fold in divided]
    return Folds(folds, folds)


def compare_given(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    *,
    features: FeatureParameters | None = None,
    given: Mapping[AlgorithmName, tuple[dict[str, Any], int | None]] = SMALL,
    fold_inputs: TrainingInputs | None = None,
    **changed: Any,
) -> Compared:
    """Folds and comparison of candidates with given hyperparameters instead of a search.

    Where a treatment is slow to learn, and its folds are not the point, all of them may share a given one.
    """
    configuration = configure(declaration, features, **changed)
    parameters = configuration.training
    development = build_development(train, validation, manifest, declaration, configuration.features)
    problem = describe_problem(development, configuration)
    if fold_inputs is None:
        folds = prepare_configured_folds(development, configuration)
    else:
        folds = _share_treatment(development, declaration, fold_inputs, parameters)
    search = given_search(parameters, development, folds, declaration, given)
    candidate_comparison = compare_candidates(search.searches, parameters.ensembles, folds, problem)
    return Compared(development, problem, folds, search, candidate_comparison, configuration)


def train_given(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    *,
    features: FeatureParameters | None = None,
    parts: PartFolder | None = None,
    **changed: Any,
) -> Training:
    """The same, with final fit, calibration and threshold."""
    compared = compare_given(train, validation, manifest, declaration, features=features, **changed)
    return fit_model(
        compared.development,
        compared.candidate_comparison,
        compared.search,
        compared.problem,
        compared.configuration,
        parts,
    )


@cache
def task_case(task: Task) -> TaskCase:
    """The case of a task; not to be changed."""
    declaration, raw = declare(task), fabricate(task)
    table = normalise(raw, declaration, with_target=True).table
    if declaration.classes:
        table = table.astype({declaration.target: "int64"})
    parts = split_customers(table, declaration, SPLIT)
    manifest = describe_splits(*parts, declaration, SPLIT, {})
    given = SMALL | {"xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 20)}
    training = train_given(*parts[:2], manifest, declaration, given=given)
    return TaskCase(declaration, raw, *parts, manifest, training.model, training)
