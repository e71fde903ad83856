"""Counting of the customers to examine, from any source, and their comparison with the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from churn_estimators.cells import read_table
from churn_estimators.value import CONTACT
from churn_kedro.base import Record, perf_counter
from churn_kedro.campaigns import BandParameters, LoggedBatch, ScoredTable, score_parts
from churn_kedro.customers import CustomerDeclaration, TableParts, name_columns
from churn_kedro.evaluation import Estimate
from churn_kedro.models import RegisteredModel
from churn_kedro.monitoring.counts import ColumnCounts, TableCounter, count_column
from churn_kedro.monitoring.drift import Shares, compare_columns, compare_predictions, count_tests
from churn_kedro.monitoring.multivariate import compare_jointly
from churn_kedro.monitoring.parameters import MonitoringParameters
from churn_kedro.monitoring.performance import (
    SCORE_BINS,
    PerformanceEstimate,
    ScoreCounts,
    estimate_performance,
)
from churn_kedro.monitoring.profiles import ReferenceProfile
from churn_kedro.monitoring.quality import CurrentQuality, check_quality
from churn_kedro.monitoring.reference import Reference
from churn_kedro.monitoring.report import DriftSummary
from churn_kedro.monitoring.statistics import shares


class PredictionSource(Protocol):
    """Predictions of the log."""

    def iterate(
        self, *, since: str | None = None, until: str | None = None, model_version: int | None = None
    ) -> Iterator[LoggedBatch]:
        """Read predictions in blocks."""
        ...

    def identify(self, customers: pd.Series) -> pd.Series:
        """Write identifiers as the log stores them."""
        ...


@dataclass(frozen=True)
class MonitoredPredictions:
    """What monitoring reads.

    Attributes:
        log: The prediction log.
        examined: What is examined: the log, the scored customers of the last batch, or a table.
    """

    log: PredictionSource
    examined: PredictionSource | ScoredTable | TableParts


class MonitoringWindow(Record):
    """The time that is examined, UTC in ISO 8601."""

    as_of: str
    since: str


@dataclass
class CurrentCustomers:
    """Counts of the examined customers.

    Attributes:
        profile: The reference profile, without the columns that cannot be examined.
        counter: Counts of the columns.
        source: What was examined, for readers.
        predictions: Counts of the predictions in the bins of the reference; None if it has none.
        scores: Predictions by decision and probability (task binary).
        total: Sum of the predictions.
        rejected: Rows that could not be scored.
        unreadable: Their unreadable cells by column; empty where it is unknown.
        undeclared: Columns of a table that are not declared.
        hidden: Private columns, which the log has as hashes only.
    """

    profile: ReferenceProfile
    counter: TableCounter
    source: str
    predictions: ColumnCounts | None = None
    scores: ScoreCounts | None = None
    total: float = 0.0
    rejected: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)
    undeclared: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Examination:
    """Comparison of the examined customers with the reference.

    Attributes:
        drift: Drift of customers and predictions.
        estimated: Estimated quality of the predictions; None where it cannot be estimated.
        quality: Quality of the data.
    """

    drift: DriftSummary
    estimated: PerformanceEstimate | None
    quality: CurrentQuality


def count_customers(
    source: PredictionSource | ScoredTable | TableParts,
    model: RegisteredModel,
    profile: ReferenceProfile,
    declaration: CustomerDeclaration,
    window: MonitoringWindow,
    seed: int,
) -> CurrentCustomers:
    """Count the customers to examine, in one pass.

    Args:
        source: The prediction log (predictions of this version in the window), the last batch, or a table, which is
            scored by the version.
        model: The version.
        profile: Its reference profile.
        declaration: The table's declaration.
        window: The time that is examined.
        seed: Seed of the sample.

    Returns:
        The counts.

    Raises:
        CustomerTableError: A table lacks columns of the model.
    """
    private = {column.name for column in declaration.features if column.private}
    if isinstance(source, ScoredTable):
        current = _begin(profile, declaration, f"the last batch ({source.data_digest[:8]})", seed)
        current.rejected = source.counts.rows_rejected
        current.unreadable.update(source.counts.unreadable)
        for part in source.read_customers():
            current.counter.add(part)
        _count_answers(current, source.answer, model)
        return current
    if isinstance(source, TableParts):
        current = _begin(profile, declaration, "a table", seed)
        for scored in score_parts(source, model, declaration, perf_counter):
            current.counter.add(scored.customers)
            current.rejected += scored.counts.rows_rejected
            current.unreadable.update(scored.counts.unreadable)
            _count_answers(current, scored.answer, model)
        current.source = f"a table ({source.digest[:8]})"
        header = pd.DataFrame(columns=list(source.columns))
        current.undeclared = name_columns(header, declaration, with_target=False).undeclared
        return current
    hidden = sorted(private.intersection(column.name for column in profile.columns))
    shown = profile.model_copy(update={"columns": [one for one in profile.columns if one.name not in private]})
    current = _begin(shown, declaration, "the prediction log", seed)
    current.hidden = hidden
    for batch in source.iterate(since=window.since, until=window.as_of, model_version=model.version):
        current.counter.add(read_logged(batch.features, model))
        _count_answers(current, batch.predictions, model)
    return current


def read_logged(cells: pd.DataFrame, model: RegisteredModel) -> pd.DataFrame:
    """Read logged cells as the model does; columns that the log lacks are absent.

    Args:
        cells: Cells of the log.
        model: The version.

    Returns:
        Typed customers.
    """
    present = [reader for reader in model.estimator.readers if reader.column in cells]
    return read_table(cells, present).table


def _begin(profile: ReferenceProfile, declaration: CustomerDeclaration, source: str, seed: int) -> CurrentCustomers:
    current = CurrentCustomers(profile, TableCounter(profile, declaration, seed), source)
    if profile.scores is not None:
        current.scores = ScoreCounts()
    return current


def _count_answers(current: CurrentCustomers, answers: pd.DataFrame, model: RegisteredModel) -> None:
    """Count predictions of the log, or answers of the model."""
    task = model.estimator.task
    if task == "multiclass":
        predicted = answers["prediction"] if "prediction" in answers else answers["decision"]
        predicted = predicted.astype("str")
        probabilities = [name for name in answers if str(name).startswith("probability_")]
        score = answers[probabilities].max(axis=1) if probabilities else answers["score"]
    else:
        predicted = next(answers[name] for name in ("score", "probability", "prediction") if name in answers)
        predicted = predicted.astype(float)
        score = predicted
    current.total += float(np.nansum(score))
    if current.profile.prediction is not None:
        counted = count_column(predicted, current.profile.prediction)
        if current.predictions is None:
            current.predictions = counted
        else:
            current.predictions.add(counted)
    if current.scores is not None and task == "binary":
        known = predicted.notna().to_numpy(dtype=bool)
        contacted = answers["decision"].eq(CONTACT).to_numpy(dtype=bool)[known]
        profit = None
        if "expected_value" in answers:
            found = answers["expected_value"].to_numpy(dtype=float, na_value=np.nan)[known]
            profit = None if np.isnan(found).all() and len(found) else found
        current.scores.add(predicted.to_numpy()[known], contacted, profit)


def examine(
    current: CurrentCustomers,
    reference: Reference,
    parameters: MonitoringParameters,
    bands: BandParameters,
) -> Examination:
    """Compare the examined customers with the reference.

    Args:
        current: Their counts.
        reference: What the version was trained on.
        parameters: Parameters of monitoring.
        bands: Limits of the risk bands.

    Returns:
        Drift, estimated quality, and quality of the data.
    """
    profile = current.profile
    level = parameters.false_alarm_rate / count_tests(profile)
    seed = parameters.random_state
    columns = compare_columns(current.counter, profile, parameters.drift, level, seed)
    joint = compare_jointly(reference.sample, current.counter.sample, profile, parameters.drift, level, seed)
    quality = check_quality(current.counter, profile, current.rejected, current.unreadable, current.undeclared)
    predictions = None
    if current.predictions is not None and current.predictions.rows:
        predictions = compare_predictions(
            profile,
            current.predictions,
            _decisions(current),
            _compare_bands(current.scores, profile, bands),
            _means(current, profile),
            parameters.drift,
            level,
            seed,
        )
    drift = DriftSummary(columns=columns, joint=joint, predictions=predictions)
    return Examination(drift, _estimate(current, profile, parameters, level), quality)


def _decisions(current: CurrentCustomers) -> tuple[int, int] | None:
    if current.scores is None or not current.scores.total:
        return None
    return round(current.scores.customers[1].sum()), round(current.scores.total)


def _compare_bands(scores: ScoreCounts | None, profile: ReferenceProfile, bands: BandParameters) -> dict[str, Shares]:
    """Shares of the risk bands in training and now."""
    if scores is None or profile.scores is None:
        return {}
    limits = np.round(np.array([bands.medium, bands.high]) * SCORE_BINS).astype(int)
    before, now = (
        [part.sum() for part in np.split(shares(customers.sum(axis=0)), limits)]
        for customers in (np.asarray(profile.scores.customers), scores.customers)
    )
    return {
        name: Shares(reference=float(first), current=float(second))
        for name, first, second in zip(("low", "medium", "high"), before, now, strict=True)
    }


def _means(current: CurrentCustomers, profile: ReferenceProfile) -> Shares | None:
    if profile.scores is None or not current.counter.rows:
        return None
    customers, expected = np.asarray(profile.scores.customers), np.asarray(profile.scores.expected)
    return Shares(reference=float(expected.sum() / customers.sum()), current=current.total / current.counter.rows)


def _estimate(
    current: CurrentCustomers, profile: ReferenceProfile, parameters: MonitoringParameters, level: float
) -> PerformanceEstimate | None:
    rows = current.counter.rows
    if not rows:
        return None
    if profile.scores is not None and current.scores is not None:
        return estimate_performance(
            current.scores, profile.scores, parameters.performance, level, parameters.random_state
        )
    if profile.task != "multiclass" or "accuracy" not in profile.errors:
        return None
    value = current.total / rows
    # Half the width of the normal interval of a share; the probabilities themselves vary less.
    half = 1.96 * float(np.sqrt(value * (1 - value) / rows))
    before = profile.errors["accuracy"]
    falls = ["accuracy"] if before - value > max(parameters.performance.largest_drop, 2 * half) else []
    return PerformanceEstimate(
        customers=rows,
        metrics={"accuracy": Estimate(value=value, low=value - half, high=value + half)},
        reference={"accuracy": before},
        falls=falls,
        severity="alarm" if falls else "ok",
    )
