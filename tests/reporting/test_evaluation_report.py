"""Claims about the evaluation report: what it says, that it is whole, and that nothing in it is obeyed."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from churn_kedro.customers.leakage.findings import Finding, Severity
from churn_kedro.customers.tasks import Task
from churn_kedro.evaluation.metrics.definitions import task_metrics
from churn_kedro.evaluation.metrics.estimates import Estimate
from churn_kedro.reporting.evaluation_report import render_evaluation_report, sort_pictures
from churn_kedro.reporting.evaluation_results import EvaluationResults
from churn_kedro.reporting.report_content import (
    best_alternative,
    contacted_share,
    describe_difference,
    list_differences,
    list_limits,
    list_metrics,
    list_tiles,
    main_metrics,
    summarise,
)
from churn_kedro.reporting.wording import write_money, write_number
from tests.result_cases import HOSTILE, SCRIPT, hostile_results, reassess, results_of

PNG = b"\x89PNG\r\n"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what the page would load and show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.shown = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                (self.sources if name == "src" else self.links).append(value or "")
            if name == "id":
                self.anchors.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.shown += data


def render(results: EvaluationResults, **pictures: bytes) -> str:
    return render_evaluation_report(results, pictures, "21 November 2026")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_page_is_whole_and_needs_no_other_file(task: Task) -> None:
    text = render(results_of(task), roc_curve=PNG)
    page = Page(text)

    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert {link.removeprefix("#") for link in page.links} <= set(page.anchors)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "21 November 2026" in page.shown
    assert "test_churn, version 4" in page.shown


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_metric_is_there_with_its_interval_and_its_meaning(task: Task) -> None:
    results = results_of(task)
    shown = Page(render(results)).shown

    rows = list_metrics(results)
    assert len(rows) == len(task_metrics(task))
    for row, estimate in zip(rows, results.evaluation.metrics.values(), strict=True):
        assert row.meaning
        assert row.value == write_number(estimate.value)
        assert row.interval == f"{write_number(estimate.low)} to {write_number(estimate.high)}"
        assert row.title in shown
        assert row.interval in shown


def test_what_a_task_does_not_have_is_left_out() -> None:
    binary = Page(render(results_of("binary"))).anchors
    assert binary == ["good", "worth", "why", "whom", "compared", "lineage", "limits"]
    page = Page(render(reassess(results_of("multiclass"), comparison=None)))
    assert page.anchors == ["good", "why", "whom", "lineage", "limits"]
    assert "profit" not in page.shown.casefold()
    assert "protected columns" not in page.shown.casefold()


def test_sentences_repeat_the_numbers() -> None:
    results = results_of("binary")
    metrics, campaign = results.evaluation.metrics, results.assessment.campaign
    assert campaign is not None
    text = " ".join(summarise(results))

    left = results.evaluation.test_classes["leaves"]
    assert f"tested on 150 customers outside its training set, of whom {left} left" in text
    assert f"the model flags, {100 * metrics['precision'].value:.0f} leave" in text
    assert f"finds {100 * metrics['recall'].value:.0f} of 100 leavers" in text
    assert (
        f"expected profit of a campaign with the model is {write_money(campaign.chosen.profit_per_customer.value)}"
        in text
    )
    assert "depend most on “Age”, “Country” and “Visits”" in text
    assert "Between the groups of “Country”" in text
    assert "Compared with version 3 (champion) on the same 150 customers, it is better in ROC-AUC" in text


def test_the_share_contacted_follows_from_precision_and_recall() -> None:
    results = results_of("binary")
    assert results.assessment.campaign is not None

    assert contacted_share(reassess(results, campaign=None)) == pytest.approx(
        results.assessment.campaign.chosen.contacted_share
    )
    assert contacted_share(results_of("regression")) is None


def test_the_best_alternative_is_feasible_and_not_perfect_foresight() -> None:
    campaign = results_of("binary").assessment.campaign
    assert campaign is not None

    best = best_alternative(campaign)

    assert best is not None
    others = [one for one in campaign.alternatives if one.policy != "perfect"]
    assert best.profit_per_customer.value == max(one.profit_per_customer.value for one in others)
    dear = campaign.model_copy(
        update={"alternatives": [one.model_copy(update={"affordable": False}) for one in campaign.alternatives]}
    )
    assert best_alternative(dear) is None
    assert any(
        tile.label.startswith("expected profit") for tile in list_tiles(reassess(results_of("binary"), campaign=dear))
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "outcome"),
    [
        ("roc_auc", 0.01, 0.02, "better"),
        ("roc_auc", -0.02, -0.01, "worse"),
        ("roc_auc", -0.01, 0.02, "unclear"),
        ("log_loss", 0.01, 0.02, "worse"),
        ("rmse", -2.0, -1.0, "better"),
        ("bias", 1.0, 2.0, "unclear"),
    ],
)
def test_a_difference_is_judged_by_its_interval_and_direction(name: str, low: float, high: float, outcome: str) -> None:
    assert describe_difference(name, Estimate(value=(low + high) / 2, low=low, high=high)) == outcome


def test_the_comparison_shows_both_values_and_the_customers_in_dispute() -> None:
    results = results_of("binary")
    shown = Page(render(results)).shown

    row = list_differences(results)[0]
    assert (row.title, row.outcome) == ("ROC-AUC", "better")
    assert row.difference == "+0.020 (0.010 to 0.030)"
    assert row.difference in shown
    assert "Customers with the largest disagreement" in shown


def test_limits_name_what_was_found() -> None:
    results = results_of("binary")
    evaluation = results.evaluation.model_copy(update={"training_row_share": 0.25})
    card = results.card.model_copy(update={"train_digest": "another", "git_dirty": True})
    text = " ".join(list_limits(replace(results, evaluation=evaluation, card=card)))

    assert "25.0 % of the test customers are training rows" in text
    assert "trained on another split" in text
    assert "Only 150 test customers" in text
    assert "uncommitted changes" in text
    assert "Protected columns are inputs of the model: “Country”" in text
    assert "another split" not in " ".join(list_limits(results))


@pytest.mark.parametrize(("severity", "times"), [("warning", 1), ("leak", 1), ("notice", 0)])
def test_near_duplicates_in_the_test_set_are_in_the_summary_and_among_the_limits(
    severity: Severity, times: int
) -> None:
    results = results_of("binary")
    evidence = "26 of 150 test rows (17.3%) have the features of a row that the final model learns from."
    finding = Finding(check="near_duplicates", severity=severity, evidence=evidence, advice="None.")
    leakage = results.assessment.leakage.model_copy(update={"findings": [finding]})
    changed = reassess(results, leakage=leakage)

    for sentences in (summarise(changed), list_limits(changed)):
        assert " ".join(sentences).count(evidence) == times


def test_weak_groups_are_named_in_tiles_sentences_and_limits() -> None:
    results = results_of("binary")
    first = results.assessment.slices.slices[0]
    calibration = first.calibration
    assert calibration is not None
    weak = first.model_copy(
        update={"worse": True, "calibration": calibration.model_copy(update={"miscalibrated": True})}
    )
    slices = results.assessment.slices.model_copy(update={"slices": [weak]})
    changed = reassess(results, slices=slices)

    page = Page(render(changed))

    assert list_tiles(changed)[-1].value == "1"
    assert list_tiles(changed)[-1].tone == "warning"
    name = first.name.replace(" =", ":")
    assert f"clearly worse for “{name}”" in " ".join(summarise(changed))
    assert any(limit.startswith(f"Worse for “{name}”") for limit in list_limits(changed))
    assert any(limit.startswith("Predictions are too") for limit in list_limits(changed))
    assert "worse miscalibrated" in " ".join(page.shown.split())


def test_no_picture_is_lost_and_each_is_in_its_section() -> None:
    names = (
        "shap_waterfall_1",
        "roc_curve",
        "performance/calibration_curve.png",
        "profit_over_share",
        "slices",
        "strange",
    )
    pictures = {name: PNG + name.encode() for name in names}

    sorted_pictures = sort_pictures(pictures)

    captions = {section: [picture.caption for picture in found] for section, found in sorted_pictures.items()}
    assert len(captions["good"]) == 3
    assert captions["good"][-1] == "Strange"
    assert captions["worth"] == ["Profit by the share of the customers that is contacted"]
    assert captions["why"] == ["Explanation of an example customer"]
    assert captions["whom"] == ["Metric by group of customers"]
    page = Page(render(results_of("binary"), **pictures))
    assert len(page.sources) == len(set(page.sources)) == len(pictures)


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    text = render(hostile_results(), **{SCRIPT: PNG})
    page = Page(text)

    assert "script" not in page.tags
    assert SCRIPT not in text
    assert SCRIPT in page.shown
    assert HOSTILE in page.shown


def test_a_model_that_flags_no_customer_is_described() -> None:
    results = reassess(results_of("binary"), campaign=None)
    nothing = Estimate(value=0.0, low=0.0, high=0.0)
    metrics = results.evaluation.metrics | {"precision": nothing, "recall": nothing}
    changed = replace(results, evaluation=results.evaluation.model_copy(update={"metrics": metrics}))

    assert "At its threshold it flags no customer." in summarise(changed)
    assert "0.0 %" in [tile.value for tile in list_tiles(changed)]
    Page(render(changed))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (-0.0001, "-0.0001"),
        (0.0, "0.000"),
        (12.3456, "12.35"),
        (48802.3, "48,802"),
        (-5.0, "-5.000"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert write_number(value) == text


def test_contacts_find_cost_and_bring() -> None:
    results = results_of("binary")
    campaign = results.assessment.campaign
    assert campaign is not None
    priced = campaign.model_copy(update={"economics": campaign.economics.model_copy(update={"currency": "EUR"})})
    page = Page(render(reassess(results, campaign=priced)))

    own = next(step for step in campaign.steps if step.by_model)
    assert own.contacted == campaign.chosen.contacted
    assert own.profit == pytest.approx(campaign.chosen.total_profit)
    assert own.spending == pytest.approx(campaign.chosen.total_spending)
    everybody = campaign.steps[-1]
    assert (everybody.contacted, everybody.found) == (campaign.rows, campaign.leavers)
    assert [step.found for step in campaign.steps] == sorted(step.found for step in campaign.steps)
    for text in ("call so many", "find so many leavers", "it costs, EUR", "it brings, EUR", f"{own.found:,}"):
        assert text in page.shown
    assert f"{write_money(campaign.chosen.profit_per_customer.value)} EUR" in page.shown


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_five_metrics_are_shown_and_all_of_them_folded(task: Task) -> None:
    results = results_of(task)
    text = render(results)

    shown, folded = text.split("<details><summary>All", 1)
    assert len(main_metrics(results)) == 5
    assert all(row.interval in shown for row in main_metrics(results))
    assert all(row.interval in folded.split("</details>")[0] for row in list_metrics(results))


def test_levels_and_columns_are_named_as_declared() -> None:
    results = results_of("binary")
    columns = [
        column.model_copy(
            update={"description": "Country of residence", "level_labels": {"France": "French Republic"}}
            if column.name == "Country"
            else {}
        )
        for column in results.declaration.columns
    ]
    renamed = replace(results, declaration=results.declaration.model_copy(update={"columns": columns}))

    shown = Page(render(renamed)).shown

    assert "Country of residence: French Republic" in shown
    assert "Country = France" not in shown


def test_every_cell_names_its_column_for_a_phone() -> None:
    text = render(results_of("binary"))

    head = [re.sub("<[^>]*>", "", name) for name in re.findall(r"<th[^>]*>(.*?)</th>", text)]
    for label in set(re.findall(r'<td[^>]* data-label="([^"]+)"', text)):
        assert label in head
