from .backtest import (
    Alternative as Alternative,
    CampaignReport as CampaignReport,
    Lever as Lever,
    PolicyName as PolicyName,
    measure_campaign as measure_campaign,
)
from .batch_report import (
    BatchIdentity as BatchIdentity,
    BatchReport as BatchReport,
    find_previous_batch as find_previous_batch,
    identify_batch as identify_batch,
    report_batch as report_batch,
)
from .campaign_list import (
    CampaignCounts as CampaignCounts,
    customer_keys as customer_keys,
    in_holdout as in_holdout,
    list_contacts as list_contacts,
    select_contacts as select_contacts,
)
from .economics import (
    fit_contact_value as fit_contact_value,
    profit_curve as profit_curve,
    threshold_steps as threshold_steps,
)
from .logged_predictions import (
    LoggedBatch as LoggedBatch,
    LoggedPrediction as LoggedPrediction,
    list_logged_predictions as list_logged_predictions,
)
from .parameters import (
    BandParameters as BandParameters,
    CampaignParameters as CampaignParameters,
    Economics as Economics,
    InferenceParameters as InferenceParameters,
    OptionalTime as OptionalTime,
    StreamingParameters as StreamingParameters,
    StreamParameters as StreamParameters,
    TrackerParameters as TrackerParameters,
    ValueColumn as ValueColumn,
)
from .reasons import (
    CustomerReasons as CustomerReasons,
    explain_reasons as explain_reasons,
    limit_explained as limit_explained,
)
from .scored_list import (
    RankedCustomers as RankedCustomers,
    list_predictions as list_predictions,
    rank_customers as rank_customers,
    risk_band as risk_band,
)
from .scored_parts import (
    ScoredPart as ScoredPart,
    ScoredTable as ScoredTable,
    ScoringCounts as ScoringCounts,
    find_outside as find_outside,
    require_readable as require_readable,
    score_parts as score_parts,
    warn_of_unusual_cells as warn_of_unusual_cells,
)
from .streams import (
    MicroBatch as MicroBatch,
    ScoredMicroBatch as ScoredMicroBatch,
    StreamCounts as StreamCounts,
    StreamReport as StreamReport,
    TrackedCounts as TrackedCounts,
    score_micro_batch as score_micro_batch,
)
from .thresholds import ThresholdChoice as ThresholdChoice, choose_threshold as choose_threshold
