"""Nodes of the registry pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import CustomerDeclaration, SplitManifest
from churn_kedro.evaluation import Evaluation
from churn_kedro.models import RegisteredModel
from churn_kedro.registry import (
    ChecksOnTestTable,
    Decision,
    Evidence,
    GateParameters,
    RegistryParameters,
    check_test_table,
    decide,
)
from churn_kedro.reporting import Assessment


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
    assessment: Assessment,
    candidate: RegisteredModel,
    checked: ChecksOnTestTable,
    declaration: CustomerDeclaration,
    parameters: RegistryParameters,
) -> Decision:
    """Decide whether the candidate becomes champion, with reasons.

    Args:
        evaluation: Evaluation of the candidate.
        assessment: Comparison with a linear model and leakage checks, of the same evaluation.
        candidate: The candidate version.
        checked: Checks on the test customers.
        declaration: The table's declaration.
        parameters: Bounds, and whether a person must approve.

    Returns:
        The decision with every check.
    """
    evidence = Evidence(evaluation, assessment.subject, assessment.leakage, assessment.simple_comparison)
    return decide(evidence, candidate, checked, declaration, parameters.gate, parameters.approval)
