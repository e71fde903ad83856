"""Parameters of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.evaluation.explanations.interface import ExplanationParameters
from churn_kedro.evaluation.fairness import FairnessParameters
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters
from churn_kedro.evaluation.slices import SliceParameters


class EvaluationParameters(Parameters):
    """Parameters of the evaluation pipeline."""

    bootstrap: BootstrapParameters
    explanations: ExplanationParameters
    slices: SliceParameters
    fairness: FairnessParameters
    training_rows_in_test: Literal["refuse", "include"] = Field(
        description="If the version was trained on test customers: stop, or include them."
    )
    n_disagreements: int = Field(
        ge=0, description="Number of listed customers with the largest disagreement between version and baseline."
    )
