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
from churn_kedro.customers import (
    CustomerDeclaration,
    NamedCustomers,
    apply_policy,
    find_known_outcomes,
    list_rejected,
    name_columns,
)
from churn_kedro.evaluation import RunMetrics
from churn_kedro.models import RegisteredModel, require_matching_table

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

logger = logging.getLogger(__name__)


def read_new_customers(
    raw: pd.DataFrame, champion: RegisteredModel, declaration: CustomerDeclaration
) -> tuple[NamedCustomers, ReadTable, pd.DataFrame]:
    """Find the declared columns, and read their cells as the champion does.

    Args:
        raw: New customers as the file writes them; the target may be absent.
        champion: The model.
        declaration: The table's declaration, with the policy for unreadable cells.

    Returns:
        The raw cells under their declared names; the typed customers with the cells that could not be read; and the
        customers that cannot be scored, as the file writes them, with reasons.

    Raises:
        CustomerTableError: The champion was trained for another table, a declared column is absent, or a cell cannot be
            read and the policy is to refuse it.
    """
    require_matching_table(champion, declaration)
    named = name_columns(raw, declaration, with_target=False)
    read = champion.estimator.read(named.cells)
    unreadable = apply_policy(read.unreadable, declaration.unreadable)
    return named, ReadTable(read.table, unreadable), list_rejected(named.raw, unreadable)


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
        The scored customers in the order of the file, with the columns of
        :func:`churn_kedro.campaigns.list_predictions` and ``outcome_known``, whether the table has the outcome of the
        customer; and the counts.

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
    ids = _identify(named, declaration)[readable]
    predictions, counts = list_predictions(
        ids, model.answer(customers), declaration, parameters.bands, champion.version, clock()
    )
    outcome_known = find_known_outcomes(named, declaration)[readable].to_numpy()
    return predictions.assign(outcome_known=outcome_known), ScoringReport(
        model_name=champion.name,
        model_version=champion.version,
        task=declaration.task,
        threshold=model.threshold,
        rows_read=len(read.table),
        rows_scored=len(predictions),
        rows_rejected=n_unscored,
        known_outcomes=int(outcome_known.sum()),
        unusual=unusual,
        **counts,
    )


def _identify(named: NamedCustomers, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Return the declared identifiers, or else the row numbers of the file (1: the first row below the header)."""
    readers = [declaration.cell_reader(column) for column in declaration.columns if column.role == "id"]
    if readers:
        return read_table(named.cells, readers).table
    rows = named.raw.index.get_indexer(named.cells.index) + 1
    return pd.DataFrame({"row": rows}, index=named.cells.index)


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
        ``scored_rows``, ``unscored_rows``, ``known_outcomes`` and ``unusual_cells``. Task binary: ``contacts``,
        ``band_low``, ``band_medium`` and ``band_high``. Task multiclass: ``predicted_<label>`` for each label. Task
        regression: ``mean_prediction``.
    """
    optional = {"contacts": report.contacts, "mean_prediction": report.mean_prediction}
    return RunMetrics(
        {
            "scored_rows": report.rows_scored,
            "unscored_rows": report.rows_rejected,
            "known_outcomes": report.known_outcomes,
            "unusual_cells": sum(report.unusual.values()),
            **{name: value for name, value in optional.items() if value is not None},
            **{f"band_{band}": count for band, count in report.bands.items()},
            **{f"predicted_{_metric_name(label)}": count for label, count in report.classes.items()},
        }
    )


def _metric_name(label: str) -> str:
    """Replace characters of a label that MLflow rejects in the name of a metric."""
    return "".join(character if character.isalnum() or character in "_-. " else "_" for character in label)
