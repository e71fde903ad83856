"""Decides whether a version becomes champion, and applies the decision."""

from churn_kedro.pipelines.registry.pipeline import create_pipeline

__all__ = ["create_pipeline"]
