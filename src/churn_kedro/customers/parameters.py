"""Parameters of data processing."""

from __future__ import annotations

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.customers.leakage.findings import LeakageParameters
from churn_kedro.customers.profile import ProfileParameters
from churn_kedro.customers.splits import SplitParameters


class DataProcessingParameters(Parameters):
    """Parameters of the data_processing pipeline."""

    max_rejected_share: float = Field(ge=0, le=1, description="Largest share of rows that may break the declaration.")
    split: SplitParameters
    leakage: LeakageParameters
    profile: ProfileParameters
