"""Nodes of the inference pipeline."""

from __future__ import annotations

import logging

import pandas as pd

from churn_kedro.base import Clock, utc_now
from churn_kedro.campaigns import (
    InferenceParameters,
    ScoringReport,
    count_unusual_cells,
    find_worth_contacting,
    list_predictions,
    require_readable,
)
from churn_kedro.customers import CustomerDeclaration, NormalisedCustomers, list_rejected, normalise
from churn_kedro.evaluation import RunMetrics
from churn_kedro.models import RegisteredModel, decision_threshold, predict, require_matching_table

logger = logging.getLogger(__name__)


def normalise_new_customers(raw: pd.DataFrame, declaration: CustomerDeclaration) -> NormalisedCustomers:
    """Read names, types and missing values as declared.

    Args:
        raw: New customers as the file writes them; the target may be absent.
        declaration: The table's declaration.

    Returns:
        The typed table and every cell that could not be read.
    """
    return normalise(raw, declaration, with_target=False)


def set_aside_unreadable_customers(normalised: NormalisedCustomers, raw: pd.DataFrame) -> pd.DataFrame:
    """List the customers that cannot be scored, because a numeric column contains other text.

    Args:
        normalised: Typed table and unreadable cells.
        raw: New customers as the file writes them.

    Returns:
        Their rows as the file writes them, with reasons.
    """
    return list_rejected(raw, normalised.unreadable)


def score_customers(
    normalised: NormalisedCustomers,
    unscored: pd.DataFrame,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
    parameters: InferenceParameters,
    clock: Clock = utc_now,
) -> tuple[pd.DataFrame, ScoringReport]:
    """Score new customers. Unknown levels and numbers out of range are scored and counted, with a warning.

    Args:
        normalised: Typed table and unreadable cells.
        unscored: Customers that cannot be scored.
        champion: The model.
        declaration: The table's declaration.
        parameters: Limits of the risk bands, and maximum share of unscored customers.
        clock: Time of scoring.

    Returns:
        The scored customers in the order of the file, and the counts.

    Raises:
        CustomerTableError: There are no customers, too many cannot be scored, or the champion has another task.
    """
    require_matching_table(champion, declaration)
    customers = normalised.table[~normalised.table.index.isin(normalised.unreadable["row"])]
    require_readable(len(normalised.table), len(unscored), parameters.max_unscored_share, normalised.unreadable)
    unusual = count_unusual_cells(customers, declaration)
    for name, count in unusual.items():
        logger.warning("%s: %d cells are unknown, out of range or missing; they are scored anyway.", name, count)
    predictions, counts = list_predictions(
        customers[declaration.id_names],
        predict(champion.estimator, customers, declaration.task),
        declaration,
        decision_threshold(champion.estimator),
        parameters.bands,
        champion.version,
        clock(),
        find_worth_contacting(champion.tags, customers),
    )
    return predictions, ScoringReport(
        model_name=champion.name,
        model_version=champion.version,
        task=declaration.task,
        rows_read=len(normalised.table),
        rows_scored=len(predictions),
        rows_rejected=len(unscored),
        unusual=unusual,
        **counts,
    )


def count_scores(report: ScoringReport) -> RunMetrics:
    """Convert the counts to metrics.

    Args:
        report: Counts of a scoring.

    Returns:
        ``scored_rows``, ``unscored_rows`` and ``unusual_cells``. Task binary: ``contacts``, ``band_low``,
        ``band_medium`` and ``band_high``. Task multiclass: ``predicted_<label>`` for each label. Task regression:
        ``mean_prediction``.
    """
    optional = {"contacts": report.contacts, "mean_prediction": report.mean_prediction}
    return RunMetrics(
        {
            "scored_rows": report.rows_scored,
            "unscored_rows": report.rows_rejected,
            "unusual_cells": sum(report.unusual.values()),
            **{name: value for name, value in optional.items() if value is not None},
            **{f"band_{band}": count for band, count in report.bands.items()},
            **{f"predicted_{_metric_name(label)}": count for label, count in report.classes.items()},
        }
    )


def _metric_name(label: str) -> str:
    """Replace characters of a label that MLflow rejects in the name of a metric."""
    return "".join(character if character.isalnum() or character in "_-. " else "_" for character in label)
