"""Parameters of decisions and campaigns."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from churn_kedro.base import Parameters, read_time

Objective = Literal["profit", "f1", "balanced_accuracy", "matthews_corrcoef", "accuracy", "recall_at_precision"]


class ValueColumn(Parameters):
    """A column with the value of a saved customer."""

    column: str = Field(min_length=1, description="Column of the customer table, numbers.")
    factor: float = Field(1, gt=0, allow_inf_nan=False, description="Money per unit of the column.")


class Economics(Parameters):
    """Costs and value of a campaign. All money is in one currency."""

    currency: str | None = Field(
        None, min_length=1, max_length=8, description="Currency of all money, such as EUR; null: amounts without unit."
    )
    contact_cost: float = Field(ge=0, allow_inf_nan=False, description="Money spent on every contacted customer.")
    offer_cost: float = Field(
        ge=0, allow_inf_nan=False, description="Money spent on every contacted customer who takes the offer."
    )
    save_probability: float = Field(
        gt=0, le=1, description="Probability that a contacted customer who would leave takes the offer and stays."
    )
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)] | ValueColumn = Field(
        description="Money that a saved customer is worth, before costs: a number, or a column of the table."
    )
    capacity: float | None = Field(
        None, gt=0, le=1, description="Largest share of the customers that can be contacted; null: no limit."
    )
    budget: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Maximum expected spending per customer of the table, contacted or not; null: no limit.",
    )

    @model_validator(mode="after")
    def _worth_a_contact(self) -> Self:
        if not isinstance(self.value, ValueColumn):
            gain = self.save_probability * (self.value - self.offer_cost)
            if gain <= self.contact_cost:
                raise ValueError(
                    "no customer is worth a contact: the expected gain of a customer who is certain to leave is "
                    f"save_probability * (value - offer_cost) = {self.save_probability:g} * ({self.value:g} - "
                    f"{self.offer_cost:g}) = {gain:g}, which must be above the contact_cost of "
                    f"{self.contact_cost:g}; correct the numbers, or choose another objective than profit"
                )
        return self


class CampaignParameters(Parameters):
    """Objective of the decision threshold, and economics of a campaign."""

    objective: Objective = Field(description="Objective that the threshold maximises.")
    min_precision: float | None = Field(
        None, gt=0, le=1, description="Minimum precision (recall_at_precision); null with other objectives."
    )
    economics: Economics | None = Field(
        None, description="Costs and value of a campaign (profit); other objectives ignore it."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.objective == "profit" and self.economics is None:
            raise ValueError(
                "objective profit needs economics: contact_cost, offer_cost, save_probability and value; give them, or "
                "choose another objective"
            )
        if self.objective == "recall_at_precision" and self.min_precision is None:
            raise ValueError("objective recall_at_precision needs min_precision, a number above 0 and at most 1")
        if self.objective != "recall_at_precision" and self.min_precision is not None:
            raise ValueError(
                f"min_precision is {self.min_precision:g}, but objective {self.objective} does not use it; set it to "
                "null, or choose objective recall_at_precision"
            )
        return self


class BandParameters(Parameters):
    """Lower bounds of the risk bands."""

    medium: float = Field(gt=0, lt=1, description="Minimum probability of the medium band.")
    high: float = Field(gt=0, lt=1, description="Minimum probability of the high band.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.medium >= self.high:
            raise ValueError(f"the medium band ({self.medium:g}) must begin below the high band ({self.high:g})")
        return self


class ReasonParameters(Parameters):
    """Reasons of single customers."""

    count: int = Field(3, ge=0, le=10, description="Maximum number of reasons per customer.")
    max_customers: int = Field(
        100_000, ge=0, description="Customers of the campaign list that get reasons, best first; 0: none."
    )


def _require_time(text: str | None) -> str | None:
    if text is not None:
        try:
            read_time(text)
        except ValueError as error:
            raise ValueError(
                f"{text!r} is not a time in ISO 8601, such as 2026-01-31 or 2026-01-31T09:30:00+00:00"
            ) from error
    return text


# A time of ISO 8601; None: now.
OptionalTime = Annotated[str | None, AfterValidator(_require_time)]


class InferenceParameters(Parameters):
    """Parameters of the inference pipeline."""

    as_of: OptionalTime = Field(None, description="Time of scoring; None: now.")
    bands: BandParameters
    max_unscored_share: float = Field(ge=0, le=1, description="Largest share of customers that may be left unscored.")
    holdout_share: float = Field(
        0.0, ge=0, lt=1, description="Share of the customers worth a contact who are deliberately not contacted."
    )
    reasons: ReasonParameters = Field(default_factory=ReasonParameters)


class StreamParameters(Parameters):
    """Size of micro-batches, and when a stream ends."""

    micro_batch: int = Field(100, ge=1, description="Maximum number of customers that are scored together.")
    wait_seconds: float = Field(0.2, ge=0, description="Maximum wait for a micro-batch to fill.")
    stop_when_idle_seconds: float | None = Field(
        None, gt=0, description="End after so long without customers; null: run until stopped."
    )


class TrackerParameters(Parameters):
    """How often the predictions of a stream are summarised in MLflow."""

    every_predictions: int = Field(100, ge=1, description="Predictions after which a summary is logged.")
    every_seconds: float = Field(10, gt=0, description="Seconds after which one is logged at the latest.")
    max_pending: int = Field(1000, ge=1, description="Summaries that are kept while MLflow does not respond.")


class StreamingParameters(Parameters):
    """Parameters of the streaming_inference pipeline."""

    stream: StreamParameters = Field(default_factory=StreamParameters)
    tracker: TrackerParameters = Field(default_factory=TrackerParameters)
