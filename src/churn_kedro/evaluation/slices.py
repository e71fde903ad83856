"""Slices: declared groups of customers, and groups found by a search, on which the model is worse than overall.

A search among many groups always finds one with a poor metric by chance. Groups are therefore searched on one half of
the customers and tested on the other half (the "honest" split of Athey and Imbens, *PNAS* 113, 2016), and the
family-wise error rate is controlled over all groups of the report (Holm, *Scandinavian Journal of Statistics* 6, 1979).
The search follows Chung, Kraska, Polyzotis, Tae and Whang, "Slice Finder", *ICDE* 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import Parameters, Record
from churn_kedro.customers import TASKS, CustomerDeclaration, Task
from churn_kedro.evaluation.groups import Groups, group_customers
from churn_kedro.evaluation.metrics.definitions import METRICS, task_metrics
from churn_kedro.evaluation.metrics.estimates import (
    BootstrapParameters,
    Estimate,
    estimate_metric,
    measure_counted,
    resample_counts,
)
from churn_kedro.models import ScoredCustomers

# A found group whose Jaccard overlap with another group exceeds this value is a duplicate.
_MAX_OVERLAP = 0.8
# A group is tested if its excess loss on the searched half is more than one standard error.
_MIN_STANDARD_ERRORS = 1.0
# Minimum share of the resamples on which a metric must be defined to have a standard error.
_DEFINED = 0.9
# Probabilities are clipped to this minimum before a logarithm.
_SMALLEST = 1e-15
_NORMAL = NormalDist()


class SliceMetrics(Parameters):
    """Metric by which groups are compared, one for each task."""

    binary: str = Field("roc_auc", description="Task binary.")
    multiclass: str = Field(
        "balanced_accuracy", description="Task multiclass; averages over the classes that a group has."
    )
    regression: str = Field("rmse", description="Task regression.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for task in TASKS:
            name = self.of(task)
            allowed = [metric for metric in task_metrics(task) if METRICS[metric].ordered]
            if name not in allowed:
                raise ValueError(f"{name!r} cannot compare groups in task {task}; choose one of {', '.join(allowed)}")
        return self

    def of(self, task: Task) -> str:
        """Metric of a task."""
        metric: str = getattr(self, task)
        return metric


class SliceParameters(Parameters):
    """Parameters of the slice report."""

    max_rows: int = Field(
        20_000, ge=200, le=200_000, description="Maximum number of customers used; a larger table is sampled."
    )
    min_share: float = Field(0.03, gt=0, le=0.5, description="Minimum share of customers in a found group.")
    min_rows: int = Field(50, ge=10, description="Minimum number of customers in a reported group.")
    min_events: int = Field(10, ge=1, description="Minimum number of customers of each class in a tested group.")
    max_found: int = Field(
        10, ge=0, description="Maximum number of groups found by the search; 0: declared groups only."
    )
    metric: SliceMetrics = Field(default_factory=SliceMetrics, description="Metric by which groups are compared.")
    n_resamples: int = Field(300, ge=100, description="Bootstrap resamples for intervals and standard errors.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the two-sided intervals.")
    significance: float = Field(0.05, gt=0, lt=0.5, description="Family-wise error rate over the report.")
    random_state: int = Field(0, ge=0, description="Seed of the sample, the halves and the resamples.")


class Condition(Record):
    """A condition that defines a group: a column and a level or range."""

    column: str = Field(description="Column of the table.")
    text: str = Field(description="Level such as 'Germany', or range such as '45 to 60'.")


class SliceCalibration(Record):
    """Calibration of the predictions within a group."""

    ratio: float | None = Field(description="Observed mean divided by mean prediction; null if the latter is 0.")
    difference: Estimate = Field(description="Observed minus predicted mean; regression: minus that of all customers.")
    p_value: float = Field(ge=0, le=1, description="Two-sided p-value of a difference of 0.")
    adjusted_p_value: float = Field(ge=0, le=1, description="p-value after Holm's correction over the report.")
    miscalibrated: bool = Field(description="Whether the adjusted p-value is below the significance level.")


class Slice(Record):
    """A group of customers and the performance of the model on it."""

    name: str = Field(description="Name such as 'Geography = Germany' or 'Age 45 to 60 and Gender = Female'.")
    conditions: list[Condition] = Field(description="The one or two conditions that define the group.")
    declared: bool = Field(description="Whether the group belongs to a declared column; false: found by the search.")
    rows: int = Field(description="Number of customers in the group that were evaluated.")
    share: float = Field(description="Their share of the evaluated customers.")
    rate: float = Field(description="Share that left (binary), accuracy (multiclass) or mean target (regression).")
    mean_prediction: float = Field(
        description="Mean predicted probability of leaving (binary), mean probability of the predicted class "
        "(multiclass) or mean predicted number (regression)."
    )
    metric: Estimate | None = Field(description="Metric on the group; null if undefined.")
    whole: float | None = Field(description="Metric on all evaluated customers.")
    expected: float | None = Field(
        description="Expected metric if the probabilities were correct (binary with ROC-AUC or Gini); else null."
    )
    expected_p_value: float | None = Field(
        description="One-sided p-value of the metric being at least the expected one; null without."
    )
    p_value: float | None = Field(description="One-sided p-value of being no worse than overall; null: no test.")
    adjusted_p_value: float | None = Field(description="p-value after Holm's correction over the report.")
    worse: bool = Field(description="Whether the adjusted p-value is below the significance level.")
    by_nature: bool = Field(
        description="Whether it is worse than overall, but not significantly below the expected metric: its customers "
        "are harder to rank, and another model would not do better."
    )
    calibration: SliceCalibration | None = Field(description="Calibration within the group; null if not tested.")
    note: str | None = Field(description="Why the group is not tested, or how its result is to be read.")


class SliceReport(Record):
    """Performance of the model on groups of customers."""

    task: Task = Field(description="What is predicted.")
    metric: str = Field(description="Name of the metric by which groups are compared.")
    lower_is_better: bool = Field(description="Whether lower values of the metric are better.")
    whole: Estimate | None = Field(description="Metric on all customers used.")
    slices: list[Slice] = Field(description="Groups, worst first.")
    rows: int = Field(description="Number of scored customers.")
    rows_looked_at: int = Field(description="Number of customers used.")
    tested: int = Field(description="Number of groups whose metric was tested.")
    searched: int = Field(description="Number of groups that the search examined.")
    significance: float = Field(description="Family-wise error rate over the report.")
    how: str = Field(description="Description of the method.")

    @property
    def worse(self) -> list[Slice]:
        """Groups on which the model is worse than overall."""
        return [found for found in self.slices if found.worse]

    @property
    def failing(self) -> list[Slice]:
        """Worse groups on which the model is also below the expected metric, so that another model could improve."""
        return [found for found in self.worse if not found.by_nature]

    @property
    def harder(self) -> list[Slice]:
        """Worse groups whose customers are only harder to rank."""
        return [found for found in self.worse if found.by_nature]

    @property
    def miscalibrated(self) -> list[Slice]:
        """Groups for which the model predicts significantly too high or too low values."""
        return [found for found in self.slices if found.calibration is not None and found.calibration.miscalibrated]


@dataclass(frozen=True)
class _Candidate:
    """A group before its evaluation.

    Attributes:
        name: Name in reports. conditions: Conditions that define the group. declared: Whether the group belongs to a
            declared column. member: Whether each sampled customer belongs to the group, shape (m,).
    """

    name: str
    conditions: tuple[Condition, ...]
    declared: bool
    member: np.ndarray


@dataclass(frozen=True)
class _Reference:
    """Customers on which groups are evaluated.

    Attributes:
        rows: Their positions among the sampled customers. whole: Metric on all of them. resampled: Metric on each
            resample, shape (n_resamples,).
    """

    rows: np.ndarray
    whole: float
    resampled: np.ndarray


@dataclass(frozen=True)
class _Outcome:
    """Observed outcomes and predictions as numbers, each of shape (m,)."""

    observed: np.ndarray
    predicted: np.ndarray


def measure_slices(
    scores: ScoredCustomers,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: SliceParameters | None = None,
) -> SliceReport:
    """Compare the metric on groups of customers with the metric on all customers.

    Groups of declared columns (:attr:`CustomerDeclaration.segments`) are tested on all sampled customers: each level or
    range, missing values, and rare levels together. Further groups, defined by one or two conditions on the features,
    are searched on a seeded half of the customers and tested on the other half. The search maximises the excess loss:
    the loss of the group minus the loss that its base rate explains (classes: log loss against the entropy; numbers:
    squared error against that of all customers).

    A homogeneous group cannot be ranked as well as all customers, even by a perfect model. A group that is worse is
    therefore also compared with the metric expected if the probabilities were correct (:attr:`Slice.by_nature`).

    The test is one-sided, uses the standard error of the difference between group and whole on shared bootstrap
    resamples, and is corrected by Holm's method over all groups of the report. Calibration is tested separately, with
    its own correction: a two-sided test of the sum of observed minus predicted outcomes, with the variance implied by
    the predicted probabilities; for numbers, of the mean residual minus that of all other customers (Welch).

    Args:
        scores: Target and prediction of each customer.
        customers: The same customers in the same order, normalised, with the declared columns.
        declaration: The table's declaration.
        parameters: Sizes, limits and seed.

    Returns:
        The report, worst group first.

    Raises:
        ValueError: The numbers of scores and customers differ.
    """
    parameters = parameters or SliceParameters()
    if len(customers) != len(scores.target):
        raise ValueError(
            f"found {len(scores.target)} scores and {len(customers)} customers; pass the table that was scored, rows "
            "in the same order"
        )
    generator = np.random.default_rng(parameters.random_state)
    sample_rows = _sample_rows(len(customers), parameters.max_rows, generator)
    sampled, table = _subset(scores, sample_rows), customers.iloc[sample_rows]
    searched_half = generator.permutation(len(sample_rows)) < len(sample_rows) // 2
    declared = _declared_candidates(table, declaration, parameters)
    found, searched = _search(sampled, table, declaration, parameters, searched_half, declared)

    metric = parameters.metric.of(scores.task)
    resampling = BootstrapParameters(
        n_resamples=parameters.n_resamples, confidence=parameters.confidence, random_state=parameters.random_state
    )
    counts = np.concatenate(list(resample_counts(len(sample_rows), resampling)))
    everyone = np.arange(len(sample_rows))
    on_all = _evaluate_whole(sampled, counts, everyone, metric)
    on_half = _evaluate_whole(sampled, counts, np.flatnonzero(~searched_half), metric) if found else on_all
    slices = [_evaluate_slice(candidate, on_all, sampled, counts, metric, parameters) for candidate in declared]
    slices += [_evaluate_slice(candidate, on_half, sampled, counts, metric, parameters) for candidate in found]
    slices = _correct(slices, parameters.significance)
    return SliceReport(
        task=scores.task,
        metric=metric,
        lower_is_better=METRICS[metric].lower_is_better,
        whole=estimate_metric(metric, on_all.whole, on_all.resampled, parameters.confidence)
        if math.isfinite(on_all.whole)
        else None,
        slices=_order(slices, metric),
        rows=len(customers),
        rows_looked_at=len(sample_rows),
        tested=sum(group.p_value is not None for group in slices),
        searched=searched,
        significance=parameters.significance,
        how=_explain(metric, len(sample_rows), len(customers), len(declared), len(found), searched, parameters),
    )


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple testing by Holm's step-down method.

    Args:
        p_values: p-value of each test.

    Returns:
        Adjusted p-values in the same order. Rejecting the hypotheses whose adjusted p-value is below a level limits the
        family-wise error rate to that level, for any dependence between the tests.

    Examples:
        >>> [round(value, 3) for value in adjust_by_holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def _sample_rows(n_rows: int, most: int, generator: np.random.Generator) -> np.ndarray:
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(generator.choice(n_rows, most, replace=False))


def _subset(scores: ScoredCustomers, rows: np.ndarray) -> ScoredCustomers:
    return scores.of(rows)


def _declared_candidates(
    table: pd.DataFrame, declaration: CustomerDeclaration, parameters: SliceParameters
) -> list[_Candidate]:
    candidates = []
    for column in declaration.segments:
        groups = group_customers(table[column.name], column, parameters.min_rows)
        if len(groups.labels) < 2:
            continue
        for code, label in enumerate(groups.labels):
            condition = Condition(column=column.name, text=label)
            candidates.append(_Candidate(groups.describe(code), (condition,), True, groups.codes == code))
    return candidates


@dataclass(frozen=True)
class _Conditions:
    """All single conditions that the search combines.

    Attributes:
        groups: Column and position of the group in it, for each condition.
        member: Whether each sampled customer meets the condition, shape (m, k). column: Index of the column of each
            condition, shape (k,).
    """

    groups: list[tuple[Groups, int]]
    member: np.ndarray
    column: np.ndarray


def _list_conditions(table: pd.DataFrame, declaration: CustomerDeclaration, least: int) -> _Conditions:
    found: list[tuple[Groups, int]] = []
    members, numbers = [], []
    for number, column in enumerate(declaration.features):
        groups = group_customers(table[column.name], column, least)
        for code in range(len(groups.labels)):
            member = groups.codes == code
            if least <= member.sum() < len(table):
                found.append((groups, code))
                members.append(member)
                numbers.append(number)
    member = np.stack(members, axis=1) if members else np.zeros((len(table), 0), dtype=bool)
    return _Conditions(found, member, np.array(numbers, dtype=np.int64))


def _search(
    sampled: ScoredCustomers,
    table: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: SliceParameters,
    half: np.ndarray,
    declared: list[_Candidate],
) -> tuple[list[_Candidate], int]:
    """Return the groups with the largest excess loss on one half of the customers, and the number examined."""
    # One half of a group is searched, the other half tested.
    least = max(math.ceil(parameters.min_share * len(table)), 2 * parameters.min_rows)
    conditions = _list_conditions(table, declaration, least) if parameters.max_found else None
    if conditions is None or not conditions.groups or not half.any():
        return [], 0
    excess = _excess_loss(
        _subset(sampled, np.flatnonzero(half)), conditions.member[half], least // 2, parameters.min_events
    )
    alone = np.diag(excess).copy()
    pairs = np.triu(conditions.column[:, np.newaxis] != conditions.column, 1)
    searched = int(np.isfinite(alone).sum() + np.isfinite(excess[pairs]).sum())
    # A pair of conditions is kept only if its excess loss exceeds that of each condition alone.
    better = excess > np.maximum(alone[:, np.newaxis], alone)
    excess = np.where(pairs & better | np.eye(len(alone), dtype=bool), excess, -np.inf)
    kept: list[_Candidate] = []
    known = [candidate.member for candidate in declared]
    for place in np.argsort(-excess, axis=None, kind="stable"):
        first, second = (int(number) for number in np.unravel_index(place, excess.shape))
        if len(kept) == parameters.max_found or not excess[first, second] > _MIN_STANDARD_ERRORS:
            break
        member = conditions.member[:, first] & conditions.member[:, second]
        same = any((member & other).sum() > _MAX_OVERLAP * (member | other).sum() for other in known)
        if same or (member & ~half).sum() < parameters.min_rows:
            continue
        chosen = [conditions.groups[number] for number in sorted({first, second})]
        kept.append(
            _Candidate(
                " and ".join(groups.describe(code) for groups, code in chosen),
                tuple(Condition(column=groups.column, text=groups.labels[code]) for groups, code in chosen),
                False,
                member,
            )
        )
        known.append(member)
    return kept, searched


def _excess_loss(sampled: ScoredCustomers, member: np.ndarray, least: int, min_events: int) -> np.ndarray:
    """Return the excess loss of each pair of conditions, in standard errors.

    Args:
        sampled: The customers that are searched.
        member: Whether each customer meets each condition, shape (m, k).
        least: Minimum number of customers in a group.
        min_events: Minimum number of customers of either class (task binary).

    Returns:
        Array of shape (k, k), single conditions on the diagonal; minus infinity where there are too few customers.
    """
    meets = member.astype(np.float64)

    def sums(amounts: np.ndarray) -> np.ndarray:
        return np.asarray((meets * amounts[:, np.newaxis]).T @ meets)

    rows = sums(np.ones(len(meets)))
    enough = rows >= least
    if sampled.task == "regression":
        losses = (sampled.target - sampled.prediction) ** 2
        expected = rows * losses.mean()
    else:
        codes = sampled.target.astype(np.int64)
        by_class = (
            np.column_stack([1 - sampled.prediction, sampled.prediction])
            if sampled.task == "binary"
            else sampled.prediction
        )
        losses = -np.log(np.maximum(by_class[np.arange(len(codes)), codes], _SMALLEST))
        members = [sums((codes == code).astype(np.float64)) for code in range(by_class.shape[1])]
        shares = np.bincount(codes, minlength=by_class.shape[1]) / len(codes)
        entropy = -float(np.sum(shares * np.log(np.maximum(shares, _SMALLEST))))
        # Log loss relative to the entropy of the base rate: 1 - skill.
        left = losses.mean() / entropy if entropy > 0 else 0.0
        parts = [np.maximum(count, 0) / np.maximum(rows, 1) for count in members]
        expected = left * rows * -sum(part * np.log(np.maximum(part, _SMALLEST)) for part in parts)
        if sampled.task == "binary":
            enough &= (members[0] >= min_events) & (members[1] >= min_events)
    total, squares = sums(losses), sums(losses**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(squares - total**2 / rows, 0.0))
        excess = (total - expected) / spread
    return np.where(enough & np.isfinite(excess), excess, -np.inf)


def _evaluate_whole(sampled: ScoredCustomers, counts: np.ndarray, rows: np.ndarray, metric: str) -> _Reference:
    subset, drawn = _subset(sampled, rows), counts[:, rows]
    values = measure_counted(subset, np.ones((1, len(rows)), dtype=np.int32))[metric]
    return _Reference(rows, float(values[0]), measure_counted(subset, drawn)[metric])


def _evaluate_slice(
    candidate: _Candidate,
    reference: _Reference,
    sampled: ScoredCustomers,
    counts: np.ndarray,
    metric: str,
    parameters: SliceParameters,
) -> Slice:
    """Evaluate a group on the reference customers, before the correction for multiple tests."""
    rows = reference.rows[candidate.member[reference.rows]]
    group = _subset(sampled, rows)
    outcome, everyone = _outcome(group), _outcome(_subset(sampled, reference.rows))
    value, note, estimate, p_value = math.nan, _untestable_reason(group, parameters), None, None
    expected, expected_p_value = None, None
    if len(rows) >= parameters.min_rows:
        value = float(measure_counted(group, np.ones((1, len(rows)), dtype=np.int32))[metric][0])
    if math.isfinite(value):
        resampled = measure_counted(group, counts[:, rows])[metric]
        estimate = estimate_metric(metric, value, resampled, parameters.confidence)
        expected = _expect(group, metric)
        if note is None:
            sign = 1.0 if METRICS[metric].lower_is_better else -1.0
            p_value = _one_sided(sign * (value - reference.whole), sign * (resampled - reference.resampled))
            if expected is not None:
                expected_p_value = _one_sided(expected - value, expected - resampled)
            note = None if p_value is not None else "The metric varies too much on so few customers to be tested."
    elif note is None:
        note = f"The {METRICS[metric].title} is undefined on these customers."
    return Slice(
        name=candidate.name,
        conditions=list(candidate.conditions),
        declared=candidate.declared,
        rows=len(rows),
        share=len(rows) / len(reference.rows),
        rate=float(outcome.observed.mean()) if len(rows) else 0.0,
        mean_prediction=float(outcome.predicted.mean()) if len(rows) else 0.0,
        metric=estimate,
        whole=reference.whole if math.isfinite(reference.whole) else None,
        expected=expected,
        expected_p_value=expected_p_value,
        p_value=p_value,
        adjusted_p_value=p_value,
        worse=False,
        by_nature=False,
        calibration=_compare_calibration(outcome, everyone, sampled.task, parameters)
        if len(rows) >= parameters.min_rows
        else None,
        note=note,
    )


def _expect(group: ScoredCustomers, metric: str) -> float | None:
    """Return the expected ranking metric if the predicted probabilities were correct.

    Each pair of customers is weighted with the probability that the first leaves and the second stays (van Klaveren,
    Gönen, Steyerberg and Vergouwe, *Statistics in Medicine* 35, 2016).
    """
    if group.task != "binary" or metric not in ("roc_auc", "gini"):
        return None
    _, step = np.unique(group.prediction, return_inverse=True)
    leaves = np.bincount(step, weights=group.prediction)
    stays = np.bincount(step, weights=1 - group.prediction)
    pairs = leaves.sum() * stays.sum()
    if pairs <= 0:
        return None
    area = float(leaves @ (np.cumsum(stays) - stays / 2) / pairs)
    return area if metric == "roc_auc" else 2 * area - 1


def _outcome(scores: ScoredCustomers) -> _Outcome:
    match scores.task:
        case "binary":
            return _Outcome((scores.target == 1).astype(np.float64), scores.prediction)
        case "multiclass":
            right = scores.prediction.argmax(axis=1) == scores.target
            return _Outcome(right.astype(np.float64), scores.prediction.max(axis=1))
        case "regression":
            return _Outcome(scores.target.astype(np.float64), scores.prediction)


def _untestable_reason(group: ScoredCustomers, parameters: SliceParameters) -> str | None:
    """Return why a group cannot be tested; None if it can."""
    n_rows = len(group.target)
    if n_rows < parameters.min_rows:
        return f"Only {n_rows} customers: too few to test (fewer than {parameters.min_rows})."
    if group.task == "regression":
        return None
    codes, sizes = np.unique(group.target, return_counts=True)
    if len(codes) == 1:
        what = ("Nobody left", "Everybody left")[int(codes[0])] if group.task == "binary" else "All are of one class"
        return f"{what}: the metric is undefined."
    if sizes.min() < parameters.min_events:
        few = int(sizes.min())
        if group.task == "binary":
            what = ("customer who stayed", "customer who left")[int(codes[sizes.argmin()])]
            who = what if few == 1 else what.replace("customer", "customers")
        else:
            who = f"of class {group.classes[int(codes[sizes.argmin()])]}"
        return f"Only {few} {who}: too few to test (fewer than {parameters.min_events})."
    return None


def _one_sided(excess: float, resampled: np.ndarray) -> float | None:
    """Return the p-value of an excess of at most 0; None if the resamples give no standard error."""
    known = resampled[np.isfinite(resampled)]
    if len(known) < _DEFINED * len(resampled) or not math.isfinite(excess):
        return None
    error = float(known.std(ddof=1))
    # The difference is the same on all resamples: its standard error is 0.
    if error == 0:
        return 1.0 if excess <= 0 else 0.0
    return _NORMAL.cdf(-excess / error)


def _compare_calibration(
    outcome: _Outcome, everyone: _Outcome, task: Task, parameters: SliceParameters
) -> SliceCalibration:
    n_rows, n_all = len(outcome.predicted), len(everyone.predicted)
    residual = outcome.observed - outcome.predicted
    difference = float(residual.mean())
    if task == "regression":
        all_residuals = everyone.observed - everyone.predicted
        difference -= float(all_residuals.mean())
        n_rest = n_all - n_rows
        if n_rest < 2:
            variance = 0.0
        else:
            # Sums over the other customers are sums over all minus sums over the group.
            rest_mean = (all_residuals.sum() - residual.sum()) / n_rest
            rest_variance = max(((all_residuals**2).sum() - (residual**2).sum()) / n_rest - rest_mean**2, 0.0)
            variance = (n_rest / n_all) ** 2 * (float(residual.var(ddof=1)) / n_rows + rest_variance / n_rest)
    else:
        variance = float((outcome.predicted * (1 - outcome.predicted)).sum()) / n_rows**2
    error = math.sqrt(variance)
    half = _NORMAL.inv_cdf((1 + parameters.confidence) / 2) * error
    distance = abs(difference) / error if error > 0 else (0.0 if abs(difference) < _SMALLEST else math.inf)
    p_value = min(1.0, 2 * _NORMAL.cdf(-distance))
    mean_prediction = float(outcome.predicted.mean())
    return SliceCalibration(
        ratio=float(outcome.observed.mean()) / mean_prediction if mean_prediction else None,
        difference=Estimate(value=difference, low=difference - half, high=difference + half),
        p_value=p_value,
        adjusted_p_value=p_value,
        miscalibrated=False,
    )


def _correct(slices: list[Slice], significance: float) -> list[Slice]:
    """Apply Holm's correction to the p-values of all groups."""
    tested = [place for place, group in enumerate(slices) if group.p_value is not None]
    adjusted = dict(zip(tested, adjust_by_holm([slices[place].p_value or 0.0 for place in tested]), strict=True))
    below = [place for place in tested if slices[place].expected_p_value is not None]
    expected_adjusted = adjust_by_holm([slices[place].expected_p_value or 0.0 for place in below])
    by_nature = {
        place
        for place, value in zip(below, expected_adjusted, strict=True)
        if adjusted[place] < significance and value >= significance
    }
    with_calibration = [place for place, group in enumerate(slices) if group.calibration is not None]
    calibrations = [calibration for group in slices if (calibration := group.calibration) is not None]
    calibration_adjusted = adjust_by_holm([calibration.p_value for calibration in calibrations])
    corrected = {
        place: calibration.model_copy(update={"adjusted_p_value": value, "miscalibrated": value < significance})
        for place, calibration, value in zip(with_calibration, calibrations, calibration_adjusted, strict=True)
    }
    return [
        group.model_copy(
            update={
                "adjusted_p_value": adjusted.get(place),
                "worse": adjusted.get(place, 1.0) < significance,
                "by_nature": place in by_nature,
                "note": _explain_harder_slice(group) if place in by_nature else group.note,
                "calibration": corrected.get(place),
            }
        )
        for place, group in enumerate(slices)
    ]


def _explain_harder_slice(group: Slice) -> str:
    return (
        "Its customers are harder to rank than all: even with correct probabilities, the expected value is "
        f"{group.expected:.3f}."
    )


def _order(slices: list[Slice], metric: str) -> list[Slice]:
    """Sort groups by p-value; groups without a test come last."""
    sign = 1.0 if METRICS[metric].lower_is_better else -1.0

    def sort_key(group: Slice) -> tuple[bool, float, float]:
        if group.p_value is None or group.metric is None or group.whole is None:
            return True, 0.0, -group.rows
        return False, group.p_value, -sign * (group.metric.value - group.whole)

    return sorted(slices, key=sort_key)


def _explain(
    metric: str, sample_rows: int, rows: int, declared: int, found: int, searched: int, parameters: SliceParameters
) -> str:
    sample = f"a seeded sample of {sample_rows:,} of the {rows:,}" if sample_rows < rows else f"all {rows:,}"
    search = (
        f" Of {searched:,} further groups of one or two conditions, the {found} worst on one half of these customers "
        "were tested on the other half."
        if found
        else f" Of {searched:,} further groups of one or two conditions, none exceeded one standard error."
        if searched
        else ""
    )
    return (
        f"Groups are compared by {METRICS[metric].title} on {sample} customers; {declared} of them are groups of "
        f"declared columns.{search} A group is called worse, or miscalibrated, at a family-wise error rate of "
        f"{100 * parameters.significance:g} % over all groups of the report (Holm). A group can have a lower metric "
        "only because its customers are more alike; such groups carry a note."
    )
