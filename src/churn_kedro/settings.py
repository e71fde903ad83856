"""Project settings, read by Kedro."""

import os

from churn_kedro import hooks
from churn_kedro.base import available_cores
from churn_kedro.datasets import protect_addresses

# OpenMP would start a thread for each core of the host, also where a container grants fewer, and waiting threads would
# spin on the cores that others need: next to a busy process, training took thirty times as long. Both are read when
# XGBoost is imported, which is later.
os.environ.setdefault("OMP_NUM_THREADS", str(available_cores()))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# MLflow's records are configured in conf/logging.yml, as those of other libraries.
os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
# MLflow draws a bar for each file that it reads, also for those of a few kilobytes.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

# OmegaConf reads at most 10,000 values from a file, against aliases that multiply. The declaration of a wide table has
# more, and configuration is written by the project and its users.
os.environ.setdefault("OMEGACONF_MAX_YAML_EXPANDED_NODES", "none")

# Before MLflow or a database reads an address.
protect_addresses(os.environ)
hooks.protect_output()

# MLflow's own seven retries take four minutes for each request; three take about 15 seconds.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

# Replaced by MlflowHooks. The names of hooks are resolved here, since their modules import MLflow.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-mlflow", "kedro_mlflow")
_lineage = hooks.LineageHooks()
# The last one goes first, before or after those that are marked as first or last.
HOOKS = (
    hooks.TrackingServerHooks(),
    _lineage,
    hooks.ParameterHooks(),
    hooks.SummaryHooks(_lineage),
    hooks.ProgressHooks(),
    hooks.RunCheckHooks(),
    hooks.MlflowHooks(),
)

CONFIG_LOADER_CLASS = hooks.ProjectConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
