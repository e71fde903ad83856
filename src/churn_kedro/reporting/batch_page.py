"""The page of a scored batch, for those who manage the campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from churn_kedro.campaigns import BatchReport
from churn_kedro.customers import DisplayNames
from churn_kedro.monitoring import ScoredDrift
from churn_kedro.reporting.pages import Picture, html_templates
from churn_kedro.reporting.report_content import Tile, Tone
from churn_kedro.reporting.wording import write_date, write_money, write_number

_MOST_LISTED = 20
_CAPTIONS = {
    "prediction_distribution": "How many customers have which prediction",
    "campaign_reasons": "Columns among the reasons of customers to contact",
}


@dataclass(frozen=True)
class Change:
    """A number of this batch beside that of the batch before."""

    name: str
    value: str
    before: str


def render_batch_page(
    report: BatchReport,
    previous: BatchReport | None,
    contacts: pd.DataFrame,
    names: DisplayNames,
    pictures: Mapping[str, bytes],
    drift: ScoredDrift | None = None,
) -> str:
    """Render the page.

    Args:
        report: The batch.
        previous: The batch before it, if any.
        contacts: The campaign list; the first customers are shown.
        names: Names of columns.
        pictures: PNG images by name.
        drift: How the customers differ from those of the training; None: unknown.

    Returns:
        Self-contained HTML; texts are escaped.
    """
    shown = contacts.head(_MOST_LISTED)
    return (
        html_templates()
        .get_template("batch_page.html")
        .render(
            report=report,
            date=write_date(report.scored_at),
            tiles=list_tiles(report),
            sentences=describe_batch(report, names),
            unfamiliar=None if drift is None else drift.describe(names),
            changes=[] if previous is None else list_changes(report, previous),
            previous_date="" if previous is None else write_date(previous.scored_at),
            header=[_title(str(name), names) for name in shown.columns],
            numbers=[pd.api.types.is_numeric_dtype(dtype) for dtype in shown.dtypes],
            rows=[[_cell(name, cell) for name, cell in zip(shown.columns, row, strict=True)] for row in shown.values],
            not_shown=max(0, (report.contacts or 0) - len(shown)),
            pictures=[
                Picture.of(png, _CAPTIONS.get(name.rsplit("/", 1)[-1].removesuffix(".png"), ""))
                for name, png in pictures.items()
            ],
        )
    )


def _title(name: str, names: DisplayNames) -> str:
    fixed = {"expected_value": "expected value", "risk_band": "risk", "place": "no."}
    return fixed.get(name, names.column(name).replace("reason_", "reason "))


def _cell(name: object, cell: object) -> str:
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if name == "probability":
        return f"{cell:.1%}"
    return write_money(float(cell)) if name == "expected_value" and isinstance(cell, float) else str(cell)


def list_tiles(report: BatchReport) -> list[Tile]:
    """List the numbers at the top of the page.

    Args:
        report: The batch.

    Returns:
        Customers, those to contact, cost and expected profit; or customers and mean prediction.
    """
    tiles = [Tile(f"{report.rows_scored:,}", "customers scored")]
    campaign = report.campaign
    if campaign is not None:
        tiles.append(Tile(f"{campaign.contacts:,}", "to contact"))
        if campaign.expected_cost is not None:
            tiles.append(Tile(write_money(campaign.expected_cost, campaign.currency), "expected cost"))
        if campaign.expected_value is not None:
            tone: Tone = "good" if campaign.expected_value > 0 else ""
            tiles.append(Tile(write_money(campaign.expected_value, campaign.currency), "expected profit", tone))
    if report.mean_prediction is not None:
        is_binary = report.task == "binary"
        mean = f"{report.mean_prediction:.1%}" if is_binary else write_number(report.mean_prediction)
        tiles.append(Tile(mean, "mean probability of leaving" if is_binary else "mean prediction"))
    return tiles


def describe_batch(report: BatchReport, names: DisplayNames) -> list[str]:
    """Describe a batch in sentences.

    Args:
        report: The batch.
        names: Names of columns and classes.

    Returns:
        Who is contacted and why, who is not, and what was unusual in the table.
    """
    sentences = []
    campaign = report.campaign
    if campaign is not None:
        limits = " and ".join(
            text
            for text, value in (
                (
                    f"capacity of {campaign.capacity:,} customers" if campaign.capacity is not None else "",
                    campaign.capacity,
                ),
                (
                    f"budget of {write_money(campaign.budget or 0, campaign.currency)}",
                    campaign.budget,
                ),
            )
            if value is not None
        )
        sentences.append(
            f"{campaign.worth_contacting:,} customers are worth a contact; {campaign.contacts:,} are on the list"
            + (f", within the {limits}." if limits else ".")
        )
        if campaign.holdout:
            sentences.append(
                f"{campaign.holdout:,} of them are the holdout: they must not be contacted, so that the effect of the "
                "campaign can be measured."
            )
        if campaign.over_limit:
            sentences.append(f"{campaign.over_limit:,} are beyond the limits.")
        if campaign.repeated:
            sentences.append(f"{campaign.repeated:,} rows repeat a customer, who is listed once.")
        bands = ", ".join(f"{count:,} {band}" for band, count in report.bands.items())
        sentences.append(f"Risk bands: {bands}.")
    if report.classes:
        sizes = ", ".join(f"{count:,} {names.outcome(label)}" for label, count in report.classes.items())
        sentences.append(f"Predicted classes: {sizes}.")
    if report.reasons:
        strongest = ", ".join(names.column(one.column) for one in report.reasons[:3])
        sentences.append(f"The strongest reasons overall: {strongest}.")
    if campaign is not None and report.explained < campaign.contacts and report.reasons:
        sentences.append(f"Reasons are given for the first {report.explained:,} customers of the list.")
    sentences += _describe_doubts(report, names)
    return sentences


def _describe_doubts(report: BatchReport, names: DisplayNames) -> list[str]:
    doubts = []
    if report.known_outcomes:
        doubts.append(
            f"The outcome of {report.known_outcomes:,} customers is in the table, as in training data; they are not on "
            "the list."
        )
    if report.rows_rejected:
        doubts.append(f"{report.rows_rejected:,} rows could not be read and are in unscored_customers.")
    if report.unusual:
        cells = ", ".join(f"{names.column(name)} ({count:,})" for name, count in report.unusual.items())
        doubts.append(f"Scored although cells are unknown, out of range or missing: {cells}.")
    return doubts


def list_changes(report: BatchReport, previous: BatchReport) -> list[Change]:
    """Compare a batch with the one before.

    Args:
        report: The batch.
        previous: The batch before it.

    Returns:
        Version, customers, mean prediction, shares of the bands or classes, contacts and money.
    """
    changes = [
        Change("version of the model", str(report.model_version), str(previous.model_version)),
        Change("customers scored", f"{report.rows_scored:,}", f"{previous.rows_scored:,}"),
    ]
    if report.mean_prediction is not None and previous.mean_prediction is not None:
        name = "mean probability of leaving" if report.task == "binary" else "mean prediction"
        numbers = (report.mean_prediction, previous.mean_prediction)
        texts = [f"{number:.1%}" if report.task == "binary" else write_number(number) for number in numbers]
        changes.append(Change(name, *texts))
    for title, groups, before in (
        ("{} risk", report.bands, previous.bands),
        ("class {}", report.classes, previous.classes),
    ):
        changes += [Change(title.format(name), _share(groups, name), _share(before, name)) for name in groups if before]
    now, then = report.campaign, previous.campaign
    if now is not None and then is not None:
        changes.append(Change("to contact", f"{now.contacts:,}", f"{then.contacts:,}"))
        if now.expected_value is not None and then.expected_value is not None:
            amounts = [write_money(one, now.currency) for one in (now.expected_value, then.expected_value)]
            changes.append(Change("expected profit", *amounts))
    changes.append(Change("unusual cells", f"{sum(report.unusual.values()):,}", f"{sum(previous.unusual.values()):,}"))
    changes.append(Change("rows that could not be read", f"{report.rows_rejected:,}", f"{previous.rows_rejected:,}"))
    return changes


def _share(groups: Mapping[str, int], name: str) -> str:
    return f"{groups.get(name, 0) / max(1, sum(groups.values())):.1%}"
