"""The data_processing pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.data_processing import nodes

_PARTS = ["train_part", "validation_part", "test_part"]


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
                inputs=["distinct_customers", "data_quality", "params:data_processing"],
                # What is kept as a file would be read anew by every node that takes it.
                outputs=["customers", "accepted_customers"],
                name="accept_customers",
            ),
            Node(
                nodes.divide_customers,
                inputs=["accepted_customers", "params:customers", "params:data_processing"],
                outputs=["train_part_with_outliers", "validation_part", "test_part"],
                name="divide_customers",
            ),
            Node(
                nodes.leave_out_training_outliers,
                inputs=["train_part_with_outliers", "params:customers", "params:features"],
                outputs="train_part",
                name="leave_out_training_outliers",
            ),
            Node(
                nodes.check_customers,
                inputs=[
                    "accepted_customers",
                    *_PARTS,
                    "scoring_header",
                    "params:customers",
                    "params:data_processing",
                ],
                outputs="leakage_report",
                name="check_customers",
            ),
            Node(
                nodes.draw_leakage,
                inputs=["leakage_report", "params:data_processing"],
                outputs="leakage_picture",
                name="draw_leakage",
            ),
            Node(
                nodes.describe_parts,
                inputs=[
                    "accepted_customers",
                    "train_part_with_outliers",
                    *_PARTS,
                    "params:customers",
                    "params:data_processing",
                ],
                outputs="parts_manifest",
                name="describe_parts",
            ),
            Node(
                nodes.compare_with_last_schema,
                inputs=["normalised_customers", "last_table_schema", "params:customers"],
                outputs=["table_schema", "schema_changes"],
                name="compare_with_last_schema",
            ),
            Node(
                nodes.profile_stages,
                inputs=[
                    "normalised_customers",
                    "valid_customers",
                    "accepted_customers",
                    *_PARTS,
                    "parts_manifest",
                    "params:customers",
                    "params:data_processing",
                    "params:features",
                ],
                outputs=["table_profile", "data_metrics", "encoded_customers"],
                name="profile_stages",
            ),
            Node(
                nodes.draw_profile,
                inputs=[
                    "table_profile",
                    "accepted_customers",
                    "train_part",
                    "encoded_customers",
                    "params:customers",
                    "params:data_processing",
                ],
                outputs=["stages_picture", "distributions_picture", "correlations_picture", "treatment_picture"],
                name="draw_profile",
            ),
            Node(
                nodes.write_data_report,
                inputs=[
                    "data_quality",
                    "table_profile",
                    "schema_changes",
                    "leakage_report",
                    "parts_manifest",
                    "stages_picture",
                    "leakage_picture",
                    "distributions_picture",
                    "correlations_picture",
                    "treatment_picture",
                    "params:customers",
                ],
                outputs="data_report",
                name="write_data_report",
            ),
            Node(
                nodes.accept_splits,
                inputs=[*_PARTS, "parts_manifest", "leakage_report", "data_report", "params:customers"],
                outputs=["train_customers", "validation_customers", "test_customers", "split_manifest"],
                name="accept_splits",
            ),
        ],
        tags="data_processing",
    )
