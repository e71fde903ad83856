"""Cost and benefit of columns that have a declared cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from churn_kedro.base import ParameterError, Record
from churn_kedro.campaigns import CampaignParameters, choose_threshold, fit_contact_value
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.training.algorithms import Problem, load_algorithm
from churn_kedro.training.candidates import CandidateComparison, Member
from churn_kedro.training.folds import Development, prepare_fold
from churn_kedro.training.parameters import TrainingConfiguration

logger = logging.getLogger(__name__)


class ColumnBenefit(Record):
    """Cost and benefit of a column, in money per customer."""

    column: str
    cost: float = Field(description="Declared cost per scored customer.")
    earns: float = Field(description="Out-of-fold profit with the column minus profit without it.")
    worth_it: bool = Field(description="Whether the benefit exceeds the cost.")


def require_measurable_benefits(declaration: CustomerDeclaration, campaigns: CampaignParameters) -> None:
    """Check that declared column costs can be compared with a profit.

    Args:
        declaration: The table's declaration.
        campaigns: Decision objective.

    Raises:
        ParameterError: A column has a cost, but the objective is not profit.
    """
    costly = [column.name for column in declaration.features if column.cost is not None]
    if costly and (declaration.task != "binary" or campaigns.objective != "profit"):
        raise ParameterError(
            f"Columns {costly} have a cost, which needs task binary and campaigns.objective profit for comparison. "
            "Remove cost from parameters/customers.yml, or set the objective to profit."
        )


def measure_column_benefits(
    development: Development,
    candidate_comparison: CandidateComparison,
    members: Sequence[Member],
    problem: Problem,
    configuration: TrainingConfiguration,
) -> list[ColumnBenefit]:
    """Fit the first algorithm of the chosen candidate without each costly column, and compare the profits.

    The columns are not removed; a user does so by declaring role ignored.

    Args:
        development: Training and validation customers.
        candidate_comparison: The chosen candidate, its folds and its out-of-fold predictions.
        members: Fitted algorithms of the chosen candidate.
        problem: Learning problem.
        configuration: Declaration, features and economics.

    Returns:
        Cost and benefit of each column that has a cost.
    """
    declaration, campaigns = configuration.declaration, configuration.campaigns
    costly = [column for column in declaration.features if column.cost is not None]
    if not costly or campaigns.economics is None:
        return []
    member = members[0]
    algorithm = load_algorithm(member.algorithm)
    rows, target = candidate_comparison.out_of_fold.rows, candidate_comparison.out_of_fold.target
    value = fit_contact_value(campaigns.economics, development.customers)
    values = value.of(development.customers.iloc[rows])

    def earn(reduced: CustomerDeclaration) -> float:
        predictions = [
            algorithm.fit_fold(
                algorithm.prepare(
                    prepare_fold(
                        fold.fold, development, reduced, configuration.features, configuration.training.class_weight
                    ),
                    problem,
                ),
                member.hyperparameters,
                problem,
                rounds=member.n_estimators,
            ).prediction
            for fold in candidate_comparison.folds
        ]
        choice = choose_threshold(target, np.concatenate(predictions), campaigns, values)
        return choice.profit_per_customer or 0.0

    base = earn(declaration)
    found = []
    for column in costly:
        gain, cost = base - earn(_without(declaration, column.name)), column.cost or 0.0
        worth = ColumnBenefit(column=column.name, cost=cost, earns=gain, worth_it=gain > cost)
        found.append(worth)
        if not worth.worth_it:
            logger.warning(
                "Column '%s' costs %.4g per customer and earns %.4g: removing it (role ignored) increases the profit.",
                column.name,
                worth.cost,
                gain,
            )
    return found


def _without(declaration: CustomerDeclaration, name: str) -> CustomerDeclaration:
    """Return the declaration without the column."""
    described = declaration.model_dump(exclude_none=True)
    described["columns"] = [
        {"name": name, "role": "ignored", "description": column["description"]} if column["name"] == name else column
        for column in described["columns"]
    ]
    described["derived"] = [made for made in described["derived"] if name not in made["of"]]
    gone = {name, *(made.name for made in declaration.derived if name in made.of)}
    described["interactions"] = [[one for one in group if one not in gone] for group in described["interactions"]]
    return CustomerDeclaration.model_validate(described)
