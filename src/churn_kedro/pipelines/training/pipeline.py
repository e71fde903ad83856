"""The training pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.training import nodes
from churn_kedro.reporting import draw_training
from churn_kedro.training import configure_training


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        Train and validation customers to a registered version of the model.
    """
    return Pipeline(
        [
            Node(
                configure_training,
                inputs=["params:customers", "params:features", "params:training", "params:campaigns"],
                outputs="training_configuration",
                name="configure_training",
            ),
            Node(
                nodes.gather_customers,
                inputs=["train_customers", "validation_customers", "split_manifest", "training_configuration"],
                outputs=["development_customers", "learning_problem"],
                name="gather_customers",
            ),
            Node(
                nodes.record_training_rows,
                inputs=["development_customers", "all_customers", "params:customers"],
                outputs="training_rows",
                name="record_training_rows",
            ),
            Node(
                nodes.prepare_fold_inputs,
                inputs=["development_customers", "training_configuration"],
                outputs="fold_inputs",
                name="prepare_fold_inputs",
            ),
            Node(
                nodes.search_hyperparameters,
                inputs=[
                    "development_customers",
                    "fold_inputs",
                    "learning_problem",
                    "training_configuration",
                    "trial_archive",
                ],
                outputs="search_result",
                name="search_hyperparameters",
            ),
            Node(
                nodes.choose_candidate,
                inputs=["search_result", "fold_inputs", "learning_problem", "params:training.ensembles"],
                outputs="candidate_comparison",
                name="choose_candidate",
            ),
            Node(
                nodes.train_model,
                inputs=[
                    "development_customers",
                    "candidate_comparison",
                    "search_result",
                    "learning_problem",
                    "training_configuration",
                    "matrix_parts",
                    "all_customers",
                ],
                outputs=["churn_model@tracking", "fitted_features", "training_summary", "validated_predictions"],
                name="train_model",
            ),
            Node(
                nodes.profile_training_customers,
                inputs=["development_customers", "validated_predictions", "params:customers"],
                outputs=["reference_profile", "reference_sample"],
                name="profile_training_customers",
            ),
            Node(
                nodes.record_training,
                inputs=["training_summary", "search_result", "params:training.child_runs"],
                outputs=["model_parameters", "training_metrics", "trial_runs"],
                name="record_training",
            ),
            Node(
                draw_training,
                inputs=["search_result", "training_summary", "candidate_comparison", "development_customers"],
                outputs="training_figures",
                name="draw_training",
            ),
        ],
        namespace="training",
        prefix_datasets_with_namespace=False,
        tags="training",
    )
