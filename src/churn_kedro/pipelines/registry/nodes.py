"""Nodes of the registry pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, LeakageReport, SplitManifest
from churn_kedro.evaluation import Evaluation
from churn_kedro.models import RegisteredModel
from churn_kedro.registry import (
    ChecksOnTestTable,
    Decision,
    GateParameters,
    RegistryParameters,
    check_test_table,
    decide,
)


def check_on_test_customers(
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    gate: GateParameters,
) -> ChecksOnTestTable:
    """Check that the candidate was not trained on test customers and is not worse than the champion.

    Args:
        candidate: The candidate version.
        incumbent: The champion; None: there is none.
        test: Test customers.
        manifest: Manifest of their split.
        declaration: The table's declaration.
        gate: Metric and margins, confidence and resamples.

    Returns:
        The checks that depend on the test table.

    Raises:
        CustomerTableError: The test table differs from the manifest.
    """
    manifest.verify(test=test)
    return check_test_table(candidate, incumbent, test, manifest, declaration, gate)


def decide_promotion(
    evaluation: Evaluation,
    candidate: RegisteredModel,
    checked: ChecksOnTestTable,
    leakage: LeakageReport,
    declaration: CustomerDeclaration,
    parameters: RegistryParameters,
) -> Decision:
    """Decide whether the candidate becomes champion, with reasons.

    Args:
        evaluation: Evaluation of the candidate.
        candidate: The candidate version.
        checked: Checks on the test customers.
        leakage: Findings of the leakage checks of the table.
        declaration: The table's declaration.
        parameters: Bounds, and whether a person must approve.

    Returns:
        The decision with every check.
    """
    return decide(evaluation, candidate, checked, leakage, declaration, parameters.gate, parameters.approval)
