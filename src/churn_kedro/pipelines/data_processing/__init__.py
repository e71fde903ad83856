"""Validates a raw customer table and splits it into train, validation and test."""

from churn_kedro.pipelines.data_processing.pipeline import create_pipeline

__all__ = ["create_pipeline"]
