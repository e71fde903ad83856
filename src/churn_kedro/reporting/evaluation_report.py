"""Evaluation report: a self-contained page about a version of the model."""

from __future__ import annotations

from collections.abc import Mapping

from churn_kedro.reporting.evaluation_results import EvaluationResults
from churn_kedro.reporting.pages import Picture, html_templates
from churn_kedro.reporting.report_content import (
    describe_economics,
    describe_explanations,
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
from churn_kedro.reporting.verdict import undecided, write_verdict_html
from churn_kedro.reporting.wording import write_date, write_number

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
        "metrics_over_thresholds": "Share flagged, precision and recall at other decision thresholds",
        "quality_over_thresholds": "Summary metrics at other decision thresholds",
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
        "shap_dependence": "SHAP values against the values of a column",
        "partial_dependence": "Partial dependence of the prediction on a column",
        "shap_waterfall": "Explanation of an example customer",
    },
    "whom": {
        "slices": "Metric by group of customers",
        "slices_calibration": "Calibration by group of customers",
    },
    "fair": {"fairness": "Decisions by group of a protected column"},
    "compared": {
        "comparison_differences": "Paired differences with intervals, scaled",
        "comparison": "Both models on the same customers",
    },
}
_MOST_GROUPS, _MOST_DISAGREEMENTS = 60, 20


def render_evaluation_report(results: EvaluationResults, pictures: Mapping[str, bytes], date: str) -> str:
    """Render the page.

    Args:
        results: Results of the evaluation.
        pictures: PNG images by name, with or without ``.png``; unknown names are added to the metrics.
        date: Date of the evaluation as text.

    Returns:
        Self-contained HTML; texts are escaped. Sections without content are omitted.
    """
    environment = html_templates()
    environment.filters["number"] = write_number
    evaluation, assessment = results.evaluation, results.assessment
    campaign, comparison = assessment.campaign, assessment.comparison
    return environment.get_template("evaluation_report.html").render(
        evaluation=evaluation,
        card=results.card,
        date=write_date(date),
        names=results.names,
        verdict=write_verdict_html(undecided(evaluation.model_version)),
        tiles=list_tiles(results),
        steps=[] if campaign is None else list_steps(campaign),
        sentences=summarise(results),
        main_metrics=main_metrics(results),
        metrics=list_metrics(results),
        campaign=campaign,
        economics=[] if campaign is None else describe_economics(campaign.economics, results.names),
        policies=[] if campaign is None else list_policies(campaign),
        explanations=results.explanations,
        explained=describe_explanations(results.explanations, evaluation.task, results.names),
        columns=_list_columns(results),
        slices=assessment.slices,
        slice_metric=metric_title(assessment.slices.metric),
        groups=list_groups(results, _MOST_GROUPS),
        groups_left_out=max(0, len(assessment.slices.slices) - _MOST_GROUPS),
        fairness=assessment.fairness,
        protected=list_protected(results, _MOST_GROUPS),
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
    captions = {}
    for name, stem in stems.items():
        section, place, captions[name] = _place_picture(stem)
        placed[section].append((place, name))
    return {
        section: [Picture.of(pictures[name], captions[name]) for _, name in sorted(found)]
        for section, found in placed.items()
    }


def _place_picture(stem: str) -> tuple[str, int, str]:
    """Return section, place in it and caption: those of the longest known name with which the picture's name begins."""
    known = [
        (name, section, place, caption)
        for section, captions in _SECTIONS.items()
        for place, (name, caption) in enumerate(captions.items())
        if stem == name or stem.startswith(f"{name}_")
    ]
    if not known:
        return "good", len(_SECTIONS["good"]), _caption_of(stem)
    _, section, place, caption = max(known, key=lambda one: len(one[0]))
    return section, place, caption


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
