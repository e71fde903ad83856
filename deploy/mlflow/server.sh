#!/bin/sh
# MLflow server that asks for user and password; in the image of MLflow's container, and in `make stack`.
#   MLFLOW_BACKEND_STORE_URI      database of runs and registry
#   MLFLOW_AUTH_DATABASE_URI      database of users
#   MLFLOW_AUTH_ADMIN_USERNAME, MLFLOW_AUTH_ADMIN_PASSWORD   first administrator, created once
#   MLFLOW_FLASK_SERVER_SECRET_KEY   signs forms of MLflow's pages
#   MLFLOW_ARTIFACTS_DESTINATION  where the server keeps artifacts, such as s3://churn/mlflow
# Further arguments are those of `mlflow server`.
set -eu
: "${MLFLOW_BACKEND_STORE_URI:?}" "${MLFLOW_AUTH_DATABASE_URI:?}" "${MLFLOW_FLASK_SERVER_SECRET_KEY:?}"
: "${MLFLOW_AUTH_ADMIN_USERNAME:?}" "${MLFLOW_AUTH_ADMIN_PASSWORD:?}" "${MLFLOW_ARTIFACTS_DESTINATION:?}"
umask 077
MLFLOW_AUTH_CONFIG_PATH="${TMPDIR:-/tmp}/mlflow_auth.ini"
# A percent sign has a meaning of its own in this format.
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
# Everybody who has a password may read; who creates an experiment or a model may write it.
default_permission = READ
# Without it, each request computes the slow hash of the password: 0.3 to 0.8 s. A changed password is known at once to the worker
# that changed it, to others after so many seconds.
auth_cache_ttl_seconds = 60
database_uri = $(printf %s "$MLFLOW_AUTH_DATABASE_URI" | sed 's/%/%%/g')
INI
export MLFLOW_AUTH_CONFIG_PATH
# Without a second process for jobs, which the project does not use.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
exec mlflow server --app-name basic-auth "$@"
