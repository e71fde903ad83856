"""What a model rests on, for texts."""

from __future__ import annotations

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.evaluation.explanations.explained_customers import ExplainedCustomers
from churn_kedro.evaluation.explanations.interactions import Interactions
from churn_kedro.evaluation.explanations.permutation import PermutationImportance
from churn_kedro.models import SCORE_NAMES


class ColumnRise(Record):
    """What shuffling one column does to the loss."""

    column: str
    rise: float = Field(description="Mean over the shuffles.")
    spread: float = Field(description="Standard deviation over the shuffles.")


class ColumnStrength(Record):
    """How far one column moves the model's answer."""

    column: str
    mean_absolute: float = Field(description="Mean absolute SHAP value, summed over classes where there are several.")


class ColumnPair(Record):
    """Two columns whose effects depend on each other."""

    columns: tuple[str, str]
    mean_absolute: float = Field(description="Mean absolute SHAP interaction value, both halves.")


class ExplanationSummary(Record):
    """What a model rests on, for texts."""

    loss_name: str = Field(description="Loss that shuffling raises, for people.")
    loss: float = Field(description="Without shuffling, on the customers shuffled.")
    shuffled: list[ColumnRise] = Field(description="Largest rise first.")
    shuffled_customers: int
    n_repeats: int
    strengths: list[ColumnStrength] = Field(description="Strongest first.")
    output: str = Field(description="What SHAP values add up to, for people.")
    exact: bool = Field(description="Whether SHAP values were computed, or else estimated from samples.")
    explained_customers: int
    pairs: list[ColumnPair] = Field(description="Strongest interactions; none where they were not computed.")
    interacting_customers: int = Field(description="Customers whose interactions were computed.")
    total_customers: int = Field(description="Customers that all samples were taken of.")


def summarise_explanations(
    explained: ExplainedCustomers, shuffled: PermutationImportance, interactions: Interactions | None
) -> ExplanationSummary:
    """Gather what a model rests on.

    Args:
        explained: SHAP values.
        shuffled: What shuffling the columns did.
        interactions: Interaction values, if they could be computed.

    Returns:
        The summary; the five strongest pairs.
    """
    first = explained.outputs[0]
    kind = first.output if len(explained.outputs) == 1 else f"the {first.output.split(' of ')[0]} of each class"
    return ExplanationSummary(
        loss_name=SCORE_NAMES[shuffled.score],
        loss=shuffled.loss,
        shuffled=[
            ColumnRise(column=str(name), rise=float(rise), spread=float(spread))
            for (name, rise), spread in zip(shuffled.means.items(), shuffled.spreads, strict=True)
        ],
        shuffled_customers=shuffled.customers,
        n_repeats=shuffled.rises.shape[1],
        strengths=[
            ColumnStrength(column=str(name), mean_absolute=float(value)) for name, value in explained.strengths.items()
        ],
        output=kind,
        exact=first.exact,
        explained_customers=len(first.values),
        pairs=[] if interactions is None else _strongest_pairs(interactions, 5),
        interacting_customers=0 if interactions is None else len(interactions.values),
        total_customers=explained.total,
    )


def _strongest_pairs(interactions: Interactions, most: int) -> list[ColumnPair]:
    strengths, names = interactions.strengths.to_numpy(), interactions.columns
    pairs = [(float(strengths[a, b]), names[a], names[b]) for a in range(len(names)) for b in range(a)]
    strongest = sorted(pairs, key=lambda pair: -pair[0])[:most]
    return [ColumnPair(columns=(b, a), mean_absolute=value) for value, a, b in strongest if value > 0]
