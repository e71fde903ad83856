from .alerts import (
    Alert as Alert,
    AlertHistory as AlertHistory,
    AlertRequest as AlertRequest,
    name_target as name_target,
    remember as remember,
    select_targets as select_targets,
    write_alert as write_alert,
)
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
from .exposition import (
    METRICS as METRICS,
    Sample as Sample,
    list_samples as list_samples,
)
from .findings import Finding as Finding
from .measures import MetricPoint as MetricPoint, measure_report as measure_report
from .operations import (
    PipelineRun as PipelineRun,
    ServiceFacts as ServiceFacts,
    describe_operations as describe_operations,
    latency_percentiles as latency_percentiles,
    summarise_operations as summarise_operations,
)
from .outcomes import (
    MaturedPredictions as MaturedPredictions,
    join_outcomes as join_outcomes,
    maturity_days as maturity_days,
    read_outcomes as read_outcomes,
)
from .parameters import (
    EmailTarget as EmailTarget,
    LogTarget as LogTarget,
    MonitoringParameters as MonitoringParameters,
    WebhookTarget as WebhookTarget,
)
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
    MonitoringReport as MonitoringReport,
    MonitoringStatus as MonitoringStatus,
    choose_status as choose_status,
    describe_age as describe_age,
    describe_findings as describe_findings,
    list_notes as list_notes,
    order_findings as order_findings,
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
