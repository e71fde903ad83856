"""Starting the service: sockets, worker processes and time limits of connections."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from churn_kedro.base import ParameterError
from churn_kedro.serving.metrics import FOLDER_VARIABLE
from churn_kedro.serving.settings import KEYS_VARIABLE, ServiceSettings

# Seconds that requests in progress have after SIGTERM, and seconds that an idle connection stays open.
_GRACEFUL_SECONDS, _IDLE_SECONDS = 30, 65
_BACKLOG = 2048


def require_loopback_or_keys(host: str, settings: ServiceSettings) -> None:
    """Check that a service without API keys listens on this machine only.

    Args:
        host: Address to listen on.
        settings: Settings with the digests of the keys.

    Raises:
        ParameterError: It would listen beyond this machine.
    """
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not settings.key_digests and not is_loopback:
        raise ParameterError(
            f"Without API keys, the service listens on this machine only; found --host {host}. Set {KEYS_VARIABLE} to "
            "the SHA-256 digests of the keys (docs/serving.md), or leave out --host."
        )


def run_service(
    settings: ServiceSettings,
    host: str,
    port: int,
    workers: int,
    make_application: Callable[[ServiceSettings], Any],
    announce: Callable[[str], None],
) -> None:
    """Listen and serve until the process is ended.

    Args:
        settings: Settings of the service.
        host: Address to listen on.
        port: Port; 0: any free one.
        workers: Number of processes.
        make_application: Makes the application in each worker process; can be pickled.
        announce: Takes the address when the service listens.

    Raises:
        ParameterError: The address cannot be used.
        SystemExit: A worker process could not start.
    """
    import uvicorn
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    from churn_kedro.serving.connections import timed_protocol

    listener = _listen(host, port)
    _raise_file_limit()
    address, bound = listener.getsockname()[:2]
    announce(f"http://{f'[{address}]' if ':' in address else address}:{bound}")
    config = uvicorn.Config(
        partial(make_application, settings),
        factory=True,
        workers=workers,
        loop="uvloop",
        http=timed_protocol(settings.parameters.body_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        backlog=_BACKLOG,
    )
    if workers == 1:
        # After SIGTERM, when everything is done, uvicorn raises the signal again: the process ends with status 0.
        signal.signal(signal.SIGTERM, lambda *_: None)
        uvicorn.Server(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="churn-metrics-") as folder:
        # Read when a worker process imports prometheus_client.
        os.environ[FOLDER_VARIABLE] = folder
        supervisor = Multiprocess(config, sockets=[listener])
        supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(1)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ParameterError(
            f"The service cannot listen on {host}:{port}: {error.strerror}. Choose another --host or --port."
        ) from error
    listener.set_inheritable(True)
    return listener


def _raise_file_limit() -> None:
    """Allow as many connections as the system does: often, the soft limit is 1,024 files."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
