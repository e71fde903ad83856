"""The MLflow server of a team."""
