"""Errors that a user can mend, shown without a traceback."""

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

from churn_kedro.base import UserInputError
from churn_kedro.datasets import TrackingServerError
from churn_kedro.registry import RefusedActionError

logger = logging.getLogger(__name__)

# Exit status of a command whose answer is no; 1 is an error, 2 wrong usage.
EXIT_NO = 3
# A command within a message.
_COMMAND = re.compile(r"`(kedro (?:run|models|mlflow|viz)\b[^`]*)`")

_MENDABLE = (UserInputError, DatasetError, ParameterValidationError, TrackingServerError, OmegaConfBaseException)


class _RefusedError(click.ClickException):
    """An answer that is no."""

    exit_code = EXIT_NO


def show_user_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command end with a message where its user can mend what is wrong.

    Args:
        command: Function behind a click command.

    Returns:
        The function, raising ``click.ClickException`` for such errors.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except _MENDABLE as error:
            # Level DEBUG for churn_kedro in conf/logging.yml shows it.
            logger.debug("The run failed here:", exc_info=True)
            refused = _find_refusal(error)
            kind = click.ClickException if refused is None else _RefusedError
            raise kind(_name_use_case(str(refused or error).strip(), kwargs.get("env"))) from error
        except KeyboardInterrupt:
            _close_run()
            raise

    return run


def _name_use_case(message: str, env: str | None) -> str:
    """Let the commands that a message tells to run mean the use case that it is about."""
    if not env:
        return message
    return _COMMAND.sub(lambda found: f"`{found[1]} --env {env}`" if "--env" not in found[1] else found[0], message)


def _find_refusal(error: BaseException | None) -> RefusedActionError | None:
    """The refusal behind an error: Kedro puts what a dataset raises into an error of its own."""
    while error is not None and not isinstance(error, RefusedActionError):
        error = error.__cause__
    return error


def _close_run() -> None:
    """Let MLflow know that the run did not come to its end; it would call it finished when the process ends."""
    mlflow = sys.modules.get("mlflow")
    if mlflow is not None and mlflow.active_run() is not None:
        mlflow.end_run("KILLED")
