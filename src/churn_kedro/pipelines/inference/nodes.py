"""Nodes of the inference pipeline."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import pandas as pd

from churn_kedro.base import Clock, Stopwatch, perf_counter, utc_now
from churn_kedro.campaigns import (
    BatchIdentity,
    BatchReport,
    CampaignParameters,
    CustomerReasons,
    InferenceParameters,
    LoggedBatch,
    RankedCustomers,
    ScoredPart,
    ScoredTable,
    explain_reasons,
    find_previous_batch,
    identify_batch,
    limit_explained,
    list_contacts,
    list_logged_predictions,
    list_predictions,
    rank_customers,
    report_batch,
    require_readable,
    score_parts,
    select_contacts,
    warn_of_unusual_cells,
)
from churn_kedro.customers import CustomerDeclaration, DisplayNames, TableParts, as_parts
from churn_kedro.evaluation import RunMetrics
from churn_kedro.models import RegisteredModel, require_matching_table
from churn_kedro.monitoring import MonitoringParameters, Reference, ScoredDrift, compare_scored
from churn_kedro.reporting import Figure, draw_batch, render_batch_page

logger = logging.getLogger(__name__)


def score_new_customers(
    raw: TableParts | pd.DataFrame,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
    stopwatch: Stopwatch = perf_counter,
) -> Iterator[ScoredPart]:
    """Score new customers part by part.

    Args:
        raw: New customers as the file writes them, whole or in parts; the target may be absent.
        champion: The model.
        declaration: The table's declaration, with the policy for unreadable cells.
        stopwatch: Measures the seconds of scoring.

    Yields:
        The scored parts.

    Raises:
        CustomerTableError: The champion was trained for another table, a declared column is absent, or a cell cannot be
            read and the policy is to refuse it.
    """
    require_matching_table(champion, declaration)
    yield from score_parts(as_parts(raw), champion, declaration, stopwatch)


def list_unscored(scored: ScoredTable) -> pd.DataFrame:
    """List the customers that cannot be scored.

    Args:
        scored: Scored customers.

    Returns:
        ``row`` (1: the first row below the header), ``reasons`` and the cells as the file writes them.
    """
    return scored.rejected


def rank_scored_customers(
    scored: ScoredTable,
    unscored: pd.DataFrame,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
    parameters: InferenceParameters,
    campaigns: CampaignParameters,
) -> RankedCustomers:
    """Rank the customers and choose those to contact. Warn of cells that the declaration does not allow.

    Args:
        scored: Scored customers.
        unscored: Customers that cannot be scored.
        champion: The model, with costs and value of a contact.
        declaration: The table's declaration.
        parameters: Limits of the risk bands, share of the holdout, and maximum share of unscored customers.
        campaigns: Capacity and budget.

    Returns:
        All customers with their ranks, and the campaign list.

    Raises:
        CustomerTableError: There are no customers, or too many cannot be scored.
    """
    require_readable(scored.counts, unscored, parameters)
    warn_of_unusual_cells(scored.counts, declaration)
    model = champion.estimator
    value = model.contact_value
    if value is not None and value.column is not None and scored.lacks(value.column):
        logger.warning(
            "The table to score lacks the column %s with the value of a customer: the median of the training customers "
            "is used.",
            value.column,
        )
    selection = None
    if declaration.task == "binary":
        selection = select_contacts(
            scored, model.contact_value, campaigns.economics, parameters.holdout_share, champion.name
        )
    return rank_customers(scored, parameters.bands, selection)


def identify_scored_batch(
    ranked: RankedCustomers,
    champion: RegisteredModel,
    parameters: InferenceParameters,
    campaigns: CampaignParameters,
    earlier: list[BatchReport],
    clock: Clock = utc_now,
) -> BatchIdentity:
    """Recognise the batch if it was scored before.

    Args:
        ranked: Scored customers, with the digest of the table.
        champion: The model.
        parameters: Parameters of inference.
        campaigns: Capacity and budget.
        earlier: Reports of earlier batches.
        clock: Time of scoring.

    Returns:
        Its id, and the time at which it was scored first.
    """
    return identify_batch(ranked.data_digest, champion, parameters, campaigns.economics, earlier, clock)


def explain_contacts(
    scored: ScoredTable,
    ranked: RankedCustomers,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
    parameters: InferenceParameters,
) -> CustomerReasons:
    """Find the reasons of the customers on the campaign list.

    Args:
        scored: Scored customers.
        ranked: The campaign list.
        champion: The model.
        declaration: The table's declaration, with names and phrases.
        parameters: Number of reasons, and of customers who get some.

    Returns:
        Reasons by position in the table, best customer first.
    """
    if ranked.selection is None or not len(ranked.selection.order):
        return {}
    model = champion.estimator
    most = limit_explained(model, parameters.reasons.max_customers)
    positions = ranked.table.index[ranked.selection.order[:most]]
    if not len(positions):
        return {}
    customers = scored.select(positions)
    background = next(iter(scored.read_customers()))
    reasons = explain_reasons(model, customers, DisplayNames.of(declaration), parameters.reasons.count, background)
    return dict(zip(positions.tolist(), reasons, strict=True))


def list_scored_customers(
    ranked: RankedCustomers,
    reasons: CustomerReasons,
    batch: BatchIdentity,
    champion: RegisteredModel,
    parameters: InferenceParameters,
) -> pd.DataFrame:
    """Build the scored list.

    Args:
        ranked: Scored customers with ranks.
        reasons: Reasons of the customers on the campaign list.
        batch: Which batch it is.
        champion: The model.
        parameters: Number of reasons.

    Returns:
        The customers in the order of the file, see :func:`churn_kedro.campaigns.list_predictions`.
    """
    origin: dict[str, str | int] = {
        "model_name": champion.name,
        "model_version": champion.version,
        "data_digest": ranked.data_digest,
        "scored_at": batch.scored_at,
    }
    return list_predictions(ranked, reasons, parameters.reasons.count, origin)


def list_campaign(
    ranked: RankedCustomers,
    reasons: CustomerReasons,
    declaration: CustomerDeclaration,
    parameters: InferenceParameters,
) -> pd.DataFrame:
    """Build the campaign list.

    Args:
        ranked: Who is on the list.
        reasons: Reasons of these customers.
        declaration: The table's declaration, with names and suggestions.
        parameters: Number of reasons.

    Returns:
        The customers to contact, best first, see :func:`churn_kedro.campaigns.list_contacts`; without columns for other
        tasks than binary.
    """
    if ranked.selection is None:
        return pd.DataFrame()
    names = DisplayNames.of(declaration)
    return list_contacts(ranked.table, ranked.selection, reasons, parameters.reasons.count, ranked.ids, names)


def count_batch(
    ranked: RankedCustomers,
    reasons: CustomerReasons,
    batch: BatchIdentity,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
) -> BatchReport:
    """Report on the batch, without data of single customers.

    Args:
        ranked: Scored customers with ranks, and the campaign list.
        reasons: Reasons of the customers on the list.
        batch: Which batch it is.
        champion: The model.
        declaration: The table's declaration.

    Returns:
        The report.
    """
    return report_batch(ranked, reasons, batch, champion, declaration)


def compare_scored_customers(
    scored: ScoredTable,
    reference: Reference | None,
    declaration: CustomerDeclaration,
    parameters: MonitoringParameters,
) -> ScoredDrift:
    """Compare the customers with those that the version was trained on.

    Args:
        scored: Scored customers.
        reference: What the version was trained on; None: unknown.
        declaration: The table's declaration.
        parameters: Sizes from which a change counts.

    Returns:
        The columns that have drifted.
    """
    found = compare_scored(
        scored.read_customers(), None if reference is None else reference.profile, declaration, parameters
    )
    sentence = found.describe(DisplayNames.of(declaration))
    if sentence is not None:
        logger.warning("%s", sentence)
    return found


def measure_batch(report: BatchReport, ranked: RankedCustomers, drift: ScoredDrift) -> RunMetrics:
    """Convert the report to metrics.

    Args:
        report: Report of the batch.
        ranked: Scored customers, with the seconds of scoring.
        drift: How the customers differ from those of the training.

    Returns:
        ``batch_size``, ``rejected_rows``, ``known_outcomes``, ``unusual_cells``, ``unseen_categories``,
        ``missing_values`` and ``avg_inference_time_ms`` (per customer); where the version has a reference profile,
        ``feature_drift_score`` and ``features_drifted``. Task binary: ``avg_churn_probability``,
        ``low_risk_predictions``, ``medium_risk_predictions``, ``high_risk_predictions``, ``contacts``, ``holdout``, and
        with economics ``expected_cost`` and ``expected_value``. Task multiclass: ``predicted_<label>`` for each label.
        Task regression: ``mean_prediction``.
    """
    campaign = report.campaign
    mean = "avg_churn_probability" if report.task == "binary" else "mean_prediction"
    optional = {mean: report.mean_prediction}
    if drift.compared:
        optional |= {"feature_drift_score": drift.score, "features_drifted": len(drift.columns)}
    if campaign is not None:
        optional |= {
            "contacts": campaign.contacts,
            "holdout": campaign.holdout,
            "expected_cost": campaign.expected_cost,
            "expected_value": campaign.expected_value,
        }
    return RunMetrics(
        {
            "batch_size": report.rows_scored,
            "rejected_rows": report.rows_rejected,
            "known_outcomes": report.known_outcomes,
            "unusual_cells": sum(report.unusual.values()),
            "unseen_categories": sum(report.unseen.values()),
            "missing_values": sum(report.missing.values()),
            "avg_inference_time_ms": 1000 * ranked.counts.seconds / max(1, report.rows_scored),
            **{name: value for name, value in optional.items() if value is not None},
            **{f"{band}_risk_predictions": count for band, count in report.bands.items()},
            **{f"predicted_{_metric_name(label)}": count for label, count in report.classes.items()},
        }
    )


def _metric_name(label: str) -> str:
    """Replace characters of a label that MLflow rejects in the name of a metric."""
    return "".join(character if character.isalnum() or character in "_-. " else "_" for character in label)


def draw_scored_batch(
    report: BatchReport, batch: BatchIdentity, earlier: list[BatchReport], declaration: CustomerDeclaration
) -> dict[str, Figure]:
    """Draw the distribution of the predictions, and the reasons.

    Args:
        report: Report of the batch.
        batch: Which batch it is.
        earlier: Reports of earlier batches.
        declaration: The table's declaration, with names.

    Returns:
        Figures by file name.
    """
    return draw_batch(report, find_previous_batch(batch, earlier), DisplayNames.of(declaration))


def write_batch_page(
    report: BatchReport,
    batch: BatchIdentity,
    earlier: list[BatchReport],
    campaign: pd.DataFrame,
    declaration: CustomerDeclaration,
    pictures: Mapping[str, bytes],
    drift: ScoredDrift,
) -> str:
    """Write the page of the batch.

    Args:
        report: Report of the batch.
        batch: Which batch it is.
        earlier: Reports of earlier batches.
        campaign: The campaign list.
        declaration: The table's declaration, with names.
        pictures: Figures as PNG by file name.
        drift: How the customers differ from those of the training.

    Returns:
        Self-contained HTML.
    """
    previous = find_previous_batch(batch, earlier)
    return render_batch_page(report, previous, campaign, DisplayNames.of(declaration), pictures, drift)


def log_predictions(
    scored: ScoredTable,
    ranked: RankedCustomers,
    batch: BatchIdentity,
    champion: RegisteredModel,
    declaration: CustomerDeclaration,
) -> Iterator[LoggedBatch]:
    """Prepare the predictions for the prediction log.

    Args:
        scored: Scored customers.
        ranked: The same with bands, and the campaign list.
        batch: Which batch it is.
        champion: The model.
        declaration: The table's declaration, with its identifiers.

    Yields:
        The predictions of each part, with the cells that the model read.
    """
    for customers in scored.read_customers():
        part = ranked.table.loc[customers.index]
        yield LoggedBatch(list_logged_predictions(part, part[declaration.id_names], batch, champion), customers)
