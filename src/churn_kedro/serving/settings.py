"""What a worker process needs to know; it is pickled for each worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from churn_kedro.base import ParameterError
from churn_kedro.campaigns import BandParameters
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.monitoring import MonitoringParameters
from churn_kedro.serving.parameters import ServingParameters

KEYS_VARIABLE = "CHURN_API_KEYS"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class UseCase:
    """A served use case.

    Attributes:
        name: Name, the first part of its routes.
        model_name: Registered model.
        wanted: Alias or number of the served version.
        declaration: Declaration of the customers.
        bands: Lower bounds of the risk bands.
        holdout_share: Share of the customers worth a contact who are deliberately not contacted.
        log_url: Database of the prediction log.
        monitoring: Sizes from which a change of the customers counts.
    """

    name: str
    model_name: str
    wanted: str
    declaration: CustomerDeclaration
    bands: BandParameters
    holdout_share: float
    log_url: str
    monitoring: MonitoringParameters = field(default_factory=MonitoringParameters)


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of the service.

    Attributes:
        use_cases: The use cases; routes without a use case are those of the first.
        parameters: Parameters of the service.
        tracking_uri: Address of the registry.
        key_digests: SHA-256 of each API key in hexadecimal digits; none: no key is needed.
        requests_file: JSON lines with one object per request; None: none is written.
        threads: Threads of each worker for batches and explanations.
    """

    use_cases: tuple[UseCase, ...]
    parameters: ServingParameters
    tracking_uri: str
    key_digests: tuple[str, ...] = ()
    requests_file: Path | None = None
    threads: int = 1


def read_key_digests(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Read the digests of the API keys.

    Args:
        environment: Environment variables.

    Returns:
        Digests in ``CHURN_API_KEYS``, which separates them by commas or blanks.

    Raises:
        ParameterError: One is no SHA-256 digest.
    """
    digests = tuple(environment.get(KEYS_VARIABLE, "").replace(",", " ").lower().split())
    wrong = sum(_DIGEST.fullmatch(digest) is None for digest in digests)
    if wrong:
        # Without the text, which may be a key.
        raise ParameterError(
            f"{wrong} of the {len(digests)} entries of {KEYS_VARIABLE} are no SHA-256 digest: expected 64 hexadecimal "
            "digits each, separated by commas. A digest of a key: `printf %s KEY | sha256sum`."
        )
    return digests
