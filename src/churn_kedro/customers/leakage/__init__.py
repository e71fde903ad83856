"""Leakage checks before training: of columns, of the order of rows, and of the split.

Every association is measured out of fold and compared with its limit by the lower bound of its confidence interval, so
that a small table is no evidence of a leak.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.leakage.association import read_target
from churn_kedro.customers.leakage.columns import check_columns, check_scoring_columns, check_variety
from churn_kedro.customers.leakage.findings import (
    CHECKS,
    FeatureAssociation,
    Finding,
    LeakageParameters,
    LeakageReport,
    Limit,
    OrderCurve,
    assign_allowed,
    require_known_checks,
    require_no_leak,
)
from churn_kedro.customers.leakage.order import check_order
from churn_kedro.customers.leakage.quick_model import check_perfect_model
from churn_kedro.customers.leakage.shared_rows import check_label_windows, check_near_duplicates, check_shared_customers
from churn_kedro.customers.near_duplicates import Codes, Floats
from churn_kedro.customers.splits import SplitManifest

__all__ = [
    "FeatureAssociation",
    "Finding",
    "LeakageParameters",
    "LeakageReport",
    "Limit",
    "OrderCurve",
    "check_leakage",
    "require_no_leak",
]


def _sample(
    customers: pd.DataFrame, declaration: CustomerDeclaration, max_rows: int, random: np.random.Generator
) -> tuple[Codes, Floats | None]:
    """Draw the rows to check, in the order of the file, and return the weight of a row of each class."""
    if len(customers) <= max_rows:
        return np.arange(len(customers)), None
    if declaration.task == "regression":
        return np.sort(random.choice(len(customers), max_rows, replace=False)), None
    classes = customers[declaration.target].to_numpy(dtype=np.int64)
    totals = np.bincount(classes, minlength=len(declaration.classes))
    # Half of the sample is divided evenly among the classes, so that a rare class has enough rows.
    wanted = max_rows // 2 * totals / len(classes) + max_rows // 2 / len(totals)
    wanted = np.minimum(totals, wanted.astype(np.int64))
    rows = [random.choice(np.flatnonzero(classes == k), wanted[k], replace=False) for k in range(len(totals))]
    return np.sort(np.concatenate(rows)), totals / np.maximum(wanted, 1)


def check_leakage(
    customers: pd.DataFrame,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    manifest: SplitManifest,
    scoring_columns: list[str] | None,
    declaration: CustomerDeclaration,
    parameters: LeakageParameters,
) -> LeakageReport:
    """Run all leakage checks.

    Args:
        customers: All accepted customers in the order of the file, before the split.
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        manifest: Manifest of the parts.
        scoring_columns: Header of the table to score; None where there is none.
        declaration: The table's declaration.
        parameters: Limits.

    Returns:
        The findings, and the associations they are based on.

    Raises:
        CustomerTableError: An allowed leak of the declaration names an unknown check or column.
    """
    require_known_checks(declaration)
    random = np.random.default_rng(parameters.random_state)
    rows, weights = _sample(customers, declaration, parameters.max_rows, random)
    checked = customers.iloc[rows]
    target = read_target(checked, declaration, weights, random)
    parts = {"train": train, "validation": validation, "test": test}

    in_order, orders = check_order(checked, target, declaration, parameters)
    in_columns, strengths = check_columns(checked, target, declaration, parameters)
    leaking = {finding.column for finding in in_columns if finding.severity == "leak" and finding.column is not None}
    of_model = check_perfect_model(checked, target, leaking, declaration, parameters)
    near_duplicates = check_near_duplicates(parts, declaration, parameters, random)
    sampled = len(checked) < len(customers)
    findings = [*in_order, *in_columns, *of_model]
    if sampled:
        note = f" (Measured on a sample of {len(checked):,} of {len(customers):,} rows.)"
        findings = [finding.model_copy(update={"evidence": finding.evidence + note}) for finding in findings]
    findings += [
        *check_variety(customers, checked, declaration, parameters),
        *([] if scoring_columns is None else check_scoring_columns(scoring_columns, declaration)),
        *check_shared_customers(parts, declaration, by_time=manifest.split.method == "time"),
        *check_label_windows(parts, declaration, manifest.split.method),
        *near_duplicates,
    ]
    skipped = {
        *({"unknown_at_scoring"} if scoring_columns is None else ()),
        *({"label_windows"} if declaration.label_days is None else ()),
    }
    return LeakageReport(
        findings=assign_allowed(findings, declaration),
        checks=[check for check in CHECKS if check not in skipped],
        rows_checked=len(checked),
        rows_total=len(customers),
        sampled=sampled,
        task=declaration.task,
        tables=manifest.digests,
        strengths=strengths,
        orders=orders,
    )
