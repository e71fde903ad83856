"""Records typed parameters in the MLflow run."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from pydantic import BaseModel

from churn_kedro.datasets import loggable_name

# Characters of a column's name in a parameter's name, which has a prefix, too.
_LONGEST_NAME = 150


class ParameterHooks:
    """Logs typed parameters field by field: kedro-mlflow does not look into them."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Start afresh."""
        self._logged = set()

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> None:
        """Log the fields of each pydantic parameter as ``name.field``, when the first node takes it."""
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
    """Leaves of nested configuration by dotted name; entries of a list go by their own name where they have one."""
    if isinstance(value, dict) and value:
        return {key: leaf for part, inner in value.items() for key, leaf in _flatten(inner, f"{name}.{part}").items()}
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        named = {loggable_name(str(entry["name"]), _LONGEST_NAME): entry for entry in value}
        return _flatten({key: {**entry, "name": None} for key, entry in named.items()}, name)
    # What was left out in the configuration says nothing.
    return {} if value in (None, []) else {name: value}
