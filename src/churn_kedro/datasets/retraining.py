"""Start of a training that monitoring asks for."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.monitoring import RetrainingPlan

logger = logging.getLogger(__name__)

_SHOWN_LINES = 15


class RetrainingDataset(AbstractDataset[RetrainingPlan, RetrainingPlan]):
    """Start the main job in a process of its own, if the plan says so, and wait for its end.

    It is an ordinary run: data_processing, training, evaluation and registry, whose gate decides on the promotion.

    Args:
        project_path: Folder of the project.
        env: Kedro environment; empty for the default one.
        table: Table to train on; empty: that of the catalog.
        parameters: Further parameters of the run, by name.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(
        self,
        *,
        project_path: str,
        env: str = "",
        table: str = "",
        parameters: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._project_path = project_path
        self._env = env
        self._table = table
        self._parameters = dict(parameters or {})
        self.metadata = metadata

    def load(self) -> RetrainingPlan:
        """Refuse."""
        raise DatasetError("A training is started, not loaded.")

    def command(self) -> list[str]:
        """Return the command of the run."""
        given = {**({"raw_customers": self._table} if self._table else {}), **self._parameters}
        parameters = ",".join(f"{name}={value}" for name, value in given.items())
        return [
            sys.executable,
            "-m",
            "kedro",
            "run",
            "--pipelines",
            "data_processing,training,evaluation,registry",
            *(["--env", self._env] if self._env else []),
            *(["--params", parameters] if parameters else []),
        ]

    def save(self, data: RetrainingPlan) -> None:
        """Start the run if the plan says so.

        Args:
            data: The plan.

        Raises:
            DatasetError: The run has failed; the message has its last lines.
        """
        if not data.run:
            return
        command = self.command()
        shown = " ".join(["kedro", *command[3:]])
        logger.info("Training starts: %s", shown)
        ended = subprocess.run(
            command, cwd=self._project_path, env=dict(os.environ), capture_output=True, text=True, check=False
        )
        if ended.returncode:
            lines = (ended.stdout + ended.stderr).strip().splitlines()[-_SHOWN_LINES:]
            raise DatasetError(
                f"The training that monitoring has started failed with exit status {ended.returncode}. Its last "
                "lines:\n" + "\n".join(f"  {line}" for line in lines) + f"\nRun it again: `{shown}`."
            )
        sys.stdout.write(ended.stdout)

    def _describe(self) -> dict[str, Any]:
        return {"env": self._env, "table": self._table}
