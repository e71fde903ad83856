"""Generates the sample customers of the project."""

from churn_kedro.pipelines.fabrication.pipeline import create_pipeline

__all__ = ["create_pipeline"]
