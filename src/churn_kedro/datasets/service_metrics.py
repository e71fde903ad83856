"""Metrics of the scoring service."""

from __future__ import annotations

import logging
import os
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import hide_secrets, one_line, remember_secret
from churn_kedro.datasets.http_requests import RequestFailedError, send_request
from churn_kedro.monitoring import ServiceFacts, latency_percentiles

logger = logging.getLogger(__name__)

# Environment variable with a key of the service, if it needs one.
KEY_VARIABLE = "CHURN_SERVICE_KEY"
_TIMEOUT_SECONDS = 5
_UNAUTHORISED, _SERVER_ERROR = 401, 500


class ServiceMetricsDataset(AbstractDataset["ServiceFacts | None", "ServiceFacts | None"]):
    """Requests, errors and latency of a service, from its route ``/metrics``. It is read-only.

    Args:
        url: Address of the service; empty: there is none.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, url: str = "", metadata: dict[str, Any] | None = None) -> None:
        self._url = url
        self.metadata = metadata

    def load(self) -> ServiceFacts | None:
        """Ask the service.

        Returns:
            The facts; None without an address. A service whose metrics cannot be read is a fact, too.

        Raises:
            DatasetError: The address is not one of HTTP.
        """
        if not self._url:
            return None
        if not self._url.startswith(("http://", "https://")):
            raise DatasetError(f"CHURN_SERVICE_URL is {self._url!r}; expected http://HOST:PORT or https://HOST.")
        key = os.environ.get(KEY_VARIABLE)
        remember_secret(key)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            text = send_request(f"{self._url.rstrip('/')}/metrics", timeout=_TIMEOUT_SECONDS, headers=headers)
            return _read(text.decode())
        except RequestFailedError as error:
            reason = one_line(hide_secrets(str(error)))
            if error.status == _UNAUTHORISED:
                reason += f": set {KEY_VARIABLE} to an API key of the service"
        except (ValueError, LookupError):
            reason = "the answer is not in the format of Prometheus"
        logger.warning("The metrics of the service (CHURN_SERVICE_URL) cannot be read: %s.", reason)
        return ServiceFacts(reachable=False)

    def save(self, data: ServiceFacts | None) -> None:
        """Raise an error, since the service counts itself."""
        raise DatasetError("The metrics of the service are read-only.")

    def _describe(self) -> dict[str, Any]:
        return {"url": hide_secrets(self._url)}


def _read(text: str) -> ServiceFacts:
    from prometheus_client.parser import text_string_to_metric_families

    requests = errors = lost = 0.0
    stale = False
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "churn_requests_total":
                requests += sample.value
                errors += sample.value if int(sample.labels["code"]) >= _SERVER_ERROR else 0.0
            elif sample.name == "churn_request_seconds_bucket":
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
            elif sample.name == "churn_log_lost_rows_total":
                lost += sample.value
            elif sample.name == "churn_registry_stale":
                stale = stale or sample.value > 0
    return ServiceFacts(
        reachable=True,
        requests=requests,
        error_share=errors / requests if requests else None,
        latency_seconds=latency_percentiles(buckets),
        lost_rows=lost,
        stale=stale,
    )
