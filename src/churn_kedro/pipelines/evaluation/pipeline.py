"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro import figures
from churn_kedro.pipelines.evaluation import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        A registered version and the test customers to metrics and figures.
    """
    drawn_from_scores = {
        figures.draw_confusion_matrix: "confusion_matrix_figure",
        figures.draw_roc_curve: "roc_curve_figure",
        figures.draw_precision_recall_curve: "precision_recall_curve_figure",
        figures.draw_calibration_curve: "calibration_curve_figure",
    }
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
            *[
                Node(draw, inputs=["test_scores", "evaluation"], outputs=figure, name=draw.__name__)
                for draw, figure in drawn_from_scores.items()
            ],
            Node(
                nodes.draw_feature_importance,
                inputs="churn_model@registry",
                outputs="feature_importance_figure",
                name="draw_feature_importance",
            ),
            Node(
                nodes.draw_shap_summary,
                inputs=[
                    "churn_model@registry",
                    "test_customers",
                    "params:evaluation",
                ],
                outputs="shap_summary_figure",
                name="draw_shap_summary",
            ),
        ],
        tags="evaluation",
    )
