"""Whatever a column, level or reason is called, reports and cards show it and obey none of it."""

import ast
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from markdown_it import MarkdownIt
from matplotlib.text import Text

from churn_kedro.base import escape_controls, one_line
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.leakage.findings import Finding, LeakageReport
from churn_kedro.customers.profile import ColumnProfile, SchemaChanges, Stage, TableProfile, shorten_name
from churn_kedro.customers.quality import DataQuality
from churn_kedro.customers.reading import Reading
from churn_kedro.customers.splits import SplitManifest
from churn_kedro.reporting.data_report import render_data_report
from churn_kedro.reporting.evaluation_report import render_evaluation_report
from churn_kedro.reporting.figures.style import new_figure
from churn_kedro.reporting.model_card import render_model_card_html, render_model_card_markdown
from churn_kedro.reporting.version_documents import collect_version_documents
from tests.hostile_text import FRAGMENTS, hostile_text
from tests.result_cases import hostile_results

PNG = b"\x89PNG\r\n"
DATE = "21 November 2026"
EVERYTHING = "x".join(fragment for fragment in FRAGMENTS if len(fragment) < 100)
# Elements of the Markdown of a card.
ELEMENTS = {"h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "strong"}


class Page(HTMLParser):
    """Elements with the names of their attributes, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.shown = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(sorted(name for name, _ in attrs))))
        for name, value in attrs:
            if name in ("src", "href"):
                assert (value or "").startswith(("#", "data:image/png;base64,"))

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.fixture(scope="module")
def data_report(declaration: CustomerDeclaration, manifest: SplitManifest) -> "DataReport":
    return DataReport(declaration, manifest)


class DataReport:
    """Renders a data report that has a text in every place."""

    def __init__(self, declaration: CustomerDeclaration, manifest: SplitManifest) -> None:
        self._declaration, self._manifest = declaration, manifest

    def __call__(self, text: str) -> str:
        counts = dict.fromkeys(("rows_read", "header_rows_dropped", "rows_rejected", "duplicates_dropped"), 2)
        quality = DataQuality(
            reading=Reading(format=text, encoding=text, delimiter=text, line_endings=text),
            rejected_share=0.1,
            rejection_reasons={text: 2},
            rejection_examples=[text],
            identical_rows=1,
            repeated_ids=1,
            rows_kept=3,
            classes={text: 1},
            missing_cells={text: 1},
            suspected_missing={text: {text: 1}},
            renamed_columns={text: text},
            undeclared_columns=[text],
            empty_unnamed_columns=1,
            **counts,
        )
        profile = TableProfile(
            stages=[Stage(name=text, rows=1, columns=1, missing_values=0, memory_mb=1, change=text)],
            columns=[
                ColumnProfile(
                    name=text,
                    role=text,
                    kind=text,
                    description=text,
                    missing=1,
                    missing_share=0.1,
                    distinct=2,
                    summary={},
                    histogram=None,
                )
            ],
            rate_name=text,
            overall_rate=0.5,
            sampled_rows=None,
            train_classes={text: 1},
            outliers_removed=0,
        )
        finding = {"check": text, "column": text, "evidence": text, "advice": text, "severity": "leak"}
        leakage = LeakageReport(
            findings=[Finding.model_validate(finding), Finding.model_validate(finding | {"allowed": text})],
            checks=[text],
            rows_checked=1,
            rows_total=1,
            sampled=False,
            task="binary",
            tables={},
            strengths=[],
            orders=[],
        )
        columns = [
            column.model_copy(update={"name": text} if column.role == "target" else {})
            for column in self._declaration.columns
        ]
        return render_data_report(
            quality,
            profile,
            SchemaChanges(compared=True, changes=[text]),
            leakage,
            self._manifest,
            dict.fromkeys(("stages", "leakage", "distributions", "correlations", "treatment"), PNG),
            self._declaration.model_copy(update={"description": text, "columns": columns}),
        )


@pytest.mark.slow
@given(text=hostile_text())
@settings(max_examples=10)
@example(text=EVERYTHING)
def test_pages_have_the_elements_and_attributes_of_the_template_alone(data_report: DataReport, text: str) -> None:
    results, plain = hostile_results(text), [hostile_results("x"), hostile_results("x" * 100)]
    pages = {
        "data report": (data_report(text), [data_report("x")]),
        "report": (
            render_evaluation_report(results, {text: PNG}, DATE),
            [render_evaluation_report(one, {"x": PNG}, DATE) for one in plain],
        ),
        "card": (render_model_card_html(results, DATE), [render_model_card_html(one, DATE) for one in plain]),
    }

    for name, (page, harmless) in pages.items():
        found = Page(page)
        assert found.elements <= set().union(*(Page(one).elements for one in harmless)), name
        assert name == "card" or escape_controls(text, keep_lines=True) in found.shown
        assert all(character.isprintable() or character in "\n\t\u00a0\u200c\u200d\u3000" for character in set(page))


@pytest.mark.slow
@given(text=hostile_text())
@settings(max_examples=15)
@example(text=EVERYTHING)
@example(text="- a")
@example(text="1. www.example.com https://example.com")
def test_markdown_has_no_element_of_a_name(text: str) -> None:
    results = hostile_results(text)
    card = render_model_card_markdown(results, DATE)
    description = collect_version_documents(results, {}, DATE).description
    parser = MarkdownIt("commonmark").enable("table")

    page = Page(parser.render(card))
    harmless = Page(parser.render(render_model_card_markdown(hostile_results("x"), DATE)))

    assert {tag for tag, _ in page.elements} == {tag for tag, _ in harmless.elements} <= ELEMENTS
    assert {tag for tag, _ in Page(parser.render(description or "")).elements} <= ELEMENTS
    assert not re.search(r"(?<!\\)://|www\.", card.partition("```python")[0])
    code = card.partition("```python\n")[2].removesuffix("```\n")
    names = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert f"models:/{text}/4" in names


def test_text_on_one_line_has_no_line_break_of_any_kind() -> None:
    for fragment in FRAGMENTS:
        assert len(one_line(f"a{fragment}b").splitlines()) == 1
        assert not set(one_line(f"a{fragment}b")) & set("\n\r\x0b\x0c\x1b\x85\u2028\u2029\u202e\x00")


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_figures_draw_any_name_as_it_is() -> None:
    names = [fragment for fragment in FRAGMENTS if len(fragment) < 100]
    figure, axes = new_figure("$\\alpha \x1b", 8, 30)
    axes.plot([0], [1], label="$x_")
    axes.legend()
    axes.set_yticks(range(len(names)), [shorten_name(name) for name in names])
    axes.set_xlabel("\x00")

    figure.savefig(io.BytesIO(), format="png")

    texts = figure.findobj(Text)
    assert not any(text.get_parse_math() for text in texts)
    assert figure.get_suptitle() == r"$\alpha \x1b"
    assert {r"$\alpha", "$x_"} <= {text.get_text() for text in texts}
