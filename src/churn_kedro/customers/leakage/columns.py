"""Leakage checks of single features."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import Column, CustomerDeclaration, CustomerTableError, match_header
from churn_kedro.customers.identifiers import resembles_a_key
from churn_kedro.customers.leakage.association import (
    Certainty,
    Strength,
    Target,
    certain_rows,
    feature_codes,
    strength_of_codes,
)
from churn_kedro.customers.leakage.findings import FeatureAssociation, Finding, LeakageParameters, Limit, Severity
from churn_kedro.customers.near_duplicates import Codes, has_numbers, number_values
from churn_kedro.customers.tasks import TASKS

_EXAMPLES = 4
_LESS_LIKELY_THAN = 1e-9
_LEAST_RANKED_ROWS = 20
_PROVENANCE = "Check when the column is filled. If that is after the outcome is known, give it role ignored."


def _graded(strength: Strength, target: Target, warning: Limit, leak: Limit, least_rows: int) -> Severity | None:
    enough = int(target.class_rows.min()) >= least_rows
    if strength.low >= leak.of(target.task) and enough:
        return "leak"
    if strength.low >= warning.of(target.task):
        return "warning"
    # With several classes, the mean may hide a leak of one of them.
    if enough and len(strength.class_lows) > 1 and strength.class_lows.max() >= leak.of(target.task):
        return "warning"
    return None


def _measured(strength: Strength, target: Target) -> str:
    measure = TASKS[target.task].association
    text = f"{measure} {strength.value:.4f} (at least {strength.low:.4f}"
    if len(strength.class_lows) > 1:
        best = int(np.argmax(strength.class_lows))
        text += f"; for {target.labels[best]} against the others at least {strength.class_lows[best]:.4f}"
    return text + ")"


def _copied_class(column: pd.Series, declared: Column, target: Target) -> str | None:
    """Return the mapping where each level of a column has one class only and chance does not explain it."""
    known = column.notna().to_numpy()
    codes, levels = pd.factorize(column[known])
    classes = target.codes[known]
    if not len(codes) or len(np.unique(classes)) < len(target.labels):
        return None
    # A number is a copy of the classes only if it has as many distinct values.
    if has_numbers(declared) and len(levels) != len(target.labels):
        return None
    counts = np.zeros((len(levels), len(target.labels)))
    np.add.at(counts, (codes, classes), 1)
    if not ((counts > 0).sum(axis=1) == 1).all():
        return None
    # The probability that each further row of a level has the class of its first row by chance.
    shares = np.bincount(classes, minlength=len(target.labels)) / len(classes)
    chance = ((counts.sum(axis=1) - 1) * np.log10(shares[counts.argmax(axis=1)])).sum()
    if chance >= np.log10(_LESS_LIKELY_THAN):
        return None
    pairs = [f"{level} → {target.labels[int(counts[row].argmax())]}" for row, level in enumerate(levels[:_EXAMPLES])]
    return ", ".join(pairs) + (f" and {len(levels) - _EXAMPLES} more" if len(levels) > _EXAMPLES else "")


def _copied_number(column: pd.Series, numbers: pd.Series, declared: Column, name: str) -> str | None:
    """Return the mapping where a numeric target is a strictly monotone function of a column."""
    if not has_numbers(declared):
        return None
    values = number_values(column)
    known = ~np.isnan(values)
    values, wanted = values[known], numbers.to_numpy(dtype=np.float64)[known]
    if min(len(np.unique(values)), len(np.unique(wanted))) < _LEAST_RANKED_ROWS:
        return None
    ranks = pd.Series(values).rank(), pd.Series(wanted).rank()
    correlation = float(np.corrcoef(*ranks)[0, 1])
    if abs(correlation) < 1 - 1e-6:
        return None
    center, spread = values.mean(), values.std()
    slope, intercept = np.polyfit((values - center) / spread, wanted, 1)
    if np.abs(wanted - intercept - slope * (values - center) / spread).max() <= 1e-6 * wanted.std():
        per_unit = slope / spread
        return f"{name} = {per_unit:.6g} * {declared.name} {intercept - per_unit * center:+.6g}"
    return f"{name} {'rises' if correlation > 0 else 'falls'} with {declared.name} without exception"


def _check_copy(column: pd.Series, numbers: pd.Series, declared: Column, name: str, target: Target) -> Finding | None:
    if target.task == "regression":
        mapping = _copied_number(column, numbers, declared, name)
    else:
        mapping = _copied_class(column, declared, target)
    if mapping is None:
        return None
    known = float(column.notna().mean())
    where = "" if known == 1 else f" in the {known:.1%} of the rows that have it"
    return Finding(
        check="target_copy",
        column=declared.name,
        severity="leak",
        evidence=f"{declared.name} is the target under another name{where}: {mapping}.",
        value=known,
        advice="Give it role ignored.",
    )


def _check_missingness(
    column: pd.Series, declared: Column, target: Target, parameters: LeakageParameters
) -> Finding | None:
    missing = column.isna().to_numpy()
    if not missing.any() or missing.all():
        return None
    codes: Codes = missing.astype(np.int64)
    strength = strength_of_codes(codes, target)
    severity = _graded(strength, target, parameters.column_warning, parameters.column_leak, parameters.min_class_rows)
    evidence = f"Whether {declared.name} is missing ({missing.mean():.1%} of the rows) predicts the target with "
    evidence += _measured(strength, target)
    certain = _certain(codes, target, parameters)
    if certain is not None and severity != "leak":
        severity = "leak"
        evidence += ", and " + _describe(certain)
    if severity is None:
        return None
    return Finding(
        check="missingness",
        column=declared.name,
        severity=severity,
        evidence=evidence + ".",
        value=strength.value,
        advice=_PROVENANCE,
    )


def _certain(codes: Codes, target: Target, parameters: LeakageParameters) -> Certainty | None:
    if target.task == "regression":
        return None
    certain = certain_rows(codes, target, parameters.certain_rate)
    if certain is None or certain.low < parameters.certain_rate or certain.share < parameters.certain_share:
        return None
    return certain


def _describe(certain: Certainty) -> str:
    return (
        f"{certain.rate:.1%} (at least {certain.low:.1%}) of the {certain.rows:,} rows that it singles out are "
        f"{certain.label}, {certain.share:.0%} of that class"
    )


def _check_alone(
    codes: Codes, strength: Strength, declared: Column, target: Target, parameters: LeakageParameters
) -> Finding | None:
    severity = _graded(strength, target, parameters.column_warning, parameters.column_leak, parameters.min_class_rows)
    evidence = f"{declared.name} alone predicts the target with {_measured(strength, target)}"
    certain = _certain(codes, target, parameters) if severity is None else None
    if certain is not None:
        # Near certainty for some customers may be legitimate and needs a review.
        severity = "warning"
        evidence += ", and " + _describe(certain)
    if severity is None:
        return None
    return Finding(
        check="single_feature",
        column=declared.name,
        severity=severity,
        evidence=evidence + ".",
        value=strength.value,
        advice=_PROVENANCE,
    )


def check_columns(
    customers: pd.DataFrame, target: Target, declaration: CustomerDeclaration, parameters: LeakageParameters
) -> tuple[list[Finding], list[FeatureAssociation]]:
    """Check the association of each feature, and of its missing values, with the target.

    Args:
        customers: Checked rows.
        target: Their target.
        declaration: The table's declaration.
        parameters: Limits.

    Returns:
        At most one finding per feature, the most specific; and the strength of each feature, strongest first.
    """
    findings: list[Finding] = []
    strengths: list[FeatureAssociation] = []
    numbers = customers[declaration.target]
    for declared in declaration.features:
        column = customers[declared.name]
        codes = feature_codes(column, declared)
        strength = strength_of_codes(codes, target)
        strengths.append(FeatureAssociation(column=declared.name, value=strength.value, low=strength.low))
        copy = _check_copy(column, numbers, declared, declaration.target, target)
        missing = _check_missingness(column, declared, target, parameters)
        alone = _check_alone(codes, strength, declared, target, parameters)
        # Missing values also show in the association of the column; the finding on missingness is more specific.
        graver = alone is not None and missing is not None and alone.severity == "leak" != missing.severity
        finding = copy or (alone if graver else missing or alone)
        if finding is not None:
            findings.append(finding)
    return findings, sorted(strengths, key=lambda strength: -strength.value)


def check_variety(
    customers: pd.DataFrame, checked: pd.DataFrame, declaration: CustomerDeclaration, parameters: LeakageParameters
) -> list[Finding]:
    """Check for constant and nearly unique features.

    Args:
        customers: All customers.
        checked: Checked rows.
        declaration: The table's declaration.
        parameters: Limits.

    Returns:
        The findings.
    """
    findings: list[Finding] = []
    for declared in declaration.features:
        column = customers[declared.name]
        sampled = checked[declared.name]
        if sampled.nunique() <= 1 and (sampled.isna().all() or sampled.notna().all()):
            empty = bool(column.isna().all())
            if empty or (column.notna().all() and column.nunique() == 1):
                findings.append(
                    Finding(
                        check="constant",
                        column=declared.name,
                        severity="warning" if empty else "notice",
                        evidence=f"{declared.name} is {'empty' if empty else column.iloc[0]} in all "
                        f"{len(column):,} rows.",
                        value=float(not empty),
                        advice="It has no information: give it role ignored, or find out why it does not vary.",
                    )
                )
            continue
        unique = sampled.nunique() / len(sampled)
        if unique < parameters.unique_share or not _resembles_an_identifier(sampled, declared):
            continue
        # A sample has fewer repetitions than the whole table.
        unique = column.nunique() / len(column)
        if unique >= parameters.unique_share:
            findings.append(
                Finding(
                    check="nearly_unique",
                    column=declared.name,
                    severity="warning",
                    evidence=f"{declared.name} has {column.nunique():,} different values in {len(column):,} rows.",
                    value=unique,
                    advice="It resembles an identifier, which lets a model memorise customers: give it role id or "
                    "ignored.",
                )
            )
    return findings


def _resembles_an_identifier(column: pd.Series, declared: Column) -> bool:
    """Whether a column of nearly unique values is an identifier instead of a measurement."""
    if not has_numbers(declared):
        return True
    if declared.kind == "date":
        return False
    values = number_values(column.dropna())
    return len(values) >= _LEAST_RANKED_ROWS and resembles_a_key(values)


def check_scoring_columns(scoring_columns: list[str], declaration: CustomerDeclaration) -> list[Finding]:
    """Check that the table to score has every feature.

    Args:
        scoring_columns: Header of the table to score.
        declaration: The table's declaration.

    Returns:
        One finding per absent feature.
    """
    # Repeated columns are reported by inference.
    header = list(dict.fromkeys(scoring_columns))
    findings: list[Finding] = []
    for feature in declaration.features:
        # Only this column is required; the others stay declared, so that their names match columns of the file.
        others = [
            column if column.name == feature.name else column.model_copy(update={"role": "ignored"})
            for column in declaration.columns
        ]
        try:
            match_header(header, declaration.model_copy(update={"columns": others}), with_target=False)
        except CustomerTableError:
            findings.append(
                Finding(
                    check="unknown_at_scoring",
                    column=feature.name,
                    severity="leak",
                    evidence=f"The table of customers to score has no column {feature.name}; it has "
                    f"{', '.join(header) or 'none'}.",
                    advice="Provide the column for new customers, or give it role ignored: a model cannot use values "
                    "that are unknown at scoring.",
                )
            )
    return findings
