"""Fairness: differences of a model's decisions between the groups of protected columns.

The rates are those of Hardt, Price and Srebro, "Equality of opportunity in supervised learning", *NeurIPS* 2016; their
differences and ratios have fairlearn's names (Bird et al., Microsoft MSR-TR-2020-32). If the base rates of the groups
differ, no imperfect model can equalise all of them (Kleinberg, Mullainathan and Raghavan, *ITCS* 2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters, Record
from churn_kedro.customers import Column, CustomerDeclaration
from churn_kedro.evaluation.groups import group_customers
from churn_kedro.evaluation.metrics.estimates import Estimate, shifted_interval
from churn_kedro.models import ScoredCustomers

# Rates compared by equalized odds.
_ODDS = ("true_positive_rate", "false_positive_rate")


class FairnessParameters(Parameters):
    """Parameters of the fairness report."""

    min_rows: int = Field(50, ge=1, description="Minimum number of customers in a compared group.")
    min_events: int = Field(
        10, ge=1, description="Minimum number of leavers (true positive rate) or stayers (false positive rate) in it."
    )
    n_resamples: int = Field(1000, ge=100, description="Number of bootstrap resamples.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the two-sided intervals.")
    random_state: int = Field(0, ge=0, description="Seed of the resamples.")


class GroupRates(Record):
    """Decisions of the model within one group."""

    group: str = Field(description="Level or range of the protected column.")
    rows: int = Field(description="Number of customers.")
    leavers: int = Field(description="Number of customers who left.")
    base_rate: Estimate = Field(description="Base rate: share that left.")
    selection_rate: Estimate = Field(description="Selection rate: share flagged.")
    true_positive_rate: Estimate | None = Field(description="Share of leavers flagged; null without leavers.")
    false_positive_rate: Estimate | None = Field(description="Share of stayers flagged; null without stayers.")
    precision: Estimate | None = Field(description="Share of flagged customers who left; null if none is flagged.")


class RateGap(Record):
    """Difference and ratio of a rate between the groups of a column."""

    difference: Estimate = Field(description="Largest minus smallest rate; 0: equal.")
    ratio: Estimate | None = Field(description="Smallest divided by largest rate; 1: equal, null if all are 0.")
    lowest: str = Field(description="Group with the smallest rate.")
    highest: str = Field(description="Group with the largest rate.")


class ProtectedColumn(Record):
    """A protected column, the rates of its groups and the gaps between them."""

    column: str = Field(description="Column of the table.")
    used_by_model: bool = Field(description="Whether the column is an input of the model.")
    groups: list[GroupRates] = Field(description="Groups in declared order.")
    left_out: list[str] = Field(description="Groups with too few customers for a comparison.")
    selection_rate: RateGap | None = Field(description="Gap of the selection rate; null with fewer than two groups.")
    true_positive_rate: RateGap | None = Field(description="Gap of the true positive rate.")
    false_positive_rate: RateGap | None = Field(description="Gap of the false positive rate.")
    equalized_odds_difference: Estimate | None = Field(
        description="Larger of the differences of true and false positive rate."
    )
    equalized_odds_ratio: Estimate | None = Field(description="Smaller of the ratios of true and false positive rate.")

    @property
    def demographic_parity_difference(self) -> Estimate | None:
        """Difference of the selection rates (fairlearn's name)."""
        return None if self.selection_rate is None else self.selection_rate.difference

    @property
    def demographic_parity_ratio(self) -> Estimate | None:
        """Ratio of the selection rates (fairlearn's name)."""
        return None if self.selection_rate is None else self.selection_rate.ratio


class FairnessReport(Record):
    """Differences of the decisions between protected groups."""

    threshold: float = Field(description="Decision threshold on the probability of leaving.")
    rows: int = Field(description="Customers.")
    columns: list[ProtectedColumn] = Field(description="Protected columns in declared order.")
    min_rows: int = Field(description="Minimum number of customers in a compared group.")
    min_events: int = Field(description="Minimum number of leavers or stayers in a group for a rate among them.")
    confidence: float = Field(description="Coverage of the intervals.")
    how: str = Field(description="Description of the method.")


def measure_fairness(
    scores: ScoredCustomers,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: FairnessParameters | None = None,
) -> FairnessReport | None:
    """Compare the decisions between the groups of each protected column.

    The rates depend only on the counts per group, outcome and decision, so the bootstrap draws these counts from their
    multinomial distribution, which is equivalent to resampling customers. The largest difference and the smallest ratio
    between small groups are biased away from equality, and the resamples repeat this bias: the intervals are shifted by
    its median, see :func:`churn_kedro.evaluation.metrics.shifted_interval`, and clipped to [0, 1].

    Args:
        scores: Target and prediction of each customer.
        customers: The same customers in the same order, normalised, with the protected columns.
        declaration: The table's declaration.
        parameters: Sizes, resamples and seed.

    Returns:
        The report; None unless the task is binary and a column is protected.

    Raises:
        ValueError: The numbers of scores and customers differ, or there is no decision threshold.
    """
    parameters = parameters or FairnessParameters()
    if scores.task != "binary" or not declaration.protected:
        return None
    if scores.threshold is None:
        raise ValueError("found a binary model without decision threshold; set one, since fairness compares decisions")
    if len(customers) != len(scores.target):
        raise ValueError(
            f"found {len(scores.target)} scores and {len(customers)} customers; pass the table that was scored, rows "
            "in the same order"
        )
    left, flagged = scores.target == 1, scores.decision
    columns = [
        _compare_column(customers[column.name], column, left, flagged, parameters) for column in declaration.protected
    ]
    return FairnessReport(
        threshold=scores.threshold,
        rows=len(customers),
        columns=columns,
        min_rows=parameters.min_rows,
        min_events=parameters.min_events,
        confidence=parameters.confidence,
        how=(
            f"Share of flagged customers by group at threshold {scores.threshold:.4g}, among {len(customers):,} "
            "customers. "
            f"Groups with at least {parameters.min_rows} customers are compared; their rates among leavers and stayers "
            f"need at least {parameters.min_events} of these. If the base rates of the groups differ, no model can "
            "equalise all rates; which rate matters is a decision of the organisation."
        ),
    )


def _compare_column(
    cells: pd.Series, column: Column, left: np.ndarray, flagged: np.ndarray, parameters: FairnessParameters
) -> ProtectedColumn:
    groups = group_customers(cells, column, parameters.min_rows)
    n_groups = len(groups.labels)
    counts = np.bincount(4 * groups.codes + 2 * left + flagged, minlength=4 * n_groups)
    generator = np.random.default_rng(parameters.random_state)
    drawn = generator.multinomial(len(cells), counts / len(cells), size=parameters.n_resamples)
    here = _rates(counts.reshape(1, n_groups, 2, 2))
    resampled = _rates(drawn.reshape(-1, n_groups, 2, 2))
    cell_counts = counts.reshape(n_groups, 2, 2)
    rows, leavers = cell_counts.sum(axis=(1, 2)), cell_counts[:, 1].sum(axis=1)
    large = rows >= parameters.min_rows
    compared = {
        "selection_rate": large,
        "true_positive_rate": large & (leavers >= parameters.min_events),
        "false_positive_rate": large & (rows - leavers >= parameters.min_events),
    }
    gaps = {
        name: _gap(here[name][0], resampled[name], who, groups.labels, parameters.confidence)
        for name, who in compared.items()
    }
    drawn_odds = {name: resampled[name][:, compared[name]] for name in _ODDS}
    difference, ratio = _equalize_odds(gaps, drawn_odds, parameters.confidence)
    return ProtectedColumn(
        column=column.name,
        used_by_model=column.role == "feature",
        groups=[
            GroupRates(
                group=label,
                rows=int(rows[place]),
                leavers=int(leavers[place]),
                base_rate=_certain(here["base_rate"][0, place], resampled["base_rate"][:, place], parameters),
                selection_rate=_certain(
                    here["selection_rate"][0, place], resampled["selection_rate"][:, place], parameters
                ),
                **{
                    name: _estimate(here[name][0, place], resampled[name][:, place], parameters)
                    for name in ("true_positive_rate", "false_positive_rate", "precision")
                },
            )
            for place, label in enumerate(groups.labels)
        ],
        left_out=[label for place, label in enumerate(groups.labels) if not large[place]],
        selection_rate=gaps["selection_rate"],
        true_positive_rate=gaps["true_positive_rate"],
        false_positive_rate=gaps["false_positive_rate"],
        equalized_odds_difference=difference,
        equalized_odds_ratio=ratio,
    )


def _equalize_odds(
    gaps: Mapping[str, RateGap | None], resampled: Mapping[str, np.ndarray], confidence: float
) -> tuple[Estimate | None, Estimate | None]:
    """Return the larger difference and smaller ratio of the two rates; None if one of them is unavailable."""
    found = [gap for name in _ODDS if (gap := gaps[name]) is not None]
    if len(found) < len(_ODDS):
        return None, None
    differences = np.max([_differences(resampled[name]) for name in _ODDS], axis=0)
    difference = _bounded(max(gap.difference.value for gap in found), differences, confidence)
    ratios = [gap.ratio.value for gap in found if gap.ratio is not None]
    if len(ratios) < len(_ODDS):
        return difference, None
    return difference, _bounded(min(ratios), np.min([_ratios(resampled[name]) for name in _ODDS], axis=0), confidence)


def _rates(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the rates of each group, each of shape (n_resamples, n_groups); NaN if the denominator is 0.

    Args:
        counts: Number of customers by group, outcome and decision, shape (n_resamples, n_groups, 2, 2).
    """
    counts = counts.astype(np.float64)
    rows, leavers, flagged = counts.sum(axis=(2, 3)), counts[:, :, 1].sum(axis=2), counts[:, :, :, 1].sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "base_rate": leavers / rows,
            "selection_rate": flagged / rows,
            "true_positive_rate": counts[:, :, 1, 1] / leavers,
            "false_positive_rate": counts[:, :, 0, 1] / (rows - leavers),
            "precision": counts[:, :, 1, 1] / flagged,
        }


def _certain(value: float, resampled: np.ndarray, parameters: FairnessParameters) -> Estimate:
    """Return a rate with its percentile interval."""
    tail = (1 - parameters.confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Estimate(value=float(value), low=float(low), high=float(high))


def _estimate(value: float, resampled: np.ndarray, parameters: FairnessParameters) -> Estimate | None:
    return _certain(value, resampled, parameters) if math.isfinite(value) else None


def _differences(rates: np.ndarray) -> np.ndarray:
    """Return the largest minus the smallest rate of each resample; groups absent from a resample are ignored."""
    return np.asarray(np.fmax.reduce(rates, axis=1) - np.fmin.reduce(rates, axis=1))


def _ratios(rates: np.ndarray) -> np.ndarray:
    """Return the smallest divided by the largest rate of each resample; NaN if all are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.fmin.reduce(rates, axis=1) / np.fmax.reduce(rates, axis=1))


def _gap(
    rates: np.ndarray, resampled: np.ndarray, compared: np.ndarray, labels: Sequence[str], confidence: float
) -> RateGap | None:
    places = np.flatnonzero(compared)
    if len(places) < 2:
        return None
    here, there = rates[places], resampled[:, places]
    largest = float(here.max())
    return RateGap(
        difference=_bounded(largest - float(here.min()), _differences(there), confidence),
        ratio=_bounded(float(here.min()) / largest, _ratios(there), confidence) if largest > 0 else None,
        lowest=labels[int(places[here.argmin()])],
        highest=labels[int(places[here.argmax()])],
    )


def _bounded(value: float, resampled: np.ndarray, confidence: float) -> Estimate:
    low, high = shifted_interval(value, resampled, confidence)
    return Estimate(value=value, low=max(low, 0.0), high=min(high, 1.0))
