from .backtest import (
    Alternative as Alternative,
    CampaignReport as CampaignReport,
    Lever as Lever,
    PolicyName as PolicyName,
    measure_campaign as measure_campaign,
)
from .economics import (
    customer_values as customer_values,
    profit_curve as profit_curve,
    threshold_steps as threshold_steps,
)
from .parameters import CampaignParameters as CampaignParameters, Economics as Economics, ValueColumn as ValueColumn
from .scored_list import (
    InferenceParameters as InferenceParameters,
    ScoringReport as ScoringReport,
    count_unusual_cells as count_unusual_cells,
    find_worth_contacting as find_worth_contacting,
    list_predictions as list_predictions,
    require_readable as require_readable,
)
from .thresholds import ThresholdChoice as ThresholdChoice, choose_threshold as choose_threshold
