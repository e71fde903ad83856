"""Alerts: what is sent, to whom, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from pydantic import Field

from churn_kedro.base import Record, read_time
from churn_kedro.monitoring.parameters import AlertParameters, EmailTarget, LogTarget, WebhookTarget
from churn_kedro.monitoring.report import MonitoringReport
from churn_kedro.monitoring.severity import SEVERITIES, Severity

_MOST_SENTENCES = 8
_REMEMBERED_DAYS = 30


class Alert(Record):
    """An alert."""

    use_case: str
    severity: Severity = Field(description="ok: the end of an alarm.")
    title: str
    sentences: list[str] = Field(description="Findings, by what matters to the model.")
    at: str = Field(description="Time of the report, ISO 8601 in UTC.")
    key: str = Field(description="Equal for alerts that say the same: verdict and subjects.")
    page: str | None = Field(None, description="Path or address of the report; None: unknown.")

    @property
    def text(self) -> str:
        """Title, sentences and report as plain text."""
        return "\n".join([self.title, *(f"- {sentence}" for sentence in self.sentences), *self.last_lines])

    @property
    def last_lines(self) -> list[str]:
        """Line that names the report, if it is known."""
        return [] if self.page is None else [f"Report: {self.page}"]


class SentAlert(Record):
    """An alert that a target has got."""

    target: str
    key: str
    severity: Severity
    at: str


class AlertHistory(Record):
    """Alerts that were sent."""

    sent: list[SentAlert] = Field(default_factory=list)


class AlertRequest(Record):
    """An alert, and who may get it."""

    alert: Alert
    parameters: AlertParameters


def write_alert(report: MonitoringReport) -> Alert:
    """Write the alert of a report.

    Args:
        report: The report.

    Returns:
        The alert, of any severity.
    """
    findings = [one for one in report.findings if one.severity != "ok"]
    subjects = ",".join(sorted(f"{one.severity}:{one.subject}" for one in findings))
    title = f"{report.use_case}: {report.verdict} for {report.model_name} version {report.model_version}"
    if report.verdict == "ok":
        title = f"{report.use_case}: {report.model_name} version {report.model_version} is ok again"
    sentences = [f"{one.sentence} {one.advice}".strip() for one in findings[:_MOST_SENTENCES]]
    plan = report.retraining
    if plan is not None and plan.wanted:
        sentences.append(f"Training {'starts' if plan.run else 'does not start'}: {'; '.join(plan.reasons)}.")
    return Alert(
        use_case=report.use_case,
        severity=report.verdict,
        title=title,
        sentences=sentences,
        at=report.as_of,
        key=f"{report.model_version}:{subjects}",
    )


def name_target(target: LogTarget | WebhookTarget | EmailTarget) -> str:
    """Name a target without its secrets."""
    match target:
        case WebhookTarget():
            return f"webhook {target.url_variable}"
        case EmailTarget():
            return f"email {','.join(target.recipients)}"
        case _:
            return "log"


def select_targets(request: AlertRequest, history: AlertHistory) -> list[LogTarget | WebhookTarget | EmailTarget]:
    """Select the targets that get an alert now.

    A target gets an alert whose verdict is serious enough, unless it has got one with the same findings lately, or too
    many. When the verdict is ok after an alert, it is told once; the same alarm after that is a new one.

    Args:
        request: The alert and the parameters.
        history: Alerts that were sent.

    Returns:
        The targets.
    """
    alert, parameters = request.alert, request.parameters
    now = read_time(alert.at)
    is_serious = SEVERITIES.index(alert.severity) >= SEVERITIES.index(parameters.at_least)
    chosen = []
    for target in parameters.targets:
        sent = [one for one in history.sent if one.target == name_target(target) and read_time(one.at) <= now]
        last = sent[-1] if sent else None
        if is_serious:
            recent = _within(_since_ok(sent), now, pd.Timedelta(hours=parameters.repeat_hours))
            is_repeated = any(one.key == alert.key for one in recent)
            if not is_repeated and len(_within(sent, now, pd.Timedelta(days=1))) < parameters.most_per_day:
                chosen.append(target)
        elif alert.severity == "ok" and last is not None and last.severity != "ok":
            chosen.append(target)
    return chosen


def _since_ok(sent: Sequence[SentAlert]) -> Sequence[SentAlert]:
    ends = [place for place, one in enumerate(sent) if one.severity == "ok"]
    return sent[ends[-1] + 1 :] if ends else sent


def _within(sent: Sequence[SentAlert], now: pd.Timestamp, time: pd.Timedelta) -> list[SentAlert]:
    return [one for one in sent if now - read_time(one.at) < time]


def remember(history: AlertHistory, alert: Alert, targets: Sequence[str]) -> AlertHistory:
    """Add alerts that were sent, and forget old ones.

    Args:
        history: Alerts that were sent before.
        alert: The alert.
        targets: Names of the targets that have got it.

    Returns:
        The history of the last 30 days, and the last alert of each target.
    """
    sent = [
        *history.sent,
        *(SentAlert(target=name, key=alert.key, severity=alert.severity, at=alert.at) for name in targets),
    ]
    latest = {one.target: one for one in sent}
    limit = read_time(alert.at) - pd.Timedelta(days=_REMEMBERED_DAYS)
    return AlertHistory(sent=[one for one in sent if read_time(one.at) >= limit or latest[one.target] is one])
