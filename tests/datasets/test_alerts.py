"""Alerts reach a real HTTP server and a real SMTP server; a failing target hinders no other; secrets stay hidden."""

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from churn_kedro.datasets import alerts
from churn_kedro.datasets.alerts import AlertsDataset
from churn_kedro.monitoring.alerts import Alert, AlertRequest
from churn_kedro.monitoring.parameters import AlertParameters
from tests.servers import free_port


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver of JSON; yields its address and what it has got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append({"path": self.path, "type": self.headers["content-type"], **json.loads(body)})
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Mailbox(socketserver.StreamRequestHandler):
    """The part of SMTP (RFC 5321, AUTH PLAIN of RFC 4954) that smtplib uses."""

    def handle(self) -> None:
        server: Any = self.server
        self._say("220 test")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "EHLO":
                self._say("250-test")
                self._say("250 AUTH PLAIN")
            elif word == "AUTH":
                server.logins.append(base64.b64decode(line.split()[2]).decode())
                self._say("235 welcome" if server.logins[-1].endswith("right-password") else "535 wrong password")
            elif word == "DATA":
                self._say("354 go on")
                lines = []
                while (row := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(row)
                server.messages.append("\n".join(lines))
                self._say("250 taken")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mailbox() -> Iterator[Any]:
    """A mail server; its ``messages`` and ``logins`` are what it has got."""
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox)
    server.messages, server.logins = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _request(*targets: dict[str, Any], at: str = "2026-03-02T06:00:00+00:00") -> AlertRequest:
    alert = Alert(
        use_case="bank",
        severity="alarm",
        title="bank: alarm",
        sentences=["Age <moved> & more.", "Train."],
        at=at,
        key="3:alarm:Age",
    )
    return AlertRequest(alert=alert, parameters=AlertParameters.model_validate({"targets": targets}))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "_PAUSE_SECONDS", 0.01)


def test_a_webhook_gets_slacks_json_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = AlertsDataset(filepath=str(tmp_path / "alerts.json"))
    with webhook() as (url, got):
        monkeypatch.setenv("CHURN_HOOK", f"{url}/services/T0/secret-token")
        request = _request({"kind": "webhook", "url_variable": "CHURN_HOOK"})
        dataset.save(request)
        dataset.save(request)

    assert got == [
        {
            "path": "/services/T0/secret-token",
            "type": "application/json",
            "text": "*bank: alarm*\n• Age &lt;moved&gt; &amp; more.\n• Train.",
        }
    ]
    assert "secret-token" not in (tmp_path / "alerts.json").read_text()


@pytest.mark.slow
def test_a_failing_webhook_is_named_without_its_address_and_tried_again_with_the_next_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = AlertsDataset(filepath=str(tmp_path / "alerts.json"))
    request = _request({"kind": "webhook", "url_variable": "CHURN_HOOK"}, {"kind": "log"})
    monkeypatch.setenv("CHURN_HOOK", f"http://127.0.0.1:{free_port()}/services/hidden-token")
    dataset.save(request)
    with webhook(status=500) as (url, _):
        monkeypatch.setenv("CHURN_HOOK", f"{url}/services/hidden-token")
        dataset.save(request)
    with webhook() as (url, got):
        monkeypatch.setenv("CHURN_HOOK", f"{url}/services/hidden-token")
        dataset.save(request)

    assert len(got) == 1
    assert "127.0.0.1 does not answer" in caplog.text
    assert "answers with status 500" in caplog.text
    assert "hidden-token" not in caplog.text
    # The log got it at the first time only.
    assert caplog.text.count("Age <moved> & more.") == 1


def test_an_unset_variable_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
        _request({"kind": "webhook", "url_variable": "CHURN_NO_SUCH_HOOK"})
    )

    assert "The environment variable CHURN_NO_SUCH_HOOK, which monitoring.alerts names, is not set" in caplog.text
    assert not (tmp_path / "alerts.json").exists()


def test_a_mail_goes_to_all_recipients_after_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_MAIL_USER", "team")
    monkeypatch.setenv("CHURN_MAIL_PASSWORD", "right-password")
    with mailbox() as server:
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request(
                {
                    "kind": "email",
                    "host": "127.0.0.1",
                    "port": server.server_address[1],
                    "starttls": False,
                    "sender": "churn@example.com",
                    "recipients": ["a@example.com", "b@example.com"],
                    "username_variable": "CHURN_MAIL_USER",
                    "password_variable": "CHURN_MAIL_PASSWORD",
                }
            )
        )

    (message,) = server.messages
    assert "Subject: bank: alarm" in message
    assert "To: a@example.com, b@example.com" in message
    assert "- Age <moved> & more." in message
    assert server.logins == ["\0team\0right-password"]


def test_a_refused_login_is_named_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CHURN_MAIL_USER", "team")
    monkeypatch.setenv("CHURN_MAIL_PASSWORD", "planted-secret")
    with mailbox() as server:
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request(
                {
                    "kind": "email",
                    "host": "127.0.0.1",
                    "port": server.server_address[1],
                    "starttls": False,
                    "sender": "churn@example.com",
                    "recipients": ["a@example.com"],
                    "username_variable": "CHURN_MAIL_USER",
                    "password_variable": "CHURN_MAIL_PASSWORD",
                }
            )
        )

    assert "The alert was not delivered (email a@example.com)" in caplog.text
    assert "planted-secret" not in caplog.text
    assert server.messages == []


def test_a_damaged_history_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "alerts.json").write_text("{")

    AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(_request({"kind": "log"}))

    assert "is not a history of alerts" in caplog.text
    assert len(json.loads((tmp_path / "alerts.json").read_text())["sent"]) == 1
