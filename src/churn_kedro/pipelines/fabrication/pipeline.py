"""The fabrication pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.fabrication import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``params:fabrication`` to the sample tables and the best metrics reachable on them.
    """
    return Pipeline(
        [
            Node(
                nodes.fabricate_customers,
                inputs=["params:fabrication", "params:customers"],
                outputs=["sample_customers", "sample_new_customers", "sample_truth"],
                name="fabricate_customers",
            ),
            Node(
                nodes.fabricate_large_customers,
                inputs="params:fabrication",
                outputs="large_sample",
                name="fabricate_large_customers",
            ),
            Node(
                nodes.measure_ceiling,
                inputs=["sample_customers", "sample_truth", "params:customers"],
                outputs="ceiling",
                name="measure_ceiling",
            ),
        ],
        namespace="fabrication",
        prefix_datasets_with_namespace=False,
        tags="fabrication",
    )
