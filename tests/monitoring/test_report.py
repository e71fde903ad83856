"""Verdict, findings, plans and alerts of a report."""

from typing import Any

import pytest

from churn_kedro.monitoring.alerts import (
    Alert,
    AlertHistory,
    AlertRequest,
    name_target,
    remember,
    select_targets,
    write_alert,
)
from churn_kedro.monitoring.drift import ColumnDrift
from churn_kedro.monitoring.exposition import METRICS, list_samples
from churn_kedro.monitoring.findings import Finding
from churn_kedro.monitoring.measures import measure_report
from churn_kedro.monitoring.operations import (
    PipelineRun,
    ServiceFacts,
    describe_operations,
    latency_percentiles,
    summarise_operations,
)
from churn_kedro.monitoring.parameters import (
    AlertParameters,
    EmailTarget,
    LogTarget,
    RetrainingParameters,
    WebhookTarget,
)
from churn_kedro.monitoring.quality import CurrentQuality
from churn_kedro.monitoring.report import DriftSummary, MonitoringReport, choose_status, describe_age, order_findings
from churn_kedro.monitoring.retraining import plan_retraining, propose_retirements
from churn_kedro.registry.lifecycle import RegistryState
from churn_kedro.registry.retention import RetentionParameters

HOOK = WebhookTarget(kind="webhook", url_variable="CHURN_HOOK")
MAIL = EmailTarget(kind="email", host="localhost", sender="a@example.com", recipients=["b@example.com"])


def report(**changes: Any) -> MonitoringReport:
    column = ColumnDrift(name="Age", importance=0.4, rows=100, distance=0.3, limit=0.1, severity="alarm")
    values: dict[str, Any] = {
        "report_id": "one",
        "as_of": "2026-03-02T06:00:00+00:00",
        "use_case": "bank",
        "model_name": "bank_churn",
        "model_version": 3,
        "task": "binary",
        "source": "the prediction log",
        "rows": 100,
        "reference_rows": 800,
        "verdict": "alarm",
        "findings": [Finding(severity="alarm", area="data", subject="Age", sentence="Age moved.", advice="Look.")],
        "drift": DriftSummary(columns=[column]),
        "quality": CurrentQuality(score=0.98, rows=100, rejected=2),
    }
    return MonitoringReport.model_validate(values | changes)


def _alert(severity: str, at: str, key: str = "3:alarm:Age") -> Alert:
    return Alert.model_validate(
        {"use_case": "bank", "severity": severity, "title": "t", "sentences": [], "at": at, "key": key}
    )


def _send(history: AlertHistory, alert: Alert, parameters: AlertParameters) -> tuple[list[str], AlertHistory]:
    chosen = [name_target(one) for one in select_targets(AlertRequest(alert=alert, parameters=parameters), history)]
    return chosen, remember(history, alert, chosen)


def test_findings_are_ordered_by_severity_and_weight_and_the_worst_is_the_verdict() -> None:
    found = [
        Finding(severity="warning", area="data", subject="a", sentence="", weight=9),
        Finding(severity="alarm", area="data", subject="b", sentence="", weight=0.1),
        Finding(severity="alarm", area="data", subject="c", sentence="", weight=0.4),
    ]

    verdict, ordered = order_findings(found)

    assert verdict == "alarm"
    assert [one.subject for one in ordered] == ["c", "b", "a"]
    assert order_findings([]) == ("ok", [])


@pytest.mark.parametrize(
    ("verdict", "fail_on", "status"),
    [
        ("alarm", "alarm", 4),
        ("warning", "alarm", 0),
        ("warning", "warning", 4),
        ("alarm", "never", 0),
        ("ok", "warning", 0),
    ],
)
def test_the_exit_status_is_for_schedulers(verdict: str, fail_on: Any, status: int) -> None:
    assert choose_status(report(verdict=verdict), fail_on).exit_status == status


def test_an_old_version_is_a_warning() -> None:
    assert [one.severity for one in describe_age(3, 400, 365)] == ["warning"]
    assert describe_age(3, 300, 365) == []
    assert describe_age(3, None, 365) == []


def test_training_waits_for_an_alarm_that_the_policy_names_enough_rows_and_the_cool_down() -> None:
    policy = RetrainingParameters(mode="run", on=("performance",), minimum_new_rows=1000, cool_down_days=14)
    alarm = {"performance": True, "data": True}

    assert plan_retraining(alarm, 1000, 14, policy).run
    assert not plan_retraining({"data": True}, 5000, 99, policy).wanted
    assert "999 rows" in plan_retraining(alarm, 999, 99, policy).reasons[-1]
    assert "13 days ago" in plan_retraining(alarm, 1000, 13, policy).reasons[-1]
    assert "unknown" in plan_retraining(alarm, None, 99, policy).reasons[-1]


def test_a_plan_says_what_would_be_done_and_off_does_nothing() -> None:
    alarm = {"performance": True}
    plan = plan_retraining(alarm, 9999, 99, RetrainingParameters(mode="plan"))
    off = plan_retraining(alarm, 9999, 99, RetrainingParameters(mode="off"))

    assert (plan.train, plan.run) == (True, False)
    assert "mode=run" in plan.reasons[-1]
    assert (off.wanted, off.train, off.run) == (True, False, False)


def test_old_and_worse_versions_are_proposed_for_retirement() -> None:
    tags = {1: {"roc_auc": "0.80"}, 2: {"roc_auc": "0.70"}, 3: {"roc_auc": "0.81"}, 4: {}, 5: {"roc_auc": "0.82"}}
    state = RegistryState("bank_churn", aliases={"champion": 5, "previous_champion": 3}, tags=tags)
    ages = {1: 200.0, 2: 20.0, 3: 100.0, 4: 10.0, 5: 1.0}

    found = propose_retirements(state, ages, RetentionParameters(keep_last=3, keep_days=90), "roc_auc", 0.05)

    assert [(one.version, one.command) for one in found] == [
        (1, "kedro models retire 1 --reason TEXT"),
        (2, "kedro models retire 2 --reason TEXT"),
    ]
    assert "200 days old" in found[0].reason
    assert "roc_auc 0.7000 against 0.8200 of the champion" in found[1].reason


def test_an_alert_says_verdict_and_findings_and_has_a_key_of_what_it_says() -> None:
    alert = write_alert(report())

    assert alert.title == "bank: alarm for bank_churn version 3"
    assert alert.sentences == ["Age moved. Look."]
    assert alert.text == "bank: alarm for bank_churn version 3\n- Age moved. Look."
    later = write_alert(report(as_of="2026-03-09T06:00:00+00:00"))
    assert later.key == alert.key
    assert write_alert(report(model_version=4)).key != alert.key


def test_the_same_alert_is_repeated_after_a_day_only_and_another_at_once() -> None:
    parameters = AlertParameters(targets=(HOOK, MAIL))
    sent, history = _send(AlertHistory(), _alert("alarm", "2026-03-02T06:00:00Z"), parameters)
    assert sent == ["webhook CHURN_HOOK", "email b@example.com"]

    assert _send(history, _alert("alarm", "2026-03-02T18:00:00Z"), parameters)[0] == []
    assert _send(history, _alert("alarm", "2026-03-02T18:00:00Z", "3:alarm:Balance"), parameters)[0] == sent
    assert _send(history, _alert("alarm", "2026-03-03T06:00:00Z"), parameters)[0] == sent


def test_a_target_gets_no_more_than_so_many_alerts_a_day() -> None:
    parameters, history = AlertParameters(targets=(HOOK,), most_per_day=2), AlertHistory()
    counts = []
    for hour in range(5):
        sent, history = _send(history, _alert("alarm", f"2026-03-02T{hour:02}:00:00Z", str(hour)), parameters)
        counts.append(len(sent))

    assert counts == [1, 1, 0, 0, 0]


def test_warnings_are_sent_if_wanted_and_the_end_of_an_alarm_once() -> None:
    alarms, warnings = AlertParameters(targets=(HOOK,)), AlertParameters(targets=(HOOK,), at_least="warning")
    assert _send(AlertHistory(), _alert("warning", "2026-03-02T06:00:00Z"), alarms)[0] == []
    assert len(_send(AlertHistory(), _alert("warning", "2026-03-02T06:00:00Z"), warnings)[0]) == 1

    assert _send(AlertHistory(), _alert("ok", "2026-03-02T06:00:00Z"), alarms)[0] == []
    _, history = _send(AlertHistory(), _alert("alarm", "2026-03-02T06:00:00Z"), alarms)
    sent, history = _send(history, _alert("ok", "2026-03-09T06:00:00Z"), alarms)
    assert sent == ["webhook CHURN_HOOK"]
    assert _send(history, _alert("ok", "2026-03-16T06:00:00Z"), alarms)[0] == []


def test_the_log_is_a_target_by_default() -> None:
    assert AlertParameters().targets == (LogTarget(kind="log"),)


def test_metrics_have_the_time_of_the_report() -> None:
    point = measure_report(report())

    # 2 March 2026 is the 20,514th day since 1970: 56 years with 14 leap days, and 60 days.
    assert point.day == 56 * 365 + 14 + 60
    assert point.milliseconds == point.day * 86_400_000 + 6 * 3_600_000
    assert point.values["severity"] == 2
    assert point.values["feature_drift_score"] == pytest.approx(0.3)
    assert point.values["data_quality_score"] == 0.98


def test_every_exported_value_is_defined_with_its_labels() -> None:
    operations = summarise_operations(
        [PipelineRun(pipelines="inference", status="FINISHED", started="2026-03-01T00:00:00+00:00", seconds=3.0)],
        None, 5.0, 100,
    )  # fmt: skip
    samples = list_samples(report(operations=operations, champion_age_days=5.0))
    defined = {metric.name: set(metric.labels) for metric in METRICS}

    for sample in samples:
        assert set(sample.labels) == defined[sample.name]
    assert {"churn_monitoring_severity", "churn_pipeline_runs_total", "churn_column_drift"} <= {
        sample.name for sample in samples
    }


def test_a_pipeline_whose_last_run_failed_is_named_and_one_that_recovered_is_not() -> None:
    runs = [
        PipelineRun(pipelines="training", status="FAILED", started="2026-03-01T00:00:00+00:00", seconds=1.0),
        PipelineRun(pipelines="training", status="FINISHED", started="2026-03-02T00:00:00+00:00", seconds=60.0),
        PipelineRun(pipelines="inference", status="FINISHED", started="2026-03-01T00:00:00+00:00", seconds=3.0),
        PipelineRun(pipelines="inference", status="KILLED", started="2026-03-02T00:00:00+00:00"),
        PipelineRun(pipelines="inference", status="RUNNING", started="2026-03-03T00:00:00+00:00"),
    ]

    found = summarise_operations(runs, None, None, 0)

    assert found.runs["inference"] == {"FINISHED": 1, "KILLED": 1, "RUNNING": 1}
    assert found.seconds == {"training": 60.0, "inference": 3.0}
    assert [one.subject for one in describe_operations(found)] == ["inference"]


def test_a_failing_or_slow_service_is_named() -> None:
    good = ServiceFacts(reachable=True, requests=100, error_share=0.0, latency_seconds={"p99": 0.02})
    bad = ServiceFacts(
        reachable=True, requests=100, error_share=0.2, latency_seconds={"p99": 3.0}, lost_rows=5, stale=True
    )

    assert describe_operations(summarise_operations([], good, None, 0)) == []
    assert len(describe_operations(summarise_operations([], bad, None, 0))) == 4
    (absent,) = describe_operations(summarise_operations([], ServiceFacts(reachable=False), None, 0))
    assert "cannot be read" in absent.sentence


def test_percentiles_of_buckets_are_interpolated_as_by_prometheus() -> None:
    found = latency_percentiles({0.1: 90.0, 0.5: 98.0, float("inf"): 100.0})

    # The 95th request is 5 of the 8 between 0.1 and 0.5 seconds.
    assert found["p95"] == pytest.approx(0.1 + 0.4 * 5 / 8)
    assert found["p99"] == 0.5
    assert latency_percentiles({}) == {}
