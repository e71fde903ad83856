"""Nodes of the monitoring pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pandas as pd

from churn_kedro.base import Clock, read_time, utc_now
from churn_kedro.campaigns import BatchReport, InferenceParameters
from churn_kedro.customers import CustomerDeclaration, DisplayNames, normalise
from churn_kedro.evaluation import headlines
from churn_kedro.models import RegisteredModel, count_new_rows
from churn_kedro.monitoring import (
    AlertRequest,
    CurrentCustomers,
    Examination,
    Finding,
    MaturedPredictions,
    MetricPoint,
    MonitoredPredictions,
    MonitoringParameters,
    MonitoringReport,
    MonitoringStatus,
    MonitoringWindow,
    NewRows,
    PipelineRun,
    RealisedPerformance,
    Reference,
    RegistryFacts,
    RetrainingPlan,
    Sample,
    ServiceFacts,
    choose_status,
    count_customers,
    count_rejected,
    count_tests,
    describe_age,
    describe_findings,
    describe_operations,
    examine,
    join_outcomes,
    list_notes,
    list_samples,
    maturity_days,
    measure_realised,
    measure_report,
    name_shifts,
    order_findings,
    plan_retraining,
    propose_retirements,
    read_logged,
    read_outcomes,
    summarise_operations,
    write_alert,
)
from churn_kedro.registry import RegistryParameters
from churn_kedro.reporting import Figure, draw_monitoring, render_monitoring_page

# Time before the latest matured predictions that is shown by period.
_HISTORY = pd.Timedelta(days=365)


def count_monitored_customers(
    predictions: MonitoredPredictions,
    model: RegisteredModel,
    reference: Reference,
    declaration: CustomerDeclaration,
    parameters: MonitoringParameters,
    batches: list[BatchReport],
    clock: Clock = utc_now,
) -> tuple[CurrentCustomers, MonitoringWindow]:
    """Count the customers to examine, in one pass.

    Args:
        predictions: The prediction log, the last batch, or a table.
        model: The version.
        reference: What it was trained on.
        declaration: The table's declaration.
        parameters: Time of the report, days before it, seed of the sample.
        batches: Reports of batches, with the rows that they could not score.
        clock: The clock, if no time is given. It is read after a batch of the same run is scored.

    Returns:
        The counts, and first and last time of the examined predictions in UTC.
    """
    as_of = read_time(parameters.as_of or clock())
    since = as_of - pd.Timedelta(days=parameters.window_days)
    window = MonitoringWindow(as_of=as_of.isoformat(timespec="seconds"), since=since.isoformat(timespec="seconds"))
    current = count_customers(
        predictions.examined, model, reference.profile, declaration, window, parameters.random_state
    )
    if predictions.examined is predictions.log:
        current.rejected = count_rejected(batches, window.since, window.as_of)
    return current, window


def examine_customers(
    current: CurrentCustomers,
    reference: Reference,
    parameters: MonitoringParameters,
    inference: InferenceParameters,
) -> Examination:
    """Compare the customers with the reference, and estimate the quality of their predictions.

    Args:
        current: Counts of the customers.
        reference: What the version was trained on.
        parameters: Parameters of monitoring.
        inference: Limits of the risk bands.

    Returns:
        Drift, estimated quality, and quality of the data.
    """
    return examine(current, reference, parameters, inference.bands)


def match_outcomes(
    raw: pd.DataFrame | None,
    predictions: MonitoredPredictions,
    reference: Reference,
    model: RegisteredModel,
    declaration: CustomerDeclaration,
    parameters: MonitoringParameters,
    window: MonitoringWindow,
) -> MaturedPredictions:
    """Join the outcomes with the predictions that they belong to.

    Args:
        raw: Table of outcomes; None: there is none.
        predictions: The prediction log.
        reference: What the version was trained on.
        model: The version.
        declaration: The table's declaration.
        parameters: Days until an outcome is final.
        window: Time of the report.

    Returns:
        Matured predictions of this version with their outcomes; none without outcomes.

    Raises:
        CustomerTableError: A column is absent, or no outcome belongs to any prediction.
    """
    if raw is None:
        return MaturedPredictions()
    as_of = read_time(window.as_of)
    outcomes = read_outcomes(raw, declaration, parameters.outcomes, as_of)
    outcomes.table["customer_id"] = predictions.log.identify(outcomes.table["customer_id"])
    since = as_of - pd.Timedelta(days=maturity_days(declaration, parameters.outcomes)) - _HISTORY
    logged = predictions.log.iterate(since=since.isoformat(), until=window.as_of, model_version=model.version)
    return join_outcomes(
        outcomes,
        logged,
        reference.profile,
        declaration,
        parameters.outcomes,
        as_of,
        lambda cells: read_logged(cells, model),
    )


def measure_outcomes(
    matured: MaturedPredictions, reference: Reference, parameters: MonitoringParameters
) -> RealisedPerformance:
    """Measure the quality of the predictions from outcomes.

    Args:
        matured: Matured predictions with their outcomes.
        reference: What the version was trained on.
        parameters: Accepted falls, seed.

    Returns:
        Realised quality, calibration and relation.
    """
    level = parameters.false_alarm_rate / count_tests(reference.profile)
    return measure_realised(
        matured,
        reference.profile,
        parameters.performance,
        level,
        parameters.random_state,
        parameters.outcomes.window_days,
    )


def count_new_labelled_rows(
    raw: pd.DataFrame | None, model: RegisteredModel, declaration: CustomerDeclaration
) -> NewRows:
    """Count the rows of the labelled table that the version was not trained on.

    Args:
        raw: The labelled table; None: there is none.
        model: The version, with the digests of its training rows.
        declaration: The table's declaration.

    Returns:
        Number of rows; None: unknown.
    """
    if raw is None:
        return NewRows(None)
    normalised = normalise(raw, declaration, with_target=True)
    labelled = normalised.table[normalised.table[declaration.target].notna()]
    return NewRows(count_new_rows(model, labelled, declaration))


def write_findings(
    current: CurrentCustomers,
    examination: Examination,
    measured: RealisedPerformance,
    reference: Reference,
    model: RegisteredModel,
    declaration: CustomerDeclaration,
    window: MonitoringWindow,
) -> MonitoringReport:
    """Say what was found, by what matters to the model.

    Args:
        current: The examined customers.
        examination: Their comparison with the reference.
        measured: Quality from outcomes.
        reference: What the version was trained on.
        model: The version.
        declaration: The table's declaration.
        window: The time that was examined.

    Returns:
        The report without plans.
    """
    drift, estimated = examination.drift, examination.estimated
    realised = measured if measured.counts.outcomes else None
    shifts = name_shifts(drift.columns, drift.joint, current.scores, realised, reference.profile)
    names = DisplayNames.of(declaration)
    verdict, findings = order_findings(
        describe_findings(drift, examination.quality, estimated, realised, shifts, names)
    )
    notes = list_notes(current.counter.rows, drift, examination.quality, estimated, realised, shifts, declaration.task)
    if current.hidden:
        notes.append(
            f"The log has hashes only of {', '.join(names.column(name) for name in current.hidden)}: private columns "
            "are examined in tables and batches, not in the log."
        )
    uses_log = current.source == "the prediction log"
    facts = f"{model.name}:{model.version}:{window.as_of}:{current.source}"
    return MonitoringReport(
        report_id=f"{window.as_of[:10]}-{hashlib.sha256(facts.encode()).hexdigest()[:10]}",
        as_of=window.as_of,
        use_case=str(model.tags.get("use_case", model.name)),
        model_name=model.name,
        model_version=model.version,
        task=declaration.task,
        source=current.source,
        since=window.since if uses_log else None,
        rows=current.counter.rows,
        reference_rows=reference.profile.rows,
        verdict=verdict,
        findings=findings,
        notes=notes,
        drift=drift,
        quality=examination.quality,
        estimated=estimated,
        realised=realised,
        shifts=shifts,
    )


def plan_actions(
    findings: MonitoringReport,
    new_rows: NewRows,
    facts: RegistryFacts,
    runs: list[PipelineRun],
    service: ServiceFacts | None,
    parameters: MonitoringParameters,
    registry: RegistryParameters,
) -> MonitoringReport:
    """Decide whether to train a new model, and which versions to retire.

    Args:
        findings: What was found.
        new_rows: Labelled rows that the version was not trained on.
        facts: State of the registry.
        runs: Runs of the last days.
        service: Facts about the service; None: there is none.
        parameters: Policy of training.
        registry: Retention rule.

    Returns:
        The report with plans.
    """
    ages = facts.ages_in_days(read_time(findings.as_of))
    headline = next(iter(headlines(findings.task)))
    age = ages.get(findings.model_version)
    operations = summarise_operations(runs, service, age, findings.rows)
    found: list[Finding] = [
        *findings.findings,
        *describe_age(findings.model_version, age, parameters.champion_age_days),
        *describe_operations(operations),
    ]
    verdict, ordered = order_findings(found)
    plan = plan_retraining(
        {"data": findings.has_alarm("data", "predictions"), "performance": findings.has_alarm("performance")},
        new_rows.count,
        min(ages.values(), default=None),
        parameters.retraining,
    )
    return findings.model_copy(
        update={
            "verdict": verdict,
            "findings": ordered,
            "champion_age_days": age,
            "operations": operations,
            "retraining": plan,
            "retirements": propose_retirements(
                facts.state, ages, registry.retention, headline, parameters.performance.largest_drop
            ),
        }
    )


def measure_monitoring(report: MonitoringReport) -> MetricPoint:
    """List the metrics of the report.

    Args:
        report: The report.

    Returns:
        See :func:`churn_kedro.monitoring.measure_report`.
    """
    return measure_report(report)


def request_alert(report: MonitoringReport, parameters: MonitoringParameters) -> AlertRequest:
    """Write the alert of the report.

    Args:
        report: The report.
        parameters: Who gets it, and when.

    Returns:
        The alert, which is sent if its verdict is serious enough and it says something new.
    """
    return AlertRequest(alert=write_alert(report), parameters=parameters.alerts)


def export_monitoring(report: MonitoringReport) -> list[Sample]:
    """List the values for Prometheus.

    Args:
        report: The report.

    Returns:
        The values.
    """
    return list_samples(report)


def draw_monitoring_figures(
    report: MonitoringReport, earlier: list[MonitoringReport], declaration: CustomerDeclaration
) -> dict[str, Figure]:
    """Draw the figures of the report.

    Args:
        report: The report.
        earlier: Earlier reports.
        declaration: The table's declaration, with names.

    Returns:
        Figures by file name.
    """
    return draw_monitoring(report, _before(report, earlier), DisplayNames.of(declaration))


def write_monitoring_page(
    report: MonitoringReport,
    earlier: list[MonitoringReport],
    declaration: CustomerDeclaration,
    figures: Mapping[str, bytes],
) -> str:
    """Write the page of the report.

    Args:
        report: The report.
        earlier: Earlier reports.
        declaration: The table's declaration, with names.
        figures: PNG images by name.

    Returns:
        Self-contained HTML.
    """
    return render_monitoring_page(report, _before(report, earlier), DisplayNames.of(declaration), figures)


def _before(report: MonitoringReport, earlier: list[MonitoringReport]) -> list[MonitoringReport]:
    """Earlier reports of the same use case."""
    return [one for one in earlier if one.report_id != report.report_id and one.as_of <= report.as_of]


def request_retraining(report: MonitoringReport, page: str, parameters: MonitoringParameters) -> RetrainingPlan:
    """Hand over the plan of training, after the page is written.

    Args:
        report: The report with its plan.
        page: The page, which is written before a training starts; not used otherwise.
        parameters: Policy of training.

    Returns:
        The plan.
    """
    plan = report.retraining
    return plan or plan_retraining({}, None, None, parameters.retraining)


def report_status(report: MonitoringReport, parameters: MonitoringParameters) -> MonitoringStatus:
    """Choose the exit status of the run.

    Args:
        report: The report.
        parameters: Verdict from which the status is not 0.

    Returns:
        The status, which the command line ends with.
    """
    return choose_status(report, parameters.fail_on)
