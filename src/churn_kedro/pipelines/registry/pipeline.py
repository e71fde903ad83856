"""The registry pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.registry import nodes
from churn_kedro.promotion import describe_promotion


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        The evaluation of a version to the champion's alias.
    """
    return Pipeline(
        [
            Node(
                nodes.decide_promotion,
                inputs=[
                    "evaluation",
                    "churn_model@registry",
                    "incumbent_model",
                    "test_customers",
                    "split_manifest",
                    "params:customers",
                    "params:registry",
                ],
                outputs="promotion_decision",
                name="decide_promotion",
            ),
            Node(
                describe_promotion,
                inputs=["promotion_decision", "evaluation", "churn_model@registry"],
                outputs="champion_model@promotion",
                name="describe_promotion",
            ),
        ],
        tags="registry",
    )
