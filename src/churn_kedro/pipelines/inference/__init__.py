"""Scores new customers with the champion."""

from churn_kedro.pipelines.inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
