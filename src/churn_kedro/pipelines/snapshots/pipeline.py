"""The snapshots pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.snapshots import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``events`` to a table of customers with labels, and one of customers to score.
    """
    return Pipeline(
        [
            Node(
                nodes.take_snapshots,
                inputs=["events", "params:snapshots"],
                outputs=["customer_snapshots", "snapshots_to_score", "snapshot_report"],
                name="take_snapshots",
            )
        ],
        namespace="snapshots",
        prefix_datasets_with_namespace=False,
        tags="snapshots",
    )
