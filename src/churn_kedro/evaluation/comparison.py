"""Comparison of two models on the same customers: metric differences and disagreements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers import CustomerDeclaration
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters, Estimate, measure, paired_differences
from churn_kedro.models import RegisteredModel, ScoredCustomers, explain_table_mismatch, score_labelled

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

# Simple models that are trained on demand.
BaselineName = Literal["constant", "logistic_regression", "ridge", "random_forest"]
BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)


class Disagreement(Record):
    """A customer for whom two models differ in their prediction."""

    ids: dict[str, str] = Field(description="Customer identifier; the row number if there is none.")
    outcome: str = Field(description="Observed outcome: label or number.")
    candidate: float = Field(
        description="Predicted probability of leaving or of the observed class, or predicted number."
    )
    baseline: float = Field(description="Prediction of the baseline.")


class ModelComparison(Record):
    """A model and a baseline on the same customers."""

    baseline: str = Field(description="Name of the baseline.")
    rows: int = Field(description="Number of customers that both models scored.")
    values: dict[str, tuple[float, float]] = Field(
        description="Each metric: value of the model, value of the baseline."
    )
    differences: dict[str, Estimate] = Field(description="Paired difference of each metric, model minus baseline.")
    disagreements: list[Disagreement] = Field(description="Customers with the largest disagreement.")
    note: str | None = Field(None, description="Caveat for the reader.")


@dataclass(frozen=True)
class BaselineRequest:
    """Requested baseline of a comparison.

    Attributes:
        model: A registered version.
        alias: Alias under which it was found.
        name: Name of a simple model to train.
        by_default: Whether the request is the default: then a simple model replaces a version that is absent or
            incomparable.
    """

    model: RegisteredModel | None = None
    alias: str | None = None
    name: BaselineName | None = None
    by_default: bool = False


@dataclass(frozen=True)
class Baseline:
    """Baseline of a comparison.

    Attributes:
        label: Name in reports.
        estimator: The fitted model.
        note: Caveat for the reader.
        simple: Whether it is the linear model that a version should be clearly better than.
    """

    label: str
    estimator: CustomerModel
    note: str | None = None
    simple: bool = False


@dataclass(frozen=True)
class BaselineChoice:
    """Choice of the baseline.

    Attributes:
        baseline: Another version; None for a simple model, or for no comparison.
        name: Simple model to train; None for another version, or for no comparison.
        note: Caveat for the reader.
    """

    baseline: Baseline | None = None
    name: BaselineName | None = None
    note: str | None = None


@dataclass(frozen=True)
class ComparedCustomers:
    """Customers that both models have scored.

    Attributes:
        baseline: The other model.
        scores: Its scores.
        comparison: Metrics and differences of both models.
    """

    baseline: Baseline
    scores: ScoredCustomers
    comparison: ModelComparison


def explain_incomparable(model: RegisteredModel, declaration: CustomerDeclaration) -> str | None:
    """Return why a version cannot be compared on the declared table.

    Args:
        model: The version.
        declaration: The table's declaration.

    Returns:
        The difference between the two declarations; None if the version can score the table.
    """
    reason = explain_table_mismatch(model, declaration)
    return None if reason is None else f"{reason}: no table can be scored by both"


def compare_models(
    scores: ScoredCustomers,
    baseline: Baseline,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    bootstrap: BootstrapParameters,
    n_disagreements: int,
    resampled: Mapping[str, np.ndarray] | None = None,
) -> ComparedCustomers:
    """Compare a model with a baseline on the same customers.

    Args:
        scores: Scores of the model, n rows.
        baseline: The baseline.
        customers: The same customers with their target, shape (n, n_columns).
        declaration: The table's declaration.
        bootstrap: Bootstrap resamples, shared by both.
        n_disagreements: Number of customers to list.
        resampled: Metrics of the model on those resamples, if already computed.

    Returns:
        Scores of the baseline, paired differences and disagreements.
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
    predicted = [_predicted_for_outcome(scores) for scores in (first, second)]
    distances = np.abs(predicted[0] - predicted[1])
    # The stable sort keeps ties in the order of the table.
    rows = np.argsort(-distances, kind="stable")[:most]
    ids = declaration.id_names
    return [
        Disagreement(
            ids={name: str(customers[name].iloc[row]) for name in ids} if ids else {"row": str(row + 1)},
            outcome=first.classes[int(first.target[row])] if first.classes else f"{first.target[row]:g}",
            candidate=float(predicted[0][row]),
            baseline=float(predicted[1][row]),
        )
        for row in rows
        if distances[row] > 0
    ]


def _predicted_for_outcome(scores: ScoredCustomers) -> np.ndarray:
    """Return the prediction as one number per customer; multiclass: probability of the observed class."""
    if scores.prediction.ndim == 1:
        return scores.prediction
    return np.asarray(scores.prediction[np.arange(len(scores.target)), scores.target])
