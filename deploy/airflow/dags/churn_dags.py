"""DAGs of each use case: train, inference and monitoring.

Pipelines and use cases are read from ``project.json``, which ``describe.py`` writes from the project. Addresses and
credentials are environment variables of the worker (or of the pod), never part of a DAG.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import churn_alerts
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, DeadlineAlert, DeadlineReference, Param, SyncCallback, chain, task

PROJECT = json.loads(Path(__file__).with_name("project.json").read_text("utf-8"))
# Where commands run: in a process of the worker, or in a pod.
RUNS_IN = os.environ.get("CHURN_AIRFLOW_RUNS_IN") or "process"
# `airflow dags test` of Airflow 3.3.2 fails at the end of a run that has a deadline, so it needs "off".
DEADLINES = os.environ.get("CHURN_AIRFLOW_DEADLINES") != "off"
# Exit status of monitoring with an alarm.
ALARM = 4

# The date of a run: of its schedule or backfill, or for a run by hand the day on which it was started.
DATE = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"
TIME = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%dT%H:%M:%SZ') }}"
WEEK = "{{ (dag_run.logical_date or dag_run.run_after).strftime('%G-W%V') }}"

# Time limit of an attempt; other commands have an hour.
TIME_LIMITS = {"training": timedelta(hours=6), "deployment": timedelta(minutes=15), "smoke_test": timedelta(minutes=15)}
DEFAULTS = {
    "retries": int(os.environ.get("CHURN_AIRFLOW_RETRIES") or 2),
    # 5, 10, 20 … minutes, at most an hour.
    "retry_delay": timedelta(seconds=float(os.environ.get("CHURN_AIRFLOW_RETRY_SECONDS") or 300)),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(hours=1),
}


def kedro(task_id: str, *arguments: str, **options: Any) -> Any:
    """Make a task that runs ``kedro ARGUMENTS``, in a process or in a pod.

    Args:
        task_id: Name of the task.
        arguments: Arguments of the command.
        options: ``parameters``, values of ``--params``; ``accepted``, exit statuses that are no failure;
            ``asks_service``, whether the command asks the service.
    """
    options["execution_timeout"] = TIME_LIMITS.get(task_id, timedelta(hours=1))
    if RUNS_IN == "kubernetes":
        from churn_pods import KedroPodOperator

        return KedroPodOperator(task_id=task_id, arguments=list(arguments), **options)
    if RUNS_IN != "process":
        raise ValueError(f"CHURN_AIRFLOW_RUNS_IN is {RUNS_IN!r}, must be process or kubernetes.")
    from churn_operators import KedroOperator

    return KedroOperator(task_id=task_id, arguments=list(arguments), **options)


def run(env: str, pipeline: str, *parameters: str, **options: Any) -> Any:
    """Make a task that runs a pipeline, named after it.

    Args:
        env: Kedro environment of the use case.
        pipeline: Name of the pipeline.
        parameters: ``NAME=VALUE``, before those of the DAG run; each can be empty.
        options: As for ``kedro``.
    """
    given = [*parameters, "{{ params.parameters }}"]
    return kedro(pipeline, "run", f"--env={env}", f"--pipelines={pipeline}", parameters=given, **options)


def dag(env: str, kind: str, schedule: str, late_after: timedelta, **parameters: Param) -> DAG:
    """Make a DAG of a use case.

    Args:
        env: Kedro environment of the use case.
        kind: What the DAG does; part of its name.
        schedule: When, as a cron expression in UTC.
        late_after: Time after which a run that has not ended is reported, unless ``CHURN_AIRFLOW_LATE_MINUTES`` is set.
        parameters: Parameters of a run beside ``parameters``.
    """
    described = PROJECT["use_cases"][env]
    minutes = float(os.environ.get("CHURN_AIRFLOW_LATE_MINUTES") or late_after.total_seconds() / 60)
    deadline = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=minutes),
        callback=SyncCallback(churn_alerts.report_late, kwargs={"minutes": minutes}),
    )
    return DAG(
        dag_id=f"churn_{env}_{kind}",
        description=f"{kind} of {described['name']} (model {described['model']})",
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        # Two trainings at once would compare themselves with the same champion; two batches would write the same lists.
        max_active_runs=1,
        default_args=DEFAULTS,
        on_failure_callback=churn_alerts.report_failure,
        deadline=deadline if DEADLINES else None,
        params={
            "parameters": Param("", type="string", description="further parameters of Kedro: NAME=VALUE,NAME=VALUE"),
            **parameters,
        },
        tags=["churn", described["name"], kind],
        doc_md=__doc__,
    )


def train(env: str) -> DAG:
    """Train a version and wait until the service serves the champion."""
    with dag(env, "train", "0 2 * * 0", timedelta(hours=8)) as made:
        # The service follows the alias by itself: deployment waits for it, the smoke test asks it for a prediction.
        deployment = kedro("deployment", "smoke-test", f"--env={env}", "--wait=300", asks_service=True)
        smoke_test = kedro("smoke_test", "smoke-test", f"--env={env}", asks_service=True)
        chain(*(run(env, name) for name in PROJECT["train"]), deployment, smoke_test)
    return made


def inference(env: str) -> DAG:
    """Score the customers of a date."""
    table = Param(
        os.environ.get("CHURN_AIRFLOW_NEW_CUSTOMERS") or "",
        type="string",
        description="table to score; {date} and {use_case} are replaced; empty: that of the catalog",
    )
    with dag(env, "inference", "0 5 * * *", timedelta(hours=3), new_customers=table) as made:
        name = PROJECT["use_cases"][env]["name"]
        path = f"params.new_customers | replace('{{date}}', {DATE[3:-3]}) | replace('{{use_case}}', '{name}')"
        given = f"{{% if params.new_customers %}}new_customers={{{{ {path} }}}}{{% endif %}}"
        run(env, PROJECT["score"], f"inference.as_of={DATE}", given)
    return made


def monitoring(env: str) -> DAG:
    """Monitor; with an alarm, train again."""
    with dag(env, "monitoring", "0 6 * * *", timedelta(hours=3)) as made:
        limits = "monitoring.fail_on=alarm", "monitoring.retraining.mode=plan"
        report = run(env, PROJECT["monitor"], *limits, f"monitoring.as_of={TIME}", accepted=(0, ALARM))

        @task.branch
        def verdict(status: int) -> str:
            return "train_again" if status == ALARM else "nothing_to_do"

        train_again = TriggerDagRunOperator(
            task_id="train_again",
            trigger_dag_id=f"churn_{env}_train",
            # The name is that of the week, so an alarm that lasts starts one training a week and a retry none.
            trigger_run_id=f"alarm__{WEEK}",
            skip_when_already_exists=True,
            fail_when_dag_is_paused=True,
        )
        verdict(report.output) >> [train_again, EmptyOperator(task_id="nothing_to_do")]
    return made


chosen = [one.strip() for one in os.environ.get("CHURN_AIRFLOW_USE_CASES", "").split(",") if one.strip()]
for use_case in chosen or PROJECT["use_cases"]:
    for make in (train, inference, monitoring):
        made = make(use_case)
        globals()[made.dag_id] = made
