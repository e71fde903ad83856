"""Results of an evaluation, combined for report, model card and registry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.campaigns import CampaignReport
from churn_kedro.customers import CustomerDeclaration, DisplayNames, LeakageReport
from churn_kedro.evaluation import (
    METRICS,
    Estimate,
    Evaluation,
    ExplanationSummary,
    FairnessReport,
    ModelComparison,
    SliceReport,
    Subject,
    extended_metrics,
)


class Assessment(Record):
    """Campaign, slices, fairness and comparison of a version."""

    subject: Subject = Field(description="The version, and the tables of the split.")
    leakage: LeakageReport = Field(description="Leakage checks of these tables.")
    slices: SliceReport = Field(description="Performance on groups of customers.")
    campaign: CampaignReport | None = Field(None, description="Task binary with economics only.")
    fairness: FairnessReport | None = Field(None, description="Task binary with protected columns only.")
    comparison: ModelComparison | None = Field(None, description="Null without baseline.")
    simple_comparison: ModelComparison | None = Field(
        None, description="Comparison with a linear model trained on the same customers; null without baseline."
    )

    @property
    def extended_metrics(self) -> dict[str, Estimate]:
        """Available ``extended_metrics``; with several protected columns, the worst."""
        found: dict[str, Estimate] = {}
        if self.campaign is not None:
            found["profit_per_customer"] = self.campaign.chosen.profit_per_customer
        for name in extended_metrics("binary"):
            gaps = [getattr(column, name, None) for column in self.fairness.columns] if self.fairness else []
            known = [gap for gap in gaps if gap is not None]
            if known:
                worst = max if METRICS[name].lower_is_better else min
                found[name] = worst(known, key=lambda gap: gap.value)
        return found


class CardFacts(Record):
    """Facts about a version and its training."""

    use_case: str = Field(description="Name of the use case.")
    purpose: str = Field(description="Description of customers and table, from the declaration.")
    model_name: str
    model_version: int
    model_id: str = Field(description="MLflow's id of the model.")
    run_id: str = Field(description="Run that trained it.")
    algorithm: str = Field(description="Name of the algorithm or ensemble.")
    hyperparameters: dict[str, str] = Field(default_factory=dict, description="As trained.")
    calibration: str | None = Field(None, description="Calibration method; null: none.")
    threshold: float | None = Field(None, description="Decision threshold; null for other tasks than binary.")
    value_column: str | None = Field(
        None,
        description="Column of a customer's value, if decisions depend on it; null: on the threshold.",
    )
    threshold_reason: str | None = Field(None, description="Reason of the threshold.")
    trained_rows: int | None = Field(None, description="Number of training customers; null: unknown.")
    trained_at: str | None = Field(None, description="Date as text.")
    train_digest: str | None = Field(None, description="Content digest of the training table of the version.")
    test_digest: str = Field(description="Content digest of the test table.")
    split_train_digest: str | None = Field(
        None, description="Content digest of the training table of the test table's split."
    )
    split_method: str | None = Field(None, description="Method of that split.")
    git_commit: str | None = Field(None, description="Git commit of the training code.")
    git_dirty: bool | None = Field(None, description="Whether there were uncommitted changes.")
    libraries: dict[str, str] = Field(default_factory=dict, description="Versions of Python and of the libraries.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the version.")


@dataclass(frozen=True)
class EvaluationResults:
    """All results of the evaluation of a version.

    Attributes:
        evaluation: Metrics with intervals.
        assessment: Campaign, groups, fairness and comparison.
        explanations: Summary of the explanations.
        card: Facts about the version.
        declaration: The table's declaration.
    """

    evaluation: Evaluation
    assessment: Assessment
    explanations: ExplanationSummary
    card: CardFacts
    declaration: CustomerDeclaration

    @cached_property
    def names(self) -> DisplayNames:
        """Names of columns, levels and classes for readers."""
        return DisplayNames.of(self.declaration)
