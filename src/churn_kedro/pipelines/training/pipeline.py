"""The training pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        Train and validation customers to a registered version of the model.
    """
    return Pipeline(
        [
            Node(
                nodes.treat_customers,
                inputs=["train_customers", "split_manifest", "params:customers", "params:features"],
                outputs=["training_inputs", "fitted_features"],
                name="treat_customers",
            ),
            Node(
                nodes.search_xgboost,
                inputs=[
                    "training_inputs",
                    "train_customers",
                    "validation_customers",
                    "split_manifest",
                    "params:customers",
                    "params:training",
                ],
                outputs="search_result",
                name="search_xgboost",
            ),
            Node(
                nodes.train_model,
                inputs=[
                    "training_inputs",
                    "train_customers",
                    "validation_customers",
                    "split_manifest",
                    "search_result",
                    "params:customers",
                    "params:training",
                ],
                outputs="churn_model@tracking",
                name="train_model",
            ),
        ],
        tags="training",
    )
