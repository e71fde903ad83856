"""Claims about the lines a run ends with."""

from typing import Any

import pytest

from churn_kedro.campaigns.batch_report import BatchReport
from churn_kedro.campaigns.campaign_list import CampaignCounts
from churn_kedro.customers.profile import SchemaChanges
from churn_kedro.customers.quality import DataQuality
from churn_kedro.customers.tasks import Score, Task
from churn_kedro.evaluation.metrics.estimates import BootstrapParameters, Estimate, Evaluation
from churn_kedro.hooks.summary_text import summarise
from churn_kedro.pipelines.fabrication.shapes.ceiling import Ceiling
from churn_kedro.registry.gate import Decision, GateCheck
from churn_kedro.training.search import AlgorithmSearch, SearchResult, Trial
from tests.task_cases import task_case

FILES = {
    "rejected_customers": "data/rejected.csv",
    "campaign_list": "data/campaign.csv",
    "predictions": "data/predictions.csv",
    "unscored_customers": "data/unscored.csv",
}


def lines_about(report: Any, files: dict[str, str] = FILES) -> list[str]:
    """Lines of one report, without the heading and the closing hints."""
    text = summarise([report], files, {}, "bank", None, None)
    lines = [line.strip() for line in text.splitlines()[2:-2]]
    return lines[: next((place for place, line in enumerate(lines) if line.startswith("written")), None)]


def quality(rejected: int) -> DataQuality:
    return DataQuality(
        rows_read=10_000,
        header_rows_dropped=0,
        rows_rejected=rejected,
        rejected_share=rejected / 10_000,
        rejection_reasons={},
        rejection_examples=[],
        duplicates_dropped=2,
        identical_rows=0,
        repeated_ids=0,
        rows_kept=9_998 - rejected,
        classes={"0": 7_961, "1": 2_037},
        missing_cells={},
        suspected_missing={},
        renamed_columns={},
        undeclared_columns=[],
        empty_unnamed_columns=0,
    )


def test_a_fabricated_sample_is_described_with_its_ceiling() -> None:
    ceiling = Ceiling(rows=10_000, churn_rate=0.2, roc_auc=0.87654, pr_auc=0.71, log_loss=0.3, brier=0.1)

    assert lines_about(ceiling) == [
        "sample      10,000 fabricated customers, 20.0% leave; best reachable ROC-AUC 0.8765, PR-AUC 0.7100"
    ]


def test_a_table_is_described_by_its_counts() -> None:
    assert lines_about(quality(0)) == [
        "customers   10,000 rows read, 0 rejected, 2 duplicates dropped, 9,998 kept (20.4% leave)"
    ]


def test_a_table_that_has_shrunk_is_a_warning_before_the_changes() -> None:
    report = SchemaChanges(compared=True, changes=["a new column"], warnings=["the table has 4 rows"])

    assert lines_about(report) == ["warning     the table has 4 rows", "changed     a new column"]


@pytest.mark.parametrize(("files", "place"), [(FILES, "data/rejected.csv"), ({}, "not saved")])
def test_rejected_rows_come_with_the_place_of_their_reasons(files: dict[str, str], place: str) -> None:
    lines = lines_about(quality(3), files)

    assert "3 rejected" in lines[0]
    assert lines[1] == f"rejected rows and reasons: {place}"


def test_an_evaluation_is_described_by_two_metrics_with_intervals() -> None:
    evaluation = Evaluation(
        model_name="churn",
        model_version=4,
        model_id="m",
        test_digest="d",
        test_rows=2000,
        task="binary",
        test_classes={"0": 1600, "1": 400},
        threshold=0.31234,
        bootstrap=BootstrapParameters(n_resamples=100, confidence=0.9, random_state=0),
        metrics={
            "roc_auc": Estimate(value=0.86, low=0.84, high=0.88),
            "pr_auc": Estimate(value=0.7, low=0.66, high=0.74),
        },
    )

    assert lines_about(evaluation) == [
        "model       churn version 4",
        "ROC-AUC 0.8600 (90% interval 0.8400 to 0.8800)",
        "PR-AUC  0.7000 (90% interval 0.6600 to 0.7400)",
        "on 2,000 test customers; decision threshold 0.312",
    ]


@pytest.mark.parametrize(
    ("task", "metrics", "lines"),
    [
        (
            "multiclass",
            {"roc_auc": (0.86, 0.84, 0.88), "balanced_accuracy": (0.7, 0.66, 0.74)},
            [
                "ROC-AUC           0.8600 (95% interval 0.8400 to 0.8800)",
                "balanced accuracy 0.7000 (95% interval 0.6600 to 0.7400)",
            ],
        ),
        (
            "regression",
            {"r2": (0.5, -0.1, 0.6), "rmse": (1234.5, 99.123, 12345.6)},
            ["R²   0.5000 (95% interval -0.1000 to 0.6000)", "RMSE 1,234 (95% interval 99.12 to 12,346)"],
        ),
    ],
)
def test_an_evaluation_of_another_task_is_described_by_its_own_metrics_and_has_no_threshold(
    task: Task, metrics: dict[str, tuple[float, float, float]], lines: list[str]
) -> None:
    evaluation = Evaluation(
        model_name="churn",
        model_version=4,
        model_id="m",
        test_digest="d",
        task=task,
        test_rows=2000,
        test_classes={},
        threshold=None,
        bootstrap=BootstrapParameters(n_resamples=100, confidence=0.95, random_state=0),
        metrics={name: Estimate(value=value, low=low, high=high) for name, (value, low, high) in metrics.items()},
    )

    assert lines_about(evaluation) == ["model       churn version 4", *lines, "on 2,000 test customers"]


def trial(number: int, score: float | None, **fields: Any) -> Trial:
    return Trial(number=number, score=score, hyperparameters={}, **fields)


def search_of(metric: Score, *searches: AlgorithmSearch) -> SearchResult:
    return SearchResult(metric=metric, objectives=["loss"], n_splits=5, rows=1000, searches=list(searches))


@pytest.mark.parametrize(
    ("metric", "score", "text"),
    [("log_loss", 0.33111, "log loss over 5 folds 0.3311"), ("rmse", 250.5, "RMSE over 5 folds 250.50")],
)
def test_a_search_is_described_by_its_best_score_under_its_name(metric: Score, score: float, text: str) -> None:
    best = trial(0, score, n_estimators=12)
    found = AlgorithmSearch(algorithm="xgboost", best=best, trials=[best, best], seconds=1.0)

    assert lines_about(search_of(metric, found)) == [f"search      xgboost, 2 trials; best {text} with 12 rounds"]


def test_a_search_of_several_algorithms_has_a_line_for_each_and_counts_how_its_trials_ended() -> None:
    best = trial(0, 0.5, n_estimators=12, known=True)
    others = [trial(1, 0.6, known=True), trial(2, None, state="pruned"), trial(3, None, state="failed")]
    trees = AlgorithmSearch(algorithm="xgboost", best=best, trials=[best, *others], seconds=1.0)
    linear = AlgorithmSearch(algorithm="logistic_regression", best=trial(0, 0.7), trials=[trial(0, 0.7)], seconds=1.0)

    assert lines_about(search_of("log_loss", trees, linear)) == [
        "search      xgboost, 4 trials (2 known from before, 1 pruned, 1 failed); best log loss over 5 folds "
        "0.5000 with 12 rounds",
        "logistic_regression, 1 trial; best log loss over 5 folds 0.7000",
    ]


def test_a_training_is_described_by_its_model_and_its_decision() -> None:
    summary = task_case("binary").training.summary
    calibration, choice = summary.calibration, summary.threshold
    assert calibration is not None
    assert choice is not None

    assert lines_about(summary) == [
        f"model       xgboost (cpu) on 450 customers, calibration temperature (error {calibration.ece_before:.3f} to "
        f"{calibration.ece_after:.3f})",
        f"decision    contact at {choice.threshold:.3f} and above (f1): {choice.contacted_share:.1%} of customers",
    ]


def test_a_training_of_a_number_has_neither_calibration_nor_decision() -> None:
    assert lines_about(task_case("regression").training.summary) == ["model       xgboost (cpu) on 450 customers"]


def test_candidates_are_described_by_their_distance_from_the_one_that_was_chosen() -> None:
    summary = task_case("binary").training.summary
    chosen = summary.comparison.candidates[0].model_copy(
        update={"score": 0.5, "search_seconds": 3.2, "fit_seconds": 1.0}
    )
    near = chosen.model_copy(update={"name": "stack", "score": 0.49, "behind": -0.01, "noise": 0.02})
    far = chosen.model_copy(update={"name": "ridge", "score": 0.6, "behind": 0.1, "noise": 0.02, "differs": True})
    comparison = summary.comparison.model_copy(update={"candidates": [chosen, near, far]})

    lines = lines_about(summary.model_copy(update={"comparison": comparison}))

    assert lines[:3] == [
        "candidates  xgboost                 log loss 0.5000, chosen, 4 s",
        "stack                   log loss 0.4900, -0.01 (within the noise of 0.02), 4 s",
        "ridge                   log loss 0.6000, +0.1 (beyond the noise of 0.02), 4 s",
    ]


def test_a_decision_for_profit_has_the_profit_per_customer() -> None:
    summary = task_case("binary").training.summary
    assert summary.threshold is not None
    choice = summary.threshold.model_copy(update={"objective": "profit", "profit_per_customer": 1234.567})

    assert lines_about(summary.model_copy(update={"threshold": choice}))[-1].endswith(
        "of customers, profit 1,234.57 a customer"
    )


def test_a_decision_is_described_with_the_reason_of_every_check() -> None:
    checks = [
        GateCheck(name="evaluated", passed=True, reason="it was evaluated"),
        GateCheck(name="not worse than the champion", passed=False, reason="it is worse"),
    ]
    decision = Decision(
        model_name="churn", candidate=4, incumbent=3, verdict="refused", checks=checks, evaluated_on="d"
    )

    assert lines_about(decision) == [
        "gate        version 4 refused, alias challenger",
        "+ it was evaluated",
        "- it is worse",
    ]
    assert lines_about(decision.model_copy(update={"checks": []})) == ["gate        version 4 refused"]


BATCH = {"batch_id": "b", "scored_at": "2026-01-31T12:00:00+00:00", "data_digest": "d"}
SCORING = BatchReport(
    **BATCH,
    model_name="churn",
    model_version=4,
    task="binary",
    threshold=0.3,
    rows_read=1000,
    rows_scored=1000,
    rows_rejected=0,
    campaign=CampaignCounts(
        worth_contacting=260,
        contacts=250,
        holdout=10,
        over_limit=0,
        repeated=0,
        expected_cost=1234.5,
        expected_value=9876.5,
        currency="EUR",
    ),
    bands={"low": 700, "medium": 200, "high": 100},
    unusual={},
)


def test_a_scoring_is_described_by_bands_and_contacts() -> None:
    assert lines_about(SCORING) == [
        "scored      1,000 customers by version 4: 700 low, 200 medium, 100 high risk",
        "scored customers: data/predictions.csv",
        "campaign    250 to contact, expected cost 1,234 EUR, expected profit 9,876 EUR, 10 in the holdout",
        "list: data/campaign.csv, and .xlsx",
        "page: not saved",
    ]


def test_a_scoring_is_described_with_unusual_cells_and_unscored_customers() -> None:
    lines = lines_about(SCORING.model_copy(update={"unusual": {"Age": 2, "City": 1}, "rows_rejected": 3}))

    assert lines[5:] == [
        "scored with cells outside of the declaration: Age 2, City 1",
        "3 customers could not be read: data/unscored.csv",
    ]


def test_reports_are_in_the_order_of_the_run_and_others_are_left_out() -> None:
    text = summarise([quality(0), "something else", SCORING], FILES, {}, "bank", None, None)

    assert "something else" not in text
    assert text.index("rows read") < text.index("to contact")


def test_the_heading_names_the_use_case_and_the_end_lists_commands() -> None:
    lines = summarise([], {}, {"training": 2.25, "evaluation": 1.0}, "telco", "abc", "telco").splitlines()

    assert lines[1] == "telco: what this run did"
    assert "  seconds     3.2 (training 2.2, evaluation 1.0)" in lines
    assert "  run         abc" in lines
    assert "kedro mlflow ui --env telco " in lines[-2]
    assert "kedro viz --env telco " in lines[-1]


def test_without_tracking_and_environment_neither_is_named() -> None:
    text = summarise([], {}, {}, "bank", None, None)

    assert "--env" not in text
    assert "  run " not in text
    assert "seconds" not in text


@pytest.mark.parametrize(
    ("task", "counts", "outcome"),
    [
        ("multiclass", {"classes": {"basic": 700, "plus": 300}}, "700 basic, 300 plus"),
        ("regression", {"mean_prediction": 12.345}, "mean prediction 12.35"),
    ],
)
def test_a_scoring_of_another_task_has_neither_risk_nor_contacts(
    task: str, counts: dict[str, Any], outcome: str
) -> None:
    report = BatchReport.model_validate(
        {
            **BATCH,
            "model_name": "churn",
            "model_version": 4,
            "task": task,
            "rows_read": 1000,
            "rows_scored": 1000,
            "rows_rejected": 0,
            "unusual": {},
            **counts,
        }
    )

    assert lines_about(report)[0] == f"scored      1,000 customers by version 4: {outcome}"


def test_a_decision_without_contacts_has_its_reason_and_one_by_value_the_share_left_out() -> None:
    summary = task_case("binary").training.summary
    assert summary.threshold is not None
    nobody = summary.threshold.model_copy(
        update={"objective": "profit", "flagged_share": 0.0, "contacted_share": 0.0, "reason": "No contact pays."}
    )
    some = summary.threshold.model_copy(update={"objective": "profit", "flagged_share": 0.3, "contacted_share": 0.2})

    assert lines_about(summary.model_copy(update={"threshold": nobody}))[-1] == (
        "decision    contact nobody (profit). No contact pays."
    )
    assert (
        "20.0% of customers, without 10.0% who are not worth a contact"
        in (lines_about(summary.model_copy(update={"threshold": some}))[-1])
    )
