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
                nodes.normalise_new_customers,
                inputs=["new_customers", "params:customers"],
                outputs="normalised_new_customers",
                name="normalise_new_customers",
            ),
            Node(
                nodes.set_aside_unreadable_customers,
                inputs=["normalised_new_customers", "new_customers"],
                outputs="unscored_customers",
                name="set_aside_unreadable_customers",
            ),
            Node(
                nodes.score_customers,
                inputs=[
                    "normalised_new_customers",
                    "unscored_customers",
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
