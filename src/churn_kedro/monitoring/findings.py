"""Findings of monitoring."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.monitoring.severity import Severity

Area = Literal["performance", "predictions", "data", "quality", "operations"]


class Finding(Record):
    """One thing that was found."""

    severity: Severity
    area: Area
    subject: str = Field(description="Column, metric or part that it is about.")
    sentence: str
    advice: str = ""
    weight: float = Field(0.0, description="How much it matters to the model; higher is more.")
