"""Stores the customer table of a database, an API or a folder as the raw table of the use case."""

from churn_kedro.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
