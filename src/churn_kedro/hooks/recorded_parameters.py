"""Logging of typed parameters in the MLflow run."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from pydantic import BaseModel

from churn_kedro.base import hide_secrets_within
from churn_kedro.datasets import loggable_name

# Maximum characters of a column's name within the name of a parameter.
_LONGEST_NAME = 150


class ParameterHooks:
    """Log typed parameters field by field, which kedro-mlflow logs as one string."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Reset the logged parameters, and hide passwords in those of the command line, which become a tag."""
        self._logged = set()
        # The configuration has read them already.
        run_params["runtime_params"] = hide_secrets_within(run_params.get("runtime_params"))

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> None:
        """Log the fields of each pydantic parameter as ``name.field``, before the first node that uses it."""
        import mlflow

        typed = {
            name.removeprefix("params:"): value
            for name, value in inputs.items()
            if name.startswith("params:") and name not in self._logged and isinstance(value, BaseModel)
        }
        if not typed or mlflow.active_run() is None:
            return
        self._logged |= {f"params:{name}" for name in typed}
        fields: dict[str, Any] = {}
        for name, value in typed.items():
            fields |= _flatten(value.model_dump(), name)
        mlflow.log_params(fields)


def _flatten(value: Any, name: str) -> dict[str, Any]:
    """Flatten nested configuration to dotted names; entries of a list are keyed by their ``name``, if any."""
    if isinstance(value, dict) and value:
        return {key: leaf for part, inner in value.items() for key, leaf in _flatten(inner, f"{name}.{part}").items()}
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        named = {loggable_name(str(entry["name"]), _LONGEST_NAME): entry for entry in value}
        return _flatten({key: {**entry, "name": None} for key, entry in named.items()}, name)
    # Values that are not configured are not logged.
    return {} if value in (None, []) else {name: value}
