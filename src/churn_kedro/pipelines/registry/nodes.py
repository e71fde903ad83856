"""Nodes of the registry pipeline."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.customers import CustomerDeclaration, LeakageReport, SplitManifest
from churn_kedro.evaluation import Evaluation
from churn_kedro.models import RegisteredModel
from churn_kedro.registry import Approval, Decision, GateParameters, RetentionParameters, decide


class RegistryParameters(Parameters):
    """Parameters of the registry pipeline and of ``kedro models``."""

    approval: Approval = Field(
        description="auto: what passes the gate is promoted; manual: it waits for `kedro models approve`."
    )
    gate: GateParameters
    retention: RetentionParameters


def decide_promotion(
    evaluation: Evaluation,
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
    leakage: LeakageReport,
    declaration: CustomerDeclaration,
    parameters: RegistryParameters,
) -> Decision:
    """Decide whether the candidate becomes champion, and say why.

    Args:
        evaluation: Evaluation of the candidate.
        candidate: The version that wants to become champion.
        incumbent: The champion, or None where there is none.
        test: Test customers.
        manifest: Identifies them.
        leakage: What the leakage checks of the table found.
        declaration: The table's declaration.
        parameters: What the candidate must show, and whether a person must approve it.

    Returns:
        The decision with every check.

    Raises:
        CustomerTableError: The test table is not that of the manifest.
    """
    manifest.verify(test=test)
    return decide(
        evaluation,
        candidate,
        incumbent,
        test,
        manifest,
        leakage,
        declaration,
        parameters.gate,
        parameters.approval,
    )
