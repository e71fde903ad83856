"""The data_processing pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.data_processing import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``raw_customers`` to ``train_customers``, ``validation_customers``, ``test_customers`` and their manifest.
    """
    return Pipeline(
        [
            Node(
                nodes.normalise_customers,
                inputs=["raw_customers", "params:customers"],
                outputs="normalised_customers",
                name="normalise_customers",
            ),
            Node(
                nodes.set_aside_invalid_customers,
                inputs=["normalised_customers", "raw_customers", "params:customers"],
                outputs=["valid_customers", "broken_rules", "rejected_customers"],
                name="set_aside_invalid_customers",
            ),
            Node(
                nodes.drop_duplicate_customers,
                inputs="valid_customers",
                outputs="distinct_customers",
                name="drop_duplicate_customers",
            ),
            Node(
                nodes.measure_quality,
                inputs=["normalised_customers", "broken_rules", "distinct_customers", "params:customers"],
                outputs="data_quality",
                name="measure_quality",
            ),
            Node(
                nodes.accept_customers,
                inputs=["distinct_customers", "data_quality", "params:data_processing"],
                outputs="customers",
                name="accept_customers",
            ),
            Node(
                nodes.split_by_chance,
                inputs=["customers", "params:customers", "params:data_processing"],
                outputs=["train_customers", "validation_customers", "test_customers", "split_manifest"],
                name="split_by_chance",
            ),
        ],
        tags="data_processing",
    )
