"""Parameters in the MLflow run: those to compare as parameters of the run, all of them as a file."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from pydantic import BaseModel

from churn_kedro.base import hide_secrets_within

# Parameters of a run by which models are compared: groups of the configuration, and their names in MLflow.
_COMPARED = {"data_processing.split": "data", "features": "features", "training": "training", "campaigns": "campaigns"}
# Of the search space of each algorithm, the result is logged.
_NOT_COMPARED = {"training": {"spaces"}}
_ARTIFACT = "parameters.yml"


class ParameterHooks:
    """Log the parameters by which models are compared, field by field, and a file of all parameters."""

    def __init__(self) -> None:
        self._parameters: dict[str, Any] = {}
        self._logged: set[str] = set()

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any]) -> None:
        """Store all parameters, without the single ones that Kedro adds."""
        self._parameters = parameters["parameters"]

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Reset the logged parameters, and hide passwords in those of the command line, which become a tag."""
        self._logged = set()
        # The configuration has read them already.
        run_params["runtime_params"] = hide_secrets_within(run_params.get("runtime_params"))

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any]) -> None:
        """Log parameters before the first node that uses them."""
        import mlflow

        if mlflow.active_run() is None:
            return
        if not self._logged:
            self._logged.add(_ARTIFACT)
            mlflow.log_dict(hide_secrets_within(_dump(self._parameters)), _ARTIFACT)
        fields: dict[str, Any] = {}
        for configured, group in _COMPARED.items():
            for name, value in inputs.items():
                if name == f"params:{configured}" and name not in self._logged and isinstance(value, BaseModel):
                    self._logged.add(name)
                    fields |= _flatten(value.model_dump(exclude=_NOT_COMPARED.get(configured)), f"{group}/")
        if fields:
            mlflow.log_params(fields)


def _dump(value: Any) -> Any:
    """Convert typed parameters within dictionaries and lists to plain values."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, list):
        return [_dump(one) for one in value]
    return {name: _dump(one) for name, one in value.items()} if isinstance(value, dict) else value


def _flatten(value: Any, name: str) -> dict[str, Any]:
    """Flatten nested configuration to dotted names; values that are not configured are left out."""
    if isinstance(value, dict) and value:
        separator = "" if name.endswith("/") else "."
        return {
            key: leaf
            for part, inner in value.items()
            for key, leaf in _flatten(inner, f"{name}{separator}{part}").items()
        }
    return {} if value in (None, [], {}) else {name: value}
