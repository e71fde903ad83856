"""The ingestion pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.ingestion import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``source_customers`` to a file.
    """
    return Pipeline(
        [
            Node(
                nodes.accept_source_customers,
                inputs=["source_customers", "params:customers"],
                outputs="ingested_customers",
                name="accept_source_customers",
            )
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
        tags="ingestion",
    )
