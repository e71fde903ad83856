"""Nodes of the inference pipeline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from churn_estimators.cells import ReadTable, read_table
from churn_kedro.base import Clock, utc_now
from churn_kedro.campaigns import (
    InferenceParameters,
    ScoringReport,
    count_unusual_cells,
    list_predictions,
    require_readable,
)
from churn_kedro.customers import CustomerDeclaration, NamedCustomers, apply_policy, list_rejected, name_columns
from churn_kedro.evaluation import RunMetrics
from churn_kedro.models import RegisteredModel, require_matching_table

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

logger = logging.getLogger(__name__)


def name_new_customers(raw: pd.DataFrame, declaration: CustomerDeclaration) -> NamedCustomers:
    """Find the declared columns.

    Args:
        raw: New customers as the file writes them; the target may be absent.
        declaration: The table's declaration.

    Returns:
        The raw cells under their declared names.
    """
    return name_columns(raw, declaration, with_target=False)


def read_new_customers(
    named: NamedCustomers, champion: RegisteredModel, declaration: CustomerDeclaration
) -> tuple[ReadTable, pd.DataFrame]:
    """Read the cells as the champion does.

    Args:
        named: Raw cells.
        champion: The model.
        declaration: The table's declaration, with the policy for unreadable cells.

    Returns:
        The typed customers with the cells that could not be read; and the customers that cannot be scored, as the file
        writes them, with reasons.

    Raises:
        CustomerTableError: The champion was trained for another table; or a cell cannot be read, and the policy is to
            refuse it.
    """
    require_matching_table(champion, declaration)
    read = champion.estimator.read(named.cells)
    unreadable = apply_policy(read.unreadable, declaration.unreadable)
    return ReadTable(read.table, unreadable), list_rejected(named.raw, unreadable)


def score_customers(
    read: ReadTable,
    named: NamedCustomers,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
    parameters: InferenceParameters,
    clock: Clock = utc_now,
) -> tuple[pd.DataFrame, ScoringReport]:
    """Score new customers. Unknown levels and numbers out of range are scored and counted, with a warning.

    Args:
        read: Typed customers, and the cells that could not be read.
        named: Raw cells, with the identifiers.
        champion: The model.
        declaration: The table's declaration.
        parameters: Limits of the risk bands, and maximum share of unscored customers.
        clock: Time of scoring.

    Returns:
        The scored customers in the order of the file, and the counts.

    Raises:
        CustomerTableError: There are no customers, or too many cannot be scored.
    """
    model = champion.estimator
    readable = ~read.table.index.isin(read.unreadable["row"])
    n_unscored = int((~readable).sum())
    require_readable(len(read.table), n_unscored, parameters.max_unscored_share, read.unreadable)
    customers = read.table[readable] if n_unscored else read.table
    unusual = count_unusual_cells(customers, declaration)
    _warn(unusual, named, model)
    readers = [declaration.cell_reader(column) for column in declaration.columns if column.role == "id"]
    ids = read_table(named.cells[readable] if n_unscored else named.cells, readers).table
    predictions, counts = list_predictions(
        ids, model.answer(customers), declaration, parameters.bands, champion.version, clock()
    )
    return predictions, ScoringReport(
        model_name=champion.name,
        model_version=champion.version,
        task=declaration.task,
        threshold=model.threshold,
        rows_read=len(read.table),
        rows_scored=len(predictions),
        rows_rejected=n_unscored,
        unusual=unusual,
        **counts,
    )


def _warn(unusual: Mapping[str, int], named: NamedCustomers, model: CustomerModel) -> None:
    for name, count in unusual.items():
        logger.warning("%s: %d cells are unknown, out of range or missing; they are scored anyway.", name, count)
    value = model.contact_value
    if value is not None and value.column is not None and value.column not in named.cells:
        logger.warning(
            "The table to score lacks the column %s with the value of a customer: the median of the training customers "
            "is used.",
            value.column,
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
