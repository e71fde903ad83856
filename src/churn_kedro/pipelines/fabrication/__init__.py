"""Makes the sample customers that the project ships."""

from churn_kedro.pipelines.fabrication.pipeline import create_pipeline

__all__ = ["create_pipeline"]
