"""Tables of HTTP APIs that answer page by page."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import remember_address, remember_secret, split_credentials
from churn_kedro.customers import CustomerTableError, describe_changed_columns
from churn_kedro.datasets.files import open_filesystem, written_whole
from churn_kedro.datasets.http_requests import (
    NoAnswerError,
    RequestFailedError,
    basic_authorization,
    send_request,
)

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 120.0


class PagedApiDataset(AbstractDataset[Any, Iterator[pd.DataFrame]]):
    """A table of an HTTP API that answers in JSON, page by page. It is read-only.

    Pages are stored when they arrive. A load after an interrupted one asks for the first page; if that is unchanged, it
    continues after the stored pages. They are removed after the last page, and if their content is invalid.

    Args:
        url: Address of the first page.
        pages: Folder of the pages of an incomplete load: local path or fsspec URL.
        rows: Path of the list of rows in an answer, keys separated by dots; empty: the answer is the list.
        page_parameter: Query parameter with the number of the page. The table ends with a page without rows, or with
            the announced total.
        first_page: Number of the first page.
        offset_parameter: Query parameter with the number of rows before the page, in place of ``page_parameter``.
        next_page: Path of the address or cursor of the next page in an answer, in place of the two parameters. The
            table ends where it is absent or null.
        cursor_parameter: Query parameter for the cursor; None: ``next_page`` is an address.
        total: Path of the number of rows of the whole table in an answer; None: not announced.
        parameters: Further query parameters of each page.
        credentials: ``headers`` of the requests, such as ``{"headers": {"Authorization": "Bearer TOKEN"}}``.
        timeout: Seconds to wait for each answer.
        retries: Times that a request is repeated after status 429 or 5xx, a lost connection or an incomplete answer,
            with waits of 1, 2, 4 … seconds, or as long as the header Retry-After says, at most 120.
        keep_hours: Pages of an incomplete load that began earlier are discarded.
        sleep: Waits for a number of seconds.
        now: Returns the seconds since 1970.
        metadata: For plugins; Kedro ignores it.

    Raises:
        DatasetError: Not exactly one of ``page_parameter``, ``offset_parameter`` and ``next_page`` is given.
    """

    def __init__(
        self,
        *,
        url: str,
        pages: str,
        rows: str = "",
        page_parameter: str | None = None,
        first_page: int = 1,
        offset_parameter: str | None = None,
        next_page: str | None = None,
        cursor_parameter: str | None = None,
        total: str | None = None,
        parameters: dict[str, Any] | None = None,
        credentials: dict[str, Any] | None = None,
        timeout: float = 60.0,
        retries: int = 5,
        keep_hours: float = 24.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if [page_parameter, offset_parameter, next_page].count(None) != 2:
            raise DatasetError(
                "PagedApiDataset needs exactly one of page_parameter, offset_parameter and next_page: how the API "
                "divides the table into pages."
            )
        remember_address(url)
        self._url, user, password = split_credentials(url)
        self._headers = {name: str(value) for name, value in ((credentials or {}).get("headers") or {}).items()}
        if user is not None:
            self._headers["Authorization"] = basic_authorization(user, password)
        for value in self._headers.values():
            remember_secret(value)
            remember_secret(value.rpartition(" ")[2])
        self._rows_path, self._total_path, self._next_path = rows, total, next_page
        self._page_parameter, self._first_page = page_parameter, first_page
        self._offset_parameter, self._cursor_parameter = offset_parameter, cursor_parameter
        self._parameters = parameters or {}
        self._timeout, self._retries, self._keep_hours, self._sleep = timeout, retries, keep_hours, sleep
        asked = [self._url, self._parameters, rows, page_parameter, first_page, offset_parameter, next_page]
        request = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
        self._stored = _StoredPages(pages, request, keep_hours * 3600, now)
        self.metadata = metadata

    def load(self) -> Iterator[pd.DataFrame]:
        """Read the table.

        Yields:
            The pages that have rows. Lists and objects in cells are JSON text.

        Raises:
            DatasetError: The API refuses a request, does not answer, repeats a page, answers in another form, or the
                number of rows is not the announced one.
        """
        try:
            yield from self._iterate()
        except CustomerTableError as error:
            self._stored.discard()
            raise DatasetError(f"{urlsplit(self._url).hostname}: {error}") from error
        self._stored.discard()

    def _iterate(self) -> Iterator[pd.DataFrame]:
        page = self._ask(self._address(0, 0, None))
        if self._next_path is not None and page["next"] is None and page["total"] is None:
            logger.warning(
                "The first answer has no value at '%s', so the table has one page. If it has more, correct next_page "
                "of the catalog entry.",
                self._next_path,
            )
        kept = self._stored.begin(page)
        if kept > 1:
            logger.info("%d pages of an interrupted load are kept; the next one is page %d", kept, kept + 1)
        types: Any = None
        number, n_rows = 1, len(page["rows"])
        while True:
            if page["rows"]:
                table = _as_table(page["rows"], number)
                types = _unify_types(types, table.schema, number)
                yield table.to_pandas(types_mapper=dict(_nullable_types()).get)
            if not self._has_next(page, n_rows):
                break
            address = self._address(number, n_rows, page["next"])
            following = self._stored.read(number) if number < kept else self._ask(address)
            _require_progress(page, following, number + 1)
            if number >= kept:
                self._stored.write(number, following)
            page, number, n_rows = following, number + 1, n_rows + len(following["rows"])
        if page["total"] is not None and page["total"] != n_rows:
            raise CustomerTableError(
                f"{page['total']:,} rows are announced, but the {number} pages have {n_rows:,}. If the table changed "
                "meanwhile, run the command again; if the API has a largest page or offset, ask "
                "for less with `parameters` of the catalog entry."
            )

    def _has_next(self, page: Mapping[str, Any], n_rows: int) -> bool:
        if self._next_path is not None:
            return page["next"] is not None
        return bool(page["rows"]) and (page["total"] is None or n_rows < page["total"])

    def _address(self, number: int, n_rows: int, following: Any) -> str:
        """Return the address of a page."""
        if self._next_path is None:
            name = self._page_parameter or self._offset_parameter or ""
            position = self._first_page + number if self._page_parameter is not None else n_rows
            return _with_query(self._url, {**self._parameters, name: position})
        if number == 0 or self._cursor_parameter is not None:
            cursor = {} if number == 0 else {str(self._cursor_parameter): following}
            return _with_query(self._url, {**self._parameters, **cursor})
        address = urljoin(self._url, str(following))
        if urlsplit(address)[:2] != urlsplit(self._url)[:2]:
            # The credentials are for this host only.
            raise CustomerTableError(
                f"The next page is at another host or protocol, {address.partition('?')[0]}; expected the same ones as "
                "in `url` of the catalog entry."
            )
        return address

    def _ask(self, address: str) -> dict[str, Any]:
        """Request a page, repeatedly if necessary."""
        host = urlsplit(self._url).hostname
        for attempt in range(self._retries + 1):
            try:
                answer = send_request(address, timeout=self._timeout, headers=self._headers)
                return self._read_answer(answer)
            except (NoAnswerError, json.JSONDecodeError, UnicodeDecodeError) as error:
                if attempt == self._retries:
                    reason = error if isinstance(error, NoAnswerError) else f"{host} answers without complete JSON"
                    raise DatasetError(
                        f"{reason}, also after {self._retries} repetitions. The pages that have arrived are kept for "
                        f"{self._keep_hours:g} hours: the same command continues with the next one."
                    ) from error
                wanted = getattr(error, "retry_after", None)
                wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**attempt if wanted is None else wanted)
                logger.info("%s; asked again in %g s", error if isinstance(error, NoAnswerError) else "no JSON", wait)
                self._sleep(wait)
            except RequestFailedError as error:
                raise DatasetError(
                    f"{error}. Check `url`, `parameters` and `credentials` of the catalog entry."
                ) from error
        raise AssertionError

    def _read_answer(self, answer: bytes) -> dict[str, Any]:
        content = json.loads(answer)
        rows = _look_up(content, self._rows_path)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            where = f"at '{self._rows_path}'" if self._rows_path else "as a whole"
            keys = f", with the keys {', '.join(content)}" if isinstance(content, dict) else ""
            raise CustomerTableError(
                f"The answer has no list of objects {where}: it is of type {type(content).__name__}{keys}. Correct "
                "`rows` of the catalog entry."
            )
        total = None if self._total_path is None else _look_up(content, self._total_path)
        if self._total_path is not None and (isinstance(total, bool) or not isinstance(total, int)):
            raise CustomerTableError(
                f"The answer has no whole number at '{self._total_path}'. Correct `total` of the catalog entry, or "
                "remove it."
            )
        following = None if self._next_path is None else _look_up(content, self._next_path)
        return {"rows": rows, "total": total, "next": following or None}

    def save(self, data: Any) -> None:
        """Raise an error, since the API is only read."""
        raise DatasetError("PagedApiDataset is read-only.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"url": self._url}


class _StoredPages:
    """Pages of an incomplete load, one file each.

    Args:
        folder: Local path or fsspec URL.
        request: Digest of what is asked for.
        keep_seconds: Pages of a load that began earlier are not used.
        now: Returns the seconds since 1970.
    """

    def __init__(self, folder: str, request: str, keep_seconds: float, now: Callable[[], float]) -> None:
        self._filesystem, self._folder = open_filesystem(folder, None)
        self._request, self._keep_seconds, self._now = request, keep_seconds, now

    def begin(self, first: Mapping[str, Any]) -> int:
        """Compare the first page with the stored one; discard the pages if they cannot be used.

        Args:
            first: The first page.

        Returns:
            Number of pages that are stored, at least 1.
        """
        try:
            stored = self.read(0)
        except (OSError, ValueError):
            stored = {}
        is_same = stored.get("request") == self._request and stored["rows"] == first["rows"]
        if not is_same or self._now() - stored["began"] > self._keep_seconds:
            self.discard()
            self.write(0, {**first, "request": self._request, "began": self._now()})
        number = 1
        while self._filesystem.isfile(self._path(number)):
            number += 1
        return number

    def read(self, number: int) -> dict[str, Any]:
        """Read a page."""
        stored: dict[str, Any] = json.loads(gzip.decompress(self._filesystem.cat_file(self._path(number))))
        return stored

    def write(self, number: int, page: Mapping[str, Any]) -> None:
        """Write a page."""
        target = self._folder / f"{number:06d}.json.gz"
        with written_whole(self._filesystem, target) as path, self._filesystem.open(path, "wb") as file:
            file.write(gzip.compress(json.dumps(page).encode(), compresslevel=1))

    def discard(self) -> None:
        """Remove all pages."""
        if self._filesystem.isdir(str(self._folder)):
            self._filesystem.rm(str(self._folder), recursive=True)

    def _path(self, number: int) -> str:
        return str(self._folder / f"{number:06d}.json.gz")


def _require_progress(page: Mapping[str, Any], following: Mapping[str, Any], number: int) -> None:
    """Raise an error for an API that answers with the same page again and again."""
    if following["rows"] == page["rows"] and (following["rows"] or following["next"] == page["next"]):
        raise CustomerTableError(
            f"Page {number} has the same rows as the page before it. Check the paging parameters of the catalog entry: "
            "does the API know them by these names?"
        )


def _look_up(content: Any, path: str) -> Any:
    """Find a value in nested objects; None if there is none."""
    for key in path.split(".") if path else []:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _with_query(url: str, parameters: Mapping[str, Any]) -> str:
    """Set query parameters of an address."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **parameters}
    return parts._replace(query=urlencode(query)).geturl()


def _as_table(rows: list[dict[str, Any]], number: int) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        cells = [row.get(name) for row in rows]
        cells = [json.dumps(cell, ensure_ascii=False) if isinstance(cell, list | dict) else cell for cell in cells]
        try:
            columns[name] = pa.array(cells)
        except (pa.ArrowException, OverflowError) as error:
            kinds = sorted({type(cell).__name__ for cell in cells if cell is not None})
            raise CustomerTableError(
                f"Page {number} has cells of different types in '{name}': {', '.join(kinds)}. All cells of a column "
                "need the same type."
            ) from error
    return pa.table(columns)


def _unify_types(types: pa.Schema | None, found: pa.Schema, number: int) -> pa.Schema:
    """Require the columns of the earlier pages, and types that can be those of one column."""
    import pyarrow as pa

    if types is None:
        return found
    if types.names != found.names:
        raise CustomerTableError(describe_changed_columns(types.names, found.names, f"on page {number}"))
    try:
        return pa.unify_schemas([types, found], promote_options="permissive")
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CustomerTableError(f"Page {number} has cells of another type than the pages before: {reason}.") from error


def _nullable_types() -> Iterable[tuple[pa.DataType, Any]]:
    """Types of pandas in which whole numbers with missing ones stay whole."""
    import pyarrow as pa

    return (pa.int64(), pd.Int64Dtype()), (pa.bool_(), pd.BooleanDtype())
