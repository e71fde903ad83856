"""Alerts reach a real HTTP server and a real SMTP server; a failing target hinders no other; secrets stay hidden."""

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from churn_kedro.base import hide_secrets
from churn_kedro.datasets import alerts
from churn_kedro.datasets.alerts import AlertsDataset
from churn_kedro.monitoring.alerts import Alert, AlertRequest
from churn_kedro.monitoring.parameters import AlertParameters
from tests.servers import free_port, http_receiver, no_http


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
            elif word == "RCPT" and "nobody@" in line:
                self._say("550 no such mailbox")
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
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
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
    with http_receiver() as (url, got):
        monkeypatch.setenv("CHURN_HOOK", f"{url}/services/T0/secret-token")
        request = _request({"kind": "webhook", "url_variable": "CHURN_HOOK"})
        dataset.save(request)
        dataset.save(request)

    (request_got,) = got
    assert request_got.path == "/services/T0/secret-token"
    assert request_got.headers["content-type"] == "application/json"
    assert json.loads(request_got.body) == {"text": "*bank: alarm*\n• Age &lt;moved&gt; &amp; more.\n• Train."}
    assert "secret-token" not in (tmp_path / "alerts.json").read_text()


@pytest.mark.slow
def test_a_failing_webhook_is_named_without_its_address_and_tried_again_with_the_next_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = AlertsDataset(filepath=str(tmp_path / "alerts.json"))
    request = _request({"kind": "webhook", "url_variable": "CHURN_HOOK"}, {"kind": "log"})
    monkeypatch.setenv("CHURN_HOOK", f"http://127.0.0.1:{free_port()}/services/hidden-token")
    dataset.save(request)
    with http_receiver(status=500) as (url, _):
        monkeypatch.setenv("CHURN_HOOK", f"{url}/services/hidden-token")
        dataset.save(request)
    with http_receiver() as (url, got):
        monkeypatch.setenv("CHURN_HOOK", f"{url}/services/hidden-token")
        dataset.save(request)

    assert len(got) == 1
    assert "127.0.0.1 does not answer" in caplog.text
    assert "answers with status 500" in caplog.text
    assert "hidden-token" not in caplog.text
    # The log got it at the first time only.
    assert caplog.text.count("Age <moved> & more.") == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_webhook_that_fails_is_tried_twice(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with http_receiver(status=status) as (url, got):
        monkeypatch.setenv("CHURN_HOOK", url)
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request({"kind": "webhook", "url_variable": "CHURN_HOOK"})
        )

    assert len(got) == 2
    assert f"127.0.0.1 answers with status {status}" in caplog.text
    assert not (tmp_path / "alerts.json").exists()


def test_a_webhook_that_refuses_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver(status=404) as (url, got):
        monkeypatch.setenv("CHURN_HOOK", url)
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request({"kind": "webhook", "url_variable": "CHURN_HOOK"})
        )

    assert len(got) == 1
    assert not (tmp_path / "alerts.json").exists()


def test_a_webhook_that_redirects_has_not_got_the_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with http_receiver(status=302, location="/login") as (url, _):
        monkeypatch.setenv("CHURN_HOOK", url)
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request({"kind": "webhook", "url_variable": "CHURN_HOOK"})
        )

    assert "127.0.0.1 answers with status 302, a redirect, which is not followed" in caplog.text
    assert not (tmp_path / "alerts.json").exists()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/services/planted token",
        "http://127.0.0.1:planted-token/",
        "http://user:planted-token@127.0.0.1:9/",
        "http:///planted-token",
        "ftp://127.0.0.1/planted-token",
        "planted-token",
        "http://[planted-token/",
    ],
)
def test_an_address_that_cannot_work_is_named_without_its_secret_and_the_others_get_the_alert(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CHURN_HOOK", address)
    AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
        _request({"kind": "webhook", "url_variable": "CHURN_HOOK"}, {"kind": "log"})
    )

    assert "The alert was not delivered (webhook CHURN_HOOK)" in caplog.text
    assert "planted" not in caplog.text
    assert "Age <moved> & more." in caplog.text


def test_a_server_without_http_hinders_no_other_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with no_http() as url:
        monkeypatch.setenv("CHURN_HOOK", url)
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request({"kind": "webhook", "url_variable": "CHURN_HOOK"}, {"kind": "log"})
        )

    assert "127.0.0.1 does not answer in HTTP" in caplog.text
    assert "Age <moved> & more." in caplog.text


def test_an_alert_ends_with_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as (url, got):
        monkeypatch.setenv("CHURN_HOOK", url)
        AlertsDataset(filepath=str(tmp_path / "alerts.json"), page="data/08_reporting/bank/monitoring.html").save(
            _request({"kind": "webhook", "url_variable": "CHURN_HOOK"})
        )

    assert json.loads(got[0].body)["text"].endswith("• Train.\nReport: data/08_reporting/bank/monitoring.html")


def test_an_alarm_that_returns_after_the_all_clear_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = AlertsDataset(filepath=str(tmp_path / "alerts.json"))
    sent = []
    with http_receiver() as (url, got):
        monkeypatch.setenv("CHURN_HOOK", url)
        for hour, severity in ((6, "alarm"), (7, "alarm"), (8, "ok"), (9, "ok"), (10, "alarm"), (11, "alarm")):
            request = _request({"kind": "webhook", "url_variable": "CHURN_HOOK"}, at=f"2026-03-02T{hour:02}:00:00Z")
            alert = request.alert.model_copy(update={"severity": severity, "key": f"3:{severity}"})
            dataset.save(request.model_copy(update={"alert": alert}))
            sent.append(len(got))

    assert sent == [1, 1, 2, 2, 3, 3]


def test_an_unset_variable_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
        _request({"kind": "webhook", "url_variable": "CHURN_NO_SUCH_HOOK"})
    )

    assert "The environment variable CHURN_NO_SUCH_HOOK, which monitoring.alerts names, is not set" in caplog.text
    assert not (tmp_path / "alerts.json").exists()


def _email(server: Any, *recipients: str, login: bool = True) -> dict[str, Any]:
    target: dict[str, Any] = {
        "kind": "email",
        "host": "127.0.0.1",
        "port": server.server_address[1],
        "starttls": False,
        "sender": "churn@example.com",
        "recipients": list(recipients),
    }
    if login:
        target |= {"username_variable": "CHURN_MAIL_USER", "password_variable": "CHURN_MAIL_PASSWORD"}
    return target


@pytest.mark.parametrize("login", [True, False])
def test_a_mail_goes_to_all_recipients(login: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_MAIL_USER", "team")
    monkeypatch.setenv("CHURN_MAIL_PASSWORD", "right-password")
    with mailbox() as server:
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request(_email(server, "a@example.com", "b@example.com", login=login))
        )

    (message,) = server.messages
    assert "Subject: bank: alarm" in message
    assert "To: a@example.com, b@example.com" in message
    assert "- Age <moved> & more." in message
    assert server.logins == (["\0team\0right-password"] if login else [])
    # The name of a user may be an ordinary word.
    assert hide_secrets("the team") == "the team"


def test_a_refused_login_is_named_without_the_password_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CHURN_MAIL_USER", "team")
    monkeypatch.setenv("CHURN_MAIL_PASSWORD", "planted-secret")
    with mailbox() as server:
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(_request(_email(server, "a@example.com")))

    assert "The alert was not delivered (email a@example.com)" in caplog.text
    assert "planted-secret" not in caplog.text
    assert server.messages == []
    assert server.logins == ["\0team\0planted-secret"]


def test_a_recipient_who_is_refused_is_named_and_the_others_get_the_mail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mailbox() as server:
        AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(
            _request(_email(server, "a@example.com", "nobody@example.com", login=False))
        )

    assert len(server.messages) == 1
    assert "127.0.0.1 refuses the recipient nobody@example.com: 550 no such mailbox" in caplog.text


def test_a_damaged_history_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "alerts.json").write_text("{")

    AlertsDataset(filepath=str(tmp_path / "alerts.json")).save(_request({"kind": "log"}))

    assert "is not a history of alerts" in caplog.text
    assert len(json.loads((tmp_path / "alerts.json").read_text())["sent"]) == 1
