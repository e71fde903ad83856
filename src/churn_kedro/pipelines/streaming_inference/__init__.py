"""Scores customers that arrive in a stream."""

from churn_kedro.pipelines.streaming_inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
