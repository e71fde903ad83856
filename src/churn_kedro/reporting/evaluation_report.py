"""Evaluation report: a self-contained page about a version of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churn_kedro.reporting.evaluation_results import EvaluationResults
from churn_kedro.reporting.pages import embed_picture, html_templates
from churn_kedro.reporting.report_content import (
    describe_economics,
    describe_explanations,
    describe_gaps,
    describe_group,
    list_differences,
    list_limits,
    list_lineage,
    list_metrics,
    list_tiles,
    metric_title,
    summarise,
    write_money,
    write_number,
    write_rate,
)

# Pictures of each section in order, by name without ".png", with their captions.
_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "good": {
        "confusion_matrix": "Customers by observed and predicted class",
        "roc_curve": "Ranking: true against false positive rate",
        "precision_recall_curve": "Precision as the list becomes longer",
        "calibration_curve": "Observed shares against predicted probabilities",
        "predicted_against_actual": "Predicted against actual number of each customer",
        "residuals_against_predicted": "Residuals against predictions",
        "residual_distribution": "Distribution of the errors",
        "gain_curve": "Share of the leavers found by contacting the highest scores first",
        "ks_curve": "Score distributions of leavers and stayers",
        "metrics_over_thresholds": "Metrics at other decision thresholds",
    },
    "worth": {
        "profit_over_share": "Profit by the share of the customers that is contacted",
        "profit_over_threshold": "Profit by the decision threshold",
        "profit_sensitivity": "Sensitivity of the profit to the economics",
    },
    "why": {
        "shap_summary": "SHAP values of the columns",
        "shap_bars": "Mean absolute SHAP values",
        "permutation_importance": "Permutation importance of the columns",
        "feature_importance": "Importance of each column as a share",
        "dependence": "SHAP values of the strongest columns against their values",
        "shap_dependence": "SHAP values of the strongest columns against their values",
        "partial_dependence": "Partial dependence of the prediction on single columns",
        "waterfalls": "Explanations of example customers",
        "shap_waterfalls": "Explanations of example customers",
    },
    "whom": {
        "slices": "Metric and calibration by group of customers",
        "fairness": "Decisions by group of the protected columns",
    },
    "compared": {
        "comparison_differences": "Paired differences with intervals",
        "comparison_curves": "Both models on the same customers",
    },
}
# Keywords that assign other pictures to a section.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "worth": ("profit", "campaign", "sensitivity", "economic", "polic"),
    "why": ("shap", "importance", "dependence", "waterfall", "explan", "interaction"),
    "whom": ("slice", "fairness", "segment", "group", "protected"),
    "compared": ("compar", "champion", "baseline", "disagree", "difference"),
}
# Pictures of full width.
_WHOLE = ("metrics_over", "dependence", "waterfall", "slice", "fairness", "segment", "comparison_curves")
_MOST_GROUPS, _MOST_DISAGREEMENTS = 60, 20


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes:
        source: Data URI.
        caption: Caption.
        whole: Whether it has full width.
    """

    source: str
    caption: str
    whole: bool


def render_evaluation_report(results: EvaluationResults, pictures: Mapping[str, bytes], date: str) -> str:
    """Render the page.

    Args:
        results: Results of the evaluation.
        pictures: PNG images by name, with or without ``.png``. Unknown names are assigned to a section by keywords,
            else to the metrics.
        date: Date of the evaluation as text.

    Returns:
        Self-contained HTML; texts are escaped. Sections without content are omitted.
    """
    environment = html_templates()
    environment.filters |= {
        "number": write_number,
        "money": write_money,
        "rate": write_rate,
    }
    evaluation, campaign = results.evaluation, results.assessment.campaign
    groups = results.assessment.slices.slices
    comparison = results.assessment.comparison
    return environment.get_template("evaluation_report.html").render(
        results=results,
        evaluation=evaluation,
        card=results.card,
        date=date,
        tiles=list_tiles(results),
        sentences=summarise(results),
        metrics=list_metrics(results),
        campaign=campaign,
        economics=[] if campaign is None else describe_economics(campaign.economics),
        explanations=results.explanations,
        explained=describe_explanations(results.explanations),
        columns=_list_columns(results),
        slices=results.assessment.slices,
        slice_metric=metric_title(results.assessment.slices.metric),
        groups=[(group, describe_group(group, evaluation.task)) for group in groups[:_MOST_GROUPS]],
        groups_left_out=max(0, len(groups) - _MOST_GROUPS),
        fairness=results.assessment.fairness,
        gaps={}
        if results.assessment.fairness is None
        else {one.column: describe_gaps(one) for one in results.assessment.fairness.columns},
        comparison=comparison,
        differences=list_differences(results),
        disagreements=[] if comparison is None else comparison.disagreements[:_MOST_DISAGREEMENTS],
        lineage=list_lineage(results),
        limits=list_limits(results),
        pictures=sort_pictures(pictures),
    )


def sort_pictures(pictures: Mapping[str, bytes]) -> dict[str, list[Picture]]:
    """Assign pictures to the sections of the page.

    Args:
        pictures: PNG images by name.

    Returns:
        Pictures of each section, known ones first.
    """
    stems = {name: name.rsplit("/", 1)[-1].removesuffix(".png") for name in pictures}
    placed: dict[str, list[tuple[int, str]]] = {section: [] for section in _SECTIONS}
    for name, stem in stems.items():
        section = _section_of(stem)
        known = list(_SECTIONS[section])
        placed[section].append((known.index(stem) if stem in known else len(known), name))
    return {
        section: [
            Picture(
                embed_picture(pictures[name]),
                _SECTIONS[section].get(stems[name]) or _caption_of(stems[name]),
                any(word in stems[name] for word in _WHOLE),
            )
            for _, name in sorted(found, key=lambda one: one[0])
        ]
        for section, found in placed.items()
    }


def _section_of(stem: str) -> str:
    for section, known in _SECTIONS.items():
        if stem in known:
            return section
    for section, words in _WORDS.items():
        if any(word in stem.casefold() for word in words):
            return section
    return "good"


def _caption_of(stem: str) -> str:
    words = stem.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _list_columns(results: EvaluationResults) -> list[tuple[str, str, str]]:
    """List name, mean absolute SHAP value and permutation importance of each column, strongest first."""
    summary = results.explanations
    rises = {one.column: f"{write_number(one.rise)} ± {write_number(one.spread)}" for one in summary.shuffled}
    strengths = {one.column: write_number(one.mean_absolute) for one in summary.strengths}
    names = [*strengths, *(name for name in rises if name not in strengths)]
    return [(name, strengths.get(name, ""), rises.get(name, "")) for name in names]
