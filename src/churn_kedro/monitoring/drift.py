"""Drift of single columns, and of the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.monitoring.counts import ColumnCounts, TableCounter
from churn_kedro.monitoring.parameters import DriftParameters
from churn_kedro.monitoring.profiles import ReferenceColumn, ReferenceProfile
from churn_kedro.monitoring.severity import Severity
from churn_kedro.monitoring.statistics import (
    approximate_quantile,
    chi_squared,
    correct_p_values,
    jensen_shannon_divergence,
    kolmogorov_smirnov,
    population_stability_index,
    share_p_value,
    shares,
    simulate_divergence,
    wasserstein,
)

Problem = Literal["absent", "distribution", "missing", "new levels", "out of range"]
# Tests of each column: distribution, missing cells, and new levels or range.
TESTS_PER_COLUMN = 3
# Tests beside those of the columns: domain classifier, reconstruction, predictions, decisions, estimated performance
# and profit.
FURTHER_TESTS = 6
_MOST_NAMED = 5
# Distance from which a column is another one altogether, and its drift an alarm whatever its importance.
_GROSS_DISTANCE = 0.5
# How far the approximation for large samples is trusted.
_MARGIN = 3


class Shares(Record):
    """A share in the reference and now."""

    reference: float
    current: float

    @property
    def rise(self) -> float:
        """Current less reference share."""
        return self.current - self.reference


class ColumnDrift(Record):
    """How a column differs from its reference."""

    name: str
    importance: float = Field(description="Share of the column in the model's importance, 0 to 1.")
    rows: int = Field(description="Current customers.")
    distance: float = Field(0.0, description="Jensen-Shannon distance of the distributions, 0 to 1.")
    limit: float = Field(1.0, description="Distance from which it counts as drift.")
    psi: float = Field(0.0, description="Population stability index.")
    wasserstein: float | None = Field(
        None, description="Wasserstein distance in standard deviations of the reference; numbers and dates only."
    )
    statistic: float | None = Field(None, description="Kolmogorov-Smirnov (numbers) or chi-squared (levels).")
    p_value: float | None = Field(None, description="Of the statistic, corrected for the number of columns.")
    missing: Shares = Field(default_factory=lambda: Shares(reference=0, current=0))
    outside: Shares = Field(default_factory=lambda: Shares(reference=0, current=0))
    new_levels: Shares = Field(default_factory=lambda: Shares(reference=0, current=0))
    new_names: list[str] = Field(default_factory=list, description="New levels, most frequent first.")
    problems: list[Problem] = Field(default_factory=list)
    severity: Severity = "ok"
    groups: list[str] = Field(default_factory=list, description="Names of the groups that are compared.")
    reference_shares: list[float] = Field(default_factory=list)
    current_shares: list[float] = Field(default_factory=list)

    @property
    def is_broken(self) -> bool:
        """Whether the column is absent, or has little in common with its reference."""
        return "absent" in self.problems or ("distribution" in self.problems and self.distance >= _GROSS_DISTANCE)

    @property
    def weight(self) -> float:
        """Importance times size of the change, by which columns are ranked."""
        size = max(
            self.distance,
            *(np.sqrt(max(0.0, one.rise)) for one in (self.missing, self.outside, self.new_levels)),
            1.0 if "absent" in self.problems else 0.0,
        )
        # A column without importance is ranked by its size alone, after the others.
        return float((self.importance + 1e-3) * size)


def count_tests(profile: ReferenceProfile) -> int:
    """Return the number of tests of one report, by which the rate of false alarms is divided."""
    return TESTS_PER_COLUMN * len(profile.columns) + FURTHER_TESTS


def compare_columns(
    counter: TableCounter, profile: ReferenceProfile, parameters: DriftParameters, level: float, seed: int = 0
) -> list[ColumnDrift]:
    """Compare each column with its reference.

    A column has drifted if the distance of the distributions is at least ``minimum_distance`` and larger than two
    samples of one population have by chance, plus the variation between periods of the reference; or if the share of
    missing, new or out-of-range cells has risen by at least ``minimum_share`` and significantly. It is an alarm if the
    model relies on the column, else a warning.

    Args:
        counter: Counts of the current customers.
        profile: The reference profile.
        parameters: Sizes from which a change counts.
        level: Probability of a false alarm of each test.
        seed: Seed of the simulation.

    Returns:
        One result for each column of the profile, by weight: the one that matters most to the model first.
    """
    found = [
        _compare_column(reference, counter.columns.get(reference.name), counter.rows, parameters, level, seed + place)
        for place, reference in enumerate(profile.columns)
    ]
    tested = [place for place, one in enumerate(found) if one.p_value is not None]
    corrected = correct_p_values([float(found[place].p_value or 0.0) for place in tested])
    for place, p_value in zip(tested, corrected, strict=True):
        found[place] = found[place].model_copy(update={"p_value": p_value})
    return sorted(found, key=lambda one: (one.severity == "ok", -one.weight, one.name))


def _compare_column(
    reference: ReferenceColumn,
    counted: ColumnCounts | None,
    rows: int,
    parameters: DriftParameters,
    level: float,
    seed: int,
) -> ColumnDrift:
    if counted is None:
        is_alarm = reference.importance >= parameters.minimum_importance
        return ColumnDrift(
            name=reference.name,
            importance=reference.importance,
            rows=rows,
            problems=["absent"] if rows else [],
            severity=("alarm" if is_alarm else "warning") if rows else "ok",
        )
    before = reference.group_counts(np.asarray(reference.counts, dtype=float), reference.missing)
    after = reference.group_counts(counted.counts.astype(float), counted.missing)
    divergence, limit = _measure_divergence(reference, before, after, parameters, level, seed)
    missing = Shares(reference=_share(reference.missing, reference.rows), current=_share(counted.missing, counted.rows))
    outside = Shares(reference=_share(reference.outside, reference.rows), current=_share(counted.outside, counted.rows))
    others = int(counted.counts[-1]) if reference.kind == "level" else 0
    known_others = reference.counts[-1] + reference.singletons if reference.kind == "level" else 0
    new = Shares(reference=_share(known_others, reference.rows), current=_share(others, counted.rows))
    problems: list[Problem] = []
    if divergence >= limit:
        problems.append("distribution")
    risen: tuple[tuple[Problem, Shares, int, int], ...] = (
        ("missing", missing, reference.missing, counted.missing),
        ("out of range", outside, reference.outside, counted.outside),
        ("new levels", new, known_others, others),
    )
    for problem, share, was, now in risen:
        is_large = share.rise >= parameters.minimum_share
        if is_large and share_p_value(was, reference.rows, now, counted.rows) < level:
            problems.append(problem)
    severity: Severity = "ok"
    if problems:
        matters = reference.importance >= parameters.minimum_importance
        severity = "alarm" if matters or np.sqrt(divergence) >= _GROSS_DISTANCE else "warning"
    statistic, p_value = _test(reference, counted, before, after, parameters)
    return ColumnDrift(
        name=reference.name,
        importance=reference.importance,
        rows=rows,
        distance=float(np.sqrt(divergence)),
        limit=float(np.sqrt(limit)),
        psi=population_stability_index(shares(before), shares(after)),
        wasserstein=_wasserstein(reference, counted),
        statistic=statistic,
        p_value=p_value,
        missing=missing,
        outside=outside,
        new_levels=new,
        new_names=[name for name, _ in counted.new_levels.most_common(_MOST_NAMED)],
        problems=problems,
        severity=severity,
        groups=reference.group_names(),
        reference_shares=shares(before).tolist(),
        current_shares=shares(after).tolist(),
    )


def _measure_divergence(
    reference: ReferenceColumn,
    before: np.ndarray,
    after: np.ndarray,
    parameters: DriftParameters,
    level: float,
    seed: int,
) -> tuple[float, float]:
    """Return the divergence and its limit."""
    smallest = parameters.minimum_distance**2
    if not before.sum() or not after.sum():
        return 0.0, smallest
    divergence = float(jensen_shannon_divergence(shares(before), shares(after)))
    sizes = int(before.sum()), int(after.sum())
    # Of large samples, chance explains far less than the smallest size that counts.
    if _MARGIN * approximate_quantile(len(before), *sizes, 1 - level) < smallest:
        return divergence, smallest + reference.period_variation
    chance = simulate_divergence(reference.population(), *sizes, seed)
    return divergence, max(smallest, chance.quantile(1 - level)) + reference.period_variation


def _wasserstein(reference: ReferenceColumn, counted: ColumnCounts) -> float | None:
    if reference.kind == "level" or not reference.spread:
        return None
    distance = wasserstein(
        np.asarray(reference.edges), np.asarray(reference.counts, dtype=float), counted.counts, counted.beyond
    )
    return distance / reference.spread


def _test(
    reference: ReferenceColumn,
    counted: ColumnCounts,
    before: np.ndarray,
    after: np.ndarray,
    parameters: DriftParameters,
) -> tuple[float | None, float | None]:
    if counted.rows > parameters.p_value_rows or not counted.rows:
        return None, None
    if reference.kind == "level":
        return chi_squared(before, after)
    return kolmogorov_smirnov(np.asarray(reference.counts), counted.counts)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


class PredictionDrift(Record):
    """How the predictions differ from those of the training customers, which were made out of fold."""

    distribution: ColumnDrift
    mean: Shares | None = Field(None, description="Mean probability or number.")
    decisions: Shares | None = Field(None, description="Share of customers worth a contact (task binary).")
    bands: dict[str, Shares] = Field(default_factory=dict, description="Shares of the risk bands (task binary).")
    severity: Severity = "ok"


def compare_predictions(
    profile: ReferenceProfile,
    predictions: ColumnCounts,
    decisions: tuple[int, int] | None,
    bands: Mapping[str, Shares],
    mean: Shares | None,
    parameters: DriftParameters,
    level: float,
    seed: int = 0,
) -> PredictionDrift | None:
    """Compare the predictions with those of the reference.

    Args:
        profile: The reference profile.
        predictions: Counts of the current predictions in the bins of the reference.
        decisions: Customers worth a contact, and all customers; None for other tasks than binary.
        bands: Shares of the risk bands.
        mean: Mean prediction.
        parameters: Sizes from which a change counts.
        level: Probability of a false alarm of each test.
        seed: Seed of the simulation.

    Returns:
        The differences; None if the profile has no predictions.
    """
    reference = profile.prediction
    if reference is None:
        return None
    # A change of what the model says matters, whatever the importance of the columns.
    found = _compare_column(
        reference.model_copy(update={"importance": 1.0}), predictions, predictions.rows, parameters, level, seed
    )
    severity: Severity = "alarm" if "distribution" in found.problems else "ok"
    decided = None
    if decisions is not None and profile.scores is not None and decisions[1]:
        customers = [sum(part) for part in profile.scores.customers]
        contacted, total = round(customers[1]), round(sum(customers))
        decided = Shares(reference=_share(contacted, total), current=_share(*decisions))
        if abs(decided.rise) >= parameters.minimum_decision_change:
            kept = (total - contacted, decisions[1] - decisions[0])
            rises = (contacted, total, decisions[0], decisions[1])
            falls = (kept[0], total, kept[1], decisions[1])
            if 2 * share_p_value(*(rises if decided.rise > 0 else falls)) < level:
                severity = "alarm"
    return PredictionDrift(distribution=found, mean=mean, decisions=decided, bands=dict(bands), severity=severity)
