"""Quality measured from outcomes, by period; and whether the relation of columns and outcome has changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.evaluation import Estimate
from churn_kedro.monitoring.outcomes import MaturedPredictions, OutcomeCounts
from churn_kedro.monitoring.parameters import PerformanceParameters
from churn_kedro.monitoring.performance import (
    SCORE_BINS,
    count_scores,
    estimate_reference,
    find_falls,
    interval,
    measure_counts,
    resample,
)
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.severity import Severity
from churn_kedro.monitoring.statistics import normal_quantile

# Groups of the probability in which predicted and observed shares are compared.
_SCORE_GROUPS = 10
_PERIOD = "30D"
_FEWEST_OF_PERIOD = 50


class PeriodPerformance(Record):
    """Quality of the predictions of a period."""

    start: str = Field(description="First day, ISO 8601.")
    customers: int
    estimated: Estimate | None = Field(None, description="Headline metric that the probabilities promise.")
    realised: Estimate | None = Field(None, description="Headline metric of the outcomes.")
    predicted_rate: float | None = Field(None, description="Mean probability of leaving.")
    observed_rate: Estimate | None = Field(None, description="Share who left.")


class CalibrationPoint(Record):
    """Predicted and observed share of a group of similar probabilities."""

    customers: int
    predicted: float
    observed: Estimate
    reference: float | None = Field(None, description="Observed share of the training customers, out of fold.")


class ColumnRelation(Record):
    """Whether the outcomes of the groups of a column differ from the predictions."""

    name: str
    gap: float = Field(description="Mean difference of observed and predicted share.")
    p_value: float


class RelationChange(Record):
    """Whether the relation of columns and outcome has changed."""

    customers: int
    gap: float = Field(description="Mean difference of observed and predicted shares in groups of the probability.")
    p_value: float = Field(description="Chi-squared test of the observed numbers in these groups.")
    columns: list[ColumnRelation] = Field(description="Columns by strength of the evidence.")
    found: bool
    explained_by_prior: bool = Field(
        False, description="Whether another share of leavers, with the same customers of each outcome, explains it."
    )


class RealisedPerformance(Record):
    """Quality measured from outcomes."""

    counts: OutcomeCounts
    customers: int = Field(
        0, description="Predictions that are measured: the latest of customers who were not contacted."
    )
    uses_treated: bool = Field(
        False, description="Whether contacted customers had to be included, since there is no holdout."
    )
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    reference: dict[str, float] = Field(default_factory=dict, description="Of the training customers, out of fold.")
    periods: list[PeriodPerformance] = Field(default_factory=list)
    calibration: list[CalibrationPoint] = Field(default_factory=list)
    relation: RelationChange | None = None
    contacted_rate: Estimate | None = Field(None, description="Share of the contacted customers who left.")
    holdout_rate: Estimate | None = Field(None, description="Share of the holdout who left.")
    falls: list[str] = Field(default_factory=list)
    severity: Severity = "ok"


def measure_realised(
    matured: MaturedPredictions,
    profile: ReferenceProfile,
    parameters: PerformanceParameters,
    level: float,
    seed: int,
    window_days: float,
) -> RealisedPerformance:
    """Measure quality from outcomes.

    The latest matured predictions are measured as a whole; older ones are shown by period.

    Contacted customers are left out, since the contact may have changed what they did; the holdout represents them by
    its weight. Where customers were contacted and there is no holdout, all are used, which is said.

    Args:
        matured: Predictions with outcomes.
        profile: The reference profile.
        parameters: Accepted falls, fewest outcomes, confidence.
        level: Probability of a false alarm of each test.
        seed: Seed.
        window_days: Days before the latest matured prediction whose predictions are measured as a whole.

    Returns:
        Metrics with intervals, of the latest predictions and by period.
    """
    table, counts = matured.table, matured.counts
    if not len(table):
        return RealisedPerformance(counts=counts)
    if profile.task != "binary":
        return _measure_others(matured, profile, parameters, level, seed, window_days)
    recent = _select_recent(table, window_days)
    uses_treated = bool(table["treated"][recent].any() and not table["holdout"][recent].any())
    weight = weigh(table[recent])
    used = weight > 0
    latest, of_latest, codes = table[recent][used], weight[used], matured.codes[recent][used]
    reference = estimate_reference(profile)
    metrics: dict[str, Estimate] = {}
    deviations: dict[str, float] = {}
    n_left = int(latest["target"].sum())
    if min(n_left, len(latest) - n_left) >= parameters.minimum_outcomes:
        metrics, deviations = _measure_weighted(latest, of_latest, parameters, seed)
    falls = find_falls(metrics, reference, deviations, parameters, level)
    relation = _test_relation(latest, codes, profile, parameters, level) if metrics else None
    severity: Severity = "alarm" if falls else "ok"
    if relation is not None and relation.found:
        severity = "alarm"
    return RealisedPerformance(
        counts=counts,
        customers=len(latest),
        uses_treated=uses_treated,
        metrics=metrics,
        reference=reference,
        periods=_measure_periods(table, parameters, seed),
        calibration=_calibrate(latest, of_latest, profile, parameters),
        relation=relation,
        contacted_rate=_rate(table[table["treated"]], parameters.confidence),
        holdout_rate=_rate(table[table["holdout"]], parameters.confidence),
        falls=falls,
        severity=severity,
    )


def weigh(table: pd.DataFrame) -> np.ndarray:
    """Weigh customers such that those who were not contacted represent all.

    Args:
        table: Matured predictions with ``treated`` and ``holdout``.

    Returns:
        Weights, shape (n,): 0 for contacted customers, whom the holdout represents, since it was drawn at random from
        those worth a contact. Where customers were contacted and there is no holdout, 1 for all.
    """
    treated, holdout = table["treated"].to_numpy(dtype=bool), table["holdout"].to_numpy(dtype=bool)
    if not holdout.any():
        return np.ones(len(table))
    represented = (treated.sum() + holdout.sum()) / holdout.sum()
    return np.where(treated, 0.0, np.where(holdout, represented, 1.0))


def _select_recent(table: pd.DataFrame, window_days: float) -> np.ndarray:
    times = table["predicted_at"]
    return np.asarray(times > times.max() - pd.Timedelta(days=window_days), dtype=bool)


def _counts(table: pd.DataFrame, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of customers who left and who stayed, by decision and bin of the probability."""
    probability, contacted = table["score"].to_numpy(), table["contacted"].to_numpy(dtype=bool)
    target = table["target"].to_numpy()
    return (
        count_scores(probability, contacted, weight * target),
        count_scores(probability, contacted, weight * (1 - target)),
    )


def _measure_weighted(
    table: pd.DataFrame, weight: np.ndarray, parameters: PerformanceParameters, seed: int
) -> tuple[dict[str, Estimate], dict[str, float]]:
    left, stayed = _counts(table, weight)
    values = {name: float(value) for name, value in measure_counts(left, stayed).items()}
    drawn = _resample_weighted(table, weight, parameters.resamples, seed)
    metrics = {
        name: interval(value, drawn[name], parameters.confidence)
        for name, value in values.items()
        if np.isfinite(value)
    }
    return metrics, {name: float(np.nanstd(drawn[name])) for name in metrics}


def _resample_weighted(table: pd.DataFrame, weight: np.ndarray, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Bootstrap customers of each weight on their own, since a customer of weight 20 varies as one customer."""
    random = np.random.default_rng(seed)
    strata = np.unique(weight)
    if len(strata) == 1 and strata[0] == 1:
        return resample(*_counts(table, weight), resamples, seed)
    left = np.zeros((resamples, 2, SCORE_BINS))
    stayed = np.zeros((resamples, 2, SCORE_BINS))
    for one in strata:
        members = weight == one
        for drawn, counted in zip((left, stayed), _counts(table[members], np.ones(members.sum())), strict=True):
            drawn += one * random.poisson(np.broadcast_to(counted, drawn.shape))
    return measure_counts(left, stayed)


def _rate(table: pd.DataFrame, confidence: float) -> Estimate | None:
    return None if not len(table) else share_interval(float(table["target"].sum()), len(table), confidence)


def share_interval(found: float, total: float, confidence: float) -> Estimate:
    """Compute a share with its Wilson interval.

    Wilson, Journal of the American Statistical Association 22, 1927.

    Args:
        found: Number of cases.
        total: Number of customers.
        confidence: Coverage.

    Returns:
        Share and interval.
    """
    z, share = normal_quantile((1 - confidence) / 2), found / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return Estimate(value=share, low=float(middle - half), high=float(middle + half))


def _measure_periods(table: pd.DataFrame, parameters: PerformanceParameters, seed: int) -> list[PeriodPerformance]:
    """Measure periods of 30 days, counted back from the latest prediction."""
    times = table["predicted_at"]
    place = ((times.max() - times) // pd.Timedelta(_PERIOD)).to_numpy()
    periods = []
    for number in sorted(np.unique(place), reverse=True):
        part = table[place == number]
        weight = weigh(part)
        start = times.max() - (int(number) + 1) * pd.Timedelta(_PERIOD)
        periods.append(_measure_period(start, part[weight > 0], weight[weight > 0], parameters, seed))
    return periods


def _measure_period(
    start: pd.Timestamp, table: pd.DataFrame, weight: np.ndarray, parameters: PerformanceParameters, seed: int
) -> PeriodPerformance:
    estimated = realised = None
    n_left = int(table["target"].sum())
    if min(n_left, len(table) - n_left) >= min(_FEWEST_OF_PERIOD, parameters.minimum_outcomes):
        metrics, _ = _measure_weighted(table, weight, parameters, seed)
        realised = metrics.get("roc_auc")
        probability, contacted = table["score"].to_numpy(), table["contacted"].to_numpy(dtype=bool)
        customers = count_scores(probability, contacted, weight)
        expected = count_scores(probability, contacted, weight * probability)
        value = float(measure_counts(expected, customers - expected)["roc_auc"])
        drawn = resample(expected, customers - expected, parameters.resamples, seed)["roc_auc"]
        estimated = interval(value, drawn, parameters.confidence) if np.isfinite(value) else None
    total = float(weight.sum())
    share = float((weight * table["target"]).sum()) / total
    effective = total**2 / float((weight**2).sum())
    return PeriodPerformance(
        start=start.date().isoformat(),
        customers=len(table),
        estimated=estimated,
        realised=realised,
        predicted_rate=float((weight * table["score"]).sum()) / total,
        observed_rate=share_interval(share * effective, effective, parameters.confidence),
    )


def _group_scores(profile: ReferenceProfile) -> np.ndarray:
    """Group of each bin of the probability, such that the training customers are divided evenly."""
    customers = np.asarray(profile.scores.customers).sum(axis=0) if profile.scores else np.ones(SCORE_BINS)
    share = (np.cumsum(customers) - customers / 2) / max(1.0, customers.sum())
    return np.asarray(np.minimum((share * _SCORE_GROUPS).astype(int), _SCORE_GROUPS - 1))


def _calibrate(
    table: pd.DataFrame, weight: np.ndarray, profile: ReferenceProfile, parameters: PerformanceParameters
) -> list[CalibrationPoint]:
    groups = _group_scores(profile)
    left, stayed = (counted.sum(axis=0) for counted in _counts(table, weight))
    expected = count_scores(
        table["score"].to_numpy(), table["contacted"].to_numpy(dtype=bool), weight * table["score"].to_numpy()
    ).sum(axis=0)
    points = []
    for group in range(_SCORE_GROUPS):
        members = groups == group
        total = float((left + stayed)[members].sum())
        if total < 1:
            continue
        reference = None
        if profile.scores is not None:
            customers = float(np.asarray(profile.scores.customers).sum(axis=0)[members].sum())
            found = float(np.asarray(profile.scores.left).sum(axis=0)[members].sum())
            reference = found / customers if customers else None
        points.append(
            CalibrationPoint(
                customers=round(total),
                predicted=float(expected[members].sum()) / total,
                observed=share_interval(float(left[members].sum()), total, parameters.confidence),
                reference=reference,
            )
        )
    return points


def _test_relation(
    table: pd.DataFrame,
    codes: pd.DataFrame,
    profile: ReferenceProfile,
    parameters: PerformanceParameters,
    level: float,
) -> RelationChange | None:
    """Test whether outcomes differ from probabilities, in groups of the probability and of each column.

    The numbers who left are compared with the sums of the probabilities, corrected by what the out-of-fold predictions
    of the training customers were wrong by in the same group.
    """
    if profile.scores is None:
        return None
    probability, target = table["score"].to_numpy(), table["target"].to_numpy()
    groups = _group_scores(profile)
    bins = np.clip((probability * SCORE_BINS).astype(int), 0, SCORE_BINS - 1)
    before = _sum_reference_scores(profile, groups)
    gap, p_value = _compare_groups(probability, target, groups[bins], before)
    adjusted = adjust_prior(probability, float(profile.positive_rate or 0.5), float(target.mean()))
    columns = []
    for name in codes:
        reference = profile.column(str(name))
        if reference.residuals is None:
            continue
        member = reference.groups_of(codes[name].to_numpy())
        was = {
            "customers": np.asarray(reference.residuals.customers),
            "residual": np.asarray(reference.residuals.residual),
            "variance": np.asarray(reference.residuals.variance),
        }
        column_gap, column_p = _compare_groups(probability, target, member, was)
        columns.append(ColumnRelation(name=str(name), gap=column_gap, p_value=column_p))
    columns.sort(key=lambda one: (one.p_value, -one.gap))
    n_tests = 1 + len(columns)
    found = any(
        one_p < level / n_tests and one_gap >= parameters.minimum_calibration_gap
        for one_gap, one_p in [(gap, p_value), *((one.gap, one.p_value) for one in columns)]
    )
    explained = found and _prior_explains(adjusted, target, groups[bins], codes, profile, level, parameters)
    return RelationChange(
        customers=len(table), gap=gap, p_value=p_value, columns=columns, found=found, explained_by_prior=explained
    )


def _prior_explains(
    adjusted: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray,
    codes: pd.DataFrame,
    profile: ReferenceProfile,
    level: float,
    parameters: PerformanceParameters,
) -> bool:
    """Whether probabilities that are adjusted to the observed share of leavers fit the outcomes everywhere."""
    results = [_compare_groups(adjusted, target, groups, None)]
    for name in codes:
        reference = profile.column(str(name))
        member = reference.groups_of(codes[name].to_numpy())
        results.append(_compare_groups(adjusted, target, member, None))
    return all(p >= level / len(results) or gap < parameters.minimum_calibration_gap for gap, p in results)


def adjust_prior(probability: np.ndarray, before: float, after: float) -> np.ndarray:
    """Adjust probabilities to another share of leavers, if the customers of each outcome have stayed the same.

    Saerens, Latinne and Decaestecker, Neural Computation 14, 2002.

    Args:
        probability: Probabilities of leaving, shape (n,).
        before: Share of leavers for which they hold.
        after: Other share.

    Returns:
        Adjusted probabilities, shape (n,).

    Examples:
        >>> adjust_prior(np.array([0.2]), 0.2, 0.5).round(3).tolist()
        [0.5]
    """
    before, after = np.clip([before, after], 1e-6, 1 - 1e-6)
    leaving = probability * (after / before)
    staying = (1 - probability) * ((1 - after) / (1 - before))
    return np.asarray(leaving / np.maximum(leaving + staying, 1e-12))


def _sum_reference_scores(profile: ReferenceProfile, groups: np.ndarray) -> dict[str, np.ndarray]:
    scores = profile.scores
    if scores is None:
        raise ValueError("expected a profile with scores, found none")
    customers, left, expected = (
        np.asarray(part).sum(axis=0) for part in (scores.customers, scores.left, scores.expected)
    )
    mean = np.divide(expected, customers, out=np.zeros(len(customers)), where=customers > 0)
    return {
        "customers": np.bincount(groups, customers, _SCORE_GROUPS),
        "residual": np.bincount(groups, left - expected, _SCORE_GROUPS),
        "variance": np.bincount(groups, customers * mean * (1 - mean), _SCORE_GROUPS),
    }


def _compare_groups(
    probability: np.ndarray, target: np.ndarray, groups: np.ndarray, before: Mapping[str, np.ndarray] | None
) -> tuple[float, float]:
    """Return the mean gap of observed and expected shares, and the p-value of the chi-squared test."""
    from scipy.stats import chi2

    n_groups = int(groups.max()) + 1 if before is None else len(before["customers"])
    customers = np.bincount(groups, minlength=n_groups).astype(float)
    residual = np.bincount(groups, target - probability, n_groups)
    variance = np.bincount(groups, probability * (1 - probability), n_groups)
    if before is not None:
        known = before["customers"] > 0
        ratio = np.divide(customers, before["customers"], out=np.zeros(n_groups), where=known)
        residual = residual - ratio * before["residual"]
        variance = variance + ratio**2 * before["variance"]
    used = (customers > 0) & (variance > 1e-9)
    if not used.any():
        return 0.0, 1.0
    statistic = float((residual[used] ** 2 / variance[used]).sum())
    gap = float(np.abs(residual[used]).sum() / customers.sum())
    return gap, float(chi2.sf(statistic, int(used.sum())))


def _measure_others(
    matured: MaturedPredictions,
    profile: ReferenceProfile,
    parameters: PerformanceParameters,
    level: float,
    seed: int,
    window_days: float,
) -> RealisedPerformance:
    """Accuracy of classes, or errors of a regression."""
    table, random = matured.table[_select_recent(matured.table, window_days)], np.random.default_rng(seed)
    target = table["target"].to_numpy()
    if profile.task == "multiclass":
        right = (table["decision"].astype("str") == table["label"].astype("str")).to_numpy(dtype=float)
        terms = {"accuracy": right}
    else:
        error = table["score"].to_numpy() - target
        terms = {"mae": np.abs(error), "rmse": error**2}
    metrics, deviations = {}, {}
    if len(table) >= parameters.minimum_outcomes:
        counts = random.poisson(1.0, (parameters.resamples, len(table)))
        for name, values in terms.items():
            value, drawn = values.mean(), counts @ values / counts.sum(axis=1)
            if name == "rmse":
                value, drawn = np.sqrt(value), np.sqrt(drawn)
            metrics[name] = interval(float(value), drawn, parameters.confidence)
            deviations[name] = float(drawn.std())
    reference = estimate_reference(profile)
    falls = find_falls(metrics, reference, deviations, parameters, level)
    if "rmse" in metrics and "rmse" in reference:
        rise = metrics["rmse"].value / max(reference["rmse"], 1e-12) - 1
        if rise > 2 * parameters.largest_drop and metrics["rmse"].low > reference["rmse"]:
            falls.append("rmse")
    return RealisedPerformance(
        counts=matured.counts,
        customers=len(table),
        metrics=metrics,
        reference=reference,
        falls=falls,
        severity="alarm" if falls else "ok",
    )
