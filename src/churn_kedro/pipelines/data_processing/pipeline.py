"""The data_processing pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.data_processing import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``raw_customers`` to ``train_customers``, ``validation_customers``, ``test_customers``, their manifest and the
        data report.
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
                inputs=["normalised_customers", "params:customers"],
                outputs=["valid_customers", "broken_rules", "rejected_customers"],
                name="set_aside_invalid_customers",
            ),
            Node(
                nodes.drop_duplicate_customers,
                inputs=["valid_customers", "params:customers"],
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
                inputs=["distinct_customers", "data_quality", "params:data_processing.max_rejected_share"],
                outputs="customers",
                name="accept_customers",
            ),
            Node(
                nodes.divide_customers,
                inputs=["customers", "params:customers", "params:data_processing.split"],
                outputs="divided_customers",
                name="divide_customers",
            ),
            Node(
                nodes.leave_out_training_outliers,
                inputs=["divided_customers", "params:customers", "params:features"],
                outputs="customer_parts",
                name="leave_out_training_outliers",
            ),
            Node(
                nodes.check_customers,
                inputs=[
                    "customers",
                    "customer_parts",
                    "parts_manifest",
                    "scoring_header",
                    "params:customers",
                    "params:data_processing.leakage",
                ],
                outputs="leakage_report",
                name="check_customers",
            ),
            Node(
                nodes.prepare_all_customers,
                inputs=["all_raw_customers", "params:customers", "params:data_processing.split"],
                outputs="all_customers",
                name="prepare_all_customers",
            ),
            Node(
                nodes.describe_parts,
                inputs=[
                    "customers",
                    "divided_customers",
                    "customer_parts",
                    "all_customers",
                    "params:customers",
                    "params:data_processing.split",
                    "params:data_processing.max_rejected_share",
                ],
                outputs="parts_manifest",
                name="describe_parts",
            ),
            Node(
                nodes.compare_with_last_schema,
                inputs=["normalised_customers", "last_table_schema", "params:customers"],
                outputs=["present_table_schema", "schema_changes"],
                name="compare_with_last_schema",
            ),
            Node(
                nodes.encode_customers,
                inputs=["customer_parts", "params:customers", "params:features"],
                outputs="encoded_customers",
                name="encode_customers",
            ),
            Node(
                nodes.profile_customers,
                inputs=["customers", "params:customers", "params:data_processing.profile"],
                outputs=["profiled_columns", "correlations"],
                name="profile_customers",
            ),
            Node(
                nodes.profile_stages,
                inputs=[
                    "normalised_customers",
                    "valid_customers",
                    "customers",
                    "customer_parts",
                    "encoded_customers",
                    "parts_manifest",
                    "profiled_columns",
                ],
                outputs=["table_profile", "data_metrics"],
                name="profile_stages",
            ),
            Node(
                nodes.draw_data,
                inputs=[
                    "table_profile",
                    "correlations",
                    "customer_parts",
                    "encoded_customers",
                    "leakage_report",
                    "params:data_processing.leakage",
                    "params:customers",
                ],
                outputs="data_figures",
                name="draw_data",
            ),
            Node(
                nodes.write_data_report,
                inputs=[
                    "data_quality",
                    "table_profile",
                    "schema_changes",
                    "leakage_report",
                    "parts_manifest",
                    "data_figures",
                    "params:customers",
                ],
                outputs="data_report",
                name="write_data_report",
            ),
            Node(
                nodes.accept_splits,
                inputs=[
                    "customer_parts",
                    "parts_manifest",
                    "leakage_report",
                    "data_report",
                    "present_table_schema",
                    "params:customers",
                ],
                outputs=["train_customers", "validation_customers", "test_customers", "split_manifest", "table_schema"],
                name="accept_splits",
            ),
        ],
        namespace="data_processing",
        prefix_datasets_with_namespace=False,
        tags="data_processing",
    )
