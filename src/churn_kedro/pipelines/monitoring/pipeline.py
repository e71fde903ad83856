"""The monitoring pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.monitoring import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        What is being scored, and the outcomes that have arrived, to a report with its verdict, metrics, alerts, and a
        training where the policy asks for one.
    """
    return Pipeline(
        [
            Node(
                nodes.count_monitored_customers,
                inputs=[
                    "prediction_log@monitoring",
                    "champion_model@monitoring",
                    "version_reference",
                    "params:customers",
                    "params:monitoring",
                    "earlier_batches",
                ],
                outputs=["current_customers", "monitoring_window"],
                name="count_monitored_customers",
            ),
            Node(
                nodes.examine_customers,
                inputs=[
                    "current_customers",
                    "version_reference",
                    "params:monitoring",
                    "params:inference",
                ],
                outputs="examination",
                name="examine_customers",
            ),
            Node(
                nodes.match_outcomes,
                inputs=[
                    "outcomes",
                    "prediction_log@monitoring",
                    "version_reference",
                    "champion_model@monitoring",
                    "params:customers",
                    "params:monitoring",
                    "monitoring_window",
                ],
                outputs="matured_predictions",
                name="match_outcomes",
            ),
            Node(
                nodes.measure_outcomes,
                inputs=["matured_predictions", "version_reference", "params:monitoring"],
                outputs="realised_performance",
                name="measure_outcomes",
            ),
            Node(
                nodes.count_new_labelled_rows,
                inputs=["labelled_customers", "champion_model@monitoring", "params:customers"],
                outputs="new_labelled_rows",
                name="count_new_labelled_rows",
            ),
            Node(
                nodes.write_findings,
                inputs=[
                    "current_customers",
                    "examination",
                    "realised_performance",
                    "version_reference",
                    "champion_model@monitoring",
                    "params:customers",
                    "monitoring_window",
                ],
                outputs="monitoring_findings",
                name="write_findings",
            ),
            Node(
                nodes.plan_actions,
                inputs=[
                    "monitoring_findings",
                    "new_labelled_rows",
                    "registry_facts",
                    "pipeline_runs",
                    "service_facts",
                    "params:monitoring",
                    "params:registry",
                ],
                outputs="monitoring_report",
                name="plan_actions",
            ),
            Node(
                nodes.measure_monitoring,
                inputs="monitoring_report",
                outputs="monitoring_metrics",
                name="measure_monitoring",
            ),
            Node(
                nodes.request_alert,
                inputs=["monitoring_report", "params:monitoring"],
                outputs="alerts",
                name="request_alert",
            ),
            Node(
                nodes.export_monitoring,
                inputs="monitoring_report",
                outputs="exported_metrics",
                name="export_monitoring",
            ),
            Node(
                nodes.draw_monitoring_figures,
                inputs=["monitoring_report", "earlier_monitoring", "params:customers"],
                outputs="monitoring_figures",
                name="draw_monitoring_figures",
            ),
            Node(
                nodes.write_monitoring_page,
                inputs=["monitoring_report", "earlier_monitoring", "params:customers", "monitoring_figures"],
                outputs="monitoring_page",
                name="write_monitoring_page",
            ),
            Node(
                nodes.request_retraining,
                inputs=["monitoring_report", "monitoring_page", "params:monitoring"],
                outputs="retraining",
                name="request_retraining",
            ),
            Node(
                nodes.report_status,
                inputs=["monitoring_report", "params:monitoring"],
                outputs="monitoring_status",
                name="report_status",
            ),
        ],
        namespace="monitoring",
        prefix_datasets_with_namespace=False,
        tags="monitoring",
    )
