"""What every request passes: keys, hosts, rates, headers, metrics, the file of requests, and errors without a trace."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from time import monotonic, perf_counter
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from churn_kedro.serving.metrics import ServiceMetrics

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Endpoint = Callable[[Request], Awaitable[Response]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Routes that need no key.
PROBES = frozenset({"/health", "/ready", "/v2/health/live", "/v2/health/ready"})
_LOOPBACK = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
_REQUEST_ID = re.compile(rb"[\w.-]{1,64}", re.ASCII)
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
# Pages have policies of their own, as `policy` in the state of the request.
_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_CLIENTS = 10_000


class RateLimit:
    """A token bucket for each client: as many requests per second, and as many at once.

    Args:
        per_second: Requests per second; 0: no limit.
        clock: Seconds.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Count a request.

        Args:
            client: Key or address.

        Returns:
            Whether it is within the limit.
        """
        if not self._per_second:
            return True
        now = self._clock()
        tokens, then = self._clients.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        allowed = tokens >= 1
        self._clients[client] = (tokens - 1 if allowed else tokens, now)
        if len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)
        return allowed


def error_body(message: str, request_id: str, problems: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Write an error as JSON.

    Args:
        message: What was found, and what was expected.
        request_id: Identifier of the request.
        problems: Fields at fault.

    Returns:
        An object with ``error``, ``request_id`` and, if there are any, ``problems``.
    """
    listed = {"problems": problems} if problems else {}
    return to_json({"error": message, "request_id": request_id, **listed}, inf_nan_mode="null")


class Guard:
    """The outermost layer of the service.

    Args:
        application: The routes.
        metrics: Metrics of this process.
        key_digests: SHA-256 of each API key; none: no key is needed, and only requests to a name of this machine are
            answered, so that no web page can reach the service through a name of its own.
        rate_limit: Limit of each key or address.
        log: Takes a record of each request.
        pages: Paths of pages, which ask for a key themselves.
        direct: Endpoints of POST that are called without the router, which takes longer than a prediction, by path.
    """

    def __init__(
        self,
        application: Application,
        metrics: ServiceMetrics,
        key_digests: Sequence[str],
        rate_limit: RateLimit,
        log: Callable[[Mapping[str, Any]], Any],
        pages: Iterable[str],
        direct: Mapping[str, Endpoint],
    ) -> None:
        self._application = application
        self._metrics = metrics
        self._keys = [digest.encode() for digest in key_digests]
        self._rate_limit = rate_limit
        self._log = log
        self._open = PROBES.union(pages)
        self._direct = direct
        self._children: dict[tuple[str, str, int], Any] = {}
        self._seconds: dict[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        begun = perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        state = scope.setdefault("state", {})
        state["request_id"], state["begun"] = request_id, begun
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message["headers"] = list(message.get("headers", ()))
                sent.append((b"x-request-id", request_id.encode()))
                sent += _SECURITY_HEADERS
                sent.append((b"content-security-policy", state.get("policy", _POLICY)))
            await send(message)

        client, refusal = self._admit(scope, headers)
        try:
            if refusal is not None:
                await _refuse(send_with_headers, *refusal, request_id)
            elif scope["method"] == "POST" and (endpoint := self._direct.get(scope["path"])) is not None:
                response = await endpoint(Request(scope, receive))
                await response(scope, receive, send_with_headers)
            else:
                await self._application(scope, receive, send_with_headers)
        except Exception:
            # Callers see no trace; the log of the service has it.
            logger.exception("Request %s to %s failed.", request_id, scope["path"])
            if not status:
                text = "The service failed; its log has the reason."
                await _refuse(send_with_headers, 500, text, {}, request_id)
        finally:
            self._count(scope, status or 499, client, perf_counter() - begun)

    def _admit(
        self, scope: Scope, headers: Mapping[bytes, bytes]
    ) -> tuple[str, tuple[int, str, dict[bytes, bytes]] | None]:
        """Return who sends a request, and why it is refused: status, message and headers; None: it is not."""
        address = scope.get("client")
        client = f"address {address[0]}" if address else "address unknown"
        if self._keys:
            key = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
            digest = hashlib.sha256(key).hexdigest().encode()
            # All are compared, so that the time does not depend on which one it is.
            matches = [hmac.compare_digest(digest, known) for known in self._keys]
            if any(matches):
                client = f"key {digest[:8].decode()}"
            elif scope["path"] not in self._open and scope["method"] != "OPTIONS":
                text = "This route needs an API key: send `Authorization: Bearer KEY` or `X-API-Key: KEY`."
                return client, (401, text, {b"www-authenticate": b"Bearer"})
        elif not _LOOPBACK.fullmatch(headers.get(b"host", b"localhost")):
            text = (
                "Without API keys, the service answers requests to localhost only; the request has another Host. Set "
                "CHURN_API_KEYS."
            )
            return client, (403, text, {})
        if not self._rate_limit.allows(client):
            return client, (429, "Too many requests (serving.rate_limit). Wait a second.", {b"retry-after": b"1"})
        return client, None

    def _count(self, scope: Scope, status: int, client: str, seconds: float) -> None:
        state = scope["state"]
        # Only routes that exist, so that callers cannot make up new metrics.
        route, method = state.get("route", "other"), scope["method"]
        if route == "other":
            method = "other"
        key = (route, method, status)
        if key not in self._children:
            self._children[key] = self._metrics.requests.labels(route, method, str(status))
        if route not in self._seconds:
            self._seconds[route] = self._metrics.seconds.labels(route)
        self._children[key].inc()
        self._seconds[route].observe(seconds)
        self._log(
            {
                "time": datetime.now(UTC),
                "request_id": state["request_id"],
                "client": client,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "latency_ms": round(1000 * seconds, 3),
                **state.get("record", {}),
            }
        )


async def _refuse(send: Send, status: int, message: str, headers: Mapping[bytes, bytes], request_id: str) -> None:
    body = error_body(message, request_id)
    sent = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # What is left of the request is not read.
        (b"connection", b"close"),
        *headers.items(),
    ]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
