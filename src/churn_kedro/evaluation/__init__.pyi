from .comparison import (
    BASELINES as BASELINES,
    Baseline as Baseline,
    BaselineChoice as BaselineChoice,
    BaselineName as BaselineName,
    BaselineRequest as BaselineRequest,
    ComparedCustomers as ComparedCustomers,
    ModelComparison as ModelComparison,
    compare_models as compare_models,
    explain_incomparable as explain_incomparable,
)
from .explanations.dependence import PartialDependence as PartialDependence, partial_dependence as partial_dependence
from .explanations.explained_customers import (
    AxisKind as AxisKind,
    ExplainedCustomers as ExplainedCustomers,
    column_strengths as column_strengths,
    explain_customers as explain_customers,
)
from .explanations.interactions import (
    Partner as Partner,
    explain_interactions as explain_interactions,
    find_partners as find_partners,
)
from .explanations.interface import ExplanationParameters as ExplanationParameters
from .explanations.permutation import (
    ImportanceMeasure as ImportanceMeasure,
    PermutationImportance as PermutationImportance,
    column_importance as column_importance,
    permutation_importance as permutation_importance,
    share_importance as share_importance,
)
from .explanations.shap_values import Explanation as Explanation, explain as explain, has_trees as has_trees
from .explanations.shown_customers import (
    ShownCustomer as ShownCustomer,
    explain_shown as explain_shown,
    write_cell as write_cell,
)
from .explanations.summary import (
    ExplanationSummary as ExplanationSummary,
    summarise_explanations as summarise_explanations,
)
from .fairness import (
    FairnessReport as FairnessReport,
    ProtectedColumn as ProtectedColumn,
    RateGap as RateGap,
    measure_fairness as measure_fairness,
)
from .groups import group_customers as group_customers
from .metrics.definitions import (
    METRICS as METRICS,
    extended_metrics as extended_metrics,
    headlines as headlines,
    task_metrics as task_metrics,
)
from .metrics.estimates import (
    BootstrapParameters as BootstrapParameters,
    Estimate as Estimate,
    Evaluation as Evaluation,
    RunMetrics as RunMetrics,
    ScoringMeasurement as ScoringMeasurement,
    Subject as Subject,
    bootstrap as bootstrap,
    measure as measure,
    measure_with_intervals as measure_with_intervals,
    metrics_over_thresholds as metrics_over_thresholds,
    resample_counts as resample_counts,
)
from .metrics.statistics import TOP_PERCENTS as TOP_PERCENTS, decision_metrics as decision_metrics
from .parameters import EvaluationParameters as EvaluationParameters
from .probability_bins import bin_probabilities as bin_probabilities, group_by_probability as group_by_probability
from .slices import Slice as Slice, SliceReport as SliceReport, measure_slices as measure_slices
