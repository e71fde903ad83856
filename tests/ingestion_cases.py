"""An HTTP API with pages, which misbehaves on request."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Row = dict[str, Any]
# What happens to a request: a status with headers in place of the answer, a lost connection after this share of the
# answer, or no answer until the event.
Fault = tuple[int, dict[str, str]] | float | threading.Event


class PagedApi:
    """State of the API.

    Args:
        rows: The table.
        size: Rows of a page.
        answer: Makes the content of an answer out of the rows of a page, its number (from 0) and the API's address.

    Attributes:
        faults: Faults by number of the request, from 0.
        asked: Query parameters of each request.
        headers: Headers of each request, in lower case.
        token: Value of the header Authorization that requests need; empty: none.
    """

    def __init__(self, rows: list[Row], size: int, answer: Callable[[list[Row], int, str], Any]) -> None:
        self.rows, self.size, self.answer = rows, size, answer
        self.faults: dict[int, Fault] = {}
        self.asked: list[dict[str, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.token = ""
        self.url = ""

    def position(self, query: Mapping[str, str]) -> int:
        """Number of the page that a query asks for, from 0."""
        if "offset" in query:
            return int(query["offset"]) // self.size
        return int(query.get("cursor", query.get("page", 1))) - 1


@contextmanager
def paged_api(
    rows: list[Row], size: int, answer: Callable[[list[Row], int, str], Any] = lambda rows, *_: rows
) -> Iterator[PagedApi]:
    """A server with a table in pages, by query parameter page, offset or cursor (the number of the page)."""
    api = PagedApi(rows, size, answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = dict(parse_qsl(urlsplit(self.path).query))
            fault = api.faults.pop(len(api.asked), None)
            api.asked.append(query)
            api.headers.append({name.lower(): value for name, value in self.headers.items()})
            if api.token and self.headers["authorization"] != api.token:
                fault = (401, {})
            if isinstance(fault, threading.Event):
                fault.wait(60)
                return
            if isinstance(fault, tuple):
                self.send_response(fault[0])
                for name, value in fault[1].items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            number = api.position(query)
            part = api.rows[number * api.size : (number + 1) * api.size]
            body = json.dumps(api.answer(part, number, api.url)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # A fraction: the connection is lost within the body.
            self.wfile.write(body if fault is None else body[: int(len(body) * fault)])

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}/customers"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
