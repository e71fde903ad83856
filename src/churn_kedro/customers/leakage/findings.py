"""What the leakage checks look for, what they found, and whether it stops the run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from churn_kedro.base import Parameters, Record
from churn_kedro.customers.declaration import AllowedLeak, CustomerDeclaration, CustomerTableError
from churn_kedro.customers.tasks import Task

Severity = Literal["notice", "warning", "leak"]
CHECKS = (
    "identifier_order",
    "row_order",
    "target_copy",
    "missingness",
    "single_feature",
    "constant",
    "nearly_unique",
    "unknown_at_scoring",
    "customer_in_two_splits",
    "near_duplicates",
    "perfect_model",
)
_SEVERITIES: tuple[Severity, ...] = ("leak", "warning", "notice")


class Limit(Parameters):
    """A strength from which on something is reported, on the scale of each task."""

    auc: float = Field(ge=0.5, le=1, description="ROC-AUC; with several classes the mean of one against the others.")
    r2: float = Field(ge=0, le=1, description="Share of the variance explained, of the ranks of a numeric target.")

    def of(self, task: Task) -> float:
        """The limit for a task.

        Args:
            task: What is predicted.

        Returns:
            The limit on the scale of that task.
        """
        return self.r2 if task == "regression" else self.auc


class LeakageParameters(Parameters):
    """What is looked at, and from which strength on it is reported. Strengths are lower bounds of 95 % intervals."""

    max_rows: int = Field(ge=100, description="Rows that the costly checks look at; above, a seeded sample is.")
    random_state: int = Field(ge=0, description="Seed of the sample and of the folds.")
    min_class_rows: int = Field(
        ge=20, description="Rows of each class (of a regression: all rows) without which a strength proves no leak."
    )
    order_notice: Limit = Field(description="Strength of an order from which on it is mentioned.")
    order_leak: Limit = Field(description="Strength from which on an identifier's order gives the target away.")
    run_probability: float = Field(gt=0, lt=0.01, description="A run of one class that is less likely is no chance.")
    run_share: float = Field(gt=0, le=1, description="Least share of its class that such a run holds.")
    column_warning: Limit = Field(description="Strength of one column alone from which on it is suspicious.")
    column_leak: Limit = Field(description="Strength of one column alone from which on it gives the target away.")
    certain_rate: float = Field(gt=0.5, lt=1, description="Share of one class from which on some rows are certain.")
    certain_share: float = Field(gt=0, le=1, description="Least share of that class that the certain rows hold.")
    unique_share: float = Field(gt=0, le=1, description="Different values per row from which on a column is an id.")
    near_duplicates_warning: float = Field(
        gt=0, le=1, description="Share of validation or test rows that training repeats."
    )
    near_duplicates_leak: float = Field(gt=0, le=1, description="Such a share that makes test metrics worthless.")
    model_min_class_rows: int = Field(ge=20, description="As min_class_rows, for the quick model.")
    model_warning: Limit = Field(description="Strength of a quick model from which on it is suspicious.")
    model_leak: Limit = Field(description="Strength of a quick model that no honest table allows.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for lesser, greater in (
            ("order_notice", "order_leak"),
            ("column_warning", "column_leak"),
            ("model_warning", "model_leak"),
        ):
            low, high = getattr(self, lesser), getattr(self, greater)
            if low.auc > high.auc or low.r2 > high.r2:
                raise ValueError(f"{lesser} ({low.auc}, {low.r2}) is above {greater} ({high.auc}, {high.r2})")
        if self.near_duplicates_warning > self.near_duplicates_leak:
            raise ValueError(
                f"near_duplicates_warning {self.near_duplicates_warning} is above near_duplicates_leak "
                f"{self.near_duplicates_leak}"
            )
        return self


class Finding(Record):
    """Something that a check found."""

    check: str = Field(description="Name of the check.")
    column: str | None = Field(None, description="Column at fault; none where it is the whole table.")
    severity: Severity = Field(description="A leak stops the run unless it is allowed.")
    evidence: str = Field(description="What was found, with the numbers.")
    value: float | None = Field(None, description="The number that decided.")
    advice: str = Field(description="What to do.")
    allowed: str | None = Field(None, description="Reason that the declaration gives for allowing it.")


class FeatureAssociation(Record):
    """How well one feature alone tells the target."""

    column: str
    value: float = Field(description="Out-of-fold ROC-AUC, or R² of a numeric target's ranks.")
    low: float = Field(description="Lower bound of its 95 % interval.")


class OrderCurve(Record):
    """The target over an order of the rows, in bins of equal size."""

    order: str = Field(description="Identifier whose order it is; 'position in the file' for the file's own.")
    series: list[str] = Field(description="What is averaged: classes, or the target.")
    means: list[list[float]] = Field(description="Share or mean of each series in each bin.")
    overall: list[float] = Field(description="Share or mean of each series in the whole table.")


class LeakageReport(Record):
    """Outcome of all checks."""

    findings: list[Finding] = Field(description="Worst first.")
    checks: list[str] = Field(description="Checks that ran.")
    rows_checked: int = Field(description="Rows that the costly checks looked at.")
    rows_total: int
    sampled: bool = Field(description="Whether the costly checks looked at a sample.")
    task: Task
    strengths: list[FeatureAssociation] = Field(description="Features, strongest first.")
    orders: list[OrderCurve]

    @property
    def leaks(self) -> list[Finding]:
        """Leaks that the declaration does not allow."""
        return [finding for finding in self.findings if finding.severity == "leak" and finding.allowed is None]


def assign_allowed(findings: Iterable[Finding], declaration: CustomerDeclaration) -> list[Finding]:
    """Put the worst first, and note which of them the declaration allows.

    Args:
        findings: What the checks found.
        declaration: The table's declaration.

    Returns:
        The same findings in order.
    """
    reasons = {(allowed.check, allowed.column): allowed.reason for allowed in declaration.allowed_leaks}
    judged = [
        finding.model_copy(update={"allowed": reasons.get((finding.check, finding.column))}) for finding in findings
    ]
    return sorted(judged, key=lambda finding: (_SEVERITIES.index(finding.severity), CHECKS.index(finding.check)))


def require_known_checks(declaration: CustomerDeclaration) -> None:
    """Refuse a permission that could never apply.

    Args:
        declaration: The table's declaration.

    Raises:
        CustomerTableError: An allowed leak names no check, or no column of the declaration.
    """
    names = {column.name for column in declaration.columns}
    for allowed in declaration.allowed_leaks:
        if allowed.check not in CHECKS:
            raise CustomerTableError(
                f"customers.allowed_leaks allows '{allowed.check}', which is no leakage check. "
                f"The checks are: {', '.join(CHECKS)}. Correct it in parameters/customers.yml."
            )
        if allowed.column is not None and allowed.column not in names:
            raise CustomerTableError(
                f"customers.allowed_leaks allows '{allowed.check}' for '{allowed.column}', which is no declared "
                "column. Correct it in parameters/customers.yml."
            )


def _permission(allowed: Finding | AllowedLeak, reason: str) -> str:
    # A JSON string is a YAML string, whatever the column is called.
    column = f"\n      column: {json.dumps(allowed.column, ensure_ascii=False)}" if allowed.column is not None else ""
    return f"    - check: {allowed.check}{column}\n      reason: {json.dumps(reason, ensure_ascii=False)}"


def require_no_leak(report: LeakageReport, declaration: CustomerDeclaration) -> None:
    """Refuse customers from which no honest model can be trained.

    Args:
        report: Outcome of the checks.
        declaration: The table's declaration.

    Raises:
        CustomerTableError: There is a leak that the declaration does not allow. The message says what was found, what
            to do, and how to allow it.
    """
    if not report.leaks:
        return
    found = [
        f"  {number}. {leak.check}{f' of {leak.column!r}' if leak.column is not None else ''}: {leak.evidence}\n"
        f"     What to do: {leak.advice}"
        for number, leak in enumerate(report.leaks, start=1)
    ]
    # The whole list, former entries included: it replaces what stands there.
    permissions = [_permission(allowed, allowed.reason) for allowed in declaration.allowed_leaks]
    # Too short to be accepted: nobody can paste it without giving a reason.
    permissions += [_permission(leak, "why?") for leak in report.leaks]
    raise CustomerTableError(
        f"The customers give the target '{declaration.target}' away. A model trained on them would look better than it "
        "will ever be:\n"
        + "\n".join(found)
        + "\nTo go on with what is known to be harmless, allow it by name in parameters/customers.yml and give the "
        "reason (at least 10 letters), which is kept with the model:\ncustomers:\n  allowed_leaks:\n"
        + "\n".join(permissions)
    )
