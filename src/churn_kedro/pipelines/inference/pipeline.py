"""The inference pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.inference import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``new_customers`` and the champion to ``predictions``.
    """
    return Pipeline(
        [
            Node(
                nodes.name_new_customers,
                inputs=["new_customers", "params:customers"],
                outputs="named_new_customers",
                name="name_new_customers",
            ),
            Node(
                nodes.read_new_customers,
                inputs=["named_new_customers", "champion_model@registry", "params:customers"],
                outputs=["typed_new_customers", "unscored_customers"],
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
        tags="inference",
    )
