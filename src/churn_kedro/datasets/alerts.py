"""Delivery of alerts to the log, webhooks and e-mail."""

from __future__ import annotations

import json
import logging
import os
import smtplib
import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from kedro.io import AbstractDataset, DatasetError
from pydantic import ValidationError

from churn_kedro.base import hide_secrets, one_line, remember_secret
from churn_kedro.datasets.files import open_filesystem, written_whole
from churn_kedro.datasets.http_requests import NoAnswerError, RequestFailedError, send_request
from churn_kedro.monitoring import (
    Alert,
    AlertHistory,
    AlertRequest,
    EmailTarget,
    LogTarget,
    WebhookTarget,
    name_target,
    remember,
    select_targets,
)

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS, _ATTEMPTS, _PAUSE_SECONDS = 10, 2, 1.0
# Replies of a mail server from which the same message is refused again (RFC 5321).
_PERMANENT_REPLY = 500
# A shorter path, such as /hook, is no secret, and hiding it would spoil other texts.
_LONGEST_PUBLIC_PATH = 12


class AlertsDataset(AbstractDataset[AlertRequest, AlertRequest]):
    """Send an alert to the targets that are to get it now.

    A target that does not take it is named in the log; the others get it all the same, and the next report tries again.

    Args:
        filepath: Local path or fsspec URL of the history of alerts (JSON).
        page: Path or address of the report, with which each alert ends; None: it names none.
        credentials: Arguments of the fsspec file system.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        filepath: str,
        page: str | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filesystem, self._filepath = open_filesystem(filepath, credentials)
        self._page = None if page is None else hide_secrets(page)
        self.metadata = metadata

    def load(self) -> AlertRequest:
        """Refuse."""
        raise DatasetError(f"Alerts are sent, not loaded; those that were sent are in {self._filepath}.")

    def save(self, data: AlertRequest) -> None:
        """Send the alert, and record who has got it.

        Args:
            data: The alert, and who may get it.
        """
        history = self._read()
        alert = data.alert.model_copy(update={"page": self._page})
        delivered = []
        for target in select_targets(data, history):
            try:
                _deliver(target, alert)
            except (OSError, DatasetError, RequestFailedError, ValueError) as error:
                reason = one_line(hide_secrets(str(error) or type(error).__name__))
                logger.error("The alert was not delivered (%s): %s", name_target(target), reason)
            else:
                delivered.append(name_target(target))
        if not delivered:
            return
        text = remember(history, data.alert, delivered).model_dump_json(indent=2) + "\n"
        with written_whole(self._filesystem, self._filepath) as path, self._filesystem.open(path, "wb") as file:
            file.write(text.encode())

    def _read(self) -> AlertHistory:
        path = str(self._filepath)
        if not self._filesystem.isfile(path):
            return AlertHistory()
        try:
            return AlertHistory.model_validate_json(self._filesystem.cat_file(path))
        except ValidationError:
            logger.warning("The file %s is not a history of alerts; it is begun anew.", path)
            return AlertHistory()

    def _exists(self) -> bool:
        return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _deliver(target: LogTarget | WebhookTarget | EmailTarget, alert: Alert) -> None:
    match target:
        case WebhookTarget():
            _repeat(lambda: _post(_read_secret(target.url_variable), alert))
        case EmailTarget():
            _repeat(lambda: _mail(target, alert))
        case _:
            level = {"alarm": logging.ERROR, "warning": logging.WARNING}.get(alert.severity, logging.INFO)
            logger.log(level, "%s", alert.text)


def _repeat(deliver: Callable[[], None]) -> None:
    """Try again once, since a server may be restarting."""
    for attempt in range(_ATTEMPTS):
        try:
            deliver()
        except (OSError, NoAnswerError) as error:
            if attempt == _ATTEMPTS - 1 or _is_permanent(error):
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _is_permanent(error: Exception) -> bool:
    """Return whether a second attempt fails as well; repeated wrong passwords lock accounts."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= _PERMANENT_REPLY
    return isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError))


def _read_variable(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise DatasetError(f"The environment variable {variable}, which monitoring.alerts names, is not set.")
    return value


def _read_secret(variable: str) -> str:
    value = _read_variable(variable)
    remember_secret(value)
    return value


def _post(url: str, alert: Alert) -> None:
    # The path and the query of a webhook's address are its secret.
    path = urlsplit(url).path
    if len(path) > _LONGEST_PUBLIC_PATH:
        remember_secret(path)
    body = json.dumps({"text": _write_slack(alert)}).encode()
    headers = {"content-type": "application/json"}
    send_request(url, timeout=_TIMEOUT_SECONDS, method="POST", body=body, headers=headers)


def _write_slack(alert: Alert) -> str:
    """Write the text with Slack's marks; the characters of its links are escaped."""
    lines = [f"*{alert.title}*", *(f"• {sentence}" for sentence in alert.sentences), *alert.last_lines]
    return "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mail(target: EmailTarget, alert: Alert) -> None:
    message = EmailMessage()
    message["Subject"] = one_line(alert.title)
    message["From"] = target.sender
    message["To"] = ", ".join(target.recipients)
    message.set_content(alert.text)
    with smtplib.SMTP(target.host, target.port, timeout=_TIMEOUT_SECONDS) as server:
        if target.starttls:
            import ssl

            server.starttls(context=ssl.create_default_context())
        if target.username_variable is not None:
            password = "" if target.password_variable is None else _read_secret(target.password_variable)
            server.login(_read_variable(target.username_variable), password)
        refused = server.send_message(message)
    for recipient, (code, reply) in refused.items():
        text = one_line(hide_secrets(f"{code} {reply.decode(errors='replace')}"))
        logger.error("The mail server %s refuses the recipient %s: %s", target.host, recipient, text)
