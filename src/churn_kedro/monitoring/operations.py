"""Facts about the pipelines and the service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.monitoring.findings import Finding

_FAILED = ("FAILED", "KILLED")
# Share of requests that may fail, and seconds of the 99th percentile of latency.
_LARGEST_ERROR_SHARE, _LARGEST_LATENCY = 0.01, 1.0


class PipelineRun(Record):
    """One run."""

    pipelines: str = Field(description="Names of the pipelines, separated by commas.")
    status: str = Field(description="FINISHED, FAILED, KILLED or RUNNING.")
    started: str = Field(description="ISO 8601 in UTC.")
    seconds: float | None = Field(None, description="Duration; None: it has not ended.")


class ServiceFacts(Record):
    """What the metrics of the service say."""

    reachable: bool = Field(description="Whether its metrics can be read.")
    requests: float = 0.0
    error_share: float | None = Field(None, description="Share of requests with a status of 500 or above.")
    latency_seconds: dict[str, float] = Field(default_factory=dict, description="Percentiles: p50, p95, p99.")
    lost_rows: float = Field(0.0, description="Predictions that could not be logged.")
    stale: bool = Field(False, description="Whether the registry does not respond to it.")


class OperationsReport(Record):
    """Pipelines, champion and service."""

    runs: dict[str, dict[str, int]] = Field(default_factory=dict, description="Runs by pipelines and status.")
    seconds: dict[str, float] = Field(
        default_factory=dict, description="Duration of the last successful run, by pipelines."
    )
    failing: list[str] = Field(default_factory=list, description="Pipelines whose last run failed or was killed.")
    champion_age_days: float | None = None
    rows_scored: int = Field(0, description="Customers that batches of the window scored.")
    service: ServiceFacts | None = Field(None, description="None: no address of a service is configured.")


def summarise_operations(
    runs: Sequence[PipelineRun], service: ServiceFacts | None, champion_age_days: float | None, rows_scored: int
) -> OperationsReport:
    """Count runs and durations.

    Args:
        runs: Runs of the period, in any order.
        service: Facts about the service; None: none is configured.
        champion_age_days: Age of the champion; None: unknown.
        rows_scored: Customers that were scored.

    Returns:
        The summary.
    """
    counted: dict[str, dict[str, int]] = {}
    last: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for run in sorted(runs, key=lambda one: one.started):
        of_pipeline = counted.setdefault(run.pipelines, {})
        of_pipeline[run.status] = of_pipeline.get(run.status, 0) + 1
        if run.status != "RUNNING":
            last[run.pipelines] = run.status
        if run.seconds is not None and run.status == "FINISHED":
            seconds[run.pipelines] = run.seconds
    return OperationsReport(
        runs=counted,
        seconds=seconds,
        # A report shows that monitoring itself works again.
        failing=sorted(name for name, status in last.items() if status in _FAILED and name != "monitoring"),
        champion_age_days=champion_age_days,
        rows_scored=rows_scored,
        service=service,
    )


def describe_operations(report: OperationsReport) -> list[Finding]:
    """Say what is wrong with pipelines and service.

    Args:
        report: The facts.

    Returns:
        Findings.
    """
    return [*_describe_runs(report), *_describe_service(report.service)]


def _describe_runs(report: OperationsReport) -> Iterator[Finding]:
    for pipelines in report.failing:
        statuses = report.runs[pipelines]
        failed = sum(statuses.get(status, 0) for status in _FAILED)
        yield Finding(
            severity="warning",
            area="operations",
            subject=pipelines,
            sentence=f"The last run of {pipelines} failed, and {failed} of {sum(statuses.values())} runs lately.",
            advice="Its reason is in MLflow and in logs/.",
        )


def _describe_service(service: ServiceFacts | None) -> Iterator[Finding]:
    if service is None:
        return
    problems = []
    if not service.reachable:
        problems.append("The metrics of the service (CHURN_SERVICE_URL) cannot be read")
    if (service.error_share or 0.0) > _LARGEST_ERROR_SHARE:
        problems.append(f"{service.error_share:.1%} of the requests to the service fail")
    if service.latency_seconds.get("p99", 0.0) > _LARGEST_LATENCY:
        problems.append(f"1 % of the requests take longer than {service.latency_seconds['p99']:.2f} seconds")
    if service.lost_rows:
        problems.append(f"{service.lost_rows:,.0f} predictions of the service could not be logged")
    if service.stale:
        problems.append("the registry does not respond to the service")
    for problem in problems:
        yield Finding(
            severity="warning",
            area="operations",
            subject="service",
            sentence=f"{problem[0].upper()}{problem[1:]}.",
            advice="See the log of the service." if service.reachable else "The log of the run has the reason.",
        )


def latency_percentiles(buckets: dict[float, float]) -> dict[str, float]:
    """Compute percentiles from the buckets of a histogram, as Prometheus' ``histogram_quantile`` does.

    Args:
        buckets: Number of requests up to each number of seconds; infinity for all.

    Returns:
        p50, p95 and p99 in seconds, interpolated within a bucket; empty without requests.

    Examples:
        >>> latency_percentiles({0.1: 50.0, 0.2: 100.0, float("inf"): 100.0})["p50"]
        0.1
    """
    bounds = sorted(buckets)
    totals = np.array([buckets[bound] for bound in bounds])
    if not len(totals) or not totals[-1]:
        return {}
    found = {}
    for percent in (50, 95, 99):
        wanted = totals[-1] * percent / 100
        place = int(np.searchsorted(totals, wanted))
        low = 0.0 if place == 0 else bounds[place - 1]
        if not np.isfinite(bounds[place]):
            found[f"p{percent}"] = low
            continue
        before = 0.0 if place == 0 else float(totals[place - 1])
        inside = max(float(totals[place]) - before, 1e-12)
        found[f"p{percent}"] = float(low + (bounds[place] - low) * (wanted - before) / inside)
    return found
