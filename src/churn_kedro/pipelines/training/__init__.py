"""Searches hyperparameters, fits a model and registers it as a version."""

from churn_kedro.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
