from .counts import TableCounter as TableCounter
from .drift import ColumnDrift as ColumnDrift, count_tests as count_tests
from .examination import (
    CurrentCustomers as CurrentCustomers,
    Examination as Examination,
    MonitoredPredictions as MonitoredPredictions,
    MonitoringWindow as MonitoringWindow,
    count_customers as count_customers,
    examine as examine,
    read_logged as read_logged,
)
from .measures import MetricPoint as MetricPoint, measure_report as measure_report
from .outcomes import (
    MaturedPredictions as MaturedPredictions,
    join_outcomes as join_outcomes,
    read_outcomes as read_outcomes,
    read_time as read_time,
)
from .parameters import MonitoringParameters as MonitoringParameters
from .performance import Estimate as Estimate
from .profiles import ReferenceProfile as ReferenceProfile
from .quality import count_rejected as count_rejected
from .realised import RealisedPerformance as RealisedPerformance, measure_realised as measure_realised
from .reference import (
    Reference as Reference,
    build_reference as build_reference,
    rebuild_reference as rebuild_reference,
)
from .registry_facts import RegistryFacts as RegistryFacts
from .report import (
    Finding as Finding,
    MonitoringReport as MonitoringReport,
    MonitoringStatus as MonitoringStatus,
    choose_status as choose_status,
    describe_age as describe_age,
    describe_findings as describe_findings,
    judge as judge,
    list_notes as list_notes,
)
from .retraining import (
    NewRows as NewRows,
    RetrainingPlan as RetrainingPlan,
    plan_retraining as plan_retraining,
    propose_retirements as propose_retirements,
)
from .scored_drift import (
    ScoredDrift as ScoredDrift,
    compare_scored as compare_scored,
    summarise_counts as summarise_counts,
)
from .severity import Severity as Severity
from .shifts import name_shifts as name_shifts
