"""The training pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.training import nodes
from churn_kedro.reporting import draw_training


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        Train and validation customers to a registered version of the model.
    """
    return Pipeline(
        [
            Node(
                nodes.gather_customers,
                inputs=[
                    "train_customers",
                    "validation_customers",
                    "split_manifest",
                    "params:customers",
                    "params:features",
                    "params:training",
                ],
                outputs=["development_customers", "learning_problem"],
                name="gather_customers",
            ),
            Node(
                nodes.record_learned_customers,
                inputs=["development_customers", "params:customers"],
                outputs="learned_customers",
                name="record_learned_customers",
            ),
            Node(
                nodes.treat_fold_customers,
                inputs=["development_customers", "params:customers", "params:features", "params:training"],
                outputs="fold_inputs",
                name="treat_fold_customers",
            ),
            Node(
                nodes.search_hyperparameters,
                inputs=[
                    "development_customers",
                    "fold_inputs",
                    "learning_problem",
                    "params:customers",
                    "params:features",
                    "params:training",
                    "trial_archive",
                    "search_progress",
                    "stopwatch",
                ],
                outputs="search_result",
                name="search_hyperparameters",
            ),
            Node(
                nodes.compare_candidates,
                inputs=["search_result", "fold_inputs", "learning_problem", "params:training", "stopwatch"],
                outputs="judgement",
                name="compare_candidates",
            ),
            Node(
                nodes.train_model,
                inputs=[
                    "development_customers",
                    "judgement",
                    "search_result",
                    "learning_problem",
                    "params:customers",
                    "params:features",
                    "params:training",
                    "stopwatch",
                    "matrix_parts",
                ],
                outputs=["churn_model@tracking", "fitted_features", "training_summary"],
                name="train_model",
            ),
            Node(
                nodes.record_training,
                inputs=["training_summary", "search_result", "params:training"],
                outputs=["model_parameters", "training_metrics", "trial_runs"],
                name="record_training",
            ),
            Node(
                draw_training,
                inputs=["search_result", "training_summary", "judgement", "development_customers"],
                outputs="training_figures",
                name="draw_training",
            ),
        ],
        tags="training",
    )
