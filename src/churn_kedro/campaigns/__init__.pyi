from .backtest import (
    Alternative as Alternative,
    CampaignReport as CampaignReport,
    Lever as Lever,
    PolicyName as PolicyName,
    measure_campaign as measure_campaign,
)
from .economics import (
    Economics as Economics,
    ValueColumn as ValueColumn,
    customer_values as customer_values,
    profit_curve as profit_curve,
    threshold_steps as threshold_steps,
)
from .scored_list import (
    BandParameters as BandParameters,
    ScoringReport as ScoringReport,
    count_unusual_cells as count_unusual_cells,
    find_worth_contacting as find_worth_contacting,
    list_predictions as list_predictions,
    require_readable as require_readable,
)
from .thresholds import (
    ThresholdChoice as ThresholdChoice,
    ThresholdParameters as ThresholdParameters,
    choose_threshold as choose_threshold,
)
