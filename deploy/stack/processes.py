"""A server as a process: started, healthy or a clear error, and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PAUSE_SECONDS = 0.1
_STOP_SECONDS = 60
_LOG_LINES = 15
# Debian keeps some programs of PostgreSQL and all daemons off the PATH of users.
_FURTHER_FOLDERS = ("/usr/sbin", "/usr/local/sbin")


class ServerError(RuntimeError):
    """A server that cannot be started or has ended; the message says why and what to do."""


class NotInstalledError(ServerError):
    """A program that is not installed."""


@dataclass(frozen=True)
class Server:
    """A server to run.

    Attributes:
        name: Name, for messages and the log file.
        command: Program and arguments; without passwords, which other users of the machine could read.
        folder: Place of the log file, and working folder unless ``cwd`` is given.
        is_ready: Whether it answers.
        environment: Its environment variables beside ``PATH`` and other harmless ones.
        user: System user to run as, where this process is root.
        stop_signal: Signal that ends it.
        seconds: Time in which it must answer.
        cwd: Working folder.
    """

    name: str
    command: Sequence[str]
    folder: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    seconds: float = 120.0
    cwd: Path | None = None

    @property
    def log(self) -> Path:
        """File of what it prints."""
        return self.folder / f"{self.name}.log"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str, package: str, folders: Sequence[Path] = ()) -> Path:
    """Find a program.

    Args:
        name: Its name.
        package: Package that has it, for the message.
        folders: Folders to look into besides ``PATH``.

    Returns:
        Its path.

    Raises:
        NotInstalledError: There is none.
    """
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders), *_FURTHER_FOLDERS])
    found = shutil.which(name, path=places)
    if found is None:
        raise NotInstalledError(f"{name} is not installed. On Debian or Ubuntu: apt-get install {package}")
    return Path(found)


def identity(user: str | None) -> dict[str, Any]:
    """Return the arguments of ``subprocess`` to run as a user, where this process is root.

    Args:
        user: Name of the user; None: the present one.
    """
    if user is None or os.geteuid() != 0:
        return {}
    return {"user": user, "group": user, "extra_groups": []}


def harmless_environment() -> dict[str, str]:
    """Return what a server needs of the environment: neither addresses nor credentials of this process."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}


def answers_http(url: str, context: Any = None) -> Callable[[], bool]:
    """Return a check that a server answers a GET with a status below 500.

    Args:
        url: Address.
        context: TLS context.
    """

    def ask() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2, context=context):  # noqa: S310 - our own server
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code < 500
        except OSError:
            return False

    return ask


def answers_tcp(port: int) -> Callable[[], bool]:
    """Return a check that a port of this machine is open.

    Args:
        port: The port.
    """

    def ask() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
        return False

    return ask


def write_private(path: Path, text: str, user: str | None = None) -> Path:
    """Write a file that only its owner can read.

    Args:
        path: The file, which is replaced.
        text: Its content.
        user: System user that must read it, where this process is root.

    Returns:
        The path.
    """
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    if user is not None and identity(user):
        shutil.chown(path, user, user)
    return path


@contextmanager
def started(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, and stop it when the block ends.

    Args:
        server: The server.

    Yields:
        Its process, which may not answer yet.

    Raises:
        ServerError: Another process answers at its address.
    """
    if server.is_ready():
        raise ServerError(f"{server.name}: another process answers at its address.")
    with server.log.open("ab") as output:
        process = subprocess.Popen(
            server.command,
            cwd=server.cwd or server.folder,
            env={**harmless_environment(), **server.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **identity(server.user),
        )
    try:
        yield process
    finally:
        _stop(server, process)


@contextmanager
def running(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends.

    Args:
        server: The server.

    Yields:
        Its process, when it answers.

    Raises:
        ServerError: It ends, or does not answer in time; the message has the end of its log.
    """
    with started(server) as process:
        until = time.monotonic() + server.seconds
        while not server.is_ready():
            require_alive(server, process)
            if time.monotonic() > until:
                raise ServerError(f"{server.name} does not answer after {server.seconds:.0f} s.{_end_of_log(server)}")
            time.sleep(_PAUSE_SECONDS)
        yield process


def require_alive(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Check that a server has not ended.

    Args:
        server: The server.
        process: Its process.

    Raises:
        ServerError: It has; the message has the end of its log.
    """
    if process.poll() is not None:
        raise ServerError(f"{server.name} has ended with status {process.returncode}.{_end_of_log(server)}")


def _end_of_log(server: Server) -> str:
    lines = server.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    return f" Last lines of {server.log}:\n" + "\n".join(f"    {line}" for line in lines)


def _stop(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Stop a server and the processes that it has started, which are in its process group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, server.stop_signal)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
