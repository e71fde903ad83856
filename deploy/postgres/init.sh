#!/bin/sh
# Create roles and databases on a new PostgreSQL cluster: as a script in docker-entrypoint-initdb.d of the official image,
# and in `make stack`. Each role reaches its own database only:
#   mlflow         owns mlflow (runs, registry) and mlflow_auth (users of the MLflow server)
#   churn          owns churn: prediction log and trials of searches; for pipelines and the service
#   churn_reader   reads churn; for analysts and dashboards
set -eu
: "${MLFLOW_DB_PASSWORD:?}" "${CHURN_DB_PASSWORD:?}" "${CHURN_READER_DB_PASSWORD:?}"
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv mlflow_password MLFLOW_DB_PASSWORD
\getenv churn_password CHURN_DB_PASSWORD
\getenv reader_password CHURN_READER_DB_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE churn LOGIN PASSWORD :'churn_password';
CREATE ROLE churn_reader LOGIN PASSWORD :'reader_password';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
CREATE DATABASE churn OWNER churn;
REVOKE CONNECT, TEMPORARY ON DATABASE mlflow, mlflow_auth, churn, postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE churn TO churn_reader;
\connect churn
ALTER DEFAULT PRIVILEGES FOR ROLE churn IN SCHEMA public GRANT SELECT ON TABLES TO churn_reader;
SQL
