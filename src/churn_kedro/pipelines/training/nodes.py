"""Nodes of the training pipeline."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, SplitManifest
from churn_kedro.evaluation import RunMetrics
from churn_kedro.features import FeatureParameters, FittedFeatures, describe_features
from churn_kedro.models import TrainedModel, digest_training_rows
from churn_kedro.training import (
    CandidateComparison,
    ChildRun,
    Development,
    Folds,
    PartFolder,
    Problem,
    Progress,
    SearchContext,
    SearchResult,
    Stopwatch,
    TrainingParameters,
    TrainingSummary,
    TrialArchive,
    build_development,
    compare_candidates,
    describe_problem,
    fit_model,
    list_child_runs,
    list_parameters,
    prepare_folds,
    search_models,
    summarise_metrics,
)


def gather_customers(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    parameters: TrainingParameters,
) -> tuple[Development, Problem]:
    """Put the training and the validation customers together, and say what is to be learned of them.

    Args:
        train: Training customers.
        validation: Validation customers.
        manifest: Identifies both.
        declaration: The table's declaration.
        features: Treatment of the columns.
        parameters: All that training was told.

    Returns:
        Development customers, and the problem.

    Raises:
        CustomerTableError: The tables are not those of the manifest, or a declared class has no customer.
        ParameterError: What was told cannot be done.
    """
    development = build_development(train, validation, manifest, declaration, features)
    return development, describe_problem(development, declaration, parameters)


def record_training_rows(development: Development, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Write down which customers the model learns from.

    Args:
        development: Development customers.
        declaration: The table's declaration.

    Returns:
        A digest of each.
    """
    return digest_training_rows(development.customers, declaration)


def prepare_fold_inputs(
    development: Development,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    parameters: TrainingParameters,
) -> Folds:
    """Divide the development customers into folds, and learn the treatment of the columns within each.

    Args:
        development: Development customers.
        declaration: The table's declaration.
        features: Treatment of the columns.
        parameters: Number of folds, seed.

    Returns:
        Inputs of each fold.
    """
    return prepare_folds(
        development, declaration, features, parameters.folds, parameters.random_state, parameters.class_weight
    )


def search_hyperparameters(
    development: Development,
    folds: Folds,
    problem: Problem,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    parameters: TrainingParameters,
    archive: TrialArchive,
    progress: Progress,
    stopwatch: Stopwatch,
) -> SearchResult:
    """Search the hyperparameters of each algorithm by cross-validation.

    Trials are kept in the archive as they end, so that an interrupted search loses none.

    Args:
        development: Development customers.
        folds: Inputs of each fold.
        problem: What is to be learned.
        declaration: The table's declaration.
        features: Treatment of the columns.
        parameters: Algorithms, spaces and budget.
        archive: Keeps trials from one search to the next.
        progress: Shows how far the search is.
        stopwatch: The clock.

    Returns:
        The best trial of each algorithm and all others.
    """
    context = SearchContext(archive, progress, stopwatch)
    return search_models(development, folds, problem, declaration, features, parameters, context)


def choose_candidate(
    search: SearchResult, folds: Folds, problem: Problem, parameters: TrainingParameters, stopwatch: Stopwatch
) -> CandidateComparison:
    """Fit the best of each algorithm, and ensembles of them, on the same folds, and choose.

    Args:
        search: What was found for each algorithm.
        folds: Inputs of each fold.
        problem: What is to be learned.
        parameters: Ensembles.
        stopwatch: The clock.

    Returns:
        The comparison, the choice and its out-of-fold predictions.
    """
    return compare_candidates(search.searches, parameters.ensembles, folds, problem, stopwatch)


def train_model(
    development: Development,
    candidate_comparison: CandidateComparison,
    search: SearchResult,
    problem: Problem,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    parameters: TrainingParameters,
    stopwatch: Stopwatch,
    parts: PartFolder,
) -> tuple[TrainedModel, FittedFeatures, TrainingSummary]:
    """Fit the chosen candidate on all development customers, calibrate it and choose its threshold.

    Args:
        development: Development customers.
        candidate_comparison: The candidate that goes on, and its out-of-fold predictions.
        search: What was found for each algorithm.
        problem: What is to be learned.
        declaration: The table's declaration.
        features: Treatment of the columns.
        parameters: All that training was told.
        stopwatch: The clock.
        parts: Folder for the matrix, where it is to be kept in files.

    Returns:
        The estimator, ready to be registered; what the treatment learned; what was done.
    """
    training = fit_model(
        development, candidate_comparison, search, problem, declaration, features, parameters, stopwatch, parts
    )
    return training.model, describe_features(training.inputs, declaration, features), training.summary


def record_training(
    summary: TrainingSummary, search: SearchResult, parameters: TrainingParameters
) -> tuple[dict[str, Any], RunMetrics, list[ChildRun]]:
    """Put the training into the words that users of an experiment tracker look for.

    Args:
        summary: What was done.
        search: Every trial.
        parameters: Whether trials become runs.

    Returns:
        Parameters and metrics of the run, and a run for each trial.
    """
    return list_parameters(summary), summarise_metrics(summary), list_child_runs(summary, search, parameters)
