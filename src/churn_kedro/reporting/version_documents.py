"""Documents, description and tags of an evaluated version in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churn_kedro.evaluation import Estimate, Evaluation, headlines
from churn_kedro.reporting.evaluation_results import EvaluationResults
from churn_kedro.reporting.pages import escape_markdown
from churn_kedro.reporting.report_content import list_limits, summarise

# Maximum length of a description in the registry.
_DESCRIPTION_LENGTH = 4500
# Folder of the model's artifacts that holds the documents.
DOCUMENTS_FOLDER = "evaluation"
# Tag of a version with the time of its evaluation; it is removed together with the tags of the metrics.
EVALUATED_TAG = "evaluated_at"


@dataclass(frozen=True)
class VersionDocuments:
    """Documents, description and tags of a version after its evaluation.

    Attributes:
        model_name: Registered model.
        version: Its number.
        model_id: MLflow's id of the model.
        description: Markdown, shown beside the version; None: description and tags stay.
        tags: Tags of the version; None: the tag is deleted.
        files: Documents by file name.
    """

    model_name: str
    version: int
    model_id: str
    description: str | None
    tags: Mapping[str, str | None]
    files: Mapping[str, str]


def collect_decided_documents(evaluation: Evaluation, files: Mapping[str, str]) -> VersionDocuments:
    """Collect the documents of a version with the decision of the gate.

    Args:
        evaluation: Evaluation of the version.
        files: Documents by file name.

    Returns:
        The documents, without description and tags.
    """
    return VersionDocuments(evaluation.model_name, evaluation.model_version, evaluation.model_id, None, {}, dict(files))


def headline_tags(metrics: Mapping[str, Estimate], names: list[str]) -> dict[str, str]:
    """Convert metrics to tags, which are read for lists of versions.

    Args:
        metrics: Estimates by name.
        names: Names of the wanted metrics; absent ones are skipped.

    Returns:
        ``name``, ``name_low`` and ``name_high`` of each.
    """
    tags: dict[str, str] = {}
    for name in names:
        if name in metrics:
            one = metrics[name]
            tags |= {name: f"{one.value:.6g}", f"{name}_low": f"{one.low:.6g}", f"{name}_high": f"{one.high:.6g}"}
    return tags


def collect_version_documents(
    results: EvaluationResults, files: Mapping[str, str], evaluated_at: str
) -> VersionDocuments:
    """Collect documents, description and tags of a version.

    Args:
        results: Results of the evaluation.
        files: Documents by file name.
        evaluated_at: Time of the evaluation, ISO 8601.

    Returns:
        Description, tags and documents.
    """
    evaluation = results.evaluation
    tags: dict[str, str | None] = {
        EVALUATED_TAG: evaluated_at,
        "test_digest": evaluation.test_digest,
        "test_rows": str(evaluation.test_rows),
        **headline_tags(evaluation.metrics | evaluation.extended, [*headlines(evaluation.task), "profit_per_customer"]),
    }
    tags["training_row_share"] = f"{evaluation.training_row_share:.4f}" if evaluation.training_row_share > 0 else None
    limits = [f"- {escape_markdown(limit)}" for limit in list_limits(results)]
    text = "\n\n".join(
        [
            " ".join(map(escape_markdown, summarise(results))),
            *(["**Limits**\n\n" + "\n".join(limits)] if limits else []),
            f"Report and model card are among the model's artifacts, in the folder `{DOCUMENTS_FOLDER}`.",
        ]
    )
    return VersionDocuments(
        model_name=evaluation.model_name,
        version=evaluation.model_version,
        model_id=evaluation.model_id,
        description=text if len(text) <= _DESCRIPTION_LENGTH else text[: _DESCRIPTION_LENGTH - 1] + "…",
        tags=tags,
        files=dict(files),
    )
