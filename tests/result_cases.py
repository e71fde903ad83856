"""Everything that an evaluation finds out about the small models of the tests, and the same under hostile names."""

from dataclasses import replace
from functools import cache
from typing import Any

from churn_kedro.campaigns.backtest import measure_campaign
from churn_kedro.campaigns.economics import fit_contact_value
from churn_kedro.campaigns.parameters import Economics
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.comparison import Disagreement, ModelComparison
from churn_kedro.evaluation.explanations import (
    ExplanationParameters,
    explain_customers,
    explain_interactions,
    permutation_importance,
    summarise_explanations,
)
from churn_kedro.evaluation.fairness import measure_fairness
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters, Estimate, Evaluation, measure_with_intervals
from churn_kedro.evaluation.slices import SliceParameters, measure_slices
from churn_kedro.models.interface import score_labelled
from churn_kedro.reporting.evaluation_results import Assessment, CardFacts, EvaluationResults
from tests.evidence_cases import no_leaks, subject
from tests.task_cases import task_case

BOOTSTRAP = BootstrapParameters(n_resamples=100, confidence=0.95, random_state=0)
SCRIPT = "<script>alert('x')</script>"
HOSTILE = f"{SCRIPT} a|b `c` *d* [e](http://f) " + "n" * 80 + "\nsecond line"


def _protect(declaration: CustomerDeclaration) -> CustomerDeclaration:
    columns = [
        column.model_copy(update={"protected": True}) if column.name == "Country" else column
        for column in declaration.columns
    ]
    return declaration.model_copy(update={"columns": columns})


@cache
def results_of(task: Task) -> EvaluationResults:
    """What is found out about the model of a task; not to be changed."""
    case = task_case(task)
    estimator, declaration = case.trained.estimator, _protect(case.declaration)
    scores = score_labelled(estimator, case.test, declaration)
    samples = ExplanationParameters(max_explained=50, max_permuted=100, n_repeats=2)
    shuffled = permutation_importance(estimator, case.test, declaration, samples)
    explained = explain_customers(estimator, case.test, declaration, samples)
    evaluation = Evaluation(
        model_name="test_churn",
        model_version=4,
        model_id="m-4",
        test_digest=case.manifest.test.digest,
        task=task,
        test_rows=len(case.test),
        test_classes={label: int((scores.target == code).sum()) for code, label in enumerate(scores.classes)},
        threshold=scores.threshold,
        bootstrap=BOOTSTRAP,
        metrics=measure_with_intervals(scores, BOOTSTRAP),
    )
    economics = Economics(contact_cost=5, offer_cost=20, save_probability=0.3, value=400)
    value = fit_contact_value(economics, case.train)
    binary = task == "binary"
    return EvaluationResults(
        evaluation=evaluation,
        assessment=Assessment(
            subject=subject(case.manifest.digests),
            leakage=no_leaks(case.manifest.digests, task=task),
            slices=measure_slices(scores, case.test, declaration, SliceParameters(min_rows=20, n_resamples=100)),
            campaign=measure_campaign(scores, case.test, case.train, declaration, value, economics, BOOTSTRAP)
            if binary
            else None,
            fairness=measure_fairness(scores, case.test, declaration) if binary else None,
            comparison=_compare(evaluation),
        ),
        explanations=summarise_explanations(
            subject(case.manifest.digests), explained, shuffled, explain_interactions(estimator, case.test)
        ),
        card=CardFacts(
            use_case="test",
            purpose="Customers of a test",
            model_name="test_churn",
            model_version=4,
            model_id="m-4",
            run_id="r-4",
            algorithm="xgboost",
            hyperparameters={"max_depth": "3"},
            threshold=scores.threshold,
            trained_rows=450,
            train_digest=case.manifest.train.digest,
            split_train_digest=case.manifest.train.digest,
            test_digest=case.manifest.test.digest,
            split_method="random",
            git_commit="abc123",
            libraries={"python": "3.11.9"},
        ),
        declaration=declaration,
    )


def _compare(evaluation: Evaluation) -> ModelComparison:
    """As if another version were a little worse in everything, clearly so in the first metric only."""
    differences = {
        name: Estimate(value=0.02, low=0.01 if place == 0 else -0.01, high=0.03)
        for place, name in enumerate(evaluation.metrics)
    }
    return ModelComparison(
        baseline="version 3 (champion)",
        rows=evaluation.test_rows,
        values={name: (estimate.value, estimate.value - 0.02) for name, estimate in evaluation.metrics.items()},
        differences=differences,
        disagreements=[Disagreement(ids={"Id": "17"}, outcome="leaves", candidate=0.8, baseline=0.1)],
    )


def reassess(results: EvaluationResults, **changed: Any) -> EvaluationResults:
    """The results with another campaign, other groups and their like."""
    return replace(results, assessment=results.assessment.model_copy(update=changed))


def hostile_results(hostile: str = HOSTILE) -> EvaluationResults:
    """The binary case with a name in every place that would break a page if it were not escaped."""
    found = results_of("binary")
    assessment = found.assessment
    dumped: dict[str, Any] = assessment.slices.model_dump()
    for group in dumped["slices"]:
        group["name"] = group["note"] = hostile
        for condition in group["conditions"]:
            condition["text"] = hostile
    assert assessment.fairness is not None
    protected = assessment.fairness.model_dump()
    protected["columns"][0] |= {"column": hostile, "left_out": [hostile]}
    for group in protected["columns"][0]["groups"]:
        group["group"] = hostile
    assert assessment.campaign is not None
    campaign = assessment.campaign.model_dump()
    for one in campaign["alternatives"]:
        one |= {"title": hostile, "description": hostile}
    assert assessment.comparison is not None
    comparison = assessment.comparison.model_dump()
    comparison |= {"baseline": hostile, "note": hostile}
    comparison["disagreements"] = [{"ids": {hostile: hostile}, "outcome": hostile, "candidate": 1.0, "baseline": 0.0}]
    explanations = found.explanations.model_dump()
    for one in [*explanations["shuffled"], *explanations["strengths"]]:
        one["column"] = hostile
    card = found.card.model_copy(
        update={"purpose": hostile, "hyperparameters": {hostile: hostile}, "tags": {hostile: hostile}}
        | {"model_name": hostile, "threshold_reason": hostile, "use_case": hostile}
    )
    columns = [
        column.model_copy(update={"description": hostile, "name": hostile if column.name == "Age" else column.name})
        for column in found.declaration.columns
    ]
    return EvaluationResults(
        evaluation=found.evaluation.model_copy(update={"model_name": hostile}),
        assessment=Assessment(
            subject=assessment.subject,
            leakage=assessment.leakage,
            slices=type(assessment.slices).model_validate(dumped),
            campaign=type(assessment.campaign).model_validate(campaign),
            fairness=type(assessment.fairness).model_validate(protected),
            comparison=type(assessment.comparison).model_validate(comparison),
        ),
        explanations=type(found.explanations).model_validate(explanations),
        card=card,
        declaration=found.declaration.model_copy(update={"columns": columns}),
    )
