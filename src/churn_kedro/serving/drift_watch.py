"""Comparison of the answered customers with those that the served version was trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churn_kedro.base import one_line
from churn_kedro.customers import CustomerDeclaration, DisplayNames
from churn_kedro.monitoring import MonitoringParameters, TableCounter, summarise_counts
from churn_kedro.serving.metrics import ServiceMetrics
from churn_kedro.serving.scoring import ServedModel, as_table

if TYPE_CHECKING:
    from churn_kedro.serving.log_writer import AnsweredRequest

logger = logging.getLogger(__name__)

# Customers that are examined together.
WINDOW_ROWS = 2_000


class DriftWatch:
    """Examines answered customers in windows, in the thread that writes the log.

    Args:
        use_case: Name of the use case.
        declaration: The table's declaration.
        parameters: Parameters of monitoring.
        served: Returns the served version.
        metrics: Metrics of this process.
        window_rows: Customers that are examined together.
    """

    def __init__(
        self,
        use_case: str,
        declaration: CustomerDeclaration,
        parameters: MonitoringParameters,
        served: Callable[[], ServedModel],
        metrics: ServiceMetrics,
        window_rows: int = WINDOW_ROWS,
    ) -> None:
        self._use_case = use_case
        self._declaration = declaration
        self._parameters = parameters
        self._served = served
        self._metrics = metrics
        self._window_rows = window_rows
        self._rows: list[Mapping[str, Any]] = []
        self._version = 0
        self._reported = "ok"

    def add(self, requests: Sequence[AnsweredRequest]) -> None:
        """Collect the customers of requests, and examine them when there are enough.

        Args:
            requests: The requests.
        """
        model = self._served()
        if model.version != self._version:
            self._version, self._rows, self._reported = model.version, [], "ok"
        if model.profile is None:
            return
        for request in requests:
            if request.model_version == self._version:
                self._rows += request.rows
        if len(self._rows) >= self._window_rows:
            rows, self._rows = self._rows, []
            try:
                self._examine(rows, model)
            except Exception:  # The log of predictions must go on, whatever is wrong with these customers.
                logger.exception("%s: the last %d customers could not be compared.", self._use_case, len(rows))

    def _examine(self, rows: Sequence[Mapping[str, Any]], model: ServedModel) -> None:
        profile, estimator = model.profile, model.registered.estimator
        if profile is None:
            return
        counter = TableCounter(profile, self._declaration, sample_rows=0)
        counter.add(estimator.read(as_table(rows, estimator)).table)
        found = summarise_counts(counter, profile, self._parameters)
        self._metrics.drift.labels(self._use_case).set(found.score)
        self._metrics.drifted.labels(self._use_case).set(len(found.columns))
        if found.severity != self._reported:
            sentence = found.describe(DisplayNames.of(self._declaration))
            if sentence is None:
                logger.info("%s: the last %d customers are those that the version knows.", self._use_case, len(rows))
            else:
                logger.warning("%s: of the last %d customers: %s", self._use_case, len(rows), one_line(sentence))
            self._reported = found.severity
