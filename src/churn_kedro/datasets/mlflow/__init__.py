"""Tracking and registry: models, versions, runs, metrics and inputs."""
