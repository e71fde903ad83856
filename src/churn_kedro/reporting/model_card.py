r"""Model card of a version, in Markdown and HTML (Mitchell et al., "Model Cards for Model Reporting", *FAT\** 2019)."""

from __future__ import annotations

import json
from typing import Any

from churn_kedro.base import escape_controls, one_line
from churn_kedro.reporting.evaluation_results import EvaluationResults
from churn_kedro.reporting.pages import Verbatim, html_templates, markdown_templates
from churn_kedro.reporting.report_content import (
    describe_economics,
    describe_explanations,
    describe_use,
    list_differences,
    list_groups,
    list_limits,
    list_lineage,
    list_metrics,
    list_policies,
    list_protected,
    list_steps,
    list_tiles,
    main_metrics,
    metric_title,
    summarise,
)
from churn_kedro.reporting.verdict import undecided, write_verdict_html, write_verdict_markdown
from churn_kedro.reporting.wording import write_date, write_number

# Maximum number of listed items; further ones are counted.
_MOST_GROUPS, _MOST_COLUMNS, _MOST_FACTS, _MOST_LIMITS = 30, 20, 60, 40
_LONGEST = 240


def render_model_card_markdown(results: EvaluationResults, date: str) -> str:
    """Render the card as Markdown.

    Args:
        results: Results of the evaluation.
        date: Date of the evaluation as text.

    Returns:
        Markdown with tables; texts are escaped.
    """
    facts = _gather(results, date)
    verdict = write_verdict_markdown(undecided(results.evaluation.model_version))
    verbatim = {"snippet": Verbatim(facts["snippet"]), "verdict": Verbatim(verdict)}
    return markdown_templates().get_template("model_card.md").render(facts | verbatim)


def render_model_card_html(results: EvaluationResults, date: str) -> str:
    """Render the card as HTML.

    Args:
        results: Results of the evaluation.
        date: Date of the evaluation as text.

    Returns:
        Self-contained HTML; texts are escaped.
    """
    verdict = write_verdict_html(undecided(results.evaluation.model_version))
    return html_templates().get_template("model_card.html").render(_gather(results, date) | {"verdict": verdict})


def _gather(results: EvaluationResults, date: str) -> dict[str, Any]:
    """Collect the content of both forms of the card."""
    evaluation, card, declaration = results.evaluation, results.card, results.declaration
    intended, not_intended = describe_use(results)
    limits = [_shorten(limit, 2 * _LONGEST) for limit in list_limits(results)]
    names, campaign = results.names, results.assessment.campaign
    return {
        "title": f"{card.model_name}, version {card.model_version}",
        "date": write_date(date),
        "tiles": list_tiles(results),
        "steps": [] if campaign is None else list_steps(campaign),
        "currency": None if campaign is None else campaign.economics.currency,
        "sentences": [_shorten(sentence, 2 * _LONGEST) for sentence in summarise(results)],
        "intended": intended,
        "not_intended": not_intended,
        "columns": _cut(
            [
                (column.name, column.kind or "", _shorten(column.description), "yes" if column.protected else "")
                for column in declaration.features
            ],
            _MOST_FACTS,
        ),
        "columns_left_out": max(0, len(declaration.features) - _MOST_FACTS),
        "main_metrics": main_metrics(results),
        "metrics": list_metrics(results),
        "resamples": f"{evaluation.bootstrap.n_resamples:,}",
        "confidence": f"{100 * evaluation.bootstrap.confidence:g} %",
        "limits": _cut(limits, _MOST_LIMITS),
        "limits_left_out": max(0, len(limits) - _MOST_LIMITS),
        "slices": list_groups(results, _MOST_GROUPS),
        "slice_metric": metric_title(results.assessment.slices.metric),
        "slices_left_out": max(0, len(results.assessment.slices.slices) - _MOST_GROUPS),
        "slices_how": results.assessment.slices.how,
        "fairness": list_protected(results, _MOST_GROUPS),
        "fairness_how": "" if results.assessment.fairness is None else results.assessment.fairness.how,
        "economics": [] if campaign is None else describe_economics(campaign.economics, names),
        "policies": [] if campaign is None else list_policies(campaign),
        "baseline": "" if results.assessment.comparison is None else results.assessment.comparison.baseline,
        "differences": list_differences(results),
        "names": names,
        "explained": describe_explanations(results.explanations, evaluation.task, names),
        "loss_name": results.explanations.loss_name,
        "strengths": _list_strengths(results),
        "lineage": [(name, _shorten(value, 2 * _LONGEST)) for name, value in list_lineage(results)],
        "hyperparameters": _facts_of(card.hyperparameters),
        "tags": _facts_of(card.tags),
        "snippet": write_snippet(results),
    }


def _cut(rows: list[Any], most: int) -> list[Any]:
    return rows[:most]


def _shorten(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _facts_of(facts: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, _shorten(value)) for name, value in sorted(facts.items())][:_MOST_FACTS]


def _list_strengths(results: EvaluationResults) -> list[tuple[str, str, str]]:
    rises = {
        one.column: f"{write_number(one.rise)} ± {write_number(one.spread)}" for one in results.explanations.shuffled
    }
    return [
        (one.column, write_number(one.mean_absolute), rises.get(one.column, ""))
        for one in results.explanations.strengths[:_MOST_COLUMNS]
    ]


def write_snippet(results: EvaluationResults) -> str:
    """Write example code that loads the version and predicts.

    Args:
        results: Results of the evaluation.

    Returns:
        Lines of Python.
    """
    card, declaration = results.card, results.declaration
    # JSON escapes characters beyond the first 65,536 otherwise than Python.
    uri = escape_controls(json.dumps(f"models:/{card.model_name}/{card.model_version}", ensure_ascii=False))
    match declaration.task:
        case "binary":
            returned = "probability of leaving, decision, expected value of a contact, cells that cannot be read"
            last = ['contacts = customers[answer["decision"] == "contact"]']
        case "multiclass":
            classes = ", ".join(map(str, declaration.classes))
            returned, last = f"most probable class, and the probability of each: {classes}", []
        case "regression":
            returned, last = f"predicted {declaration.target} of each customer", []
    return "\n".join(
        [
            "import mlflow",
            "import pandas as pd",
            "",
            f"model = mlflow.pyfunc.load_model({uri})",
            'customers = pd.read_csv("customers.csv")',
            "answer = model.predict(customers)",
            f"# {one_line(returned)}",
            *last,
        ]
    )
