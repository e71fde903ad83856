"""Claims about the gate between a candidate and the champion's place."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from churn_estimators.cells import CellReader
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.digests import table_digest
from churn_kedro.customers.leakage import LeakageReport
from churn_kedro.customers.leakage.findings import Finding
from churn_kedro.customers.splits import SplitManifest, SplitParameters, SplitRecord
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.comparison import ModelComparison
from churn_kedro.evaluation.metrics.estimates import (
    BootstrapParameters,
    Estimate,
    Evaluation,
    measure,
    measure_with_intervals,
)
from churn_kedro.models.interface import RegisteredModel, ScoredCustomers, score_labelled
from churn_kedro.models.training_rows import digest_training_rows
from churn_kedro.registry.gate import (
    Approval,
    Decision,
    Evidence,
    GateCheck,
    GateParameters,
    check_test_table,
    compare_with_champion,
    decide as decide_by_checks,
    describe_promotion,
    plan_decision,
)
from churn_kedro.registry.lifecycle import Move, RegistryState
from tests.evidence_cases import no_leaks, subject
from tests.model_cases import column_model
from tests.task_cases import task_case

RESAMPLING = BootstrapParameters(n_resamples=100, confidence=0.95, random_state=0)


def gate(**changed: Any) -> GateParameters:
    """Gate of a test; ``bounds``, ``metric`` and ``margin`` are those of the task binary."""
    own = {"bounds": {"roc_auc_low": 0.6}, "metric": "roc_auc", "margin": 0.01, "segment_margin": 0.05}
    fields = {
        "binary": own | {name: changed.pop(name) for name in own if name in changed},
        "multiclass": {"bounds": {"roc_auc_low": 0.6}, "metric": "roc_auc", "margin": 0.01, "segment_margin": 0.05},
        "regression": {"bounds": {"r2_low": 0.0}, "metric": "r2", "margin": 0.01, "segment_margin": 0.05},
        "simple_baseline": "ignore",
        "confidence": 0.95,
        "n_resamples": 200,
        "random_state": 0,
    }
    return GateParameters.model_validate(fields | changed)


def binary(target: np.ndarray, probability: np.ndarray) -> ScoredCustomers:
    return ScoredCustomers("binary", target, probability, 0.5, ("0", "1"))


def model(column: str, version: int) -> RegisteredModel:
    return RegisteredModel(
        "churn",
        version,
        f"m-{version}",
        f"r-{version}",
        {"train_digest": "t", "validation_digest": "v"},
        column_model(column),
    )


def declare(*probabilities: str, **further: dict[str, Any]) -> CustomerDeclaration:
    columns = [{"name": name, "kind": "numeric", "description": "A column"} for name in probabilities]
    return CustomerDeclaration.model_validate(
        {
            "description": "Customers of a test",
            "task": "binary",
            "labels": {"positive": 1, "negative": 0},
            "columns": [
                *columns,
                *further.values(),
                {"name": "Left", "role": "target", "description": "A column"},
            ],
        }
    )


@pytest.fixture(scope="module")
def declaration() -> CustomerDeclaration:
    return declare("good", "poor", "chance", "overconfident", "almost")


@pytest.fixture(scope="module")
def scored() -> pd.DataFrame:
    """Probabilities of a good model, a poor one, one without value, and one that ranks well and is overconfident."""
    random = np.random.default_rng(4)
    good = random.beta(1, 1, 400)
    left = (random.random(400) < good).astype(int)
    return pd.DataFrame(
        {
            "Left": left,
            "good": good,
            "poor": np.clip(good + random.normal(0, 0.5, 400), 0.01, 0.99),
            "chance": random.random(400),
            "overconfident": np.where(good > 0.5, 1 - (1 - good) ** 6 / 2, good**6 / 2),
        }
    )


def split_of(table: pd.DataFrame, train_digest: str = "t") -> SplitManifest:
    """A split whose test part is this table."""

    def record(digest: str) -> SplitRecord:
        return SplitRecord(rows=len(table), classes={}, digest=digest)

    return SplitManifest(
        split=SplitParameters(test_size=0.2, validation_size=0.2, random_state=0),
        columns={},
        rows_left_out={},
        train=record(train_digest),
        validation=record("v"),
        test=record(table_digest(table)),
    )


def evaluate(table: pd.DataFrame, candidate: RegisteredModel, **changed: Any) -> Evaluation:
    scores = binary(table["Left"].to_numpy(), candidate.estimator.scores(table))
    evaluation = Evaluation(
        model_name=candidate.name,
        model_version=candidate.version,
        model_id=candidate.model_id,
        test_digest=table_digest(table),
        test_rows=len(table),
        task="binary",
        test_classes={},
        threshold=scores.threshold,
        bootstrap=RESAMPLING,
        metrics=measure_with_intervals(scores, RESAMPLING),
    )
    return evaluation.model_copy(update=changed)


def decide(
    evaluation: Evaluation,
    candidate: RegisteredModel,
    incumbent: RegisteredModel | None,
    test: pd.DataFrame,
    manifest: SplitManifest,
    leakage: LeakageReport | None,
    declaration: CustomerDeclaration,
    parameters: GateParameters,
    approval: Approval = "auto",
    simple: ModelComparison | None = None,
) -> Decision:
    """The two steps of a decision; without leakage report, that of the split, which found nothing."""
    checked = check_test_table(candidate, incumbent, test, manifest, declaration, parameters)
    about = subject(
        {**manifest.digests, "test": evaluation.test_digest}, evaluation.model_version, evaluation.model_name
    )
    evidence = Evidence(evaluation, about, leakage or no_leaks(manifest.digests), simple)
    return decide_by_checks(evidence, candidate, checked, declaration, parameters, approval)


class Case:
    """One decision about version 2."""

    def __init__(self, table: pd.DataFrame, declaration: CustomerDeclaration) -> None:
        self.table = table
        self.declaration = declaration

    def decide(
        self,
        candidate: RegisteredModel,
        incumbent: RegisteredModel | None,
        parameters: GateParameters | None = None,
        evaluation: Evaluation | None = None,
    ) -> Decision:
        return decide(
            evaluation or evaluate(self.table, candidate),
            candidate,
            incumbent,
            self.table,
            split_of(self.table),
            None,
            self.declaration,
            parameters or gate(),
        )


@pytest.fixture
def case(scored: pd.DataFrame, declaration: CustomerDeclaration) -> Case:
    return Case(scored, declaration)


def failed(decision: Decision) -> dict[str, str]:
    return {check.name: check.reason for check in decision.checks if not check.passed}


def test_the_first_candidate_is_promoted_on_the_bounds_alone(case: Case) -> None:
    decision = case.decide(model("good", 1), None)

    assert (decision.verdict, decision.alias, decision.incumbent) == ("promoted", "champion", None)
    assert "+ no champion yet: only the bounds apply" in decision.reasons


def test_the_first_candidate_below_a_minimum_is_refused(case: Case) -> None:
    decision = case.decide(model("chance", 1), None)

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert list(failed(decision)) == ["roc_auc_low at least 0.6"]
    assert failed(decision)["roc_auc_low at least 0.6"].endswith("but at least 0.6 is required")


def test_a_better_candidate_replaces_the_champion(case: Case) -> None:
    decision = case.decide(model("good", 2), model("poor", 1))

    assert (decision.verdict, decision.alias, decision.incumbent) == ("promoted", "champion", 1)


def test_a_champion_is_not_replaced_by_a_worse_candidate(case: Case) -> None:
    decision = case.decide(model("poor", 2), model("good", 1))

    assert decision.verdict == "refused"
    assert list(failed(decision)) == ["not worse than the champion"]
    assert "beyond the margin of -0.01" in failed(decision)["not worse than the champion"]


def test_a_worse_candidate_above_the_bounds_becomes_challenger(case: Case) -> None:
    assert case.decide(model("poor", 2), model("good", 1)).alias == "challenger"


def test_a_worse_candidate_below_a_minimum_gets_no_alias(case: Case) -> None:
    decision = case.decide(model("chance", 2), model("good", 1))

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert set(failed(decision)) == {"roc_auc_low at least 0.6", "not worse than the champion"}


def test_a_better_candidate_below_a_minimum_is_refused_without_alias(case: Case) -> None:
    decision = case.decide(model("good", 2), model("poor", 1), gate(bounds={"f1": 0.999}))

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert list(failed(decision)) == ["f1 at least 0.999"]


def test_an_equal_candidate_is_promoted_even_without_a_margin(case: Case) -> None:
    decision = case.decide(model("good", 2), model("good", 1), gate(margin=0.0))

    assert decision.verdict == "promoted"
    assert "gain +0.0000" in decision.reasons[-1]


def test_a_wide_margin_lets_a_worse_candidate_pass(case: Case) -> None:
    assert case.decide(model("poor", 2), model("good", 1), gate(margin=0.5)).verdict == "promoted"


def test_the_champion_itself_is_left_unchanged(case: Case) -> None:
    decision = case.decide(model("good", 1), model("good", 1))

    assert (decision.verdict, decision.alias) == ("unchanged", None)
    assert decision.reasons == ["- version 1 is the champion already"]


def test_a_loss_is_better_where_it_is_lower(case: Case) -> None:
    # Both rank alike, so the area cannot tell them apart; the log loss can.
    calibrated, overconfident = model("good", 2), model("overconfident", 1)

    assert case.decide(calibrated, overconfident, gate(metric="log_loss")).verdict == "promoted"
    worse = case.decide(model("overconfident", 2), model("good", 1), gate(metric="log_loss"))
    assert list(failed(worse)) == ["not worse than the champion"]


@pytest.mark.parametrize(
    ("bounds", "passes"),
    [
        ({"brier": 0.25}, True),
        ({"brier": 0.05}, False),
        ({"brier_high": 0.25}, True),
        ({"log_loss_low": 0.01}, False),
        ({"roc_auc": 0.7, "brier": 0.25}, True),
        ({"roc_auc": 0.7, "brier": 0.05}, False),
        ({}, True),
    ],
)
def test_bounds_are_least_values_and_for_losses_greatest_ones(
    bounds: dict[str, float], passes: bool, case: Case
) -> None:
    decision = case.decide(model("good", 1), None, gate(bounds=bounds))

    assert (decision.verdict == "promoted") == passes
    relation = {"roc_auc": "at least"}
    expected = [f"{name} {relation.get(name, 'at most')} {bound:g}" for name, bound in bounds.items()]
    assert [check.name for check in decision.checks[3:-1]] == expected


@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_a_value_at_its_bound_passes(metric: str, case: Case, scored: pd.DataFrame) -> None:
    value = measure(binary(scored["Left"].to_numpy(), scored["good"].to_numpy()))[metric]

    assert case.decide(model("good", 1), None, gate(bounds={metric: value})).verdict == "promoted"


@pytest.mark.parametrize("metric", ["roc_auc", "brier"])
def test_a_metric_that_is_missing_or_not_a_number_fails(metric: str, case: Case, scored: pd.DataFrame) -> None:
    candidate = model("good", 2)
    known = evaluate(scored, candidate)
    nothing = Estimate(value=float("nan"), low=float("nan"), high=float("nan"))
    for metrics in ({k: v for k, v in known.metrics.items() if k != metric}, known.metrics | {metric: nothing}):
        evaluation = known.model_copy(update={"metrics": metrics})

        decision = case.decide(candidate, None, gate(bounds={metric: 0.5}), evaluation)

        assert (decision.verdict, decision.alias) == ("refused", None)
        assert f"{metric} is missing" in next(iter(failed(decision).values()))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model_version": 7}, "the evaluation is of churn version 7, expected churn version 2"),
        ({"model_name": "other"}, "the evaluation is of other version 2, expected churn version 2"),
        (
            {"test_digest": "0"},
            "the evaluation used another test table (digest 0, expected {digest})",
        ),
    ],
)
@pytest.mark.parametrize("incumbent", [None, model("poor", 1)])
def test_an_evaluation_of_something_else_is_refused(
    changed: dict[str, Any], reason: str, incumbent: RegisteredModel | None, case: Case, scored: pd.DataFrame
) -> None:
    candidate = model("good", 2)

    decision = case.decide(candidate, incumbent, evaluation=evaluate(scored, candidate, **changed))

    assert (decision.verdict, decision.alias) == ("refused", None)
    expected = reason.format(digest=table_digest(scored))
    assert failed(decision) == {"evaluated": f"{expected}: run the evaluation pipeline first"}


def test_a_candidate_trained_on_another_split_is_refused(case: Case) -> None:
    stranger = replace(model("good", 2), tags={"train_digest": "another"})

    for incumbent in (None, model("poor", 1)):
        decision = case.decide(stranger, incumbent)
        assert (decision.verdict, decision.alias) == ("refused", None)
        assert "test customers may be among them" in failed(decision)["not trained on test customers"]


def test_a_champion_of_another_split_is_compared_with_a_caution(case: Case) -> None:
    old = replace(model("poor", 1), tags={"train_digest": "another"})

    decision = case.decide(model("good", 2), old)

    assert decision.verdict == "promoted"
    assert "the champion was trained on another split" in decision.reasons[-1]


def test_a_champion_keeps_the_tags_of_its_promotion(case: Case, scored: pd.DataFrame) -> None:
    champion = model("good", 1)

    promotion = describe_promotion(case.decide(champion, champion))

    assert (promotion.alias, promotion.tags) == (None, {})


def test_a_champion_that_cannot_score_is_not_replaced_and_the_error_is_named(case: Case) -> None:
    broken = replace(model("good", 1), estimator=column_model("almost"))

    decision = case.decide(model("good", 2), broken)

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert failed(decision) == {
        "comparison with the champion": "the comparison with champion version 1 failed: ValueError: the table lacks "
        "the columns 'almost'; it has 'Left', 'good', 'poor', 'chance', 'overconfident'"
    }


def test_a_scored_of_one_class_refuses_the_candidate(scored: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    one_class = scored.assign(Left=1)
    candidate = model("good", 2)
    evaluation = evaluate(scored, candidate, test_digest=table_digest(one_class))

    decision = Case(one_class, declaration).decide(candidate, model("good", 1), evaluation=evaluation)

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert "CustomerTableError" in failed(decision)["comparison with the champion"]


def test_the_comparison_is_paired(scored: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    # A hair of noise: unpaired resamples would differ by far more than the margin.
    almost = scored.assign(almost=scored["good"] + 1e-6 * scored["chance"])

    check, *_ = compare_with_champion(
        model("almost", 2), model("good", 1), almost, split_of(almost), declaration, gate(margin=0.001)
    )

    assert check.passed


@pytest.mark.slow
def test_the_bound_is_the_quantile_of_the_paired_differences(
    scored: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    target = scored["Left"].to_numpy()
    generator = np.random.default_rng(0)
    gains = []
    for _ in range(200):
        drawn = generator.integers(0, 400, 400)
        areas = [measure(binary(target[drawn], scored[name].to_numpy()[drawn]))["roc_auc"] for name in ("poor", "good")]
        gains.append(areas[0] - areas[1])

    check, *_ = compare_with_champion(model("poor", 2), model("good", 1), scored, split_of(scored), declaration, gate())

    assert f"with 95% confidence at least {np.quantile(gains, 0.05):+.4f}" in check.reason


def test_the_same_decision_is_made_again(case: Case) -> None:
    first, again = (case.decide(model("poor", 2), model("good", 1)) for _ in range(2))

    assert first == again


def decided(verdict: str, **checks: bool) -> Decision:
    return Decision.model_validate(
        {
            "model_name": "churn",
            "candidate": 2,
            "incumbent": 1,
            "verdict": verdict,
            "checks": [GateCheck(name=name, passed=passed, reason=f"{name}.") for name, passed in checks.items()],
            "evaluated_on": "digest",
        }
    )


WORSE = "not worse than the champion"


@pytest.mark.parametrize(
    ("verdict", "checks", "alias"),
    [
        ("promoted", {"evaluated": True, WORSE: True}, "champion"),
        ("refused", {"evaluated": True, WORSE: False}, "challenger"),
        ("refused", {"evaluated": False, WORSE: False}, None),
        ("refused", {"evaluated": True, "f1 at least 1": False, WORSE: True}, None),
        ("refused", {"evaluated": True, "comparison with the champion": False}, None),
        ("refused", {}, None),
        ("unchanged", {"another version": False}, None),
    ],
)
def test_the_alias_follows_from_the_verdict_and_the_checks(
    verdict: str, checks: dict[str, bool], alias: str | None
) -> None:
    assert decided(verdict, **checks).alias == alias


def test_a_promotion_carries_the_decision_and_its_reasons_as_tags() -> None:
    promotion = describe_promotion(decided("promoted", first=True, second=False))

    assert (promotion.model_name, promotion.version, promotion.alias) == ("churn", 2, "champion")
    assert (promotion.expected_champion, promotion.outcome) == (1, "promoted")
    assert promotion.tags == {
        "decision": "promoted",
        "decision_reasons": "+ first.\n- second.",
        "decided_against": "1",
        "decided_on": "digest",
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bounds": {"auc": 0.7}}, r"bounds contain unknown metrics \['auc'\]"),
        ({"metric": "roc_auc_low"}, "metric 'roc_auc_low' is unknown"),
        ({"margin": -0.1}, "greater than or equal to 0"),
        ({"confidence": 95}, "less than 1"),
        ({"n_resamples": 10}, "greater than or equal to 100"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        gate(**changed)


class TaskDecision:
    """A decision about a model of another task on its own test table."""

    def __init__(self, task: Task) -> None:
        self.case = task_case(task)

    def evaluation(self, candidate: RegisteredModel, **changed: Any) -> Evaluation:
        scores = score_labelled(candidate.estimator, self.case.test, self.case.declaration)
        return Evaluation(
            model_name=candidate.name,
            model_version=candidate.version,
            model_id=candidate.model_id,
            task=scores.task,
            test_digest=self.case.manifest.test.digest,
            test_rows=len(scores.target),
            test_classes={},
            threshold=None,
            bootstrap=RESAMPLING,
            metrics=measure_with_intervals(scores, RESAMPLING),
        ).model_copy(update=changed)

    def decide(
        self, candidate: RegisteredModel, incumbent: RegisteredModel | None, evaluation: Evaluation | None = None
    ) -> Decision:
        return decide(
            evaluation or self.evaluation(candidate),
            candidate,
            incumbent,
            self.case.test,
            self.case.manifest,
            None,
            self.case.declaration,
            gate(),
        )


class Shuffled:
    """A learner that gives each customer another one's answer."""

    def __init__(self, learner: Any) -> None:
        self.learner = learner

    def predict(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.roll(self.learner.predict(values), 1))

    def predict_proba(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.roll(self.learner.predict_proba(values), 1, axis=0))


OTHER_TASKS: list[Task] = ["multiclass", "regression"]
BOUNDS = {"multiclass": "roc_auc_low at least 0.6", "regression": "r2_low at least 0"}


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_a_first_and_an_equal_candidate_of_another_task_are_promoted_by_their_own_bounds(task: Task) -> None:
    case = TaskDecision(task)
    for incumbent in (None, case.case.registered(1)):
        decision = case.decide(case.case.registered(2), incumbent)

        assert decision.verdict == "promoted"
        assert BOUNDS[task] in [check.name for check in decision.checks]
    assert "gain +0.0000" in decision.reasons[-1]


@pytest.mark.parametrize("task", OTHER_TASKS)
def test_a_worthless_candidate_of_another_task_is_refused(task: Task) -> None:
    case = TaskDecision(task)
    model = case.case.trained.estimator
    shuffled = copy(model).set_params(learner=Shuffled(model.learner))
    worthless = case.case.registered(2, estimator=shuffled)

    decision = case.decide(worthless, case.case.registered(1))

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert set(failed(decision)) == {BOUNDS[task], "not worse than the champion"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"task": "regression", "classes": []},
            "version 1 was trained for task regression, the declaration says multiclass",
        ),
        (
            {"classes": ["plus", "basic", "premium"]},
            'version 1 was trained for classes ["plus", "basic", "premium"], the declaration says '
            '["basic", "plus", "premium"]',
        ),
    ],
)
def test_a_champion_of_another_task_or_of_other_classes_is_not_compared_with(
    changed: dict[str, Any], reason: str
) -> None:
    case = TaskDecision("multiclass")
    champion = case.case.registered(1, estimator=copy(case.case.trained.estimator).set_params(**changed))

    decision = case.decide(case.case.registered(2), champion)

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert list(failed(decision)) == ["comparison with the champion"]
    assert reason in failed(decision)["comparison with the champion"]
    assert "kedro models promote 2 --override" in failed(decision)["comparison with the champion"]


def test_a_candidate_of_another_task_is_refused() -> None:
    case = TaskDecision("multiclass")
    candidate = case.case.registered(2)
    stranger = replace(candidate, estimator=copy(candidate.estimator).set_params(task="binary"))

    decision = case.decide(stranger, None, case.evaluation(candidate))

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert list(failed(decision)) == ["trained for this table"]


def test_an_evaluation_of_another_task_is_refused() -> None:
    case = TaskDecision("multiclass")
    candidate = case.case.registered(2)

    decision = case.decide(candidate, None, case.evaluation(candidate, task="regression"))

    assert decision.verdict == "refused"
    assert "the evaluation is of task regression, expected multiclass" in failed(decision)["evaluated"]


@pytest.mark.parametrize(
    ("task", "own", "message"),
    [
        ("multiclass", {"bounds": {"f1": 0.5}}, r"multiclass: bounds contain unknown metrics \['f1'\]"),
        ("regression", {"metric": "roc_auc"}, "regression: metric 'roc_auc' is unknown"),
    ],
)
def test_each_task_has_its_own_metrics(task: str, own: dict[str, Any], message: str) -> None:
    fields = gate().model_dump()

    with pytest.raises(ValidationError, match=message):
        GateParameters.model_validate(fields | {task: fields[task] | own})


def segments(*further: str) -> CustomerDeclaration:
    """A declaration with regions, of ``good`` and further columns of probabilities."""
    region = {"name": "Region", "kind": "categorical", "segment": True, "description": "A column"}
    return declare("good", *further, region=region)


def in_regions(scored: pd.DataFrame, rows: int) -> pd.DataFrame:
    """A model that is as good as another one but in the south, where it guesses; ten customers live on an island."""
    region = np.where(np.arange(400) < rows, "south", "north")
    region[-10:] = "island"
    south = pd.Series(region) == "south"
    return scored.assign(Region=region, patchy=scored["good"].where(~south, scored["chance"]))


def test_a_candidate_that_is_worse_in_one_segment_is_refused(scored: pd.DataFrame) -> None:
    table = in_regions(scored, rows=60)

    decision = Case(table, segments("patchy", "chance")).decide(model("patchy", 2), model("good", 1), gate(margin=0.5))

    assert decision.verdict == "refused"
    assert list(failed(decision)) == ["no segment worse than with the champion"]
    reason = failed(decision)["no segment worse than with the champion"]
    assert "Region: south" in reason
    assert "Region = north" not in reason
    assert "1 with too few customers were not tested" in reason


def test_groups_of_the_same_name_are_all_compared(scored: pd.DataFrame) -> None:
    declared = segments("patchy", "chance").model_dump()
    next(column for column in declared["columns"] if column["name"] == "Region")["level_labels"] = {"south": "north"}

    decision = Case(in_regions(scored, rows=60), CustomerDeclaration.model_validate(declared)).decide(
        model("good", 2), model("good", 1)
    )

    assert "in none of 2 segments" in decision.checks[-1].reason


def test_a_candidate_that_is_equal_in_every_segment_is_promoted(scored: pd.DataFrame) -> None:
    table = in_regions(scored, rows=60)

    decision = Case(table, segments("patchy", "chance")).decide(model("good", 2), model("good", 1))

    assert decision.verdict == "promoted"
    assert "in none of 2 segments" in decision.checks[-1].reason


def test_a_small_loss_in_a_segment_by_chance_does_not_refuse(scored: pd.DataFrame) -> None:
    random = np.random.default_rng(1)
    table = in_regions(scored, rows=60).assign(
        jittered=lambda frame: np.clip(frame["good"] + random.normal(0, 0.05, 400), 0.001, 0.999)
    )

    decision = Case(table, segments("jittered")).decide(
        model("jittered", 2), model("good", 1), gate(segment_margin=0.0)
    )

    assert not failed(decision)


def test_a_leak_without_permission_refuses(case: Case, scored: pd.DataFrame) -> None:
    leak = Finding(check="perfect_model", severity="leak", evidence="ROC-AUC 1", advice="Look at it.")
    clean = no_leaks(split_of(scored).digests)
    for leakage, passes in (
        (clean, True),
        (clean.model_copy(update={"findings": [leak.model_copy(update={"severity": "warning"})]}), True),
        (clean.model_copy(update={"findings": [leak.model_copy(update={"allowed": "Looked at it"})]}), True),
        (clean.model_copy(update={"findings": [leak]}), False),
    ):
        candidate = model("good", 1)
        decision = decide(
            evaluate(scored, candidate), candidate, None, scored, split_of(scored), leakage, case.declaration, gate()
        )

        assert (decision.verdict == "promoted") == passes


def test_size_and_speed_are_bounded_and_what_was_not_measured_fails(case: Case, scored: pd.DataFrame) -> None:
    small = replace(model("good", 1), tags={"train_digest": "t", "validation_digest": "v", "model_bytes": "1000"})
    measured = evaluate(scored, small, scoring_seconds=0.5)
    limits = gate(max_model_bytes=1000, max_scoring_seconds=0.5)

    assert case.decide(small, None, limits, measured).verdict == "promoted"
    for slow in (evaluate(scored, small, scoring_seconds=0.51), evaluate(scored, small)):
        assert list(failed(case.decide(small, None, limits, slow))) == ["scoring_seconds at most 0.5"]
    for large in (
        {"train_digest": "t", "validation_digest": "v", "model_bytes": "1001"},
        {"train_digest": "t", "validation_digest": "v"},
    ):
        decision = case.decide(replace(small, tags=large), None, limits, measured)
        assert list(failed(decision)) == ["model_bytes at most 1000"]


def test_profit_and_fairness_are_bounded_like_any_metric(case: Case, scored: pd.DataFrame) -> None:
    candidate = model("good", 1)
    estimate = Estimate(value=3.0, low=-1.0, high=7.0)
    evaluation = evaluate(scored, candidate, extended={"profit_per_customer": estimate})

    assert case.decide(candidate, None, gate(bounds={"profit_per_customer": 3.0}), evaluation).verdict == "promoted"
    assert case.decide(candidate, None, gate(bounds={"profit_per_customer_low": 0.0}), evaluation).verdict == "refused"
    assert case.decide(candidate, None, gate(bounds={"demographic_parity_ratio": 0.8}), evaluation).verdict == "refused"


def test_under_manual_approval_what_passes_waits_and_what_does_not_takes_no_place(case: Case) -> None:
    def under_manual(candidate: str) -> Decision:
        version = model(candidate, 2)
        return decide(
            evaluate(case.table, version),
            version,
            model("good", 1),
            case.table,
            split_of(case.table),
            None,
            case.declaration,
            gate(),
            "manual",
        )

    passed, lost = under_manual("good"), under_manual("poor")

    assert (passed.verdict, passed.alias) == ("awaiting_approval", "challenger")
    assert (lost.verdict, lost.alias) == ("refused", None)


def test_customers_that_a_version_has_learned_from_are_counted(scored: pd.DataFrame) -> None:
    declaration = segments("patchy", "chance")
    table = in_regions(scored, rows=60)
    fresh, known = table.iloc[:300], table.iloc[250:]
    other = {"train_digest": "other"}
    candidate = replace(model("good", 2), training_rows=digest_training_rows(known, declaration), tags=other)
    untouched = replace(
        model("good", 2), training_rows=digest_training_rows(known.assign(good=0.5), declaration), tags=other
    )
    own = replace(candidate, tags={"train_digest": "t", "validation_digest": "v"})

    seen = Case(fresh, declaration).decide(candidate, None)
    new = Case(fresh, declaration).decide(untouched, None)

    assert "was trained on 50 of the 300 test customers" in failed(seen)["not trained on test customers"]
    assert new.verdict == "promoted"
    # Customers of its own split are alike by chance.
    assert Case(fresh, declaration).decide(own, None).verdict == "promoted"


def test_champion_and_candidate_are_compared_on_customers_that_are_new_to_both(scored: pd.DataFrame) -> None:
    declaration = segments("cheat")
    table = in_regions(scored, rows=60)
    cheat = np.where(np.arange(400) < 150, table["Left"], table["poor"])
    table = table.assign(cheat=cheat)
    champion = replace(
        model("cheat", 1),
        tags={"train_digest": "old"},
        training_rows=digest_training_rows(table.iloc[:150], declaration),
    )

    decision = Case(table, declaration).decide(model("good", 2), champion)

    comparison = next(check for check in decision.checks if check.name == "not worse than the champion")
    assert "on the 250 of 400 test customers that the champion was not trained on" in comparison.reason
    assert comparison.passed


def test_a_champion_that_reads_columns_that_are_gone_is_not_compared_with(case: Case) -> None:
    reads_balance = column_model("good", further=[CellReader("Balance", "number")])
    champion = replace(model("good", 1), estimator=reads_balance)

    decision = case.decide(model("good", 2), champion)

    assert "reads columns that are not declared: Balance" in failed(decision)["comparison with the champion"]


@pytest.mark.parametrize("tags", [{"turned_down": "rolled back: calls rose"}, {"turned_down": "rejected: no"}])
def test_what_a_person_has_turned_down_the_gate_does_not_bring_back(case: Case, tags: dict[str, str]) -> None:
    candidate = replace(model("good", 2), tags={"train_digest": "t", "validation_digest": "v", **tags})

    decision = case.decide(candidate, model("poor", 1))

    assert (decision.verdict, decision.alias) == ("refused", None)
    assert list(failed(decision)) == ["not rejected by a person"]
    assert "kedro models promote 2 --override" in failed(decision)["not rejected by a person"]


def test_a_retired_version_is_refused_with_the_way_back(case: Case) -> None:
    candidate = replace(model("good", 2), tags={"train_digest": "t", "validation_digest": "v", "retired": "2026-01-31"})

    decision = case.decide(candidate, model("poor", 1))

    assert "kedro models retire 2 --undo" in failed(decision)["not rejected by a person"]


def test_a_refused_version_does_not_take_the_place_of_one_that_waits_for_approval() -> None:
    promotion = describe_promotion(decided("refused", **{WORSE: False}))
    aliases = {"champion": 1, "challenger": 3}
    waiting = RegistryState("churn", aliases, {1: {}, 2: {}, 3: {"decision": "awaiting_approval"}})
    refused = RegistryState("churn", aliases, {1: {}, 2: {}, 3: {"decision": "refused"}})

    assert plan_decision(waiting, promotion).moves == {}
    assert plan_decision(refused, promotion).moves == {"challenger": Move(before=3, after=2)}


def checks_of(decision: Decision) -> dict[str, GateCheck]:
    return {check.name: check for check in decision.checks}


def test_each_check_has_its_value_bound_and_reason(scored: pd.DataFrame, case: Case) -> None:
    candidate = replace(model("good", 2), tags={**model("good", 2).tags, "model_bytes": "1234567"})
    evaluation = evaluate(scored, candidate, scoring_seconds=0.25)
    required = gate(bounds={"roc_auc_low": 0.6, "log_loss": 0.9}, max_model_bytes=2_000_000, max_scoring_seconds=0.5)

    checks = checks_of(case.decide(candidate, None, required, evaluation))

    value = evaluation.metrics["roc_auc"].low
    assert checks["roc_auc_low at least 0.6"] == GateCheck(
        name="roc_auc_low at least 0.6",
        passed=True,
        reason=f"roc_auc_low {value:.4g}, at least 0.6 is required",
        value=value,
        relation="at least",
        bound=0.6,
    )
    assert checks["log_loss at most 0.9"].relation == "at most"
    assert checks["model_bytes at most 2,000,000"] == GateCheck(
        name="model_bytes at most 2,000,000",
        passed=True,
        reason="size of the file 1,234,567, at most 2,000,000 is required",
        value=1_234_567.0,
        relation="at most",
        bound=2_000_000.0,
    )
    assert checks["scoring_seconds at most 0.5"] == GateCheck(
        name="scoring_seconds at most 0.5",
        passed=True,
        reason="seconds for 1,000 customers 0.25, at most 0.5 is required",
        value=0.25,
        relation="at most",
        bound=0.5,
    )
    assert [check.model_dump() for name, check in checks.items() if "test customers" in name] == [
        {
            "name": "not trained on test customers",
            "passed": True,
            "decisive": True,
            "reason": "version 2 was trained on none of the 400 test customers",
            "value": 0.0,
            "relation": "at most",
            "bound": 0.0,
        }
    ]


def test_a_value_that_is_missing_or_on_its_bound_is_decided_and_written_as_such(
    case: Case, scored: pd.DataFrame
) -> None:
    candidate = replace(model("good", 2), tags={**model("good", 2).tags, "model_bytes": "many"})
    evaluation = evaluate(scored, candidate, scoring_seconds=0.5)
    required = gate(bounds={"profit_per_customer": 1.0}, max_model_bytes=9999, max_scoring_seconds=0.5)

    checks = checks_of(case.decide(candidate, None, required, evaluation))

    assert checks["scoring_seconds at most 0.5"].passed
    missing = checks["model_bytes at most 9999"]
    assert (missing.passed, missing.value) == (False, None)
    assert missing.reason == "size of the file is missing, but at most 9999 is required"
    assert checks["profit_per_customer at least 1"].reason == (
        "profit_per_customer is missing, but at least 1 is required"
    )


def test_leaks_are_counted_and_named_and_so_are_those_that_are_allowed(case: Case, scored: pd.DataFrame) -> None:
    def leak(check: str, column: str | None, allowed: str | None = None) -> Finding:
        return Finding.model_validate(
            {"check": check, "column": column, "severity": "leak", "evidence": "e", "advice": "a", "allowed": allowed}
        )

    def checks(*findings: Finding) -> dict[str, GateCheck]:
        report = no_leaks(split_of(scored).digests).model_copy(
            update={"findings": list(findings), "checks": ["one", "two", "three"]}
        )
        candidate = model("good", 1)
        decision = decide(
            evaluate(scored, candidate), candidate, None, scored, split_of(scored), report, case.declaration, gate()
        )
        return checks_of(decision)

    name = "no leak without permission"
    two = checks(leak("target_copy", "City"), leak("perfect_model", None))[name]
    assert two.model_dump() == {
        "name": "no leak without permission",
        "passed": False,
        "decisive": True,
        "reason": "2 leaks without permission: target_copy in City; perfect_model",
        "value": 2.0,
        "relation": "at most",
        "bound": 0.0,
    }
    allowed = checks(leak("target_copy", "City", "Looked at"))
    assert (allowed[name].passed, allowed[name].value) == (True, 0.0)
    warning = allowed["no leak allowed"]
    assert (warning.passed, warning.decisive) == (False, False)
    assert warning.reason.endswith("target_copy in City (Looked at)")
    assert checks()[name].reason == "no leak without permission in 3 checks"
    assert "no leak allowed" not in checks()


def test_leakage_checks_of_other_tables_refuse(case: Case, scored: pd.DataFrame) -> None:
    candidate, other = model("good", 1), no_leaks({"train": "t", "validation": "v", "test": "another"})

    decision = decide(
        evaluate(scored, candidate), candidate, None, scored, split_of(scored), other, case.declaration, gate()
    )

    assert decision.verdict == "refused"
    assert "the leakage checks are of other tables (test another" in failed(decision)["no leak without permission"]


@pytest.mark.parametrize(
    ("low", "policy", "verdict", "reasons"),
    [
        (0.01, "refuse", "promoted", 0),
        (-0.01, "warn", "promoted", 1),
        (-0.01, "refuse", "refused", 0),
        (-0.01, "ignore", "promoted", 0),
        (None, "warn", "promoted", 1),
        (None, "refuse", "refused", 0),
    ],
)
def test_a_version_that_is_not_clearly_better_than_a_linear_model_is_warned_of_or_refused(
    low: float | None, policy: str, verdict: str, reasons: int, case: Case, scored: pd.DataFrame
) -> None:
    candidate = model("good", 1)
    simple = (
        None
        if low is None
        else ModelComparison(
            baseline="logistic_regression",
            rows=400,
            values={"roc_auc": (0.85, 0.83)},
            differences={"roc_auc": Estimate(value=0.02, low=low, high=0.05)},
            disagreements=[],
        )
    )

    decision = decide(
        evaluate(scored, candidate),
        candidate,
        None,
        scored,
        split_of(scored),
        None,
        case.declaration,
        gate(simple_baseline=policy),
        simple=simple,
    )

    assert decision.verdict == verdict
    assert len([reason for reason in decision.reasons if reason.startswith("!")]) == reasons


def test_the_plan_of_a_decision_holds_everything_that_was_decided(case: Case) -> None:
    promotion = describe_promotion(case.decide(model("good", 2), None))
    state = RegistryState(name="churn", aliases={}, tags={2: {}})

    change = plan_decision(state, promotion)

    assert (change.action, change.version, change.already) == ("decide", 2, None)
    assert (change.outcome, change.reasons, change.tags) == (promotion.outcome, promotion.reasons, promotion.tags)
    assert {alias: move.after for alias, move in change.moves.items()} == {"champion": 2}
    assert promotion.tags["decision"] == "promoted"
    unchanged = describe_promotion(case.decide(model("good", 1), model("good", 1)))
    same = plan_decision(RegistryState(name="churn", aliases={"champion": 1}, tags={1: {}}), unchanged)
    assert (same.action, same.version) == ("decide", 1)
    assert same.already == "version 1 is champion already"
    assert same.moves == {}


def test_a_refused_candidate_takes_no_place_from_one_that_waits_for_approval(case: Case) -> None:
    refused = describe_promotion(case.decide(model("poor", 3), model("good", 1)))
    assert refused.alias == "challenger"
    waiting = {1: {}, 2: {"decision": "awaiting_approval"}, 3: {}}
    decided = {1: {}, 2: {"decision": "refused"}, 3: {}}

    def moves(tags: dict[int, dict[str, str]]) -> dict[str, int | None]:
        state = RegistryState(name="churn", aliases={"champion": 1, "challenger": 2}, tags=tags)
        return {alias: move.after for alias, move in plan_decision(state, refused).moves.items()}

    assert moves(waiting) == {}
    assert moves(decided) == {"challenger": 3}


@pytest.mark.parametrize(("size", "evaluable"), [(20, True), (19, False)])
def test_a_segment_counts_from_twenty_customers_of_each_class_on(size: int, evaluable: bool) -> None:
    random = np.random.default_rng(0)
    good = random.uniform(0.05, 0.95, 400)
    left = (random.random(400) < good).astype(int)
    group = np.full(400, "large")
    group[np.flatnonzero(left == 1)[:size]] = "small"
    group[np.flatnonzero(left == 0)[:40]] = "small"
    table = pd.DataFrame({"Left": left, "good": good, "poor": 1 - good, "Region": group})

    decision = Case(table, segments("poor")).decide(model("good", 2), model("poor", 1), gate(margin=0.5))

    check = checks_of(decision)["no segment worse than with the champion"]
    assert check.passed
    assert ("were not" in check.reason) != evaluable
    assert f"in none of {2 if evaluable else 1} segments" in check.reason
