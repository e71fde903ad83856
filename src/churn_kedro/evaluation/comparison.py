"""Two models on the same customers: how much better one is, and on whom they disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters, Estimate, measure, paired_differences
from churn_kedro.models import Estimator, RegisteredModel, ScoredCustomers, explain_table_mismatch, score_labelled

# Simple models that are trained on the spot.
BaselineName = Literal["constant", "logistic_regression", "ridge", "random_forest"]
BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)


class Disagreement(Record):
    """A customer of whom two models say different things."""

    ids: dict[str, str] = Field(description="What identifies the customer; the row where nothing does.")
    outcome: str = Field(description="What became of the customer: the label, or the number.")
    candidate: float = Field(description="Probability of leaving, of the class that came true, or the number.")
    baseline: float = Field(description="The same of the other model.")


class ModelComparison(Record):
    """A model beside another one, on the same customers."""

    baseline: str = Field(description="The other model, for people.")
    rows: int = Field(description="Customers that both scored.")
    values: dict[str, tuple[float, float]] = Field(description="Each metric: of the model, of the other one.")
    differences: dict[str, Estimate] = Field(description="The first minus the second, paired.")
    disagreements: list[Disagreement] = Field(description="Customers on whom the two disagree most.")
    note: str | None = Field(None, description="What to bear in mind, for people.")


@dataclass(frozen=True)
class BaselineRequest:
    """What somebody wants a version to be compared with.

    Attributes:
        model: A registered version.
        alias: The alias by which it was found.
        name: A simple model that is to be trained.
        by_default: Whether nobody asked for anything in particular: a simple model takes the place of a version that
            is not there or cannot be compared with.
    """

    model: RegisteredModel | None = None
    alias: str | None = None
    name: BaselineName | None = None
    by_default: bool = False


@dataclass(frozen=True)
class Baseline:
    """What a version is compared with.

    Attributes:
        label: For people.
        estimator: The other model.
        note: What to bear in mind, for people.
    """

    label: str
    estimator: Estimator
    note: str | None = None


@dataclass(frozen=True)
class BaselineChoice:
    """What a version is to be compared with.

    Attributes:
        baseline: Another version; None for a simple model, or for no comparison.
        name: Simple model to train; None for another version, or for no comparison.
        note: What to bear in mind of the choice, for people.
    """

    baseline: Baseline | None = None
    name: BaselineName | None = None
    note: str | None = None


@dataclass(frozen=True)
class ComparedCustomers:
    """Customers that two models have scored.

    Attributes:
        baseline: The other model.
        scores: What it says of them.
        comparison: How the two stand.
    """

    baseline: Baseline
    scores: ScoredCustomers
    comparison: ModelComparison


def explain_incomparable(model: RegisteredModel, declaration: CustomerDeclaration) -> str | None:
    """Say why a version cannot be compared on the declared table.

    Args:
        model: The version.
        declaration: The table's declaration.

    Returns:
        The difference between the two declarations, for people; None where the version can score the table.
    """
    reason = explain_table_mismatch(model, declaration)
    return None if reason is None else f"{reason}: there is nothing that both could score"


def compare_models(
    scores: ScoredCustomers,
    baseline: Baseline,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    bootstrap: BootstrapParameters,
    n_disagreements: int,
    resampled: Mapping[str, np.ndarray] | None = None,
) -> ComparedCustomers:
    """Compare a model with another one.

    Args:
        scores: What the model says of the customers, n rows.
        baseline: The other model.
        customers: The same customers with their target, shape (n, n_columns).
        declaration: The table's declaration.
        bootstrap: Resamples, shared by both.
        n_disagreements: Customers to list.
        resampled: The model's metrics on those resamples, where they are known already.

    Returns:
        Scores of the other model, differences and disagreements.
    """
    other = score_labelled(baseline.estimator, customers, declaration)
    first, second = measure(scores), measure(other)
    comparison = ModelComparison(
        baseline=baseline.label,
        rows=len(scores.target),
        values={name: (first[name], second[name]) for name in first},
        differences=paired_differences(scores, other, bootstrap, resampled),
        disagreements=_list_disagreements(scores, other, customers, declaration, n_disagreements),
        note=baseline.note,
    )
    return ComparedCustomers(baseline, other, comparison)


def _list_disagreements(
    first: ScoredCustomers,
    second: ScoredCustomers,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    most: int,
) -> list[Disagreement]:
    said = [_said_of_truth(scores) for scores in (first, second)]
    apart = np.abs(said[0] - said[1])
    # Equal distances in order of the table.
    rows = np.argsort(-apart, kind="stable")[:most]
    ids = declaration.id_names
    return [
        Disagreement(
            ids={name: str(customers[name].iloc[row]) for name in ids} if ids else {"row": str(row + 1)},
            outcome=first.classes[int(first.target[row])] if first.classes else f"{first.target[row]:g}",
            candidate=float(said[0][row]),
            baseline=float(said[1][row]),
        )
        for row in rows
        if apart[row] > 0
    ]


def _said_of_truth(scores: ScoredCustomers) -> np.ndarray:
    """What a model says of each customer in one number; several classes: probability of the one that came true."""
    if scores.prediction.ndim == 1:
        return scores.prediction
    return np.asarray(scores.prediction[np.arange(len(scores.target)), scores.target])
