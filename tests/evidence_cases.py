"""Evidence that an evaluation takes for granted in tests: leakage checks without findings, and a subject."""

from typing import Any

from churn_kedro.customers.leakage import LeakageReport
from churn_kedro.evaluation.metrics.estimates import Subject

TABLES = {"train": "t", "validation": "v", "test": "u"}


def no_leaks(tables: dict[str, str] | None = None, **changed: Any) -> LeakageReport:
    """Leakage checks that found nothing."""
    fields: dict[str, Any] = {
        "task": "binary",
        "tables": tables or TABLES,
        "findings": [],
        "checks": ["identifier_order"],
        "strengths": [],
        "orders": [],
        "rows_checked": 100,
        "rows_total": 100,
        "sampled": False,
    }
    return LeakageReport.model_validate(fields | changed)


def subject(tables: dict[str, str] | None = None, version: int = 4, name: str = "test_churn") -> Subject:
    """A version, and tables that it is judged on."""
    return Subject(model_name=name, model_version=version, model_id=f"m-{version}", tables=tables or TABLES)
