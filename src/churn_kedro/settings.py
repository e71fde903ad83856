"""Project settings, read by Kedro."""

import os

from churn_kedro.base import available_cores
from churn_kedro.datasets import protect_addresses
from churn_kedro.hooks import protect_output

# OpenMP would start a thread for each core of the host, also where a container grants fewer, and waiting threads would
# spin on the cores that others need: next to a busy process, training took thirty times as long. Both are read when
# XGBoost is imported, which is later.
os.environ.setdefault("OMP_NUM_THREADS", str(available_cores()))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# MLflow's records are configured in conf/logging.yml, as those of other libraries.
os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
# MLflow draws a bar for each file that it reads, also for those of a few kilobytes.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# With a server, MLflow prints links to run and experiment, which the summary has.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

# OmegaConf reads at most 10,000 values from a file, against aliases that multiply. The declaration of a wide table has
# more, and configuration is written by the project and its users.
os.environ.setdefault("OMEGACONF_MAX_YAML_EXPANDED_NODES", "none")

# Before MLflow or a database reads an address.
protect_addresses(os.environ)
protect_output()

# MLflow's own seven retries take four minutes for each request; three take about 15 seconds.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

from churn_kedro.hooks import (  # noqa: E402 - imports MLflow, which reads the variables above
    LineageHooks,
    MlflowHooks,
    ParameterHooks,
    ProgressHooks,
    ProjectConfigLoader,
    RunCheckHooks,
    SummaryHooks,
    TrackingServerHooks,
)

# MlflowHooks replaces them. Kedro compares the name in the metadata of the plugin, which has an underscore at present.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-mlflow", "kedro_mlflow")
_lineage = LineageHooks()
# The last one goes first, before or after those that are marked as first or last.
HOOKS = (
    TrackingServerHooks(),
    _lineage,
    ParameterHooks(),
    SummaryHooks(_lineage),
    ProgressHooks(),
    RunCheckHooks(),
    MlflowHooks(),
)

CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
