"""The project's command line: Kedro's own, with errors that a user can mend shown without a traceback."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError

from churn_kedro.customers import UnusableInputError
from churn_kedro.places import TrackingServerError

logger = logging.getLogger(__name__)

_MENDABLE = (UnusableInputError, DatasetError, ParameterValidationError, TrackingServerError)


@click.group(name="churn_kedro")
def cli() -> None:
    """Commands of this project."""


def _explain_instead_of_tracing(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except _MENDABLE as error:
            # Level DEBUG for churn_kedro in conf/logging.yml shows it.
            logger.debug("The run failed here:", exc_info=True)
            raise click.ClickException(str(error).strip()) from error

    return run


_run = copy.copy(kedro_run)
_run.callback = _explain_instead_of_tracing(cast(Callable[..., Any], kedro_run.callback))
cli.add_command(_run)
