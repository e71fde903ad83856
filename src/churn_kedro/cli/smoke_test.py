"""The command ``kedro smoke-test``: does a running service score a customer with the expected version?"""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.utils import find_kedro_project

from churn_kedro.base import ParameterError, hide_secrets, remember_secret
from churn_kedro.cli.errors import show_user_errors
from churn_kedro.datasets import TrackingServerError

if TYPE_CHECKING:
    from churn_kedro.serving import UseCase

_ANY_VERSION = "any"
_TIMEOUT_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_UNAUTHORISED = (401, 403)
_EXPECTED = {"probability": "number from 0 to 1", "prediction": "number"}


class _NotYetError(Exception):
    """A check that has failed and may pass later."""


class _RefusedError(Exception):
    """A request that the service refuses, which waiting does not change."""


@click.command("smoke-test")
@click.option("--env", "-e", metavar="NAME", default=None, help="Use case. Default: that of conf/base.")
@click.option("--url", envvar="CHURN_SERVICE_URL", metavar="URL", help="Address. Default: CHURN_SERVICE_URL.")
@click.option(
    "--version",
    default="champion",
    show_default=True,
    metavar="VERSION",
    help="Alias or number that must be served; any: do not ask the registry.",
)
@click.option("--wait", default=0, show_default=True, type=click.IntRange(min=0), help="Seconds until it must pass.")
@show_user_errors
def smoke_test(env: str | None, url: str | None, version: str, wait: int) -> None:
    """Check that a running service scores a customer with the expected version.

    The service must be ready, serve the version, and answer for a customer made from the declaration. The API key is
    read from CHURN_SERVICE_KEY. The request id of its prediction is "smoke-test". Exit status 1 if a check fails.
    """
    if not url:
        raise ParameterError("The address of the service is not set: give --url, or set CHURN_SERVICE_URL.")
    use_case, uri = _read_use_case(env, version)
    until = time.monotonic() + wait
    while True:
        try:
            click.echo(_check(url.rstrip("/"), use_case, uri))
            return
        except _RefusedError as error:
            raise click.ClickException(hide_secrets(str(error))) from None
        except (_NotYetError, TrackingServerError) as error:
            if time.monotonic() >= until:
                raise click.ClickException(hide_secrets(str(error))) from None
            time.sleep(_PAUSE_SECONDS)


def _read_use_case(env: str | None, version: str) -> tuple[UseCase, str]:
    from kedro.framework.startup import bootstrap_project

    from churn_kedro.cli.serve import read_use_case, use_registry

    path = find_kedro_project(Path.cwd()) or Path.cwd()
    bootstrap_project(path)
    use_case, _, uri = read_use_case(path, env, version)
    if version != _ANY_VERSION:
        use_registry(uri)
    return use_case, uri


def _check(url: str, use_case: UseCase, uri: str) -> str:
    """Check readiness, version and a prediction.

    Args:
        url: Address of the service.
        use_case: The use case, and the version that must be served.
        uri: Address of the registry.

    Returns:
        What was found.

    Raises:
        _NotYetError: A check has failed.
        _RefusedError: The service refuses the key.
        TrackingServerError: The registry does not respond.
    """
    from churn_kedro.serving import CustomerRequests

    expected = _find_version(use_case, uri)
    _ask(f"{url}/ready")
    model = _ask(f"{url}/{use_case.name}/model")
    served = model.get("model_version")
    if expected is not None and served != expected:
        refused = model.get("refused")
        reason = f" It has refused version {refused['version']}: {refused['reason']}." if refused else ""
        raise _NotYetError(
            f"The service serves version {served} of {use_case.model_name}; expected {expected} ({use_case.wanted})."
            f"{reason} It looks at the registry every few seconds: give it time with --wait."
        )
    example = CustomerRequests(use_case.declaration, 1).example
    answer = _ask(f"{url}/{use_case.name}/predict", json.dumps(example).encode())
    if answer.get("model_version") != served:
        raise _NotYetError(f"Version {answer.get('model_version')} has answered; version {served} was served before.")
    field = "probability" if use_case.declaration.task == "binary" else "prediction"
    value = answer.get(field)
    if use_case.declaration.task != "multiclass":
        if (
            not isinstance(value, int | float)
            or not math.isfinite(value)
            or (field == "probability" and not 0 <= value <= 1)
        ):
            raise _NotYetError(f"The field '{field}' of the answer is {value!r}; expected a {_EXPECTED[field]}.")
    elif value not in model.get("classes", []):
        raise _NotYetError(f"The field '{field}' of the answer is {value!r}; expected one of {model.get('classes')}.")
    return f"{use_case.name}: version {served} answers {field} {value}."


def _find_version(use_case: UseCase, uri: str) -> int | None:
    from churn_kedro.datasets import find_model_version, require_answer, require_database

    if use_case.wanted == _ANY_VERSION:
        return None
    require_answer(uri)
    require_database(uri)
    found = find_model_version(use_case.model_name, use_case.wanted)
    if found is None:
        raise _NotYetError(f"{use_case.model_name} has no version '{use_case.wanted}' in the registry.")
    return int(found.version)


def _ask(url: str, body: bytes | None = None) -> dict[str, Any]:
    from churn_kedro.datasets import RequestFailedError, send_request

    key = os.environ.get("CHURN_SERVICE_KEY")
    remember_secret(key)
    headers = {"X-Request-ID": "smoke-test", "Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        text = send_request(
            url, timeout=_TIMEOUT_SECONDS, method="GET" if body is None else "POST", body=body, headers=headers
        )
        answer: dict[str, Any] = json.loads(text)
    except RequestFailedError as error:
        message = f"/{url.split('/', 3)[-1]}: {error}."
        if error.status in _UNAUTHORISED:
            raise _RefusedError(f"{message} Set CHURN_SERVICE_KEY to an API key of the service.") from None
        raise _NotYetError(message) from None
    except ValueError:
        raise _NotYetError(f"The answer of {url} is not JSON: is it the scoring service?") from None
    return answer
