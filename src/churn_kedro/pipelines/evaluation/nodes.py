"""Nodes of the evaluation pipeline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from churn_kedro.base import Clock, Stopwatch, perf_counter, utc_now
from churn_kedro.campaigns import CampaignParameters, CampaignReport, measure_campaign
from churn_kedro.customers import (
    TASKS,
    CustomerDeclaration,
    CustomerTableError,
    DisplayNames,
    LargeTables,
    LeakageReport,
    SplitManifest,
    Task,
)
from churn_kedro.evaluation import (
    Baseline,
    BaselineChoice,
    BaselineRequest,
    BootstrapParameters,
    ComparedCustomers,
    Evaluation,
    EvaluationParameters,
    ExplanationParameters,
    ExplanationSummary,
    RunMetrics,
    ScoringMeasurement,
    Subject,
    bootstrap,
    compare_models,
    explain_customers,
    explain_incomparable,
    explain_interactions,
    explain_shown,
    find_partners,
    headlines,
    measure,
    measure_fairness,
    measure_slices,
    measure_with_intervals,
    partial_dependence,
    permutation_importance,
    share_importance,
    summarise_explanations,
)
from churn_kedro.models import (
    RegisteredModel,
    ScoredCustomers,
    find_version_training_rows,
    require_matching_table,
    score_labelled,
    score_large_part,
)
from churn_kedro.reporting import (
    Assessment,
    CardFacts,
    EvaluationResults,
    Figure,
    VersionDocuments,
    collect_version_documents,
    draw_campaign,
    draw_comparison,
    draw_dependence,
    draw_fairness,
    draw_importance,
    draw_partial_dependence,
    draw_performance,
    draw_permutation_importance,
    draw_ranking,
    draw_shap_bars,
    draw_shap_summary,
    draw_slices,
    draw_waterfalls,
    render_evaluation_report,
    render_model_card_html,
    render_model_card_markdown,
)
from churn_kedro.training import (
    TrainingConfiguration,
    TrainingSummary,
    train_baseline,
)

logger = logging.getLogger(__name__)

# Number of customers for the measurement of the scoring time.
_TIMED = 10_000
_STRONGEST = 6


def score_test_customers(
    candidate: RegisteredModel,
    test: pd.DataFrame,
    manifest: SplitManifest,
    leakage: LeakageReport,
    declaration: CustomerDeclaration,
    training_rows_in_test: Literal["refuse", "include"],
    stopwatch: Stopwatch = perf_counter,
) -> tuple[ScoredCustomers, ScoringMeasurement]:
    """Score the test customers with a registered version.

    Args:
        candidate: The version.
        test: Test customers.
        manifest: Manifest of their split.
        leakage: Findings of the leakage checks of that split.
        declaration: The table's declaration.
        training_rows_in_test: Treatment of test customers that the version was trained on.
        stopwatch: Measures time, in seconds.

    Returns:
        Target and prediction of each customer, and the circumstances of the scoring.

    Raises:
        CustomerTableError: The table differs from the manifest, the leakage checks are of other tables, the version was
            trained for another table, or it was trained on some of the customers.
    """
    manifest.verify(test=test)
    if leakage.tables != manifest.digests:
        raise CustomerTableError(
            f"The leakage report is of other tables (test {leakage.tables.get('test', 'unknown')}) than the split "
            f"manifest (test {manifest.test.digest}). Run `kedro run --pipelines data_processing` again."
        )
    require_matching_table(candidate, declaration)
    mask = find_version_training_rows(candidate, test, manifest, declaration)
    seen = 0.0 if mask is None else float(mask.mean())
    if seen > 0 and training_rows_in_test == "refuse":
        raise CustomerTableError(
            f"{candidate.name} version {candidate.version} was trained on {seen:.1%} of the {len(test):,} test "
            "customers, so its metrics would be biased. Train a version on this split, or "
            "evaluate on the split that the version was trained on; "
            "`--params evaluation.training_rows_in_test=include` evaluates anyway, with a note in the report."
        )
    scores = score_labelled(candidate.estimator, test, declaration)
    timed = test.head(_TIMED)
    began = stopwatch()
    score_labelled(candidate.estimator, timed, declaration)
    seconds = (stopwatch() - began) * 1000 / len(timed)
    subject = Subject(
        model_name=candidate.name,
        model_version=candidate.version,
        model_id=candidate.model_id,
        tables=manifest.digests,
    )
    return scores, ScoringMeasurement(subject, leakage, seen, seconds)


def measure_all_test_customers(
    candidate: RegisteredModel, all_customers: LargeTables, declaration: CustomerDeclaration
) -> RunMetrics:
    """Compute the metrics of all test customers of a table larger than memory.

    Args:
        candidate: The version.
        all_customers: Parts of the table; empty if the test customers are all.
        declaration: The table's declaration.

    Returns:
        The metrics, without intervals; none without a large table.

    Raises:
        CustomerTableError: The version was trained on some of the customers, or for another table.
    """
    if not all_customers:
        return RunMetrics({})
    require_matching_table(candidate, declaration)
    scores, seen = score_large_part(candidate, all_customers["test"], declaration)
    if seen:
        raise CustomerTableError(
            f"{candidate.name} version {candidate.version} was trained on {seen:,} of the {len(scores.target):,} test "
            "customers of the large table, so its metrics would be biased. Train a version on this split: "
            "`kedro run --pipelines training`."
        )
    metrics = measure(scores)
    found = ", ".join(f"{title} {metrics[name]:.4f}" for name, title in headlines(declaration.task).items())
    logger.info("All %s test customers of the large table: %s", f"{len(scores.target):,}", found)
    return RunMetrics({"customers": len(scores.target), **metrics}, candidate.model_id)


def resample_performance(scores: ScoredCustomers, parameters: BootstrapParameters) -> dict[str, np.ndarray]:
    """Compute the metrics on bootstrap resamples, for intervals and for the comparison with the baseline.

    Args:
        scores: Scores of the test customers.
        parameters: Resamples and seed.

    Returns:
        Each metric on each resample.
    """
    return bootstrap(scores, parameters)


def choose_baseline(
    request: BaselineRequest,
    candidate: RegisteredModel,
    test: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
) -> BaselineChoice:
    """Choose the baseline of the comparison: another version, or a simple model to train.

    Args:
        request: Requested baseline.
        candidate: The version.
        test: Test customers.
        manifest: Manifest of their split.
        declaration: The table's declaration.

    Returns:
        The choice; empty without comparison.

    Raises:
        CustomerTableError: The requested version cannot score this table.
    """
    name, model, note = request.name, request.model, None
    if request.by_default and (model is None or model.version == candidate.version):
        name, model = TASKS[declaration.task].linear_model, None
    if model is not None and (reason := explain_incomparable(model, declaration)):
        if not request.by_default:
            raise CustomerTableError(f"{candidate.name} version {candidate.version} is not compared: {reason}.")
        note, name, model = (
            f"The champion is not used as baseline: {reason}.",
            TASKS[declaration.task].linear_model,
            None,
        )
    if model is None:
        return BaselineChoice(name=name, note=note)
    seen = find_version_training_rows(model, test, manifest, declaration)
    if seen is not None and seen.any():
        note = f"Version {model.version} was trained on {seen.mean():.1%} of the test customers, which favours it."
    alias = f" ({request.alias})" if request.alias else ""
    return BaselineChoice(baseline=Baseline(f"version {model.version}{alias}", model.estimator, note))


def fit_baseline(
    choice: BaselineChoice,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    configuration: TrainingConfiguration,
) -> list[Baseline]:
    """Train the simple model if one was chosen as baseline.

    Args:
        choice: Choice of the baseline.
        train: Training customers, on which a simple model is trained.
        validation: Validation customers, on which its threshold is chosen.
        manifest: Manifest of both splits.
        configuration: Declaration, treatment, seed, and objective of the threshold.

    Returns:
        The chosen baseline, then a linear model, which the gate looks at; empty without comparison.
    """
    baselines = [] if choice.baseline is None else [choice.baseline]
    linear = TASKS[configuration.declaration.task].linear_model
    for name in dict.fromkeys([choice.name, linear] if choice.name else [linear] if baselines else []):
        estimator = train_baseline(name, train, validation, manifest, configuration)
        note = choice.note if name == choice.name else None
        baselines.append(Baseline(f"{name} (trained here)", estimator, note, simple=name == linear))
    return baselines


def compare_with_baseline(
    baselines: list[Baseline],
    scores: ScoredCustomers,
    resampled: dict[str, np.ndarray],
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: BootstrapParameters,
    n_disagreements: int,
) -> list[ComparedCustomers]:
    """Compare the version with its baseline on the same test customers.

    Args:
        baselines: The baseline, or none.
        scores: Scores of the version.
        resampled: Its metrics on the resamples.
        test: Test customers.
        declaration: The table's declaration.
        parameters: Resamples and coverage.
        n_disagreements: Number of listed customers with the largest disagreement.

    Returns:
        One comparison for each baseline.
    """
    return [
        compare_models(scores, baseline, test, declaration, parameters, n_disagreements, resampled)
        for baseline in baselines
    ]


def backtest_campaign(
    candidate: RegisteredModel,
    scores: ScoredCustomers,
    test: pd.DataFrame,
    train: pd.DataFrame,
    declaration: CustomerDeclaration,
    campaigns: CampaignParameters,
    parameters: BootstrapParameters,
) -> list[CampaignReport]:
    """Backtest a campaign by the decisions of the version.

    Args:
        candidate: The version, with the costs and values by which it decides.
        scores: Scores of the version on the test customers.
        test: Test customers.
        train: Training customers, on which a simple rule for comparison is fitted.
        declaration: The table's declaration.
        campaigns: Capacity and budget of a campaign.
        parameters: Resamples and coverage.

    Returns:
        The backtest; empty where the version has no costs and values.
    """
    value = candidate.estimator.contact_value
    if value is None:
        return []
    return [measure_campaign(scores, test, train, declaration, value, campaigns.economics, parameters)]


def assess_version(
    scores: ScoredCustomers,
    measured: ScoringMeasurement,
    test: pd.DataFrame,
    campaign: list[CampaignReport],
    compared: list[ComparedCustomers],
    declaration: CustomerDeclaration,
    parameters: EvaluationParameters,
) -> Assessment:
    """Assess the version: campaign profit, slices and fairness.

    Args:
        scores: Scores of the version on the test customers.
        measured: The version, the tables of the split and their leakage checks.
        test: Test customers.
        campaign: The backtest of a campaign, if there is one.
        compared: The comparison with the baseline, if there is one.
        declaration: The table's declaration.
        parameters: Resamples, sizes of groups.

    Returns:
        Campaign, groups, fairness and comparison.
    """
    return Assessment(
        subject=measured.subject,
        leakage=measured.leakage,
        slices=measure_slices(scores, test, declaration, parameters.slices),
        campaign=campaign[0] if campaign else None,
        fairness=measure_fairness(scores, test, declaration, parameters.fairness),
        comparison=compared[0].comparison if compared else None,
        simple_comparison=next((one.comparison for one in compared if one.baseline.simple), None),
    )


def measure_performance(
    candidate: RegisteredModel,
    scores: ScoredCustomers,
    resampled: dict[str, np.ndarray],
    measured: ScoringMeasurement,
    assessment: Assessment,
    parameters: BootstrapParameters,
) -> tuple[Evaluation, RunMetrics]:
    """Compute the metrics of the version with bootstrap intervals.

    Args:
        candidate: The version.
        scores: Scored test customers.
        resampled: Its metrics on the resamples.
        measured: Test table, share of training rows, and time of scoring.
        assessment: Profit and fairness, which are added as metrics.
        parameters: Resamples, coverage and seed.

    Returns:
        The evaluation for the registry, and its metrics for the tracking server.
    """
    evaluation = Evaluation(
        model_name=candidate.name,
        model_version=candidate.version,
        model_id=candidate.model_id,
        test_digest=measured.subject.tables["test"],
        task=scores.task,
        test_rows=len(scores.target),
        test_classes={label: int((scores.target == code).sum()) for code, label in enumerate(scores.classes)},
        threshold=scores.threshold,
        bootstrap=parameters,
        metrics=measure_with_intervals(scores, parameters, resampled),
        extended=assessment.extended_metrics,
        scoring_seconds=measured.scoring_seconds,
        training_row_share=measured.training_row_share,
    )
    return evaluation, RunMetrics(evaluation.flat(), candidate.model_id)


def draw_evaluation(
    scores: ScoredCustomers,
    evaluation: Evaluation,
    assessment: Assessment,
    compared: list[ComparedCustomers],
    declaration: CustomerDeclaration,
) -> dict[str, Figure]:
    """Draw the figures of metrics, campaign, slices, fairness and comparison.

    Args:
        scores: Target and prediction of each test customer.
        evaluation: Metrics with their intervals.
        assessment: Campaign, groups, fairness.
        compared: The comparison with the baseline, if there is one.
        declaration: The table's declaration, for the names of columns, levels and classes.

    Returns:
        Figures by file name; the selection depends on the task.
    """
    names = DisplayNames.of(declaration)
    scores = replace(scores, classes=tuple(map(names.outcome, scores.classes)))
    figures = {**draw_performance(scores, evaluation), **draw_slices(assessment.slices, names)}
    if scores.task == "binary":
        figures |= draw_ranking(scores, evaluation)
    if assessment.campaign is not None:
        figures |= draw_campaign(assessment.campaign)
    if assessment.fairness is not None:
        figures |= draw_fairness(assessment.fairness, names)
    for one in compared[:1]:
        figures |= draw_comparison(scores, one)
    return figures


def explain_version(
    candidate: RegisteredModel,
    test: pd.DataFrame,
    scores: ScoredCustomers,
    measured: ScoringMeasurement,
    declaration: CustomerDeclaration,
    limits: ExplanationParameters,
) -> tuple[ExplanationSummary, dict[str, Figure]]:
    """Explain the version by raw columns.

    Args:
        candidate: The version.
        test: Test customers.
        scores: Scores of the test customers.
        measured: The version, and the tables of the split.
        declaration: The table's declaration.
        limits: Sample sizes and seed.

    Returns:
        Summary of the explanations, and figures by file name.
    """
    estimator = candidate.estimator
    explained = explain_customers(estimator, test, declaration, limits)
    shuffled = permutation_importance(estimator, test, declaration, limits)
    interactions = explain_interactions(estimator, test, limits.random_state)
    strongest = [name for name in explained.strengths.index if name in declaration.feature_names][:_STRONGEST]
    partners = find_partners(explained, list(explained.strengths.index), interactions)
    curves = partial_dependence(estimator, test, strongest, declaration, limits)
    names = DisplayNames.of(declaration)
    answers: dict[Task, list[str]] = {
        "binary": ["Probability of leaving"],
        "multiclass": [names.outcome(str(label)) for label in declaration.classes],
        "regression": [f"Predicted “{names.column(declaration.target)}”"],
    }
    figures = {
        "feature_importance.png": draw_importance(*share_importance(estimator, shuffled), names),
        "permutation_importance.png": draw_permutation_importance(shuffled, names),
        "shap_summary.png": draw_shap_summary(explained, names),
        "shap_bars.png": draw_shap_bars(explained, names),
        **draw_dependence(explained, partners, names=names),
        **draw_waterfalls(explain_shown(estimator, test, scores, declaration), names),
        **draw_partial_dependence(curves, answers[declaration.task], names),
    }
    if declaration.task == "multiclass":
        # With several classes, the summary is the bar chart.
        del figures["shap_bars.png"]
    return summarise_explanations(measured.subject, explained, shuffled, interactions), figures


def gather_facts(
    candidate: RegisteredModel,
    trained: TrainingSummary | None,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
) -> CardFacts:
    """Collect the facts about the version and its training.

    Args:
        candidate: The version.
        trained: Recorded training; None if it cannot be read.
        manifest: Manifest of the split of the evaluation.
        declaration: The table's declaration.

    Returns:
        Facts for report and model card.
    """
    tags, model = candidate.tags, candidate.estimator
    facts = CardFacts(
        use_case=tags.get("use_case", candidate.name),
        purpose=declaration.description,
        model_name=candidate.name,
        model_version=candidate.version,
        model_id=candidate.model_id,
        run_id=candidate.run_id,
        algorithm=tags.get("algorithm", "unknown"),
        calibration=tags.get("calibration"),
        threshold=model.threshold,
        value_column=model.contact_value.column if model.by_value and model.contact_value else None,
        trained_at=candidate.created or None,
        train_digest=tags.get("train_digest"),
        test_digest=manifest.test.digest,
        split_train_digest=manifest.train.digest,
        split_method=manifest.split.method,
        git_commit=tags.get("git_commit"),
        git_dirty={"true": True, "false": False}.get(tags.get("git_dirty", "")),
        tags=dict(tags),
    )
    if trained is None:
        return facts
    return facts.model_copy(
        update={
            "hyperparameters": {
                f"{member.algorithm}.{name}": f"{value:.6g}" if isinstance(value, float) else str(value)
                for member in trained.members
                for name, value in {**member.hyperparameters, **_rounds(member.n_estimators)}.items()
            },
            "threshold_reason": trained.threshold.reason if trained.threshold else None,
            "trained_rows": trained.rows["trained"],
            "libraries": trained.recipe.versions,
        }
    )


def _rounds(n_estimators: int | None) -> Mapping[str, int]:
    return {} if n_estimators is None else {"n_estimators": n_estimators}


def write_report(
    evaluation: Evaluation,
    assessment: Assessment,
    explanations: ExplanationSummary,
    facts: CardFacts,
    performance: dict[str, bytes],
    explaining: dict[str, bytes],
    declaration: CustomerDeclaration,
    clock: Clock = utc_now,
) -> tuple[str, str, str, VersionDocuments]:
    """Write the report, the model card and the documents of the version.

    Args:
        evaluation: Metrics with intervals.
        assessment: Campaign, groups, fairness, comparison.
        explanations: Summary of the explanations.
        facts: Facts about the version.
        performance: Pictures of the metrics.
        explaining: Pictures of the explanations.
        declaration: The table's declaration.
        clock: Gives the time of the evaluation.

    Returns:
        Report (HTML), model card (Markdown and HTML), and documents of the registered version.
    """
    evaluated_at = clock()
    results = EvaluationResults(evaluation, assessment, explanations, facts, declaration)
    report = render_evaluation_report(results, {**performance, **explaining}, evaluated_at)
    card = render_model_card_markdown(results, evaluated_at)
    page = render_model_card_html(results, evaluated_at)
    return (
        report,
        card,
        page,
        collect_version_documents(
            results, {"report.html": report, "model_card.md": card, "model_card.html": page}, evaluated_at
        ),
    )
