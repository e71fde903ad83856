"""The inference pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.inference import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``new_customers`` and the champion to ``predictions``. The table is loaded after the promotion, since it can be
        the test customers of the same run.
    """
    return Pipeline(
        [
            Node(
                nodes.read_new_customers,
                inputs=["new_customers", "champion_model@registry", "params:customers"],
                outputs=["named_new_customers", "typed_new_customers", "unscored_customers"],
                name="read_new_customers",
            ),
            Node(
                nodes.score_customers,
                inputs=[
                    "typed_new_customers",
                    "named_new_customers",
                    "champion_model@registry",
                    "params:customers",
                    "params:inference",
                ],
                outputs=["predictions", "scoring_report"],
                name="score_customers",
            ),
            Node(
                nodes.count_scores,
                inputs="scoring_report",
                outputs="scoring_metrics",
                name="count_scores",
            ),
        ],
        namespace="inference",
        prefix_datasets_with_namespace=False,
        tags="inference",
    )
