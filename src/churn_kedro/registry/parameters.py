"""Parameters of the registry."""

from __future__ import annotations

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.registry.gate import Approval, GateParameters
from churn_kedro.registry.retention import RetentionParameters


class RegistryParameters(Parameters):
    """Parameters of the registry pipeline and of ``kedro models``."""

    approval: Approval = Field(
        description="auto: promote what passes the gate; manual: wait for `kedro models approve`."
    )
    gate: GateParameters
    retention: RetentionParameters
