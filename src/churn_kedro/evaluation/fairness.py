"""How a model's decisions differ between groups that are protected.

The rates are those of Hardt, Price and Srebro, "Equality of opportunity in supervised learning", *NeurIPS* 2016; their
differences and ratios have fairlearn's names (Bird et al., Microsoft MSR-TR-2020-32). None of them says what is fair:
where groups leave at different rates, no model can make all of them equal (Kleinberg, Mullainathan and Raghavan, *ITCS*
2017).
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

# Rates that equalized odds compares.
_ODDS = ("true_positive_rate", "false_positive_rate")


class FairnessParameters(Parameters):
    """How protected groups are compared."""

    min_rows: int = Field(50, ge=1, description="Fewest customers of a group that is compared with others.")
    min_events: int = Field(
        10, ge=1, description="Fewest leavers (true positive rate) or stayers (false positive rate) of such a group."
    )
    n_resamples: int = Field(1000, ge=100, description="Bootstrap resamples of the customers.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the two-sided intervals.")
    random_state: int = Field(0, ge=0, description="Seed of the resamples.")


class GroupRates(Record):
    """What the model decides about one group."""

    group: str = Field(description="Level or range of the protected column.")
    rows: int = Field(description="Customers of the group.")
    leavers: int = Field(description="Those of them who left.")
    base_rate: Estimate = Field(description="Share that left.")
    selection_rate: Estimate = Field(description="Share that is flagged.")
    true_positive_rate: Estimate | None = Field(description="Share of the leavers that is flagged; null without any.")
    false_positive_rate: Estimate | None = Field(description="Share of the stayers that is flagged; null without any.")
    precision: Estimate | None = Field(description="Share of the flagged that left; null where nobody is flagged.")


class RateGap(Record):
    """How far apart a rate is between the groups of a column."""

    difference: Estimate = Field(description="Largest rate minus smallest rate; 0 where all are alike.")
    ratio: Estimate | None = Field(description="Smallest rate divided by largest; 1 where alike, null if all are 0.")
    lowest: str = Field(description="Group with the smallest rate.")
    highest: str = Field(description="Group with the largest rate.")


class ProtectedColumn(Record):
    """A protected column, its groups, and how differently the model treats them."""

    column: str = Field(description="Column of the table.")
    used_by_model: bool = Field(description="Whether the model reads the column.")
    groups: list[GroupRates] = Field(description="Groups in declared order.")
    left_out: list[str] = Field(description="Groups with too few customers to be compared.")
    selection_rate: RateGap | None = Field(description="Of the share flagged; null with fewer than two groups.")
    true_positive_rate: RateGap | None = Field(description="Of the share of the leavers flagged.")
    false_positive_rate: RateGap | None = Field(description="Of the share of the stayers flagged.")
    equalized_odds_difference: Estimate | None = Field(
        description="The larger of the differences of true and false positive rate."
    )
    equalized_odds_ratio: Estimate | None = Field(
        description="The smaller of the ratios of true and false positive rate."
    )

    @property
    def demographic_parity_difference(self) -> Estimate | None:
        """Difference of the selection rates, under fairlearn's name."""
        return None if self.selection_rate is None else self.selection_rate.difference

    @property
    def demographic_parity_ratio(self) -> Estimate | None:
        """Ratio of the selection rates, under fairlearn's name."""
        return None if self.selection_rate is None else self.selection_rate.ratio


class FairnessReport(Record):
    """How the decisions differ between protected groups."""

    threshold: float = Field(description="Decision threshold on the probability of leaving.")
    rows: int = Field(description="Customers.")
    columns: list[ProtectedColumn] = Field(description="Protected columns in declared order.")
    min_rows: int = Field(description="Fewest customers of a group that is compared.")
    min_events: int = Field(description="Fewest leavers or stayers of a group whose rate among them is compared.")
    confidence: float = Field(description="Coverage of the intervals.")
    how: str = Field(description="How the groups were compared, for people.")


def measure_fairness(
    scores: ScoredCustomers,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: FairnessParameters | None = None,
) -> FairnessReport | None:
    """Compare the decisions between the groups of every protected column.

    All that counts of a customer is the group, left or stayed, flagged or not. So not customers are resampled but the
    numbers of customers in each such cell: drawn from the multinomial distribution, they are distributed exactly as if
    customers had been. The largest difference between groups, and the smallest ratio, overstate what is
    between the groups where these are small, and resamples do so once more: their intervals are moved by the median of
    that excess, see :func:`churn_kedro.evaluation.metrics.shifted_interval`, and stay within 0 and 1.

    Args:
        scores: Target and prediction of each customer.
        customers: The same customers in the same order, normalised, with the protected columns.
        declaration: The table's declaration.
        parameters: Sizes, resamples and seed.

    Returns:
        The report; None for another task than binary, or where no column is protected.

    Raises:
        ValueError: Scores and customers differ in number, or there is no decision threshold.
    """
    parameters = parameters or FairnessParameters()
    if scores.task != "binary" or not declaration.protected:
        return None
    if scores.threshold is None:
        raise ValueError("a binary model without decision threshold decides nothing that could be compared")
    if len(customers) != len(scores.target):
        raise ValueError(
            f"scores are of {len(scores.target)} customers, the table has {len(customers)}; pass the table that was "
            "scored"
        )
    left, flagged = scores.target == 1, scores.prediction >= scores.threshold
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
            f"Who is flagged at the threshold of {scores.threshold:.4g}, by group, among {len(customers):,} customers. "
            f"Groups with at least {parameters.min_rows} customers are compared, and their rates among leavers and "
            f"stayers with at least {parameters.min_events} of these. Where groups leave at different rates, no model "
            "can make all these rates equal; which of them should be is for people to decide."
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
    """Larger difference and smaller ratio of the two rates; None where one of them cannot be compared."""
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
    """Rates of each group, each of shape (n_resamples, n_groups); NaN where there is nobody to have one.

    Args:
        counts: Customers by group, left or not, flagged or not, shape (n_resamples, n_groups, 2, 2).
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
    """A rate with its percentile interval."""
    tail = (1 - parameters.confidence) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Estimate(value=float(value), low=float(low), high=float(high))


def _estimate(value: float, resampled: np.ndarray, parameters: FairnessParameters) -> Estimate | None:
    return _certain(value, resampled, parameters) if math.isfinite(value) else None


def _differences(rates: np.ndarray) -> np.ndarray:
    """Largest minus smallest rate of each resample; a group that a resample lacks has none."""
    return np.asarray(np.fmax.reduce(rates, axis=1) - np.fmin.reduce(rates, axis=1))


def _ratios(rates: np.ndarray) -> np.ndarray:
    """Smallest rate divided by largest of each resample; NaN where all are 0."""
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
