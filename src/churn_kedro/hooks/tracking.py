"""The hooks of kedro-mlflow, without its parameters."""

from __future__ import annotations

from typing import Any

from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook


class MlflowHooks(MlflowHook):
    """Start and end the MLflow run of a session, as kedro-mlflow does.

    kedro-mlflow logs each typed parameter as one string; :class:`ParameterHooks` logs the fields that one compares.
    """

    def _log_param(self, name: str, value: Any) -> None:
        """Log nothing."""
