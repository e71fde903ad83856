"""The evaluation pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.evaluation import nodes
from churn_kedro.training import configure_training


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        A registered version and the test customers to metrics, figures, report and model card.
    """
    return Pipeline(
        [
            Node(
                nodes.score_test_customers,
                inputs=[
                    "churn_model@registry",
                    "test_customers",
                    "split_manifest",
                    "leakage_report",
                    "params:customers",
                    "params:evaluation.training_rows_in_test",
                ],
                outputs=["test_scores", "test_measurements"],
                name="score_test_customers",
            ),
            Node(
                nodes.measure_all_test_customers,
                inputs=["churn_model@registry", "all_customers", "params:customers"],
                outputs="all_test_metrics",
                name="measure_all_test_customers",
            ),
            Node(
                nodes.resample_performance,
                inputs=["test_scores", "params:evaluation.bootstrap"],
                outputs="resampled_performance",
                name="resample_performance",
            ),
            Node(
                nodes.choose_baseline,
                inputs=[
                    "baseline_request",
                    "churn_model@registry",
                    "test_customers",
                    "split_manifest",
                    "params:customers",
                ],
                outputs="baseline_choice",
                name="choose_baseline",
            ),
            Node(
                configure_training,
                inputs=["params:customers", "params:features", "params:training", "params:campaigns"],
                outputs="baseline_configuration",
                name="configure_baseline",
            ),
            Node(
                nodes.fit_baseline,
                inputs=[
                    "baseline_choice",
                    "train_customers",
                    "validation_customers",
                    "split_manifest",
                    "baseline_configuration",
                ],
                outputs="baselines",
                name="fit_baseline",
            ),
            Node(
                nodes.compare_with_baseline,
                inputs=[
                    "baselines",
                    "test_scores",
                    "resampled_performance",
                    "test_customers",
                    "params:customers",
                    "params:evaluation.bootstrap",
                    "params:evaluation.n_disagreements",
                ],
                outputs="compared_customers",
                name="compare_with_baseline",
            ),
            Node(
                nodes.backtest_campaign,
                inputs=[
                    "churn_model@registry",
                    "test_scores",
                    "test_customers",
                    "train_customers",
                    "params:customers",
                    "params:campaigns",
                    "params:evaluation.bootstrap",
                ],
                outputs="campaign_backtest",
                name="backtest_campaign",
            ),
            Node(
                nodes.assess_version,
                inputs=[
                    "test_scores",
                    "test_measurements",
                    "test_customers",
                    "campaign_backtest",
                    "compared_customers",
                    "params:customers",
                    "params:evaluation",
                ],
                outputs="assessment",
                name="assess_version",
            ),
            Node(
                nodes.measure_performance,
                inputs=[
                    "churn_model@registry",
                    "test_scores",
                    "resampled_performance",
                    "test_measurements",
                    "assessment",
                    "params:evaluation.bootstrap",
                ],
                outputs=["evaluation", "evaluation_metrics"],
                name="measure_performance",
            ),
            Node(
                nodes.draw_evaluation,
                inputs=["test_scores", "evaluation", "assessment", "compared_customers", "params:customers"],
                outputs="performance_figures",
                name="draw_evaluation",
            ),
            Node(
                nodes.explain_version,
                inputs=[
                    "churn_model@registry",
                    "test_customers",
                    "test_scores",
                    "test_measurements",
                    "params:customers",
                    "params:evaluation.explanations",
                ],
                outputs=["explanation_summary", "explanation_figures"],
                name="explain_version",
            ),
            Node(
                nodes.gather_facts,
                inputs=["churn_model@registry", "training_record", "split_manifest", "params:customers"],
                outputs="card_facts",
                name="gather_facts",
            ),
            Node(
                nodes.write_report,
                inputs=[
                    "evaluation",
                    "assessment",
                    "explanation_summary",
                    "card_facts",
                    "performance_figures",
                    "explanation_figures",
                    "params:customers",
                ],
                outputs=["evaluation_report", "model_card", "model_card_page", "version_documents"],
                name="write_report",
            ),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
        tags="evaluation",
    )
