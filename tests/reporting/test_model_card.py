"""Claims about the model card: both forms say the same, and nothing in them is obeyed."""

import ast
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from churn_kedro.customers.tasks import Task
from churn_kedro.reporting.model_card import render_model_card_html, render_model_card_markdown, write_snippet
from churn_kedro.reporting.pages import escape_markdown
from churn_kedro.reporting.report_content import describe_use, list_limits, list_lineage, summarise
from tests.reporting.test_evaluation_report import Page
from tests.result_cases import SCRIPT, hostile_results, results_of

DATE = "21 November 2026"
SECTIONS = ["Purpose", "Data", "Performance", "Limits", "Groups of customers", "Explanations", "Lineage"]
ALONE = re.compile(r"(?<!\\)\|")


def tables(text: str) -> list[list[list[str]]]:
    """Cells of each table, by line."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            found[-1].append([cell.strip() for cell in ALONE.split(line)[1:-1]])
        inside = line.startswith("|")
    return found


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_card_has_every_section_and_valid_tables(task: Task) -> None:
    text = render_model_card_markdown(results_of(task), DATE)

    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert [name for name in headings if name in SECTIONS] == SECTIONS
    assert ("Economics" in headings) == ("Fairness" in headings) == (task == "binary")
    assert headings[-1] == "Usage"
    assert DATE in text
    assert len(text.encode()) < 60_000
    for table in tables(text):
        assert len({len(row) for row in table}) == 1
        assert set("".join(table[1])) <= set("-:")
        assert len(table) > 2
    # A table begins after an empty line, or else it is text.
    lines = text.splitlines()
    for line, following in pairwise(lines):
        if following.startswith("|") and not line.startswith("|"):
            assert line == ""


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_both_forms_place_the_same_sentences(task: Task) -> None:
    results = results_of(task)
    markdown = render_model_card_markdown(results, DATE)
    page = Page(render_model_card_html(results, DATE))

    intended, not_intended = describe_use(results)
    for sentence in [*summarise(results), *list_limits(results), *intended, *not_intended]:
        assert sentence in page.shown
        assert f"- {escape_markdown(sentence)}\n" in markdown
    for name, value in list_lineage(results):
        assert f"| {escape_markdown(name)} | {escape_markdown(value)} |" in markdown
        assert value in page.shown
    assert page.sources == []
    assert not page.links


def test_hostile_names_neither_break_a_table_nor_run() -> None:
    results = hostile_results()
    markdown, html = render_model_card_markdown(results, DATE), render_model_card_html(results, DATE)

    prose, code = re.sub("<!-- (end of )?verdict -->", "", markdown).split("```python")
    assert not re.search(r"(?<!\\)<", prose)
    assert not re.search(r"(?<!\\)\]\(http", prose)
    for table in tables(prose):
        assert len({len(row) for row in table}) == 1
    assert len(markdown.encode()) < 60_000
    ast.parse(code.removesuffix("```\n"))
    page = Page(html)
    assert "script" not in page.tags
    assert SCRIPT not in html
    assert SCRIPT in page.shown


def test_a_card_of_very_many_columns_and_groups_stays_short() -> None:
    results = results_of("binary")
    features = results.declaration.features
    many = [features[0].model_copy(update={"name": f"c{place}", "description": "d" * 900}) for place in range(500)]
    slices = results.assessment.slices.model_copy(update={"slices": results.assessment.slices.slices * 100})
    strengths = results.explanations.strengths * 200
    changed = replace(
        results,
        declaration=results.declaration.model_copy(update={"columns": [*results.declaration.columns, *many]}),
        assessment=results.assessment.model_copy(update={"slices": slices}),
        explanations=results.explanations.model_copy(update={"strengths": strengths}),
    )

    text = render_model_card_markdown(changed, DATE)

    assert len(text.encode()) < 60_000
    assert "more columns." in text
    assert "more groups." in text


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_snippet_is_python_that_names_the_version(task: Task) -> None:
    results = results_of(task)
    snippet = write_snippet(results)

    tree = ast.parse(snippet)
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert "models:/test_churn/4" in texts
    assert ("contacts = " in snippet) == (task == "binary")


def test_markdown_is_escaped() -> None:
    assert escape_markdown("a|b\n<i> *c* _d_ `e` [f](g) & $x$") == (
        r"a\|b \<i\> \*c\* \_d\_ \`e\` \[f\](g) &amp; \$x\$"
    )
