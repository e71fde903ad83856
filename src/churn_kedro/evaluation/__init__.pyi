from .comparison import (
    BASELINES as BASELINES,
    Baseline as Baseline,
    BaselineName as BaselineName,
    BaselineRequest as BaselineRequest,
    ComparedCustomers as ComparedCustomers,
    ModelComparison as ModelComparison,
    compare_models as compare_models,
    explain_incomparable as explain_incomparable,
)
from .explanations import (
    AxisKind as AxisKind,
    ExplainedCustomers as ExplainedCustomers,
    Explanation as Explanation,
    ExplanationParameters as ExplanationParameters,
    ImportanceMeasure as ImportanceMeasure,
    PartialDependence as PartialDependence,
    Partner as Partner,
    PermutationImportance as PermutationImportance,
    ShownCustomer as ShownCustomer,
    column_strengths as column_strengths,
    explain_customers as explain_customers,
    explain_interactions as explain_interactions,
    explain_shown as explain_shown,
    find_partners as find_partners,
    partial_dependence as partial_dependence,
    permutation_importance as permutation_importance,
    share_importance as share_importance,
    summarise_explanations as summarise_explanations,
)
from .explanations.summary import ExplanationSummary as ExplanationSummary
from .fairness import (
    FairnessParameters as FairnessParameters,
    FairnessReport as FairnessReport,
    ProtectedColumn as ProtectedColumn,
    RateGap as RateGap,
    measure_fairness as measure_fairness,
)
from .groups import group_customers as group_customers
from .metrics import (
    EXTENDED_METRICS as EXTENDED_METRICS,
    HEADLINES as HEADLINES,
    LOWER_IS_BETTER as LOWER_IS_BETTER,
    METRIC_TITLES as METRIC_TITLES,
    METRICS as METRICS,
    TOP_PERCENTS as TOP_PERCENTS,
    UNORDERED as UNORDERED,
    BootstrapParameters as BootstrapParameters,
    Estimate as Estimate,
    Evaluation as Evaluation,
    RunMetrics as RunMetrics,
    bootstrap as bootstrap,
    measure as measure,
    measure_with_intervals as measure_with_intervals,
    metrics_over_thresholds as metrics_over_thresholds,
    resample_counts as resample_counts,
)
from .probability_bins import bin_probabilities as bin_probabilities, group_by_probability as group_by_probability
from .slices import (
    Slice as Slice,
    SliceParameters as SliceParameters,
    SliceReport as SliceReport,
    measure_slices as measure_slices,
)
