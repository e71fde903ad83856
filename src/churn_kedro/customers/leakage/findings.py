"""Parameters, findings and report of the leakage checks, and the gate that stops a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from churn_kedro.base import Parameters, Record
from churn_kedro.customers.configuration_writer import write_configuration
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
    "label_windows",
    "near_duplicates",
    "perfect_model",
)
# Checks of a column that a model can do without.
_OF_FEATURES = frozenset({"target_copy", "missingness", "single_feature", "unknown_at_scoring"})
_SEVERITIES: tuple[Severity, ...] = ("leak", "warning", "notice")


class Limit(Parameters):
    """A limit of the strength of an association, on the scale of each task."""

    auc: float = Field(ge=0.5, le=1, description="ROC-AUC; with several classes the mean of one against the others.")
    r2: float = Field(ge=0, le=1, description="Share of the variance explained, of the ranks of a numeric target.")

    def of(self, task: Task) -> float:
        """Return the limit for a task.

        Args:
            task: What is predicted.

        Returns:
            The limit on the scale of that task.
        """
        return self.r2 if task == "regression" else self.auc


class LeakageParameters(Parameters):
    """Limits of the leakage checks. Strengths are lower bounds of 95 % intervals."""

    max_rows: int = Field(ge=100, description="Maximum rows of the costly checks; of more, a seeded sample.")
    random_state: int = Field(ge=0, description="Seed of the sample and of the folds.")
    min_class_rows: int = Field(
        ge=20, description="Minimum rows of each class (regression: of all rows) for a finding to be a leak."
    )
    order_notice: Limit = Field(description="Strength of the order of rows from which it is a notice.")
    order_leak: Limit = Field(description="Strength of the order of an identifier from which it is a leak.")
    run_probability: float = Field(
        gt=0, lt=0.01, description="Probability of a run of rows of one class below which it is a finding."
    )
    run_share: float = Field(gt=0, le=1, description="Minimum share of its class in such a run.")
    column_warning: Limit = Field(description="Strength of a single column from which it is a warning.")
    column_leak: Limit = Field(description="Strength of a single column from which it is a leak.")
    certain_rate: float = Field(gt=0.5, lt=1, description="Rate of one class from which rows are near certain.")
    certain_share: float = Field(gt=0, le=1, description="Minimum share of that class among the near certain rows.")
    unique_share: float = Field(
        gt=0, le=1, description="Distinct values per row from which a column resembles an identifier."
    )
    near_duplicates_warning: float = Field(
        gt=0,
        le=1,
        description="Share of validation or test rows with the features of a row that a model learns from, for a "
        "warning.",
    )
    near_duplicates_leak: float = Field(gt=0, le=1, description="Share of near-duplicates for a leak.")
    model_min_class_rows: int = Field(ge=20, description="As min_class_rows, for the quick model.")
    model_warning: Limit = Field(description="Strength of the quick model from which it is a warning.")
    model_leak: Limit = Field(description="Strength of the quick model from which it is a leak.")

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
    """A finding of a leakage check."""

    check: str = Field(description="Name of the check.")
    column: str | None = Field(None, description="Column of the finding; null for the whole table.")
    severity: Severity = Field(description="A leak stops the run unless it is allowed.")
    evidence: str = Field(description="Description of the finding with its numbers.")
    value: float | None = Field(None, description="Value that was compared with the limit.")
    advice: str = Field(description="Recommended action.")
    allowed: str | None = Field(None, description="Reason in the declaration for allowing it.")


class FeatureAssociation(Record):
    """Association of a single feature with the target."""

    column: str
    value: float = Field(description="Out-of-fold ROC-AUC, or R² of a numeric target's ranks.")
    low: float = Field(description="Lower bound of its 95 % interval.")


class OrderCurve(Record):
    """The target along an order of the rows, in bins of equal size."""

    order: str = Field(description="Identifier that defines the order, or 'position in the file'.")
    series: list[str] = Field(description="Averaged series: classes, or the target.")
    means: list[list[float]] = Field(description="Share or mean of each series in each bin.")
    overall: list[float] = Field(description="Share or mean of each series in the whole table.")


class LeakageReport(Record):
    """Result of all checks."""

    findings: list[Finding] = Field(description="Findings, most severe first.")
    checks: list[str] = Field(description="Checks that ran.")
    rows_checked: int = Field(description="Rows of the costly checks.")
    rows_total: int
    sampled: bool = Field(description="Whether the costly checks used a sample.")
    task: Task
    tables: dict[str, str] = Field(description="Content digest of the train, validation and test table.")
    strengths: list[FeatureAssociation] = Field(description="Features, strongest first.")
    orders: list[OrderCurve]

    @property
    def leaks(self) -> list[Finding]:
        """Leaks that the declaration does not allow."""
        return [finding for finding in self.findings if finding.severity == "leak" and finding.allowed is None]

    @property
    def allowed_leaks(self) -> list[Finding]:
        """Leaks that the declaration allows."""
        return [finding for finding in self.findings if finding.severity == "leak" and finding.allowed is not None]


def assign_allowed(findings: Iterable[Finding], declaration: CustomerDeclaration) -> list[Finding]:
    """Sort findings by severity, and mark those that the declaration allows.

    Args:
        findings: Findings of the checks.
        declaration: The table's declaration.

    Returns:
        The findings in order.
    """
    reasons = {(allowed.check, allowed.column): allowed.reason for allowed in declaration.allowed_leaks}
    marked = [
        finding.model_copy(update={"allowed": reasons.get((finding.check, finding.column))}) for finding in findings
    ]
    return sorted(marked, key=lambda finding: (_SEVERITIES.index(finding.severity), CHECKS.index(finding.check)))


def require_known_checks(declaration: CustomerDeclaration) -> None:
    """Check that the allowed leaks name known checks and columns.

    Args:
        declaration: The table's declaration.

    Raises:
        CustomerTableError: An allowed leak names no check, or no column of the declaration.
    """
    names = {column.name for column in declaration.columns}
    for allowed in declaration.allowed_leaks:
        if allowed.check not in CHECKS:
            raise CustomerTableError(
                f"customers.allowed_leaks allows '{allowed.check}', which is not a leakage check. "
                f"The checks are: {', '.join(CHECKS)}. Correct it in parameters/customers.yml."
            )
        if allowed.column is not None and allowed.column not in names:
            raise CustomerTableError(
                f"customers.allowed_leaks allows '{allowed.check}' for '{allowed.column}', which is not a declared "
                "column. Correct it in parameters/customers.yml."
            )


def _permission(allowed: Finding | AllowedLeak, reason: str) -> dict[str, str]:
    column = {} if allowed.column is None else {"column": allowed.column}
    return {"check": allowed.check, **column, "reason": reason}


def require_no_leak(report: LeakageReport, declaration: CustomerDeclaration) -> None:
    """Check that there is no leak, except for allowed ones.

    Args:
        report: Result of the checks.
        declaration: The table's declaration.

    Raises:
        CustomerTableError: There is a leak that the declaration does not allow. The message states the finding, the
            recommended action, and how to allow it.
    """
    if not report.leaks:
        return
    listed = [
        f"  {number}. {leak.check}{f' of {leak.column!r}' if leak.column is not None else ''}: {leak.evidence}\n"
        f"     What to do: {leak.advice}"
        for number, leak in enumerate(report.leaks, start=1)
    ]
    ignored = sorted({leak.column for leak in report.leaks if leak.column is not None and leak.check in _OF_FEATURES})
    left_out = (
        "\nTo leave out what is known too late, write in parameters/customers.yml (the other keys of the columns may "
        "stay):\n"
        + write_configuration({"columns": [{"name": name, "role": "ignored"} for name in ignored]}, {}).rstrip()
        if ignored
        else ""
    )
    # The whole list, including existing entries, so that it can replace the old one.
    permissions = [_permission(allowed, allowed.reason) for allowed in declaration.allowed_leaks]
    # Shorter than the minimum length of a reason, so that it must be edited.
    permissions += [_permission(leak, "why?") for leak in report.leaks]
    raise CustomerTableError(
        f"The customer table leaks the target '{declaration.target}'. A model trained on it would have better metrics "
        "than it reaches in use:\n"
        + "\n".join(listed)
        + left_out
        + "\nTo accept a leak that is known to be harmless, allow it in parameters/customers.yml with a reason (at "
        "least 10 letters), which is recorded with the model:\n"
        + write_configuration({"customers": {"allowed_leaks": permissions}}, {}).rstrip()
    )
