"""Alerts of the DAGs: one message to a webhook when a run fails or is late."""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from typing import Any

logger = logging.getLogger(__name__)

# The same variable as for the alerts of monitoring. The address is a secret, so it is never logged.
WEBHOOK = "CHURN_ALERT_WEBHOOK"
_SECONDS = 10


def report_failure(context: dict[str, Any]) -> None:
    """Report a failed run, once, after the last attempt of its task.

    Args:
        context: Context of the run: the DAG, the name of the run, and where a task failed that task.
    """
    task = context.get("ti") if context.get("reason") == "task_failure" else None
    where = f" at {task.task_id}" if task is not None else ""
    _send(f"{context['dag'].dag_id} failed{where}: run {context['run_id']}.")


def report_late(context: dict[str, Any], minutes: float) -> None:
    """Report a run that has not ended in time.

    Args:
        context: Context of the run, as plain values.
        minutes: Minutes after which it should have ended.
    """
    run = context["dag_run"]
    _send(f"{run['dag_id']} has not ended within {minutes:g} minutes: run {run['dag_run_id']}.")


def _send(text: str) -> None:
    """Send a text; a receiver that does not answer must not change the state of a run."""
    address = os.environ.get(WEBHOOK, "")
    if not address:
        logger.warning("%s is not set. Not sent: %s", WEBHOOK, text)
        return
    if not address.startswith(("https://", "http://")):
        logger.error("%s is no address of a web server. Not sent: %s", WEBHOOK, text)
        return
    request = urllib.request.Request(  # noqa: S310
        address, data=json.dumps({"text": text}).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
            logger.info("Sent: %s", text)
    except OSError as error:
        logger.error("The webhook of %s failed (%s). Not sent: %s", WEBHOOK, type(error).__name__, text)
