"""The configuration loader: OmegaConf as Kedro ships it, with this project's resolvers and patterns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.utils import find_kedro_project

from churn_kedro.base import ParameterError, remember_addresses
from churn_kedro.datasets import artifact_location, protect_addresses, study_url, tracking_uri
from churn_kedro.hooks.hidden_secrets import hide_secrets_in_output
from churn_kedro.hooks.parameters import validate_parameters

DECLARATION = "customers"


class ProjectConfigLoader(OmegaConfigLoader):
    """Configuration loader that resolves paths of the project, with hooks (``kedro run``) or without (``kedro viz``).

    Resolvers for configuration files: ``${project_path:}``, ``${tracking_uri:}``, ``${artifact_location:}``,
    ``${study_url:USE_CASE}`` and ``${environment:NAME, default}``, where an empty environment variable counts as unset.

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
        hide_secrets_in_output()
        self._require_use_case(Path(conf_source), arguments.get("env"))
        beside = Path(conf_source).resolve().parent
        project = beside if (beside / "pyproject.toml").is_file() else find_kedro_project(Path.cwd()) or Path.cwd()
        artifact_location(project, os.environ)
        super().__init__(
            conf_source,
            custom_resolvers={
                "project_path": project.as_posix,
                "tracking_uri": lambda: tracking_uri(project, os.environ),
                "artifact_location": lambda: artifact_location(project, os.environ),
                "study_url": lambda use_case: study_url(project, os.environ, use_case),
                "environment": lambda name, default: os.environ.get(name) or default,
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
        return validate_parameters(loaded) if key == "parameters" else loaded

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> Any:
        """Merge key by key, except for the declaration, which replaces that of base."""
        if "use_case" in env_config and "registered_model" not in env_config:
            raise ParameterError(
                f"{env_path}: globals.yml has use_case {env_config['use_case']} but no registered_model, so its "
                "versions would be registered under the model of another use case. Add `registered_model: "
                f"{env_config['use_case']}_churn`."
            )
        kept = {key: value for key, value in config.items() if key != DECLARATION or key not in env_config}
        return OmegaConfigLoader._soft_merge(kept, env_config, env_path)

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
