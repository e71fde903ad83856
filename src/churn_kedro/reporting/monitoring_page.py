"""The page of a monitoring report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from churn_kedro.customers import DisplayNames
from churn_kedro.evaluation import Estimate
from churn_kedro.monitoring import ColumnDrift, MonitoringReport, Severity
from churn_kedro.reporting.pages import Picture, html_templates
from churn_kedro.reporting.report_content import Tile, Tone, metric_title
from churn_kedro.reporting.wording import write_date, write_number

_TONES: dict[Severity, Tone] = {"ok": "good", "warning": "warning", "alarm": "bad"}
_VERDICTS: dict[Severity, str] = {
    "ok": "Nothing has changed beyond chance",
    "warning": "Some things have changed",
    "alarm": "The model is at risk",
}
_MOST_REPORTS = 26
_CAPTIONS = {
    "drift_over_time": "Drift of columns and predictions; the marks have the colour of the verdict",
    "quality_over_time": "Estimated quality of each report, and realised quality of the outcomes known by then",
    "columns": "Distance of each column from training, most important first",
    "predictions": "Predictions in training (out of fold) and now",
    "realised": "Realised and estimated quality, with intervals",
    "calibration": "Calibration on matured outcomes",
}


@dataclass(frozen=True)
class ColumnRow:
    """A row of the table of columns."""

    name: str
    severity: Severity
    importance: str
    distance: str
    psi: str
    moved: str
    p_value: str
    missing: str
    new: str
    outside: str


@dataclass(frozen=True)
class QualityRow:
    """A row of the table of metrics."""

    title: str
    training: str
    estimated: str
    realised: str


@dataclass(frozen=True)
class PeriodRow:
    """A row of the table of periods."""

    start: str
    customers: str
    estimated: str
    realised: str
    predicted: str
    observed: str


def render_monitoring_page(
    report: MonitoringReport,
    earlier: Sequence[MonitoringReport],
    names: DisplayNames,
    pictures: Mapping[str, bytes],
) -> str:
    """Render the page.

    Args:
        report: The report.
        earlier: Reports before it, by time.
        names: Names of columns.
        pictures: PNG images by name.

    Returns:
        Self-contained HTML; texts are escaped.
    """
    found = {name.rsplit("/", 1)[-1].removesuffix(".png"): png for name, png in pictures.items()}

    def pick(*wanted: str) -> list[Picture]:
        return [Picture.of(found[name], _CAPTIONS.get(name, "")) for name in wanted if name in found]

    drifted = sorted(name for name in found if name.startswith("column_"))
    return (
        html_templates()
        .get_template("monitoring_page.html")
        .render(
            report=report,
            date=write_date(report.as_of),
            since=None if report.since is None else write_date(report.since),
            verdict=_VERDICTS[report.verdict],
            tone=_TONES[report.verdict],
            tiles=_list_tiles(report),
            columns=[_column_row(one, names) for one in report.drift.columns],
            metrics=_quality_rows(report),
            periods=_period_rows(report),
            history=_list_history([*earlier, report]),
            over_time=pick("drift_over_time", "quality_over_time"),
            drift_pictures=[*pick("columns"), *pick(*drifted)],
            prediction_pictures=pick("predictions"),
            outcome_pictures=pick("realised", "calibration"),
        )
    )


def _list_tiles(report: MonitoringReport) -> list[Tile]:
    tiles = [Tile(f"{report.rows:,}", "customers examined")]
    drifted = len(report.drift.drifted)
    tiles.append(
        Tile(f"{drifted} of {len(report.drift.columns)}", "columns have drifted", "bad" if drifted else "good")
    )
    tiles.append(
        Tile(f"{report.quality.score:.1%}", "of the data can be used as in training", _TONES[report.quality.severity])
    )
    for title, results in (("estimated", report.estimated), ("realised", report.realised)):
        name = next((one for one in ("roc_auc", "accuracy", "rmse") if results and one in results.metrics), None)
        if results is not None and name is not None:
            label = (
                f"{title} {metric_title(name)} ({write_number(results.reference.get(name, float('nan')))} in training)"
            )
            tone: Tone = "bad" if name in results.falls else ""
            tiles.append(Tile(write_number(results.metrics[name].value), label, tone))
    if report.champion_age_days is not None:
        tiles.append(Tile(f"{report.champion_age_days:.0f} days", f"age of version {report.model_version}"))
    return tiles


def _column_row(one: ColumnDrift, names: DisplayNames) -> ColumnRow:
    def change(before: float, after: float) -> str:
        return "" if before == after == 0 else f"{before:.1%} to {after:.1%}"

    absent = "absent" in one.problems
    return ColumnRow(
        name=names.column(one.name),
        severity=one.severity,
        importance=f"{one.importance:.1%}",
        distance="absent" if absent else f"{one.distance:.3f} (usual to {one.limit:.3f})",
        psi="" if absent else f"{one.psi:.3f}",
        moved="" if one.wasserstein is None else f"{one.wasserstein:.2f}",
        p_value="" if one.p_value is None else f"{one.p_value:.2g}",
        missing=change(one.missing.reference, one.missing.current),
        new=change(one.new_levels.reference, one.new_levels.current),
        outside=change(one.outside.reference, one.outside.current),
    )


def _quality_rows(report: MonitoringReport) -> list[QualityRow]:
    estimated = {} if report.estimated is None else report.estimated.metrics
    realised = {} if report.realised is None else report.realised.metrics
    training = {
        **({} if report.realised is None else report.realised.reference),
        **({} if report.estimated is None else report.estimated.reference),
    }
    titles = {"positive_rate": "share who leave", "profit": "expected profit per customer"}
    return [
        QualityRow(
            title=titles.get(name) or metric_title(name),
            training=write_number(training[name]) if name in training else "",
            estimated=_write(estimated.get(name)),
            realised=_write(realised.get(name)),
        )
        for name in dict.fromkeys([*estimated, *realised])
    ]


def _write(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    bounds = f" ({write_number(estimate.low)} to {write_number(estimate.high)})"
    return write_number(estimate.value) + (bounds if estimate.low != estimate.high else "")


def _period_rows(report: MonitoringReport) -> list[PeriodRow]:
    return [
        PeriodRow(
            start=one.start,
            customers=f"{one.customers:,}",
            estimated=_write(one.estimated),
            realised=_write(one.realised),
            predicted="" if one.predicted_rate is None else write_number(one.predicted_rate),
            observed=_write(one.observed_rate),
        )
        for one in ([] if report.realised is None else report.realised.periods)
    ]


def _list_history(reports: Sequence[MonitoringReport]) -> list[tuple[str, Severity, int, str, str]]:
    """Time, verdict, version, customers and first finding of the last reports, latest first."""
    return [
        (
            one.as_of[:10],
            one.verdict,
            one.model_version,
            f"{one.rows:,}",
            one.findings[0].sentence if one.findings else "",
        )
        for one in list(reversed(reports))[:_MOST_REPORTS]
    ]
