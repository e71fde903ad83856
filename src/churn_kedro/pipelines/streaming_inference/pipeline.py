"""The streaming_inference pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.streaming_inference import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``customer_stream`` and a registered version to the prediction log and summaries in MLflow.
    """
    return Pipeline(
        [
            Node(
                nodes.score_stream,
                inputs=[
                    "customer_stream",
                    "champion_model@registry",
                    "params:customers",
                    "params:inference",
                    "params:streaming",
                ],
                outputs=["stream_predictions", "stream_counts"],
                name="score_stream",
            ),
            Node(
                nodes.report_stream,
                inputs="stream_counts",
                outputs="stream_report",
                name="report_stream",
            ),
        ],
        namespace="streaming_inference",
        prefix_datasets_with_namespace=False,
        tags="streaming_inference",
    )
