"""The configuration loader: OmegaConf as Kedro ships it, with this project's resolvers and patterns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from churn_kedro.base import ParameterError, remember_addresses, remember_credentials
from churn_kedro.customers import escape_interpolation
from churn_kedro.datasets import artifact_location, prediction_log_url, protect_addresses, study_url, tracking_uri
from churn_kedro.hooks.log_records import protect_output
from churn_kedro.hooks.parameters import validate_parameters

DECLARATION = "customers"
_ABSENT = object()


class ProjectConfigLoader(OmegaConfigLoader):
    r"""Configuration loader that resolves paths of the project, with hooks (``kedro run``) or without (``kedro viz``).

    Resolvers for configuration files: ``${project_path:}``, ``${tracking_uri:}``, ``${artifact_location:}``,
    ``${study_url:USE_CASE}``, ``${prediction_log_url:USE_CASE}``, ``${environment:NAME, default}``, where an empty
    environment variable counts as unset,
    and ``${new_customers:SAMPLE, OTHERWISE}``, the path of the table to score.

    Interpolations are resolved once, in the file where they are written. Kedro would parse the results again, when it
    merges a use case with base and when it reads globals, so that ``\${`` in a path or level would become an
    interpolation. Values of the command line (``--params``) are data and not interpolated.

    Args:
        conf_source: Folder of the configuration.
        arguments: Arguments of :class:`kedro.config.OmegaConfigLoader`.

    Raises:
        ParameterError: The environment is not a use case, or the artifact location contains a password; or, when
            parameters are loaded, one is invalid.
    """

    def __init__(self, conf_source: str, **arguments: Any) -> None:
        # Here rather than in a hook, since this is the first use of the addresses and is part of every command.
        protect_addresses(os.environ)
        remember_addresses(arguments.get("runtime_params") or {})
        protect_output()
        env = arguments.get("env")
        self._require_use_case(Path(conf_source), env)
        beside = Path(conf_source).resolve().parent
        project = beside if (beside / "pyproject.toml").is_file() else find_kedro_project(Path.cwd()) or Path.cwd()
        artifact_location(project, os.environ)
        super().__init__(
            conf_source,
            runtime_params=_escape(arguments.pop("runtime_params", None)),
            custom_resolvers={
                "project_path": project.as_posix,
                "tracking_uri": lambda: tracking_uri(project, os.environ),
                "artifact_location": lambda: artifact_location(project, os.environ),
                "study_url": lambda use_case: study_url(project, os.environ, use_case),
                "prediction_log_url": lambda use_case: prediction_log_url(project, os.environ, use_case),
                "environment": lambda name, default: os.environ.get(name) or default,
                "use_case_folder": lambda: env if env not in (None, "base", "local") else "",
            },
            # The folder of a use case has differences from base only.
            merge_strategy={"parameters": "soft", "catalog": "soft", "globals": "soft"},
            config_patterns={
                # The declaration is a parameter of nodes, and as a global an option of validators in the catalog.
                "globals": ["globals.yml", "parameters/customers.yml"],
                "mlflow": ["mlflow.yml"],
            },
            **arguments,
        )

    def __getitem__(self, key: str) -> Any:
        """Load a part of the configuration; parameters of all pipelines are validated."""
        loaded = super().__getitem__(key)
        if key in ("catalog", "globals"):
            remember_addresses(loaded)
        if key == "credentials":
            remember_credentials(loaded)
        return validate_parameters(loaded) if key == "parameters" else loaded

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> Any:
        """Merge key by key. The declaration, and a dataset of another type, replace those of base."""
        if "use_case" in env_config and "registered_model" not in env_config:
            raise ParameterError(
                f"{env_path}: globals.yml has use_case {env_config['use_case']} but no registered_model, so its "
                "versions would be registered under the model of another use case. Add `registered_model: "
                f"{env_config['use_case']}_churn`."
            )
        replaced = {DECLARATION} & env_config.keys()
        return _merge({key: value for key, value in config.items() if key not in replaced}, env_config)

    def _get_globals_value(self, variable: str, default_value: Any = _ABSENT) -> Any:
        """Look up ``${globals:NAME}`` or ``${globals:NAME.KEY}``."""
        value: Any = self._globals
        for key in variable.split("."):
            value = value.get(key, _ABSENT) if isinstance(value, dict) and not key.startswith("_") else _ABSENT
        if value is _ABSENT and default_value is _ABSENT:
            raise InterpolationResolutionError(
                f"There is no '{variable}' in globals.yml, and ${{globals:{variable}}} has no default."
            )
        return default_value if value is _ABSENT else value

    def _register_runtime_params_resolver(self) -> None:
        """Register the resolvers that depend on the command line, for each loader of a process."""
        super()._register_runtime_params_resolver()
        OmegaConf.register_new_resolver("new_customers", self._new_customers, replace=True)

    def _new_customers(self, sample: str, otherwise: str) -> Any:
        """Find the table to score: as given, or the sample's if the customer table is that of the sample, too."""
        own = self._globals
        if "new_customers" in self.runtime_params:
            return self._get_runtime_value("new_customers")
        if "raw_customers" in self.runtime_params:
            return otherwise
        return own.get("new_customers", otherwise if "raw_customers" in own else sample)

    @staticmethod
    def _require_use_case(conf: Path, env: str | None) -> None:
        """Check that the environment has a folder; Kedro treats an unknown one as empty, and would run the base."""
        if env in (None, "base", "local") or not conf.is_dir() or (conf / str(env) / "globals.yml").is_file():
            return
        known = ", ".join(sorted(path.parent.name for path in conf.glob("*/globals.yml") if path.parent.name != "base"))
        raise ParameterError(
            f"There is no use case '{env}': {conf / str(env)} has no globals.yml. Use cases for --env: {known}; "
            "`kedro customers onboard` adds one."
        )


def _escape(value: Any) -> Any:
    """Escape interpolations in nested values."""
    if isinstance(value, dict):
        return {key: _escape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_escape(one) for one in value]
    return escape_interpolation(value) if isinstance(value, str) else value


def _has_other_type(base: Any, other: Any) -> bool:
    """Whether a catalog entry, or a dataset within it, is of another type, which has arguments of its own."""
    both = isinstance(base, dict) and isinstance(other, dict)
    return both and "type" in base and other.get("type", base["type"]) != base["type"]


def _merge(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Merge nested dictionaries; values of the second one take precedence."""
    merged = dict(base)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both and not _has_other_type(base[key], value) else value
    return merged
