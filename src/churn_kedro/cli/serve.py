"""The command ``kedro serve``: predictions over HTTP."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.utils import find_kedro_project

from churn_kedro.base import ParameterError, available_cores, hide_secrets, indent_continued
from churn_kedro.cli.errors import USER_ERRORS, explain_error, show_user_errors

if TYPE_CHECKING:
    from churn_kedro.serving import ServiceSettings, ServingParameters, UseCase

logger = logging.getLogger(__name__)

# Seconds between two looks of a worker process at its parent.
_PARENT_SECONDS = 2.0
_NEEDED = ("fastapi", "uvicorn", "uvloop", "httptools", "prometheus_client")


def _split(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(name for value in values for name in value.split(",") if name))


@click.command()
@click.option(
    "--env",
    "-e",
    "envs",
    metavar="NAME",
    multiple=True,
    callback=_split,
    help="Use case; several: --env bank --env telco, or separated by commas. Default: that of conf/base.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes, each with its own model."
)
@click.option("--version", default="champion", show_default=True, metavar="VERSION", help="Alias, or number.")
@click.option(
    "--wait",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seconds to wait for the registry and for a version.",
)
@show_user_errors
def serve(envs: list[str], host: str, port: int, workers: int, version: str, wait: int) -> None:
    """Serve predictions over HTTP; a moved alias is followed without restart."""
    _require_libraries()
    from churn_kedro.serving import require_loopback_or_keys, run_service

    path = find_kedro_project(Path.cwd()) or Path.cwd()
    settings = _read_settings(path, envs, version, workers)
    require_loopback_or_keys(host, settings)
    # Threads of trees: with those of other workers, no more than cores.
    os.environ["OMP_NUM_THREADS"] = str(min(int(os.environ.get("OMP_NUM_THREADS", settings.threads)), settings.threads))
    _await_versions(settings, time.monotonic() + wait)
    names = ", ".join(use_case.name for use_case in settings.use_cases)

    def announce(address: str) -> None:
        click.echo(f"{names}: {address}", err=True)

    run_service(settings, host, port, workers, start_worker if workers > 1 else _make_application, announce)


def _require_libraries() -> None:
    absent = [name for name in _NEEDED if find_spec(name) is None]
    if absent:
        raise ParameterError(
            f"The service needs {', '.join(absent)}, which {'are' if len(absent) > 1 else 'is'} not installed: `pip "
            "install 'churn_kedro[serve]'`, or `make install-dev`."
        )


def _read_settings(path: Path, envs: list[str], version: str, workers: int) -> ServiceSettings:
    from kedro.framework.startup import bootstrap_project

    from churn_kedro.serving import ServiceSettings, read_key_digests

    bootstrap_project(path)
    read = [read_use_case(path, env, version) for env in envs or (None,)]
    names = [use_case.name for use_case, _, _ in read]
    if len(set(names)) < len(names):
        raise ParameterError(f"--env names a use case twice: {', '.join(names)}.")
    use_cases = tuple(use_case for use_case, _, _ in read)
    _, parameters, uri = read[0]
    return ServiceSettings(
        use_cases,
        parameters,
        uri,
        read_key_digests(os.environ),
        path / "logs" / "requests.jsonl",
        max(1, available_cores() // workers),
    )


def read_use_case(path: Path, env: str | None, version: str) -> tuple[UseCase, ServingParameters, str]:
    """Read the configuration of a use case, for the service and its clients.

    Args:
        path: The project.
        env: Folder of the use case in ``conf``; None: that of ``conf/base``.
        version: Alias or number of the wanted version.

    Returns:
        The use case, the parameters of the service, and the address of the tracking server.
    """
    from kedro.framework.project import settings

    from churn_kedro.datasets import prediction_log_url
    from churn_kedro.hooks import ProjectConfigLoader
    from churn_kedro.serving import UseCase

    given: dict[str, Any] = settings.CONFIG_LOADER_ARGS
    loader = ProjectConfigLoader(str(path / "conf"), env=env, **given)
    names, parameters = loader["globals"], loader["parameters"]
    inference = parameters["inference"]
    name = str(names["use_case"])
    use_case = UseCase(
        name,
        str(names["registered_model"]),
        version,
        parameters["customers"],
        inference.bands,
        inference.holdout_share,
        prediction_log_url(path, os.environ, name),
        parameters["monitoring"],
    )
    return use_case, parameters["serving"], str(loader["mlflow"]["server"]["mlflow_tracking_uri"])


def _await_versions(settings: ServiceSettings, until: float) -> None:
    """Wait until registry and versions are there, and say what is missing."""
    told = None
    # The first process of a container ignores the signal otherwise.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    while True:
        try:
            _check_versions(settings)
            return
        except Exception as error:
            reason = explain_error(error)
            if reason is None or time.monotonic() >= until:
                raise
            if reason != told:
                logger.warning("Waiting: %s", indent_continued(hide_secrets(reason)))
            told = reason
            time.sleep(settings.parameters.poll_seconds)


def _check_versions(settings: ServiceSettings) -> None:
    """Check that registry and versions are there, before worker processes start."""
    from churn_kedro.datasets import require_answer, require_database
    from churn_kedro.serving import require_version

    require_answer(settings.tracking_uri)
    require_database(settings.tracking_uri)
    use_registry(settings.tracking_uri)
    for use_case in settings.use_cases:
        require_version(use_case)


def use_registry(uri: str) -> None:
    """Use a registry in this process, and in those that it starts.

    Args:
        uri: Address of the tracking server or its database.
    """
    import mlflow

    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)


def _make_application(settings: ServiceSettings) -> Any:
    from churn_kedro.serving import Service

    return Service(settings).application


def _end_with(parent: int) -> None:
    """End this worker process as by SIGTERM if its parent is killed, which cannot tell it."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def start_worker(settings: ServiceSettings) -> Any:
    """Make the application in a worker process.

    Args:
        settings: Settings of the service.

    Returns:
        The ASGI application.
    """
    import kedro.framework.project  # noqa: F401 - configures logging, as in the first process
    from uvicorn.config import STARTUP_FAILURE

    from churn_kedro.datasets import protect_addresses
    from churn_kedro.hooks import protect_output

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    protect_addresses(os.environ)
    protect_output()
    use_registry(settings.tracking_uri)
    try:
        return _make_application(settings)
    except USER_ERRORS as error:
        click.echo(f"Error: {indent_continued(hide_secrets(str(error)))}", err=True)
    except Exception:
        logger.exception("The service cannot start.")
    sys.exit(STARTUP_FAILURE)
