"""Measures a registered version on the test customers."""

from churn_kedro.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
