"""Streams of customers: a folder that is being filled, standard input, and Redis streams."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit, urlunsplit

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import hide_secrets
from churn_kedro.campaigns import MicroBatch, StreamParameters

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
# A file that was changed less than this ago may still be written.
_SETTLED_SECONDS = 1.0
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
# Messages of a consumer that was killed are taken over after this time.
_TAKE_OVER_MS = 30_000
_PIECE = 1 << 16


class Source(Protocol):
    """Where messages come from."""

    def receive(self, limit: int, timeout: float) -> tuple[list[tuple[str, Any]], bool]:
        """Wait for messages.

        Args:
            limit: Maximum number of messages.
            timeout: Maximum wait in seconds.

        Returns:
            Id and content of each message, and whether the source has ended.
        """
        ...

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Accept that messages are stored."""
        ...

    def close(self) -> None:
        """End."""
        ...


def parse_message(text: str) -> Mapping[str, Any] | str:
    """Read a JSON object.

    Args:
        text: A line.

    Returns:
        The object, or the text if it is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


class FolderSource:
    """Files of customers that programs put into a folder: JSON lines, or CSV with a header.

    A file whose messages are all stored is moved to the subfolder ``processed``. A message is identified by the digest
    of its file and its line, so a file that was read in part is read again without being stored twice. Programs should
    write under another suffix and rename; a file that was changed within the last second waits.

    Args:
        folder: The folder; it is made if it does not exist.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._waiting: list[tuple[str, Any]] = []
        self._open: dict[Path, set[str]] = {}

    def receive(self, limit: int, timeout: float) -> tuple[list[tuple[str, Any]], bool]:
        """Return messages of the oldest file that is not read yet."""
        until = time.monotonic() + timeout
        while not self._waiting:
            path = self._next_file()
            if path is not None:
                self._read(path)
            elif time.monotonic() >= until:
                return [], False
            else:
                time.sleep(min(_POLL_SECONDS, timeout))
        found, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return found, False

    def _next_file(self) -> Path | None:
        ready = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                status = path.stat()
                is_settled = time.time() - status.st_mtime > _SETTLED_SECONDS
                if path.is_file() and path.suffix.lower() in _SUFFIXES and path not in self._open and is_settled:
                    ready.append((status.st_mtime, path.name, path))
        return min(ready)[2] if ready else None

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        digest = hashlib.sha256(path.name.encode() + b"\0" + content).hexdigest()[:16]
        text = content.decode("utf-8-sig", errors="replace")
        if path.suffix.lower() == ".csv":
            rows: list[Any] = [
                row if None not in row else json.dumps(row, default=str)
                for row in csv.DictReader(io.StringIO(text, newline=""))
            ]
        else:
            rows = [parse_message(line) for line in text.split("\n") if line.strip()]
        messages = [(f"{path.name}@{digest}:{number}", row) for number, row in enumerate(rows)]
        self._open[path] = {key for key, _ in messages}
        self._waiting += messages
        if not messages:
            self._finish(path)

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Move the files whose messages are all stored."""
        for path, open_ids in list(self._open.items()):
            open_ids.difference_update(ids)
            if not open_ids:
                self._finish(path)

    def _finish(self, path: Path) -> None:
        processed = self._folder / "processed"
        processed.mkdir(exist_ok=True)
        target = processed / path.name
        number = 1
        while target.exists():
            target = processed / f"{path.stem}.{number}{path.suffix}"
            number += 1
        path.rename(target)
        del self._open[path]

    def close(self) -> None:
        """Leave files that are not finished where they are."""


class LineSource:
    """JSON lines from standard input.

    Args:
        name: Name of the stream. Messages are identified by it and their line, so that a second run on the same lines
            under the same name stores nothing twice; empty: the time at which the run began.
        file: File descriptor.
    """

    def __init__(self, name: str, file: int | None = None) -> None:
        self._name = name or f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        self._file = sys.stdin.fileno() if file is None else file
        self._rest = b""
        self._lines: list[bytes] = []
        self._number = 0
        self._ended = False

    def receive(self, limit: int, timeout: float) -> tuple[list[tuple[str, Any]], bool]:
        """Return complete lines."""
        if not self._lines and not self._ended and select.select([self._file], [], [], timeout)[0]:
            piece = os.read(self._file, _PIECE)
            self._ended = not piece
            *complete, self._rest = (self._rest + piece).split(b"\n")
            self._lines += complete
            if self._ended and self._rest:
                self._lines.append(self._rest)
        taken, self._lines = self._lines[:limit], self._lines[limit:]
        messages = []
        for line in taken:
            self._number += 1
            if line.strip():
                text = line.decode("utf-8", errors="replace")
                messages.append((f"stdin:{self._name}:{self._number}", parse_message(text)))
        return messages, self._ended and not self._lines

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Do nothing: a pipe cannot be read again."""

    def close(self) -> None:
        """Do nothing: the process owns standard input."""


class RedisSource:
    """A Redis stream, read as a consumer of a group.

    Entries have the field ``json`` with a JSON object, or a field for each column. Entries that a killed consumer has
    taken without acknowledging are taken over.

    Args:
        address: ``redis://[user:password@]host:port/database?stream=NAME&group=NAME&consumer=NAME``; group and consumer
            default to ``churn`` and the name of host and process.
    """

    def __init__(self, address: str) -> None:
        try:
            import redis
        except ImportError as error:
            raise DatasetError("A Redis stream needs the extra `redis`: pip install 'churn_kedro[redis]'.") from error
        parts = urlsplit(address)
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unknown = sorted(options.keys() - {"stream", "group", "consumer", "take_over_ms"})
        if unknown or "stream" not in options:
            raise DatasetError(
                f"The stream {hide_secrets(address)} "
                + (f"has unknown options: {', '.join(unknown)}" if unknown else "does not name a stream")
                + ". Expected redis://HOST:PORT/0?stream=NAME, with &group=NAME and &consumer=NAME as needed."
            )
        self._errors: Any = redis.exceptions
        self._stream, self._group = options["stream"], options.get("group", "churn")
        self._consumer = options.get("consumer", f"{socket.gethostname()}-{os.getpid()}")
        self._take_over_ms = int(options.get("take_over_ms", _TAKE_OVER_MS))
        self._where = hide_secrets(urlunsplit(parts._replace(query="")))
        # Later protocols return mappings instead of lists.
        self._client: Any = redis.Redis.from_url(
            urlunsplit(parts._replace(query="")), decode_responses=True, protocol=2
        )
        self._own_pending: str | None = "0"
        self._checked = 0.0
        with self._explained():
            try:
                self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
            except self._errors.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._errors.RedisError as error:
            reason = hide_secrets(str(error)).rstrip(".")
            raise DatasetError(
                f"The Redis server {self._where} does not work: {reason}. Messages that are not acknowledged stay "
                "there; start the run again when it responds."
            ) from error

    def receive(self, limit: int, timeout: float) -> tuple[list[tuple[str, Any]], bool]:
        """Return entries: first those that this consumer or a killed one did not acknowledge, then new ones."""
        with self._explained():
            entries = self._pending(limit)
            if not entries:
                found = self._client.xreadgroup(
                    self._group, self._consumer, {self._stream: ">"}, count=limit, block=max(1, int(1000 * timeout))
                )
                entries = found[0][1] if found else []
        return [(f"{self._stream}:{key}", _entry(fields)) for key, fields in entries], False

    def _pending(self, limit: int) -> list[tuple[str, dict[str, str]]]:
        if self._own_pending is not None:
            found = self._client.xreadgroup(self._group, self._consumer, {self._stream: self._own_pending}, count=limit)
            entries = found[0][1] if found else []
            if entries:
                self._own_pending = entries[-1][0]
                return [entry for entry in entries if entry[1]]
            self._own_pending = None
        if time.monotonic() - self._checked < self._take_over_ms / 1000:
            return []
        _, entries, *_ = self._client.xautoclaim(
            self._stream, self._group, self._consumer, min_idle_time=self._take_over_ms, count=limit
        )
        if not entries:
            self._checked = time.monotonic()
        return [entry for entry in entries if entry[1]]

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledge entries."""
        with self._explained():
            self._client.xack(self._stream, self._group, *(key.rpartition(":")[2] for key in ids))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _entry(fields: Mapping[str, str]) -> Mapping[str, Any] | str:
    return parse_message(fields["json"]) if "json" in fields else fields


class CustomerStream:
    """Micro-batches of a source, until it ends, nothing arrives for long enough, or the process is asked to stop.

    Args:
        open_source: Opens the source.
    """

    def __init__(self, open_source: Callable[[], Source]) -> None:
        self._open = open_source
        self._stopped = False

    def micro_batches(self, parameters: StreamParameters) -> Iterator[MicroBatch]:
        """Yield micro-batches.

        Args:
            parameters: Their size, and when the stream ends.

        Yields:
            Messages in order of arrival. On SIGTERM and SIGINT, the last micro-batch is finished first.
        """
        source = self._open()
        last = time.monotonic()
        idle = parameters.stop_when_idle_seconds
        with self._stopping_on_signals():
            try:
                while not self._stopped:
                    messages, ended = self._fill(source, parameters)
                    if messages:
                        yield self._as_batch(source, messages)
                        last = time.monotonic()
                    if ended or (idle is not None and time.monotonic() - last > idle):
                        return
            finally:
                source.close()

    def _fill(self, source: Source, parameters: StreamParameters) -> tuple[list[tuple[str, Any]], bool]:
        messages, ended = source.receive(parameters.micro_batch, _POLL_SECONDS)
        until = time.monotonic() + parameters.wait_seconds
        while messages and not ended and not self._stopped and len(messages) < parameters.micro_batch:
            left = until - time.monotonic()
            if left <= 0:
                break
            more, ended = source.receive(parameters.micro_batch - len(messages), left)
            messages += more
        return messages, ended

    @staticmethod
    def _as_batch(source: Source, messages: Sequence[tuple[str, Any]]) -> MicroBatch:
        ids = [key for key, _ in messages]
        return MicroBatch(ids, [content for _, content in messages], lambda: source.acknowledge(ids))

    @contextlib.contextmanager
    def _stopping_on_signals(self) -> Iterator[None]:
        def stop(number: int, _frame: Any) -> None:
            logger.info("%s: ending after the present micro-batch", signal.Signals(number).name)
            self._stopped = True

        try:
            before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:
            # Only the main thread receives signals.
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class CustomerStreamDataset(AbstractDataset[Any, CustomerStream]):
    """A stream of customers. It is read-only.

    Args:
        address: ``stdin`` or ``stdin:NAME`` for JSON lines from standard input;
            ``redis://host:port/database?stream=NAME`` for a Redis stream; else a folder that is being filled.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, address: str, metadata: dict[str, Any] | None = None) -> None:
        self._address = str(address)
        self.metadata = metadata

    def load(self) -> CustomerStream:
        """Prepare the stream; it is opened when it is read."""
        return CustomerStream(self._open)

    def _open(self) -> Source:
        kind, _, rest = self._address.partition(":")
        if kind == "stdin":
            return LineSource(rest)
        if kind in ("redis", "rediss", "unix"):
            return RedisSource(self._address)
        if "://" in self._address:
            raise DatasetError(
                f"The stream {hide_secrets(self._address)} is of an unknown kind; expected a folder, stdin, or "
                "redis://HOST:PORT/0?stream=NAME."
            )
        return FolderSource(self._address)

    def save(self, data: Any) -> None:
        """Raise an error, since customers arrive from elsewhere."""
        raise DatasetError("A stream of customers is read-only.")

    def _describe(self) -> dict[str, Any]:
        return {"address": hide_secrets(self._address)}
