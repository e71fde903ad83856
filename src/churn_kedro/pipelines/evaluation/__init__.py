"""Evaluates a registered version on the test set."""

from churn_kedro.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
