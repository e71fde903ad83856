"""Project settings, read by Kedro."""

import os
import warnings

from kedro.config import OmegaConfigLoader

from churn_kedro.hooks import LineageHooks, ParameterHooks, PlaceHooks, SummaryHooks

# Kedro, kedro-mlflow and MLflow warn here of their own code, which a user cannot change.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated", category=UserWarning)
warnings.filterwarnings("ignore", message=r"(?s).*Add type hints to the `predict` method", category=UserWarning)

HOOKS = (PlaceHooks(), LineageHooks(), ParameterHooks(), SummaryHooks())

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # Unlike oc.env, an empty variable counts as unset.
    "custom_resolvers": {"environment": lambda name, default: os.environ.get(name) or default},
    # A use case's folder holds what differs from base, and nothing else.
    "merge_strategy": {"parameters": "soft", "catalog": "soft", "globals": "soft"},
    # The customer declaration is a parameter of the nodes and, as a global, an option of the catalog's validators.
    "config_patterns": {
        "globals": ["globals.yml", "parameters/customers.yml"],
        "parameters": ["parameters*", "parameters*/**"],
        "catalog": ["catalog*", "catalog*/**"],
        "credentials": ["credentials*", "credentials*/**"],
        "mlflow": ["mlflow.yml"],
    },
}
