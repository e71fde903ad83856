"""Builds a customer table from an event table."""

from churn_kedro.pipelines.snapshots.pipeline import create_pipeline

__all__ = ["create_pipeline"]
