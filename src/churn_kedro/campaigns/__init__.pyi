from .backtest import (
    Alternative as Alternative,
    CampaignReport as CampaignReport,
    Lever as Lever,
    PolicyName as PolicyName,
    measure_campaign as measure_campaign,
)
from .economics import (
    fit_contact_value as fit_contact_value,
    profit_curve as profit_curve,
    threshold_steps as threshold_steps,
)
from .logged_predictions import LoggedBatch as LoggedBatch, LoggedPrediction as LoggedPrediction
from .parameters import CampaignParameters as CampaignParameters, Economics as Economics, ValueColumn as ValueColumn
from .scored_list import (
    InferenceParameters as InferenceParameters,
    ScoringReport as ScoringReport,
    count_unusual_cells as count_unusual_cells,
    list_predictions as list_predictions,
    require_readable as require_readable,
)
from .thresholds import ThresholdChoice as ThresholdChoice, choose_threshold as choose_threshold
