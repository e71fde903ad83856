"""The registry pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.registry import nodes
from churn_kedro.registry import describe_promotion
from churn_kedro.reporting import draw_gate


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        The evaluation of a version to the champion's alias.
    """
    return Pipeline(
        [
            Node(
                nodes.check_on_test_customers,
                inputs=[
                    "churn_model@registry",
                    "incumbent_model",
                    "test_customers",
                    "split_manifest",
                    "params:customers",
                    "params:registry.gate",
                ],
                outputs="test_table_checks",
                name="check_on_test_customers",
            ),
            Node(
                nodes.decide_promotion,
                inputs=[
                    "evaluation",
                    "assessment",
                    "churn_model@registry",
                    "test_table_checks",
                    "params:customers",
                    "params:registry",
                ],
                outputs="promotion_decision",
                name="decide_promotion",
            ),
            Node(
                nodes.write_decision,
                inputs=["evaluation_report", "model_card", "model_card_page", "evaluation", "promotion_decision"],
                outputs=["decided_report", "decided_card", "decided_card_page", "decided_documents"],
                name="write_decision",
            ),
            Node(draw_gate, inputs="promotion_decision", outputs="gate_figure", name="draw_gate"),
            Node(
                describe_promotion,
                inputs="promotion_decision",
                outputs="champion_model@promotion",
                name="describe_promotion",
            ),
        ],
        namespace="registry",
        prefix_datasets_with_namespace=False,
        tags="registry",
    )
