"""Run a Kedro command as an Airflow task, in a process of the project's own environment."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

# Seconds between the request to end and the end of a command by force.
_GRACE = 30
_PR_SET_PDEATHSIG = 1


def join(arguments: Sequence[str], parameters: Sequence[str]) -> list[str]:
    """Join the arguments of a command.

    Args:
        arguments: Arguments.
        parameters: Values of ``--params``; empty ones are left out.

    Returns:
        The arguments, with all parameters as a single one, so that no value can become an option.
    """
    given = ",".join(filter(None, parameters))
    return [*arguments, *([f"--params={given}"] if given else [])]


class KedroOperator(BaseOperator):
    """Run ``kedro ARGUMENTS`` in the project's folder, and wait for its end.

    The command is a process group of its own, without a shell. It ends with the task: at the time limit, when the task
    is stopped in Airflow, and on Linux also when the task's process is killed, so that a retry never runs beside it.

    Environment variables of the worker: ``CHURN_PROJECT``, the folder of the project, and ``CHURN_KEDRO``, the command
    (default ``kedro``). The command gets all variables of the worker but those of Airflow.

    Args:
        arguments: Arguments of ``kedro``.
        parameters: Values of ``--params``, each ``NAME=VALUE`` or several of them; empty ones are left out.
        accepted: Exit statuses that are no failure.
        asks_service: Whether the command asks the service; without ``CHURN_SERVICE_URL``, the task is skipped.
        kwargs: Arguments of every operator.

    Returns:
        Exit status.
    """

    template_fields: Sequence[str] = ("arguments", "parameters")
    ui_color = "#ffc900"

    def __init__(
        self,
        *,
        arguments: Sequence[str],
        parameters: Sequence[str] = (),
        accepted: Sequence[int] = (0,),
        asks_service: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self.parameters = list(parameters)
        self.accepted = list(accepted)
        self.asks_service = asks_service
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> int:
        """Run the command.

        Args:
            context: Context of the task.

        Returns:
            Exit status, one of the accepted ones.

        Raises:
            AirflowSkipException: There is no service to ask.
            AirflowException: The command failed.
        """
        if self.asks_service and not os.environ.get("CHURN_SERVICE_URL"):
            raise AirflowSkipException("CHURN_SERVICE_URL is not set.")
        command = [*shlex.split(os.environ.get("CHURN_KEDRO") or "kedro"), *join(self.arguments, self.parameters)]
        self.log.info("%s", shlex.join(command))
        try:
            status = self._run(command)
        finally:
            self.on_kill()
        if status not in self.accepted:
            how = f"exit status {status}" if status >= 0 else signal.Signals(-status).name
            raise AirflowException(f"`kedro {shlex.join(self.arguments)}` ended with {how}.")
        return status

    def on_kill(self) -> None:
        """End the command with everything that it started."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
            os.killpg(process.pid, signal.SIGKILL)

    def _run(self, command: list[str]) -> int:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
        self._process = subprocess.Popen(
            command,
            cwd=os.environ.get("CHURN_PROJECT") or None,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            self.log.info("%s", line.rstrip())
        return self._process.wait()


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, in whatever way."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
