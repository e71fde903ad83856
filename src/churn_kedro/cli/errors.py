"""User errors, shown without a traceback."""

from __future__ import annotations

import functools
import logging
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException

from churn_kedro.base import UserInputError, has_secrets, hide_secrets, indent_continued
from churn_kedro.datasets import (
    TrackingServerError,
    explain_dataset_failure,
    explain_store_failure,
    is_wrapped,
    without_statement,
)
from churn_kedro.registry import RefusedActionError

logger = logging.getLogger(__name__)

# Exit status of a refused action or a failed comparison; 1 is an error, 2 wrong usage.
EXIT_NO = 3
# A command within a message.
_COMMAND = re.compile(r"`(kedro (?:run|models|mlflow|viz)\b[^`]*)`")

USER_ERRORS = (UserInputError, DatasetError, ParameterValidationError, TrackingServerError, OmegaConfBaseException)


class _RefusedError(click.ClickException):
    """A refused action."""

    exit_code = EXIT_NO


def show_user_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a command to show user errors, and failures of MLflow's store, as messages without a traceback.

    Args:
        command: Function of a click command.

    Returns:
        The function, which raises ``click.ClickException`` for such errors. No message contains a password.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            message = explain_error(error)
            if message is None:
                if has_secrets():
                    # A defect keeps its traceback, but those who print it know nothing of passwords.
                    sys.stderr.write(hide_secrets(traceback.format_exc()))
                    raise SystemExit(1) from None
                raise
            # Shown with level DEBUG for churn_kedro in conf/logging.yml.
            logger.debug("The run failed here:", exc_info=True)
            kind = click.ClickException if _find_refusal(error) is None else _RefusedError
            shown = _name_use_case(message.strip(), kwargs.get("env"))
            raise kind(hide_secrets(indent_continued(shown))) from error
        except KeyboardInterrupt:
            _close_run()
            raise

    return run


def hide_in_usage_errors(command: click.Command) -> None:
    """Hide passwords in the messages about wrong usage of a command, which quote its arguments.

    Args:
        command: A click command, which is changed.
    """
    make_context = command.make_context

    def make(*args: Any, **kwargs: Any) -> click.Context:
        try:
            return make_context(*args, **kwargs)
        except click.UsageError as error:
            raise click.UsageError(hide_secrets(error.format_message()), error.ctx) from None

    command.make_context = make  # type: ignore[method-assign]


def explain_error(error: Exception) -> str | None:
    """Explain an error that the user can correct.

    Args:
        error: Any error.

    Returns:
        Its message; None for a defect.
    """
    refused = _find_refusal(error)
    if refused is not None:
        return str(refused)
    if not isinstance(error, USER_ERRORS):
        return explain_store_failure(error)
    # Kedro wraps what a dataset raises, once in the dataset and once in the catalog.
    raised: BaseException = error
    while is_wrapped(raised) and raised.__cause__ is not None:
        raised = raised.__cause__
    if isinstance(raised, USER_ERRORS):
        return without_statement(str(raised))
    return explain_store_failure(error) or explain_dataset_failure(error)


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
