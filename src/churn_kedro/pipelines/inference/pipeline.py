"""The inference pipeline."""

from kedro.pipeline import Node, Pipeline

from churn_kedro.pipelines.inference import nodes


def create_pipeline() -> Pipeline:
    """Build the pipeline.

    Returns:
        ``new_customers`` and a registered version to ``predictions``, the campaign list, the page of the batch and the
        prediction log. The table is loaded after the promotion, since it can be the test customers of the same run.
    """
    return Pipeline(
        [
            Node(
                nodes.score_new_customers,
                inputs=["new_customers", "champion_model@registry", "params:customers"],
                outputs="scored_customers",
                name="score_new_customers",
            ),
            Node(
                nodes.list_unscored,
                inputs="scored_customers",
                outputs="unscored_customers",
                name="list_unscored",
            ),
            Node(
                nodes.rank_scored_customers,
                inputs=[
                    "scored_customers",
                    "unscored_customers",
                    "champion_model@registry",
                    "params:customers",
                    "params:inference",
                    "params:campaigns",
                ],
                outputs="ranked_customers",
                name="rank_scored_customers",
            ),
            Node(
                nodes.identify_scored_batch,
                inputs=[
                    "ranked_customers",
                    "champion_model@registry",
                    "params:inference",
                    "params:campaigns",
                    "earlier_batches",
                ],
                outputs="batch_identity",
                name="identify_scored_batch",
            ),
            Node(
                nodes.explain_contacts,
                inputs=[
                    "scored_customers",
                    "ranked_customers",
                    "champion_model@registry",
                    "params:customers",
                    "params:inference",
                ],
                outputs="contact_reasons",
                name="explain_contacts",
            ),
            Node(
                nodes.list_scored_customers,
                inputs=[
                    "ranked_customers",
                    "contact_reasons",
                    "batch_identity",
                    "champion_model@registry",
                    "params:inference",
                ],
                outputs="predictions",
                name="list_scored_customers",
            ),
            Node(
                nodes.list_campaign,
                inputs=[
                    "ranked_customers",
                    "contact_reasons",
                    "params:customers",
                    "params:inference",
                ],
                outputs="campaign_list",
                name="list_campaign",
            ),
            Node(
                nodes.count_batch,
                inputs=[
                    "ranked_customers",
                    "contact_reasons",
                    "batch_identity",
                    "champion_model@registry",
                    "params:customers",
                ],
                outputs="batch_report",
                name="count_batch",
            ),
            Node(
                nodes.compare_scored_customers,
                inputs=["scored_customers", "champion_reference", "params:customers", "params:monitoring"],
                outputs="batch_drift",
                name="compare_scored_customers",
            ),
            Node(
                nodes.measure_batch,
                inputs=["batch_report", "ranked_customers", "batch_drift"],
                outputs="batch_metrics",
                name="measure_batch",
            ),
            Node(
                nodes.draw_scored_batch,
                inputs=["batch_report", "batch_identity", "earlier_batches", "params:customers"],
                outputs="batch_figures",
                name="draw_scored_batch",
            ),
            Node(
                nodes.write_batch_page,
                inputs=[
                    "batch_report",
                    "batch_identity",
                    "earlier_batches",
                    "campaign_list",
                    "params:customers",
                    "batch_figures",
                    "batch_drift",
                ],
                outputs="batch_page",
                name="write_batch_page",
            ),
            Node(
                nodes.log_predictions,
                inputs=[
                    "scored_customers",
                    "ranked_customers",
                    "batch_identity",
                    "champion_model@registry",
                    "params:customers",
                ],
                outputs="prediction_log@inference",
                name="log_predictions",
            ),
        ],
        namespace="inference",
        prefix_datasets_with_namespace=False,
        tags="inference",
    )
