"""Export of metrics to Prometheus."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import hide_secrets, one_line
from churn_kedro.datasets.files import open_filesystem, written_whole
from churn_kedro.datasets.http_requests import RequestFailedError, send_request
from churn_kedro.monitoring import METRICS, Sample

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

logger = logging.getLogger(__name__)

# Environment variable with the address of a Pushgateway.
GATEWAY_VARIABLE = "CHURN_PUSHGATEWAY"
_JOB, _TIMEOUT_SECONDS = "churn_monitoring", 10
# node_exporter reads each file that ends in .prom, and rejects all if two have the same metric.
_UNFINISHED = ".tmp"


class PrometheusDataset(AbstractDataset[list[Sample], list[Sample]]):
    """Write metrics to a file for node_exporter's textfile collector, and push them to a Pushgateway if there is one.

    A gateway that does not answer is named in a warning: the report is complete without it.

    Args:
        filepath: Local path or fsspec URL, ``.prom``.
        use_case: Name of the use case, which groups the values of the gateway.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        use_case: str,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._use_case = use_case
        self.metadata = metadata

    def load(self) -> list[Sample]:
        """Refuse."""
        raise DatasetError(f"The metrics are write-only; their file is {self._filepath}.")

    def save(self, data: list[Sample]) -> None:
        """Write the file, and push.

        Args:
            data: The values.
        """
        from prometheus_client import generate_latest, push_to_gateway

        registry = _collect(data)
        text = generate_latest(registry)
        with (
            written_whole(self._filesystem, self._filepath, _UNFINISHED) as path,
            self._filesystem.open(path, "wb") as file,
        ):
            file.write(text)
        gateway = os.environ.get(GATEWAY_VARIABLE)
        if not gateway:
            return
        grouping = {"use_case": self._use_case}
        try:
            push_to_gateway(gateway, _JOB, registry, grouping, timeout=_TIMEOUT_SECONDS, handler=_send)
        except RequestFailedError as error:
            logger.warning(
                "The Pushgateway (%s) does not take the metrics: %s",
                GATEWAY_VARIABLE,
                one_line(hide_secrets(str(error))),
            )

    def _exists(self) -> bool:
        return bool(self._filesystem.isfile(str(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _send(
    url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    """Send a request of prometheus_client, whose own function takes no password in an address."""

    def send() -> None:
        seconds = _TIMEOUT_SECONDS if timeout is None else timeout
        send_request(url, timeout=seconds, method=method, body=data, headers=dict(headers))

    return send


def _collect(samples: list[Sample]) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    defined = {metric.name: metric for metric in METRICS}
    for sample in samples:
        metric = defined[sample.name]
        if metric.name not in gauges:
            gauges[metric.name] = Gauge(metric.name, metric.help, metric.labels, registry=registry)
        gauges[metric.name].labels(**sample.labels).set(sample.value)
    return registry
