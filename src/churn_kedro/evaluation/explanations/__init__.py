"""Explanations of scores by raw columns: exact for XGBoost, estimated by sampling for other models."""

from churn_kedro.evaluation.explanations.dependence import PartialDependence, partial_dependence
from churn_kedro.evaluation.explanations.explained_customers import (
    AxisKind,
    ExplainedCustomers,
    cells_as_text,
    column_axes,
    column_strengths,
    explain_customers,
    order_levels,
)
from churn_kedro.evaluation.explanations.interactions import Interactions, Partner, explain_interactions, find_partners
from churn_kedro.evaluation.explanations.interface import ExplanationParameters
from churn_kedro.evaluation.explanations.permutation import (
    ImportanceMeasure,
    PermutationImportance,
    permutation_importance,
    share_importance,
    tree_importance,
)
from churn_kedro.evaluation.explanations.shap_values import Explanation, choose_explained, explain, explain_classes
from churn_kedro.evaluation.explanations.shown_customers import (
    ShownCustomer,
    choose_customers_to_show,
    explain_shown,
    write_cell,
)
from churn_kedro.evaluation.explanations.summary import (
    ColumnPair,
    ColumnRise,
    ColumnStrength,
    ExplanationSummary,
    summarise_explanations,
)

__all__ = [
    "AxisKind",
    "ColumnPair",
    "ColumnRise",
    "ColumnStrength",
    "ExplainedCustomers",
    "Explanation",
    "ExplanationParameters",
    "ExplanationSummary",
    "ImportanceMeasure",
    "Interactions",
    "PartialDependence",
    "Partner",
    "PermutationImportance",
    "ShownCustomer",
    "cells_as_text",
    "choose_customers_to_show",
    "choose_explained",
    "column_axes",
    "column_strengths",
    "explain",
    "explain_classes",
    "explain_customers",
    "explain_interactions",
    "explain_shown",
    "find_partners",
    "order_levels",
    "partial_dependence",
    "permutation_importance",
    "share_importance",
    "summarise_explanations",
    "tree_importance",
    "write_cell",
]
