"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.figures import draw_performance
from churn_kedro.pipelines.evaluation import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        A registered version and the test customers to metrics and figures.
    """
    return Pipeline(
        [
            Node(
                nodes.score_test_customers,
                inputs=["churn_model@registry", "test_customers", "split_manifest", "params:customers"],
                outputs="test_scores",
                name="score_test_customers",
            ),
            Node(
                nodes.measure_performance,
                inputs=["churn_model@registry", "test_scores", "split_manifest", "params:evaluation"],
                outputs=["evaluation", "evaluation_metrics"],
                name="measure_performance",
            ),
            Node(
                draw_performance,
                inputs=["test_scores", "evaluation"],
                outputs="performance_figures",
                name="draw_performance",
            ),
            Node(
                nodes.draw_feature_importance,
                inputs=["churn_model@registry", "test_customers", "params:customers", "params:evaluation"],
                outputs="feature_importance_figure",
                name="draw_feature_importance",
            ),
            Node(
                nodes.draw_shap_summary,
                inputs=["churn_model@registry", "test_customers", "params:customers", "params:evaluation"],
                outputs="shap_summary_figure",
                name="draw_shap_summary",
            ),
        ],
        tags="evaluation",
    )
