"""The decision of the gate at the head of report and card."""

import pytest

from churn_kedro.registry.gate import Decision, GateCheck, Verdict
from churn_kedro.reporting.evaluation_report import render_evaluation_report
from churn_kedro.reporting.model_card import render_model_card_html, render_model_card_markdown
from churn_kedro.reporting.verdict import decide_markdown, decide_page, describe_decision
from tests.result_cases import SCRIPT, hostile_results, results_of

DATE = "2026-11-28T20:29:02+00:00"
PASSED = GateCheck(name="bound", passed=True, reason="roc_auc_low 0.85, at least 0.55 is required")
FAILED = GateCheck(name="bound", passed=False, reason=f"brier 0.3 {SCRIPT}, at most 0.25 is required")
DOUBT = GateCheck(name="simple", passed=False, decisive=False, reason="not clearly better than a simple model")


def decide(verdict: Verdict, *checks: GateCheck) -> Decision:
    return Decision(
        model_name="test_churn", candidate=4, incumbent=3, verdict=verdict, checks=list(checks), evaluated_on="x"
    )


def test_a_page_without_decision_says_how_to_get_one() -> None:
    page = render_evaluation_report(results_of("binary"), {}, DATE)

    assert "Gate: no decision yet" in page
    assert "kedro run --pipelines registry --params model_version=4" in page
    assert "28 November 2026, 20:29 UTC" in page
    # The verdict and the money come before everything else.
    assert page.index("Gate: ") < page.index("expected profit per customer") < page.index("Metrics with intervals")


@pytest.mark.parametrize(
    ("decision", "tone", "text"),
    [
        (decide("promoted", PASSED), "good", "promoted"),
        (decide("awaiting_approval", PASSED, DOUBT), "warning", "awaits approval"),
        (decide("refused", PASSED, FAILED), "bad", "refused"),
        (decide("unchanged", FAILED), "good", "champion already"),
    ],
)
def test_the_decision_replaces_the_verdict_of_every_form(decision: Decision, tone: str, text: str) -> None:
    results = hostile_results()
    pages = [render_evaluation_report(results, {}, DATE), render_model_card_html(results, DATE)]
    card = render_model_card_markdown(results, DATE)

    decided = [*(decide_page(page, decision) for page in pages), decide_markdown(card, decision)]

    assert describe_decision(decision).tone == tone
    for before, after in zip([*pages, card], decided, strict=True):
        assert text in after
        assert "no decision yet" not in after
        assert SCRIPT not in after.split("```python")[0]
        # The rest is as it was, and a later decision replaces this one.
        assert before.split("<!-- end of verdict -->")[1] == after.split("<!-- end of verdict -->")[1]
    later = decide("promoted", PASSED)
    assert decide_page(decided[0], later) == decide_page(pages[0], later)


def test_failed_checks_are_shown_and_passed_ones_are_folded() -> None:
    verdict = describe_decision(decide("refused", PASSED, DOUBT, FAILED))

    assert verdict.objections == [FAILED.reason, f"Warning: {DOUBT.reason}"]
    assert verdict.passed == [PASSED.reason]


def test_a_page_without_place_for_the_verdict_stays() -> None:
    assert decide_page("<html></html>", decide("promoted", PASSED)) == "<html></html>"
