"""Everything that an evaluation finds out beyond the metrics of a version, put together."""

from __future__ import annotations

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.campaigns import CampaignReport
from churn_kedro.evaluation import Estimate, FairnessReport, ModelComparison, SliceReport

_GAPS = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
    "equalized_odds_ratio",
)


class Assessment(Parameters):
    """What a version is worth, for whom it fails, and how it stands beside another model."""

    slices: SliceReport = Field(description="The model on groups of customers.")
    campaign: CampaignReport | None = Field(None, description="Task binary with economics only.")
    fairness: FairnessReport | None = Field(None, description="Task binary with protected columns only.")
    comparison: ModelComparison | None = Field(None, description="Null where nothing was there to compare with.")

    @property
    def extended_metrics(self) -> dict[str, Estimate]:
        """Those of ``EXTENDED_METRICS`` that were measured; of several protected columns, the worst."""
        found: dict[str, Estimate] = {}
        if self.campaign is not None:
            found["profit_per_customer"] = self.campaign.chosen.profit_per_customer
        for name in _GAPS:
            gaps = [getattr(column, name) for column in self.fairness.columns] if self.fairness else []
            known = [gap for gap in gaps if gap is not None]
            if known:
                worst = min if name.endswith("ratio") else max
                found[name] = worst(known, key=lambda gap: gap.value)
        return found
