"""Requests to other services: webhooks, gateways, the scoring service."""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from churn_kedro.base import remember_address, split_credentials

_LARGEST_ANSWER = 64 * 2**20
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


class RequestFailedError(Exception):
    """A request that did not succeed. The message has the host only, since paths and queries may be secrets.

    Args:
        message: What happened.
        status: Status of the answer; None: there is no answer.
        retry_after: Seconds after which the service wants to be asked again; None: it names none.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NoAnswerError(RequestFailedError):
    """The service does not answer, or not now: the same request may succeed later."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Refuse: a redirected POST becomes a GET, which delivers nothing, and a key would go to another host."""


def send_request(
    url: str,
    *,
    timeout: float,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Send a request over HTTP.

    Args:
        url: Address, which may contain user and password.
        timeout: Seconds to wait for each answer of the network.
        method: Method.
        body: Content.
        headers: Headers.

    Returns:
        The answer.

    Raises:
        NoAnswerError: The service does not answer, or with a status of 429 or above 499.
        RequestFailedError: The address is not valid, or the service refuses the request.
    """
    remember_address(url)
    address, user, password = split_credentials(url)
    host = _read_host(address)
    sent = dict(headers or {})
    if user is not None:
        sent["Authorization"] = basic_authorization(user, password)
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        request = urllib.request.Request(address, body, sent, method=method)
        with opener.open(request, timeout=timeout) as answer:
            return bytes(answer.read(_LARGEST_ANSWER))
    except urllib.error.HTTPError as error:
        error.close()
        raise _refusal(host, error.code, error.headers.get("Retry-After")) from None
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise NoAnswerError(f"{host} does not answer: {reason}") from None
    except (http.client.InvalidURL, ValueError):
        raise RequestFailedError(f"The address at {host} is not valid.") from None
    except http.client.HTTPException:
        raise NoAnswerError(f"{host} does not answer in HTTP") from None


def basic_authorization(user: str, password: str | None) -> str:
    """Return the header Authorization of a user."""
    return "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()


def _read_host(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise RequestFailedError("The address is not valid: expected https://HOST or http://HOST:PORT.")
    return host


def _refusal(host: str, status: int, retry_after: str | None) -> RequestFailedError:
    message = f"{host} answers with status {status}"
    if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        return NoAnswerError(message, status, _read_seconds(retry_after))
    if status < http.client.BAD_REQUEST:
        message += ", a redirect, which is not followed: use the address that it leads to"
    return RequestFailedError(message, status)


def _read_seconds(retry_after: str | None) -> float | None:
    """Read the header Retry-After: seconds, or a date of HTTP."""
    if retry_after is None or retry_after.strip().isdigit():
        return None if retry_after is None else float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
