"""The served version of a use case: loaded at the start, and exchanged when the alias moves."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from churn_kedro.base import Clock, hide_secrets, one_line, utc_now
from churn_kedro.datasets import (
    RegistryModelDataset,
    explain_store_failure,
    find_model_version,
    load_input_example,
    load_reference,
)
from churn_kedro.serving.metrics import ServiceMetrics
from churn_kedro.serving.requests import CustomerRequests
from churn_kedro.serving.scoring import ServedModel
from churn_kedro.serving.settings import UseCase

if TYPE_CHECKING:
    from churn_kedro.models import RegisteredModel

logger = logging.getLogger(__name__)

# A refused version is tried again after so many looks at the registry, since its file may have been repaired.
_RETRY_AFTER = 12


@dataclass(frozen=True)
class Refusal:
    """A version that was not taken into service."""

    version: int
    reason: str
    at: str


def require_version(use_case: UseCase) -> None:
    """Check that the wanted version exists, without loading it.

    Args:
        use_case: The use case.

    Raises:
        DatasetError: There is no such version.
    """
    if find_model_version(use_case.model_name, use_case.wanted) is None:
        # Explains which versions there are, and what gives them the alias.
        _registered(use_case.model_name, use_case.wanted).load()


def _registered(model_name: str, wanted: str) -> RegistryModelDataset:
    is_number = wanted.isdecimal()
    return RegistryModelDataset(
        model_name=model_name, model_version=wanted if is_number else None, alias=None if is_number else wanted
    )


class ModelHolder:
    """Holds the served version of a use case.

    A thread looks at the registry. If the alias names another version, it loads that one beside the served one,
    verifies its answers and exchanges the two by one assignment: a request uses the version that it began with.

    Args:
        use_case: The use case.
        requests: Types of its requests.
        metrics: Metrics of this process.
        poll_seconds: Seconds between two looks at the registry.
        clock: The clock.

    Attributes:
        model: The served version.
        aliases: Its aliases when the registry responded last.
        refusal: The last version that was refused; None: none since the last exchange.
        failure: Why the registry could not be read; None: it responded.
        checked_at: Time of the last response of the registry.

    Raises:
        DatasetError: The wanted version cannot be loaded.
        RefusedModelError: Its answers are wrong.
    """

    def __init__(
        self,
        use_case: UseCase,
        requests: CustomerRequests,
        metrics: ServiceMetrics,
        poll_seconds: float,
        clock: Clock = utc_now,
    ) -> None:
        self._use_case = use_case
        self._requests = requests
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._retry_at = 0.0
        self.model = self._prepare(None)
        self.aliases: tuple[str, ...] = ()
        self.refusal: Refusal | None = None
        self.failure: str | None = None
        self.checked_at = clock()
        metrics.version.labels(use_case.name).set(self.model.version)
        metrics.stale.labels(use_case.name).set(0)
        self.check()

    def start(self) -> None:
        """Begin to look at the registry."""
        self._thread = threading.Thread(target=self._run, name=f"registry-{self._use_case.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End to look at the registry; a version that is being loaded is given up."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._poll_seconds):
            self.check()

    def check(self) -> None:
        """Look at the registry once, and exchange the version if the alias has moved."""
        name = self._use_case.model_name
        try:
            found = find_model_version(name, self._use_case.wanted)
        except Exception as error:  # MLflow, its database and its server raise errors of many kinds.
            self._become_stale(explain_store_failure(error) or f"{type(error).__name__}: {error}")
            return
        if found is None:
            self._become_stale(f"No version of {name} has the alias or number {self._use_case.wanted}.")
            return
        if self.failure is not None:
            logger.info("%s: the registry responds again.", self._use_case.name)
        self.failure, self.checked_at = None, self._clock()
        self._metrics.stale.labels(self._use_case.name).set(0)
        number = int(found.version)
        if number == self.model.version:
            self.aliases = tuple(sorted(found.aliases))
            self.refusal = None
        elif self.refusal is None or self.refusal.version != number or monotonic() >= self._retry_at:
            self._exchange(number, tuple(sorted(found.aliases)))

    def _exchange(self, number: int, aliases: tuple[str, ...]) -> None:
        use_case, former = self._use_case.name, self.model.version
        try:
            model = self._prepare(number)
        except Exception as error:  # A version must not end the service, whatever is wrong with it.
            reason = one_line(hide_secrets(str(error) or type(error).__name__))
            self.refusal = Refusal(number, reason, self._clock())
            self._retry_at = monotonic() + _RETRY_AFTER * self._poll_seconds
            self._metrics.refused.labels(use_case).inc()
            logger.error("%s: version %d is refused, version %d stays: %s", use_case, number, former, reason)
            return
        self.model, self.aliases, self.refusal = model, aliases, None
        self._metrics.swaps.labels(use_case).inc()
        self._metrics.version.labels(use_case).set(number)
        logger.info("%s: version %d replaces version %d.", use_case, number, former)

    def _prepare(self, version: int | None) -> ServedModel:
        wanted = self._use_case.wanted if version is None else str(version)
        registered: RegisteredModel = _registered(self._use_case.model_name, wanted).load()
        examples = load_input_example(registered.name, registered.version)
        reference = load_reference(registered.run_id)
        profile = None if reference is None else reference.profile
        return ServedModel(registered, examples, self._use_case, self._requests, profile)

    def _become_stale(self, reason: str) -> None:
        reason = one_line(hide_secrets(reason))
        if self.failure is None:
            logger.warning("%s: version %d stays: %s", self._use_case.name, self.model.version, reason)
        self.failure = reason
        self._metrics.stale.labels(self._use_case.name).set(1)
