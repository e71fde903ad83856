"""Nodes of the training pipeline."""

from __future__ import annotations

from typing import Any

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, LargeTables, SplitManifest
from churn_kedro.evaluation import RunMetrics
from churn_kedro.features import FittedFeatures, describe_features
from churn_kedro.models import TrainedModel, digest_training_rows
from churn_kedro.monitoring import ReferenceProfile, build_reference
from churn_kedro.training import (
    CandidateComparison,
    ChildRun,
    Development,
    Ensemble,
    Folds,
    PartFolder,
    Problem,
    SearchContext,
    SearchResult,
    TrainingConfiguration,
    TrainingSummary,
    TrialArchive,
    ValidatedPredictions,
    build_development,
    compare_candidates,
    describe_problem,
    fit_model,
    list_child_runs,
    list_parameters,
    prepare_configured_folds,
    require_large_table_support,
    search_models,
    summarise_metrics,
)


def gather_customers(
    train: pd.DataFrame, validation: pd.DataFrame, manifest: SplitManifest, configuration: TrainingConfiguration
) -> tuple[Development, Problem]:
    """Concatenate training and validation customers, and describe the learning problem.

    Args:
        train: Training customers.
        validation: Validation customers.
        manifest: Manifest of both splits.
        configuration: Declaration and parameters.

    Returns:
        Development set and learning problem.

    Raises:
        CustomerTableError: The tables differ from those of the manifest, or a declared class has no customer.
        ParameterError: The configuration is invalid for the customers or the task.
    """
    development = build_development(train, validation, manifest, configuration.declaration, configuration.features)
    require_large_table_support(development, configuration)
    return development, describe_problem(development, configuration)


def record_training_rows(
    development: Development, all_customers: LargeTables, declaration: CustomerDeclaration
) -> pd.DataFrame:
    """Record the training rows of the model.

    Args:
        development: Development customers.
        all_customers: Parts of the table of which they are a sample; empty if they are all.
        declaration: The table's declaration.

    Returns:
        A digest of each row.
    """
    return digest_training_rows(development.customers, declaration, all_customers.get("train"))


def prepare_fold_inputs(development: Development, configuration: TrainingConfiguration) -> Folds:
    """Divide the development set into folds, and fit the column treatment within each.

    Args:
        development: Development customers.
        configuration: Number of folds, seed, treatment.

    Returns:
        Inputs of each fold.
    """
    return prepare_configured_folds(development, configuration)


def search_hyperparameters(
    development: Development,
    folds: Folds,
    problem: Problem,
    configuration: TrainingConfiguration,
    archive: TrialArchive,
) -> SearchResult:
    """Search the hyperparameters of each algorithm by cross-validation.

    Finished trials are stored in the archive, so that an interrupted search can be resumed.

    Args:
        development: Development customers.
        folds: Inputs of each fold.
        problem: Learning problem.
        configuration: Algorithms, spaces and budget.
        archive: Storage of finished trials.

    Returns:
        The best trial of each algorithm and all others.
    """
    return search_models(development, folds, problem, configuration, SearchContext(archive))


def choose_candidate(
    search: SearchResult, folds: Folds, problem: Problem, ensembles: list[Ensemble]
) -> CandidateComparison:
    """Compare the best trial of each algorithm, and ensembles of them, on the same folds, and choose one.

    Args:
        search: Search result of each algorithm.
        folds: Inputs of each fold.
        problem: Learning problem.
        ensembles: Ways of combining the algorithms.

    Returns:
        The comparison, the choice and its out-of-fold predictions.
    """
    return compare_candidates(search.searches, ensembles, folds, problem)


def train_model(
    development: Development,
    candidate_comparison: CandidateComparison,
    search: SearchResult,
    problem: Problem,
    configuration: TrainingConfiguration,
    parts: PartFolder,
    all_customers: LargeTables,
) -> tuple[TrainedModel, FittedFeatures, TrainingSummary, ValidatedPredictions]:
    """Fit the chosen candidate on all development customers, calibrate it and choose its threshold.

    Args:
        development: Development customers.
        candidate_comparison: The chosen candidate, and its out-of-fold predictions.
        search: Search result of each algorithm.
        problem: Learning problem.
        configuration: Declaration and parameters.
        parts: Folder for the matrix, if it is stored on disk.
        all_customers: Parts of the table of which the customers are a sample; empty if they are all.

    Returns:
        The estimator to register, the fitted treatment, the summary, and the calibrated out-of-fold predictions.
    """
    training = fit_model(development, candidate_comparison, search, problem, configuration, parts, all_customers)
    fitted = describe_features(training.inputs, configuration.declaration, configuration.features)
    return training.model, fitted, training.summary, training.validated


def profile_training_customers(
    development: Development, predictions: ValidatedPredictions, declaration: CustomerDeclaration
) -> tuple[ReferenceProfile, pd.DataFrame]:
    """Describe the customers that the model is trained on, with which monitoring compares others later.

    Args:
        development: Development customers.
        predictions: Calibrated out-of-fold predictions.
        declaration: The table's declaration.

    Returns:
        Histograms of columns and predictions, and a sample of customers as numbers of bins.
    """
    validated = development.customers.iloc[predictions.rows]
    reference = build_reference(development.customers, validated, predictions, declaration)
    return reference.profile, reference.sample


def record_training(
    summary: TrainingSummary, search: SearchResult, child_runs: bool
) -> tuple[dict[str, Any], RunMetrics, list[ChildRun]]:
    """List parameters and metrics of the training for the experiment tracker.

    Args:
        summary: Summary of the training.
        search: Result of the search.
        child_runs: Whether trials become runs.

    Returns:
        Parameters and metrics of the run, and a run for each trial.
    """
    return list_parameters(summary), summarise_metrics(summary), list_child_runs(summary, search, child_runs)
