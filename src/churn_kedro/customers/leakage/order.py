"""Leakage checks of the order of rows, by position in the file or by identifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.leakage.association import Strength, Target, bin_codes, entity_of, strength_of_codes
from churn_kedro.customers.leakage.findings import Finding, LeakageParameters, OrderCurve, Severity
from churn_kedro.customers.near_duplicates import Codes, Floats

POSITION = "position in the file"
_BINS = 40
_SHOWN_CLASSES = 5
# Maximum rate of a class in a smooth trend over the order, unless the class is more frequent.
_MAX_TREND_RATE = 0.95


@dataclass(frozen=True)
class _Run:
    """Consecutive rows of one class."""

    label: str
    rows: int
    # Share of the class in the run, and the logarithm to base 10 of an upper bound of the run's probability.
    share: float
    log_probability: float


def identifier_order(identifier: pd.Series) -> Codes:
    """Order rows by identifier: by the text before its last number, then by that number.

    Args:
        identifier: Identifiers as text, none missing.

    Returns:
        Positions of the rows in ascending order.
    """
    # 1.0 is how a number column writes 1.
    text = identifier.astype("str").str.replace(r"\.0+$", "", regex=True)
    parts = text.str.extract(r"^(?:(.*?)(\d+)\D*|(.*))$")
    number = pd.to_numeric(parts[1], errors="coerce").fillna(-1.0)
    prefix = pd.factorize(parts[0].fillna(parts[2]), sort=True)[0]
    # Identifiers without a number are ordered by their whole text.
    whole = pd.factorize(text, sort=True)[0]
    return np.lexsort((whole, number.to_numpy(), prefix)).astype(np.int64)


def _trend(member: Floats) -> Floats:
    """Rate of a class over the order by logistic regression, at least the overall rate."""
    bins = np.arange(len(member)) * _BINS // len(member)
    counts = np.bincount(bins, minlength=_BINS)
    hits = np.bincount(bins, member, minlength=_BINS)
    overall = float(member.mean())
    design = np.column_stack([np.ones(_BINS), np.linspace(-1, 1, _BINS)])
    coefficients = np.array([np.log(overall / (1 - overall)), 0.0])
    for _ in range(25):
        rates = 1 / (1 + np.exp(-np.clip(design @ coefficients, -30, 30)))
        curvature = design.T @ (design * (counts * rates * (1 - rates))[:, None])
        # The ridge penalty keeps the slope finite on a perfectly sorted table.
        step = np.linalg.solve(curvature + np.eye(2), design.T @ (hits - counts * rates) - coefficients * [0, 1])
        coefficients = coefficients + np.clip(step, -2, 2)
    rates = 1 / (1 + np.exp(-np.clip(design @ coefficients, -30, 30)))
    clipped: Floats = np.clip(rates, overall, max(_MAX_TREND_RATE, overall))
    return clipped[bins]


def _longest_run(member: Floats, label: str) -> _Run:
    edges = np.flatnonzero(np.diff(np.concatenate([[0.0], member, [0.0]])))
    length = int((edges[1::2] - edges[::2]).max())
    # Union bound: the sum of the probabilities of a run of this length over all of its possible positions.
    surprise = np.concatenate([[0.0], np.cumsum(np.log10(_trend(member)))])
    windows = surprise[length:] - surprise[:-length]
    highest = float(windows.max())
    probability = highest + float(np.log10((10 ** (windows - highest)).sum()))
    return _Run(label, length, length / float(member.sum()), min(probability, 0.0))


def _improbable_run(target: Target, parameters: LeakageParameters) -> _Run | None:
    """Longest run of a class other than the most frequent that a smooth trend does not explain; rows are in order."""
    if target.task == "regression":
        return None
    runs = [
        _longest_run((target.codes == position).astype(np.float64), label)
        for position, label in enumerate(target.labels)
        if position != target.most_frequent
    ]
    improbable = [
        run
        for run in runs
        if run.share >= parameters.run_share and run.log_probability < np.log10(parameters.run_probability)
    ]
    return max(improbable, key=lambda run: run.share, default=None)


def _curve(order: str, declaration: CustomerDeclaration, target: Target, numbers: Floats) -> OrderCurve:
    """The target in bins of the order; rows are in order, ``numbers`` is the target of a regression."""
    bins = np.arange(len(target.values)) * _BINS // len(target.values)
    if target.task == "regression":
        series, columns, weights = [declaration.target], [numbers], np.ones(len(numbers))
    else:
        weights = target.weights[target.codes]
        rarest = np.argsort(target.class_rows * target.weights)[:_SHOWN_CLASSES]
        shown = [len(target.labels) - 1] if declaration.task == "binary" else sorted(int(k) for k in rarest)
        series = [f"{declaration.target} = {target.labels[position]}" for position in shown]
        columns = [(target.codes == position).astype(np.float64) for position in shown]
    per_bin = np.bincount(bins, weights)
    return OrderCurve(
        order=order,
        series=series,
        means=[[float(mean) for mean in np.bincount(bins, column * weights) / per_bin] for column in columns],
        overall=[float((column * weights).sum() / weights.sum()) for column in columns],
    )


def _grade_order(
    order: str, strength: Strength, run: _Run | None, target: Target, parameters: LeakageParameters
) -> Finding | None:
    is_identifier = order != POSITION
    measure = "R²" if target.task == "regression" else "ROC-AUC"
    evidence = f"The {order if not is_identifier else f'order of {order}'} alone predicts the target with {measure} "
    evidence += f"{strength.value:.3f} (at least {strength.low:.3f})"
    perfect = strength.low >= parameters.order_leak.of(target.task)
    proven = perfect and int(target.class_rows.min()) >= parameters.min_class_rows
    if run is None and strength.low < parameters.order_notice.of(target.task):
        return None
    if run is not None:
        evidence += (
            f", and {run.rows:,} consecutive rows are {run.label}, {run.share:.0%} of that class; given a smooth "
            f"trend, such a run has a probability below 1e{max(int(np.ceil(run.log_probability)), -300)}"
        )
    severity: Severity = "notice"
    if run is not None or perfect:
        severity = "leak" if is_identifier and (run is not None or proven) else "warning"
    if severity == "notice":
        advice = "None, if rows are numbered in the order in which customers joined. Do not declare it a feature."
    elif is_identifier:
        advice = (
            "The table was assembled by label. Find out how: any difference between its sources predicts the target "
            "too. Sample all customers in the same way."
        )
    else:
        advice = (
            "The file is sorted or assembled by label. Sorting is harmless; if the parts come from different sources, "
            "sample all customers in the same way."
        )
    return Finding(
        check="identifier_order" if is_identifier else "row_order",
        column=order if is_identifier else None,
        severity=severity,
        evidence=evidence + ".",
        value=strength.value,
        advice=advice,
    )


def check_order(
    customers: pd.DataFrame, target: Target, declaration: CustomerDeclaration, parameters: LeakageParameters
) -> tuple[list[Finding], list[OrderCurve]]:
    """Check the association of the order of the file, and of each identifier, with the target.

    Args:
        customers: Checked rows, in the order of the file.
        target: Their target.
        declaration: The table's declaration.
        parameters: Limits.

    Returns:
        Findings, and the target along each order. A finding on an identifier is not repeated for the file.
    """
    numbers = customers[declaration.target].to_numpy(dtype=np.float64)

    def check(order: str, rows: Codes) -> list[Finding]:
        if len(rows) < _BINS:
            return []
        ordered = target.take(rows)
        codes = bin_codes(np.arange(len(rows), dtype=np.float64), _BINS)
        run = _improbable_run(ordered, parameters)
        curves.append(_curve(order, declaration, ordered, numbers[rows]))
        finding = _grade_order(order, strength_of_codes(codes, ordered), run, ordered, parameters)
        return [finding] if finding is not None else []

    curves: list[OrderCurve] = []
    findings: list[Finding] = []
    # Rows of one customer or group are similar and often consecutive: only the first is used.
    entity = entity_of(customers, declaration)
    first = np.ones(len(customers), dtype=bool) if entity is None else ~entity.duplicated().to_numpy()
    in_file = np.flatnonzero(first)
    same_as_file = False
    for name in declaration.id_names:
        rows = np.flatnonzero(first & customers[name].notna().to_numpy())
        rows = rows[identifier_order(customers[name].iloc[rows])]
        same_as_file = same_as_file or np.array_equal(rows, in_file)
        findings += check(name, rows)
    of_file = [] if same_as_file else check(POSITION, in_file)
    severities = {finding.severity for finding in findings}
    if not severities or (severities == {"notice"} and any(finding.severity != "notice" for finding in of_file)):
        findings += of_file
    return findings, curves
