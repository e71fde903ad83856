"""Summary of permutation importance, SHAP values and interactions."""

from __future__ import annotations

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.evaluation.explanations.explained_customers import ExplainedCustomers
from churn_kedro.evaluation.explanations.interactions import Interactions
from churn_kedro.evaluation.explanations.permutation import PermutationImportance
from churn_kedro.evaluation.metrics.estimates import Subject
from churn_kedro.models import SCORE_NAMES


class ColumnRise(Record):
    """Permutation importance of one column."""

    column: str
    rise: float = Field(description="Mean increase over the permutations.")
    spread: float = Field(description="Standard deviation over the permutations.")


class ColumnStrength(Record):
    """Mean absolute SHAP value of one column."""

    column: str
    mean_absolute: float = Field(description="Mean absolute SHAP value, summed over classes where there are several.")


class ColumnPair(Record):
    """Two interacting columns."""

    columns: tuple[str, str]
    mean_absolute: float = Field(description="Mean absolute SHAP interaction value, both halves.")


class ExplanationSummary(Record):
    """Summary of permutation importance, SHAP values and interactions."""

    subject: Subject = Field(description="The version, and the tables of the split.")
    loss_name: str = Field(description="Name of the loss of permutation importance.")
    loss: float = Field(description="Loss without permutation, on the same customers.")
    shuffled: list[ColumnRise] = Field(description="Permutation importances, largest first.")
    shuffled_customers: int
    n_repeats: int
    strengths: list[ColumnStrength] = Field(description="Strongest first.")
    output: str = Field(description="Output that SHAP values explain.")
    exact: bool = Field(description="Whether SHAP values are exact or estimated by sampling.")
    explained_customers: int
    pairs: list[ColumnPair] = Field(description="Strongest interactions; empty if not computed.")
    interacting_customers: int = Field(description="Number of customers whose interactions were computed.")
    total_customers: int = Field(description="Number of customers before sampling.")


def summarise_explanations(
    subject: Subject,
    explained: ExplainedCustomers,
    shuffled: PermutationImportance,
    interactions: Interactions | None,
) -> ExplanationSummary:
    """Summarise the explanations of a model.

    Args:
        subject: The version, and the tables of the split.
        explained: SHAP values.
        shuffled: Permutation importance.
        interactions: Interaction values, if computed.

    Returns:
        The summary; the five strongest pairs.
    """
    first = explained.outputs[0]
    kind = first.output if len(explained.outputs) == 1 else f"the {first.output.split(' of ')[0]} of each class"
    return ExplanationSummary(
        subject=subject,
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
