"""Nodes of the evaluation pipeline."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.explanations import column_importance
from churn_kedro.figures import Figure, draw_contributions, draw_importance
from churn_kedro.metrics import BootstrapParameters, Evaluation, RunMetrics, measure_with_intervals
from churn_kedro.models import RegisteredModel, ScoredCustomers, require_task, score_known
from churn_kedro.parameters import Parameters
from churn_kedro.splits import SplitManifest


class ShapParameters(Parameters):
    """How many customers are explained."""

    max_explained: int = Field(ge=1, description="Most test customers to explain; above, a seeded sample is.")
    random_state: int = Field(ge=0, description="Seed of the sample.")


class EvaluationParameters(Parameters):
    """Parameters of the evaluation pipeline."""

    bootstrap: BootstrapParameters
    shap: ShapParameters


def score_test_customers(
    candidate: RegisteredModel, test: pd.DataFrame, manifest: SplitManifest, declaration: CustomerDeclaration
) -> ScoredCustomers:
    """Score the test customers with a registered version.

    Args:
        candidate: The version.
        test: Test customers.
        manifest: Identifies them.
        declaration: The table's declaration.

    Returns:
        Target and prediction of each customer.

    Raises:
        CustomerTableError: The table is not that of the manifest, or the version was trained for another task.
    """
    manifest.verify(test=test)
    require_task(candidate, declaration)
    return score_known(candidate.estimator, test, declaration)


def measure_performance(
    candidate: RegisteredModel, scores: ScoredCustomers, manifest: SplitManifest, parameters: EvaluationParameters
) -> tuple[Evaluation, RunMetrics]:
    """Measure the version with bootstrap intervals.

    Args:
        candidate: The version.
        scores: Scored test customers.
        manifest: Identifies the test table.
        parameters: Resamples, coverage and seed.

    Returns:
        The evaluation for the registry, and its metrics for the tracking server.
    """
    evaluation = Evaluation(
        model_name=candidate.name,
        model_version=candidate.version,
        model_id=candidate.model_id,
        test_digest=manifest.test.digest,
        task=scores.task,
        test_rows=len(scores.target),
        test_classes={label: int((scores.target == code).sum()) for code, label in enumerate(scores.classes)},
        threshold=scores.threshold,
        bootstrap=parameters.bootstrap,
        metrics=measure_with_intervals(scores, parameters.bootstrap),
    )
    return evaluation, RunMetrics(evaluation.flat(), candidate.model_id)


def draw_feature_importance(
    candidate: RegisteredModel,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: EvaluationParameters,
) -> Figure:
    """Draw how much of what the model does rests on each column.

    Args:
        candidate: The version.
        test: Test customers.
        declaration: The table's declaration.
        parameters: Most customers to look at, and the seed of the sample that is taken of more.

    Returns:
        The figure.
    """
    require_task(candidate, declaration)
    return draw_importance(*column_importance(candidate.estimator, _sample(test, parameters), declaration))


def _sample(test: pd.DataFrame, parameters: EvaluationParameters) -> pd.DataFrame:
    if len(test) <= parameters.shap.max_explained:
        return test
    return test.sample(parameters.shap.max_explained, random_state=parameters.shap.random_state)


def draw_shap_summary(
    candidate: RegisteredModel,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: EvaluationParameters,
) -> Figure:
    """Draw the contributions of each column to the scores of some test customers.

    Args:
        candidate: The version.
        test: Test customers.
        declaration: The table's declaration.
        parameters: Most customers to explain, and the seed of the sample that is taken of more.

    Returns:
        The figure: a beeswarm, or with several classes bars of the mean absolute contributions to each.
    """
    require_task(candidate, declaration)
    return draw_contributions(candidate.estimator, _sample(test, parameters), declaration)
