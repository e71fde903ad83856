"""Nodes of the registry pipeline."""

from __future__ import annotations

import pandas as pd

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.metrics import Evaluation
from churn_kedro.models import RegisteredModel
from churn_kedro.parameters import Parameters
from churn_kedro.promotion import Decision, GateParameters, decide
from churn_kedro.splits import SplitManifest


class RegistryParameters(Parameters):
    """Parameters of the registry pipeline."""

    gate: GateParameters


def decide_promotion(
    evaluation: Evaluation,
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
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
        declaration: The table's declaration.
        parameters: What the candidate must show.

    Returns:
        The decision with every check.

    Raises:
        CustomerTableError: The test table is not that of the manifest.
    """
    manifest.verify(test=test)
    return decide(evaluation, candidate, incumbent, test, manifest, declaration, parameters.gate)
