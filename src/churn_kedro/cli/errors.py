"""User errors, shown without a traceback."""

from __future__ import annotations

import functools
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import click
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException

from churn_kedro.base import UserInputError, indent_continued
from churn_kedro.datasets import TrackingServerError
from churn_kedro.registry import RefusedActionError

logger = logging.getLogger(__name__)

# Exit status of a refused action or a failed comparison; 1 is an error, 2 wrong usage.
EXIT_NO = 3
# A command within a message.
_COMMAND = re.compile(r"`(kedro (?:run|models|mlflow|viz)\b[^`]*)`")

_USER_ERRORS = (UserInputError, DatasetError, ParameterValidationError, TrackingServerError, OmegaConfBaseException)


class _RefusedError(click.ClickException):
    """A refused action."""

    exit_code = EXIT_NO


def show_user_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command to show user errors as messages without a traceback.

    Args:
        command: Function of a click command.

    Returns:
        The function, which raises ``click.ClickException`` for user errors.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except _USER_ERRORS as error:
            # Shown with level DEBUG for churn_kedro in conf/logging.yml.
            logger.debug("The run failed here:", exc_info=True)
            refused = _find_refusal(error)
            kind = click.ClickException if refused is None else _RefusedError
            message = _name_use_case(str(refused or error).strip(), kwargs.get("env"))
            raise kind(indent_continued(message)) from error
        except KeyboardInterrupt:
            _close_run()
            raise

    return run


def _name_use_case(message: str, env: str | None) -> str:
    """Add ``--env`` of the use case to the commands in a message."""
    if not env:
        return message
    return _COMMAND.sub(lambda found: f"`{found[1]} --env {env}`" if "--env" not in found[1] else found[0], message)


def _find_refusal(error: BaseException | None) -> RefusedActionError | None:
    """Return the refusal among the causes of an error, since Kedro wraps errors of datasets."""
    while error is not None and not isinstance(error, RefusedActionError):
        error = error.__cause__
    return error


def _close_run() -> None:
    """Mark the interrupted MLflow run as killed; it would be marked as finished when the process ends."""
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None and mlflow.active_run() is not None:
        mlflow.end_run("KILLED")
