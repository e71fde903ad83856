"""Where a model is weaker than on the whole: groups of customers that are declared, and groups that are looked for.

A search among many groups always finds one that looks bad. So the groups are looked for on one half of the customers
and judged on the other, which the search has not seen (the "honest" split of Athey and Imbens, *PNAS* 113, 2016), and
the error rate holds for all groups of the report together (Holm, *Scandinavian Journal of Statistics* 6, 1979). The
idea of searching for such groups is that of Chung, Kraska, Polyzotis, Tae and Whang, "Slice Finder", *ICDE* 2019.
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

# A found group that shares more than this part of its customers with another one is the same group by another name.
_SAME = 0.8
# A group is worth judging if what it lacks on the half that is searched is more than one standard error.
_WORTH_JUDGING = 1.0
# Least share of the resamples that a metric must be defined on to have a standard error.
_DEFINED = 0.9
# Probabilities below count as this in a logarithm.
_SMALLEST = 1e-15
_NORMAL = NormalDist()


class SliceMetrics(Parameters):
    """The metric that groups are compared by, one for each task."""

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
    """How groups of customers are compared with the whole."""

    max_rows: int = Field(
        20_000, ge=200, le=200_000, description="Most customers to look at; of more, a seeded sample."
    )
    min_share: float = Field(0.03, gt=0, le=0.5, description="Smallest share of the customers that a found group has.")
    min_rows: int = Field(50, ge=10, description="Fewest customers of a group that is reported.")
    min_events: int = Field(10, ge=1, description="Fewest customers of each class in a group whose metric is tested.")
    max_found: int = Field(10, ge=0, description="Most groups that are looked for; 0: declared ones only.")
    metric: SliceMetrics = Field(default_factory=SliceMetrics, description="What groups are compared by.")
    n_resamples: int = Field(300, ge=100, description="Bootstrap resamples for intervals and standard errors.")
    confidence: float = Field(0.95, gt=0, lt=1, description="Coverage of the two-sided intervals.")
    significance: float = Field(
        0.05, gt=0, lt=0.5, description="Probability of calling any group worse if none is, over the whole report."
    )
    random_state: int = Field(0, ge=0, description="Seed of sample, halves and resamples.")


class Condition(Record):
    """One condition that the customers of a group meet."""

    column: str = Field(description="Column of the table.")
    text: str = Field(description="The values, for people: a level such as 'Germany', or a range such as '45 to 60'.")


class SliceCalibration(Record):
    """What was predicted for a group, and what happened."""

    ratio: float | None = Field(description="Observed divided by predicted; null where nothing was predicted.")
    difference: Estimate = Field(description="Observed minus predicted; numbers: less that of all customers.")
    p_value: float = Field(ge=0, le=1, description="Two-sided p-value of a difference of 0.")
    adjusted_p_value: float = Field(ge=0, le=1, description="The same after Holm's correction over the report.")
    miscalibrated: bool = Field(description="Whether the adjusted p-value is below the significance.")


class Slice(Record):
    """A group of customers, and how the model does on it."""

    name: str = Field(description="For people, such as 'Geography = Germany' or 'Age 45 to 60 and Gender = Female'.")
    conditions: list[Condition] = Field(description="What its customers have in common; one or two conditions.")
    declared: bool = Field(description="Whether it is a group of a declared column; otherwise the search found it.")
    rows: int = Field(description="Customers of it that were judged.")
    share: float = Field(description="Their share of the judged customers.")
    rate: float = Field(
        description="Share that left (binary), share predicted rightly (multiclass) or mean number (regression)."
    )
    mean_prediction: float = Field(
        description="Mean predicted probability of leaving (binary), mean probability of the predicted class "
        "(multiclass) or mean predicted number (regression)."
    )
    metric: Estimate | None = Field(description="The report's metric on it; null where it is undefined.")
    whole: float | None = Field(description="The same on all customers it was judged among.")
    expected: float | None = Field(
        description="What right probabilities would reach on these customers (binary, by ROC-AUC or Gini); else null."
    )
    expected_p_value: float | None = Field(
        description="One-sided p-value of reaching what is expected; null where nothing is."
    )
    p_value: float | None = Field(description="One-sided p-value of being no worse than the whole; null: no test.")
    adjusted_p_value: float | None = Field(description="The same after Holm's correction over the report.")
    worse: bool = Field(description="Whether the adjusted p-value is below the significance.")
    by_nature: bool = Field(
        description="Whether it is worse, but below what is expected by no more than chance: its customers are harder "
        "to tell apart than all, and the model does on them what right probabilities would."
    )
    calibration: SliceCalibration | None = Field(description="Predicted against observed; null where untested.")
    note: str | None = Field(description="What keeps it from being judged, or puts it into perspective, for people.")


class SliceReport(Record):
    """How the model does on groups of customers."""

    task: Task = Field(description="What is predicted.")
    metric: str = Field(description="Name of the metric that groups are compared by.")
    lower_is_better: bool = Field(description="Whether a small value of it is good.")
    whole: Estimate | None = Field(description="The metric on all customers looked at.")
    slices: list[Slice] = Field(description="Groups, the worst first.")
    rows: int = Field(description="Customers there were.")
    rows_looked_at: int = Field(description="Customers that were looked at.")
    tested: int = Field(description="Groups whose metric was tested.")
    searched: int = Field(description="Groups that the search looked at.")
    significance: float = Field(description="Error rate over the whole report.")
    how: str = Field(description="How the groups were judged, for people.")

    @property
    def worse(self) -> list[Slice]:
        """Groups on which the model is worse than on the whole."""
        return [found for found in self.slices if found.worse]

    @property
    def failing(self) -> list[Slice]:
        """Those of them on which it is worse than right probabilities would be: what another model could mend."""
        return [found for found in self.worse if not found.by_nature]

    @property
    def harder(self) -> list[Slice]:
        """Those of them whose customers are merely harder to tell apart."""
        return [found for found in self.worse if found.by_nature]

    @property
    def miscalibrated(self) -> list[Slice]:
        """Groups for which the model says too much or too little."""
        return [found for found in self.slices if found.calibration is not None and found.calibration.miscalibrated]


@dataclass(frozen=True)
class _Candidate:
    """A group before it is judged.

    Attributes:
        name: For people.
        conditions: What its customers have in common.
        declared: Whether it is a group of a declared column.
        member: Whether each customer looked at is in it, shape (m,).
    """

    name: str
    conditions: tuple[Condition, ...]
    declared: bool
    member: np.ndarray


@dataclass(frozen=True)
class _Reference:
    """Customers that groups are judged on.

    Attributes:
        rows: Their positions among the customers looked at.
        whole: The metric on all of them.
        resampled: The same on each resample, shape (n_resamples,).
    """

    rows: np.ndarray
    whole: float
    resampled: np.ndarray


@dataclass(frozen=True)
class _Outcome:
    """What happened and what was said, in numbers that can be averaged; each of shape (m,)."""

    happened: np.ndarray
    said: np.ndarray


def measure_slices(
    scores: ScoredCustomers,
    customers: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: SliceParameters | None = None,
) -> SliceReport:
    """Compare the model on groups of customers with the model on the whole.

    Groups of declared columns (:attr:`CustomerDeclaration.segments`) are judged on all customers that are looked at:
    every level or range, customers without a value, and rare levels together. Further groups, of one or two conditions
    on the features, are looked for on a seeded half of the customers and judged on the other half alone. What is looked
    for is a loss that is larger than the group's own base rate explains (classes: log loss against the entropy;
    numbers: squared error against that of all).

    A group of like customers cannot be ranked as well as all are, however good the model is. So a group that is worse
    is also compared with what would be expected there if the probabilities were right (:attr:`Slice.by_nature`).

    A group is called worse if its metric is, by more than chance: a one-sided test with the standard error of the
    difference between group and whole on shared bootstrap resamples, after Holm's correction over all groups of the
    report. Calibration is a second question with a correction of its own: a two-sided test of the sum of what happened
    less what was said, whose variance is that of the probabilities themselves; for numbers, of the mean residual less
    that of all other customers (Welch).

    Args:
        scores: Target and prediction of each customer.
        customers: The same customers in the same order, normalised, with the declared columns.
        declaration: The table's declaration.
        parameters: Sizes, limits and seed.

    Returns:
        The report, the worst group first.

    Raises:
        ValueError: Scores and customers differ in number.
    """
    parameters = parameters or SliceParameters()
    if len(customers) != len(scores.target):
        raise ValueError(
            f"scores are of {len(scores.target)} customers, the table has {len(customers)}; pass the table that was "
            "scored"
        )
    generator = np.random.default_rng(parameters.random_state)
    looked_at = _sample_rows(len(customers), parameters.max_rows, generator)
    seen, table = _subset(scores, looked_at), customers.iloc[looked_at]
    searched_half = generator.permutation(len(looked_at)) < len(looked_at) // 2
    declared = _declared_candidates(table, declaration, parameters)
    found, searched = _search(seen, table, declaration, parameters, searched_half, declared)

    metric = parameters.metric.of(scores.task)
    resampling = BootstrapParameters(
        n_resamples=parameters.n_resamples, confidence=parameters.confidence, random_state=parameters.random_state
    )
    counts = np.concatenate(list(resample_counts(len(looked_at), resampling)))
    everyone = np.arange(len(looked_at))
    on_all = _evaluate_whole(seen, counts, everyone, metric)
    on_half = _evaluate_whole(seen, counts, np.flatnonzero(~searched_half), metric) if found else on_all
    slices = [_judge(candidate, on_all, seen, counts, metric, parameters) for candidate in declared]
    slices += [_judge(candidate, on_half, seen, counts, metric, parameters) for candidate in found]
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
        rows_looked_at=len(looked_at),
        tested=sum(judged.p_value is not None for judged in slices),
        searched=searched,
        significance=parameters.significance,
        how=_explain(metric, len(looked_at), len(customers), len(declared), len(found), searched, parameters),
    )


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down method.

    Args:
        p_values: p-value of each test.

    Returns:
        Adjusted p-values in the same order: a test whose adjusted value is below a level is rejected at that level, and
        the probability of rejecting any true hypothesis is at most the level, whatever the tests have to do with one
        another.
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
    return ScoredCustomers(scores.task, scores.target[rows], scores.prediction[rows], scores.threshold, scores.classes)


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
        member: Whether each customer looked at meets it, shape (m, k).
        column: Number of the column of each condition, shape (k,).
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
    seen: ScoredCustomers,
    table: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: SliceParameters,
    half: np.ndarray,
    declared: list[_Candidate],
) -> tuple[list[_Candidate], int]:
    """Groups that lack most on one half of the customers, and how many were looked at."""
    # Half of a group is searched, the other half judged.
    least = max(math.ceil(parameters.min_share * len(table)), 2 * parameters.min_rows)
    conditions = _list_conditions(table, declaration, least) if parameters.max_found else None
    if conditions is None or not conditions.groups or not half.any():
        return [], 0
    lacking = _lacking(_subset(seen, np.flatnonzero(half)), conditions.member[half], least // 2, parameters.min_events)
    alone = np.diag(lacking).copy()
    pairs = np.triu(conditions.column[:, np.newaxis] != conditions.column, 1)
    searched = int(np.isfinite(alone).sum() + np.isfinite(lacking[pairs]).sum())
    # A second condition must tell something: part of a bad group is bad, too, but less surely so.
    better = lacking > np.maximum(alone[:, np.newaxis], alone)
    lacking = np.where(pairs & better | np.eye(len(alone), dtype=bool), lacking, -np.inf)
    kept: list[_Candidate] = []
    known = [candidate.member for candidate in declared]
    for place in np.argsort(-lacking, axis=None, kind="stable"):
        first, second = (int(number) for number in np.unravel_index(place, lacking.shape))
        if len(kept) == parameters.max_found or not lacking[first, second] > _WORTH_JUDGING:
            break
        member = conditions.member[:, first] & conditions.member[:, second]
        same = any((member & other).sum() > _SAME * (member | other).sum() for other in known)
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


def _lacking(seen: ScoredCustomers, member: np.ndarray, least: int, min_events: int) -> np.ndarray:
    """How many standard errors the loss of each pair of conditions is larger than it should be.

    Args:
        seen: The customers that are searched.
        member: Whether each meets each condition, shape (m, k).
        least: Fewest customers of a group.
        min_events: Fewest customers of either class (task binary).

    Returns:
        Shape (k, k); on the diagonal that of a condition alone; minus infinity where there are too few customers.
    """
    meets = member.astype(np.float64)

    def sums(amounts: np.ndarray) -> np.ndarray:
        return np.asarray((meets * amounts[:, np.newaxis]).T @ meets)

    rows = sums(np.ones(len(meets)))
    enough = rows >= least
    if seen.task == "regression":
        losses = (seen.target - seen.prediction) ** 2
        expected = rows * losses.mean()
    else:
        codes = seen.target.astype(np.int64)
        by_class = np.column_stack([1 - seen.prediction, seen.prediction]) if seen.task == "binary" else seen.prediction
        losses = -np.log(np.maximum(by_class[np.arange(len(codes)), codes], _SMALLEST))
        members = [sums((codes == code).astype(np.float64)) for code in range(by_class.shape[1])]
        shares = np.bincount(codes, minlength=by_class.shape[1]) / len(codes)
        entropy = -float(np.sum(shares * np.log(np.maximum(shares, _SMALLEST))))
        # What the model leaves of the uncertainty that the base rate has: 1 - skill.
        left = losses.mean() / entropy if entropy > 0 else 0.0
        parts = [np.maximum(count, 0) / np.maximum(rows, 1) for count in members]
        expected = left * rows * -sum(part * np.log(np.maximum(part, _SMALLEST)) for part in parts)
        if seen.task == "binary":
            enough &= (members[0] >= min_events) & (members[1] >= min_events)
    total, squares = sums(losses), sums(losses**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(squares - total**2 / rows, 0.0))
        lacking = (total - expected) / spread
    return np.where(enough & np.isfinite(lacking), lacking, -np.inf)


def _evaluate_whole(seen: ScoredCustomers, counts: np.ndarray, rows: np.ndarray, metric: str) -> _Reference:
    judged, drawn = _subset(seen, rows), counts[:, rows]
    values = measure_counted(judged, np.ones((1, len(rows)), dtype=np.int32))[metric]
    return _Reference(rows, float(values[0]), measure_counted(judged, drawn)[metric])


def _judge(
    candidate: _Candidate,
    judges: _Reference,
    seen: ScoredCustomers,
    counts: np.ndarray,
    metric: str,
    parameters: SliceParameters,
) -> Slice:
    """A group on the customers it is judged on, not yet corrected for the number of groups."""
    rows = judges.rows[candidate.member[judges.rows]]
    group = _subset(seen, rows)
    outcome, everyone = _outcome(group), _outcome(_subset(seen, judges.rows))
    value, note, estimate, p_value = math.nan, _doubt(group, parameters), None, None
    expected, expected_p_value = None, None
    if len(rows) >= parameters.min_rows:
        value = float(measure_counted(group, np.ones((1, len(rows)), dtype=np.int32))[metric][0])
    if math.isfinite(value):
        resampled = measure_counted(group, counts[:, rows])[metric]
        estimate = estimate_metric(metric, value, resampled, parameters.confidence)
        expected = _expect(group, metric)
        if note is None:
            sign = 1.0 if METRICS[metric].lower_is_better else -1.0
            p_value = _one_sided(sign * (value - judges.whole), sign * (resampled - judges.resampled))
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
        share=len(rows) / len(judges.rows),
        rate=float(outcome.happened.mean()) if len(rows) else 0.0,
        mean_prediction=float(outcome.said.mean()) if len(rows) else 0.0,
        metric=estimate,
        whole=judges.whole if math.isfinite(judges.whole) else None,
        expected=expected,
        expected_p_value=expected_p_value,
        p_value=p_value,
        adjusted_p_value=p_value,
        worse=False,
        by_nature=False,
        calibration=_compare_calibration(outcome, everyone, seen.task, parameters)
        if len(rows) >= parameters.min_rows
        else None,
        note=note,
    )


def _expect(group: ScoredCustomers, metric: str) -> float | None:
    """What a metric of ranking would be if the customers left with the very probabilities that were predicted.

    Every pair of customers counts with the probability that the first leaves and the second stays, as in van Klaveren,
    Gönen, Steyerberg and Vergouwe, *Statistics in Medicine* 35 (2016): a group of like customers cannot be ranked well.
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


def _doubt(group: ScoredCustomers, parameters: SliceParameters) -> str | None:
    """Why a group cannot be tested, if it cannot."""
    n_rows = len(group.target)
    if n_rows < parameters.min_rows:
        return f"Only {n_rows} customers: too few to judge (fewer than {parameters.min_rows})."
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
    """p-value of an excess that is 0 or less; None where resamples give no standard error."""
    known = resampled[np.isfinite(resampled)]
    if len(known) < _DEFINED * len(resampled) or not math.isfinite(excess):
        return None
    error = float(known.std(ddof=1))
    # Equal on all resamples: the group is as good as the whole, or surely differs from it.
    if error == 0:
        return 1.0 if excess <= 0 else 0.0
    return _NORMAL.cdf(-excess / error)


def _compare_calibration(
    outcome: _Outcome, everyone: _Outcome, task: Task, parameters: SliceParameters
) -> SliceCalibration:
    n_rows, n_all = len(outcome.said), len(everyone.said)
    residual = outcome.happened - outcome.said
    difference = float(residual.mean())
    if task == "regression":
        everyones = everyone.happened - everyone.said
        difference -= float(everyones.mean())
        n_rest = n_all - n_rows
        if n_rest < 2:
            variance = 0.0
        else:
            # Sums of all less those of the group are those of the others.
            rest_mean = (everyones.sum() - residual.sum()) / n_rest
            rest_variance = max(((everyones**2).sum() - (residual**2).sum()) / n_rest - rest_mean**2, 0.0)
            variance = (n_rest / n_all) ** 2 * (float(residual.var(ddof=1)) / n_rows + rest_variance / n_rest)
    else:
        variance = float((outcome.said * (1 - outcome.said)).sum()) / n_rows**2
    error = math.sqrt(variance)
    half = _NORMAL.inv_cdf((1 + parameters.confidence) / 2) * error
    distance = abs(difference) / error if error > 0 else (0.0 if abs(difference) < _SMALLEST else math.inf)
    p_value = min(1.0, 2 * _NORMAL.cdf(-distance))
    said = float(outcome.said.mean())
    return SliceCalibration(
        ratio=float(outcome.happened.mean()) / said if said else None,
        difference=Estimate(value=difference, low=difference - half, high=difference + half),
        p_value=p_value,
        adjusted_p_value=p_value,
        miscalibrated=False,
    )


def _correct(slices: list[Slice], significance: float) -> list[Slice]:
    """Judge all groups together: Holm's correction of both p-values."""
    tested = [place for place, judged in enumerate(slices) if judged.p_value is not None]
    adjusted = dict(zip(tested, adjust_by_holm([slices[place].p_value or 0.0 for place in tested]), strict=True))
    below = [place for place in tested if slices[place].expected_p_value is not None]
    of_expected = adjust_by_holm([slices[place].expected_p_value or 0.0 for place in below])
    by_nature = {
        place
        for place, value in zip(below, of_expected, strict=True)
        if adjusted[place] < significance and value >= significance
    }
    said = [place for place, judged in enumerate(slices) if judged.calibration is not None]
    calibrations = [calibration for judged in slices if (calibration := judged.calibration) is not None]
    of_calibration = adjust_by_holm([calibration.p_value for calibration in calibrations])
    corrected = {
        place: calibration.model_copy(update={"adjusted_p_value": value, "miscalibrated": value < significance})
        for place, calibration, value in zip(said, calibrations, of_calibration, strict=True)
    }
    return [
        judged.model_copy(
            update={
                "adjusted_p_value": adjusted.get(place),
                "worse": adjusted.get(place, 1.0) < significance,
                "by_nature": place in by_nature,
                "note": _put_into_perspective(judged) if place in by_nature else judged.note,
                "calibration": corrected.get(place),
            }
        )
        for place, judged in enumerate(slices)
    ]


def _put_into_perspective(judged: Slice) -> str:
    return (
        f"Its customers are harder to tell apart than all: even if every probability were right, {judged.expected:.3f} "
        "is what could be expected here."
    )


def _order(slices: list[Slice], metric: str) -> list[Slice]:
    """Those that are worse first, the surest of them in front; those that cannot be tested last."""
    sign = 1.0 if METRICS[metric].lower_is_better else -1.0

    def badness(judged: Slice) -> tuple[bool, float, float]:
        if judged.p_value is None or judged.metric is None or judged.whole is None:
            return True, 0.0, -judged.rows
        return False, judged.p_value, -sign * (judged.metric.value - judged.whole)

    return sorted(slices, key=badness)


def _explain(
    metric: str, looked_at: int, rows: int, declared: int, found: int, searched: int, parameters: SliceParameters
) -> str:
    sample = f"a seeded sample of {looked_at:,} of the {rows:,}" if looked_at < rows else f"all {rows:,}"
    search = (
        f" Of {searched:,} further groups of one or two conditions, the {found} that looked worst on one half of these "
        "customers were judged on the other half alone."
        if found
        else f" Of {searched:,} further groups of one or two conditions, none looked worse than chance allows."
        if searched
        else ""
    )
    return (
        f"Groups are compared by {METRICS[metric].title} on {sample} customers; {declared} of them are groups of "
        f"declared columns.{search} A group is called worse, or badly calibrated, only if that would come about by "
        f"chance in at most {100 * parameters.significance:g} % of such reports, over all their groups together "
        "(Holm). A group can be ranked worse than the whole just because its customers are more alike: where that "
        "explains it, the group says so."
    )
