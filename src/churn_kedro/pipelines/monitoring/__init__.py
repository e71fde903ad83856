"""Decides whether a version becomes champion, and applies the decision."""

from churn_kedro.pipelines.monitoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
