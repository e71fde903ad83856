"""Metrics of the service in the format of Prometheus; with several workers, those of all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PROBABILITY = tuple(step / 10 for step in range(1, 11))
# prometheus_client reads it when it is imported, and shares the values of all workers in files of this folder.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class ServiceMetrics:
    """The metrics of one worker process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "churn_requests", "Requests by route and status.", ["route", "method", "code"], registry=registry
        )
        self.seconds = Histogram(
            "churn_request_seconds", "Seconds of a request.", ["route"], registry=registry, buckets=_LATENCY
        )
        self.predictions = Counter(
            "churn_predictions",
            "Predictions by risk band, or by predicted class.",
            ["use_case", "outcome"],
            registry=registry,
        )
        self.probability = Histogram(
            "churn_probability",
            "Predicted probabilities of leaving.",
            ["use_case"],
            registry=registry,
            buckets=_PROBABILITY,
        )
        self.warnings = Counter(
            "churn_unusual_cells", "Cells outside of the declaration.", ["use_case", "column"], registry=registry
        )
        self.version = Gauge(
            "churn_model_version",
            "Served version; with several workers, the newest one.",
            ["use_case"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.swaps = Counter("churn_model_swaps", "Versions taken into service.", ["use_case"], registry=registry)
        self.refused = Counter("churn_model_refused", "Versions refused.", ["use_case"], registry=registry)
        self.stale = Gauge(
            "churn_registry_stale",
            "1 while the registry does not respond.",
            ["use_case"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.queue = Gauge(
            "churn_log_queue_rows",
            "Rows that wait to be logged.",
            ["log"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.logged = Counter("churn_log_rows", "Rows written to a log.", ["log"], registry=registry)
        self.lost = Counter("churn_log_lost_rows", "Rows that could not be logged.", ["log"], registry=registry)
        self.failures = Counter("churn_log_failures", "Failed attempts to write a log.", ["log"], registry=registry)
        self.drift = Gauge(
            "churn_served_drift_score",
            "Mean distance of the columns of the last customers from the training, weighted by importance.",
            ["use_case"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.drifted = Gauge(
            "churn_served_columns_drifted",
            "Columns of the last customers that have drifted.",
            ["use_case"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.cache = Counter("churn_cache_requests", "Requests by result of the cache.", ["result"], registry=registry)

    def render(self) -> tuple[bytes, str]:
        """Write the metrics as text.

        Returns:
            The text and its content type.
        """
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if os.environ.get(FOLDER_VARIABLE):
            registry = CollectorRegistry()
            collector: Any = MultiProcessCollector
            collector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def forget_ended_workers() -> None:
    """Leave out the present values, such as the served version, of workers that have ended."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return
    from prometheus_client.multiprocess import mark_process_dead

    for path in Path(folder).glob("gauge_live*_*.db"):
        process = int(path.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            mark_process_dead(process)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
