"""Verdict of the gate at the head of report and model card.

The pages are written by the evaluation, before the gate decides. They then say that there is no decision yet; the
registry pipeline replaces that part with the decision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from churn_kedro.registry import Decision
from churn_kedro.reporting.pages import html_templates, markdown_templates
from churn_kedro.reporting.report_content import Tone

# Texts from a table are escaped, so they cannot contain these comments.
_BEGIN, _END = "<!-- verdict -->", "<!-- end of verdict -->"
_PART = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """The verdict as text.

    Attributes:
        tone: Rating.
        headline: The decision in a few words.
        advice: What follows, or what to do.
        objections: Reasons of failed checks; of warnings, if all others passed.
        passed: Reasons of passed checks.
    """

    tone: Tone
    headline: str
    advice: str
    objections: list[str]
    passed: list[str]


def describe_decision(decision: Decision) -> Verdict:
    """Describe a decision of the gate.

    Args:
        decision: The decision.

    Returns:
        The verdict.
    """
    version = decision.candidate
    texts: dict[str, tuple[Tone, str, str]] = {
        "promoted": ("good", "promoted", f"Version {version} becomes the champion, which scores new customers."),
        "awaiting_approval": (
            "warning",
            "passed, awaits approval",
            f"A person has to decide: `kedro models approve {version}` or `kedro models reject {version} --reason "
            "TEXT`, with the --env of this use case.",
        ),
        "refused": ("bad", "refused", f"Version {version} does not score new customers."),
        "unchanged": ("good", "champion already", f"Version {version} scores new customers; nothing changes."),
    }
    tone, headline, advice = texts[decision.verdict]
    if decision.verdict == "unchanged":
        return Verdict(tone, headline, advice, [], [])
    failed = [check.reason for check in decision.checks if not check.passed and check.decisive]
    warnings = [f"Warning: {check.reason}" for check in decision.checks if not check.passed and not check.decisive]
    return Verdict(
        tone, headline, advice, [*failed, *warnings], [check.reason for check in decision.checks if check.passed]
    )


def undecided(model_version: int) -> Verdict:
    """Describe that the gate has not decided.

    Args:
        model_version: The evaluated version.

    Returns:
        The verdict, with the command that decides.
    """
    return Verdict(
        "",
        "no decision yet",
        f"`kedro run --pipelines registry --params model_version={model_version}`, with the --env of this use case, "
        "decides whether this version becomes the champion, and writes the decision here.",
        [],
        [],
    )


def write_verdict_html(verdict: Verdict) -> str:
    """Render a verdict as a part of a page.

    Args:
        verdict: The verdict.

    Returns:
        HTML between two comments; texts are escaped.
    """
    return f"{_BEGIN}{html_templates().get_template('_verdict.html').render(verdict=verdict)}{_END}"


def write_verdict_markdown(verdict: Verdict) -> str:
    """Render a verdict as a part of a Markdown card.

    Args:
        verdict: The verdict.

    Returns:
        Markdown between two comments; texts are escaped.
    """
    return f"{_BEGIN}\n\n{markdown_templates().get_template('_verdict.md').render(verdict=verdict)}\n{_END}"


def decide_page(page: str, decision: Decision) -> str:
    """Write a decision at the head of a report or card in HTML.

    Args:
        page: The page as the evaluation wrote it.
        decision: Decision on the version of the page.

    Returns:
        The page; unchanged if it has no part for the verdict.
    """
    return _PART.sub(lambda _: write_verdict_html(describe_decision(decision)), page, count=1)


def decide_markdown(card: str, decision: Decision) -> str:
    """Write a decision at the head of a card in Markdown.

    Args:
        card: The card as the evaluation wrote it.
        decision: Decision on the version of the card.

    Returns:
        The card; unchanged if it has no part for the verdict.
    """
    return _PART.sub(lambda _: write_verdict_markdown(describe_decision(decision)), card, count=1)
