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
from churn_kedro.reporting import (
    Assessment,
    VersionDocuments,
    collect_decided_documents,
    decide_markdown,
    decide_page,
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


def write_decision(
    report: str, card: str, card_page: str, evaluation: Evaluation, decision: Decision
) -> tuple[str, str, str, VersionDocuments]:
    """Write the decision at the head of report and model card, which the evaluation wrote before it.

    Args:
        report: Evaluation report of the candidate.
        card: Its model card, Markdown.
        card_page: Its model card, HTML.
        evaluation: Its evaluation.
        decision: The decision.

    Returns:
        Report, both forms of the card, and the same as documents of the registered version.
    """
    page, text, html = decide_page(report, decision), decide_markdown(card, decision), decide_page(card_page, decision)
    files = {"report.html": page, "model_card.md": text, "model_card.html": html}
    return page, text, html, collect_decided_documents(evaluation, files)
