"""Project settings, read by Kedro."""

import os
import warnings

from churn_kedro.configuration import ProjectConfigLoader
from churn_kedro.hooks import LineageHooks, ParameterHooks, PlaceHooks, SummaryHooks

# OpenMP threads that wait by spinning take the cores from each other: with a second busy process on the machine,
# training takes thirty times as long (docs/training.md). XGBoost reads this when it is imported, which is later.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Kedro, kedro-mlflow and MLflow warn here of their own code, which a user cannot change.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated", category=UserWarning)
warnings.filterwarnings("ignore", message=r"(?s).*Add type hints to the `predict` method", category=UserWarning)

HOOKS = (PlaceHooks(), LineageHooks(), ParameterHooks(), SummaryHooks())

CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
