from .alerts import AlertsDataset as AlertsDataset
from .campaign_lists import CampaignListDataset as CampaignListDataset
from .documents import DocumentDataset as DocumentDataset
from .figure_folders import FiguresDataset as FiguresDataset
from .files import describe_age as describe_age
from .http_requests import RequestFailedError as RequestFailedError, send_request as send_request
from .large_tables import (
    LargeTableDataset as LargeTableDataset,
    PreparedTableDataset as PreparedTableDataset,
    SampledTableDataset as SampledTableDataset,
)
from .mlflow.addresses import (
    TrackingServerError as TrackingServerError,
    artifact_location as artifact_location,
    prediction_log_url as prediction_log_url,
    protect_addresses as protect_addresses,
    require_answer as require_answer,
    require_database as require_database,
    study_url as study_url,
    tracking_uri as tracking_uri,
)
from .mlflow.baseline_versions import BaselineDataset as BaselineDataset
from .mlflow.checks import check_runs as check_runs, check_store as check_store
from .mlflow.descriptions import (
    describe_experiment as describe_experiment,
    describe_run as describe_run,
    find_registered_version as find_registered_version,
    run_page as run_page,
)
from .mlflow.evaluations import EvaluationDataset as EvaluationDataset
from .mlflow.failures import (
    explain_dataset_failure as explain_dataset_failure,
    explain_store_failure as explain_store_failure,
    is_wrapped as is_wrapped,
    without_statement as without_statement,
)
from .mlflow.inputs import TableInput as TableInput
from .mlflow.metric_series import MetricSeriesDataset as MetricSeriesDataset
from .mlflow.metrics import RunMetricsDataset as RunMetricsDataset, log_run_metrics as log_run_metrics
from .mlflow.model_digests import model_digest as model_digest
from .mlflow.models import (
    PromotionDataset as PromotionDataset,
    RegistryModelDataset as RegistryModelDataset,
    TrackedModelDataset as TrackedModelDataset,
)
from .mlflow.pipeline_runs import PipelineRunsDataset as PipelineRunsDataset
from .mlflow.recorded_runs import (
    RecordedTrainingDataset as RecordedTrainingDataset,
    RecordedVersion as RecordedVersion,
    find_commit as find_commit,
    find_splits as find_splits,
    find_version as find_version,
)
from .mlflow.references import VersionReferenceDataset as VersionReferenceDataset, load_reference as load_reference
from .mlflow.registry import (
    EXPORT_FACTS as EXPORT_FACTS,
    ModelRegistry as ModelRegistry,
    find_model_version as find_model_version,
)
from .mlflow.registry_facts import RegistryFactsDataset as RegistryFactsDataset
from .mlflow.runs import (
    ChildRunsDataset as ChildRunsDataset,
    RunParametersDataset as RunParametersDataset,
    close_abandoned_runs as close_abandoned_runs,
)
from .mlflow.stored_files import find_place as find_place
from .mlflow.stored_models import fetch_file as fetch_file, load_input_example as load_input_example
from .mlflow.version_documents import VersionDocumentsDataset as VersionDocumentsDataset
from .monitored_predictions import MonitoredPredictionsDataset as MonitoredPredictionsDataset
from .optional_tables import OptionalTableDataset as OptionalTableDataset
from .paged_api import PagedApiDataset as PagedApiDataset
from .prediction_log import (
    PredictionLog as PredictionLog,
    PredictionLogDataset as PredictionLogDataset,
    open_prediction_log as open_prediction_log,
)
from .prometheus import PrometheusDataset as PrometheusDataset
from .report_folders import (
    EarlierReportsDataset as EarlierReportsDataset,
    ReportFolderDataset as ReportFolderDataset,
)
from .reports import ReportDataset as ReportDataset
from .retraining import RetrainingDataset as RetrainingDataset
from .runtime.matrix_parts import PartsDataset as PartsDataset
from .runtime.processes import describe_process as describe_process
from .runtime.provenance import describe_code as describe_code, describe_person as describe_person
from .runtime.trial_archive import TrialArchiveDataset as TrialArchiveDataset
from .scored_tables import ScoredTableDataset as ScoredTableDataset
from .service_metrics import ServiceMetricsDataset as ServiceMetricsDataset
from .source_tables import SourceTableDataset as SourceTableDataset
from .stream_results import (
    InferenceTrackerDataset as InferenceTrackerDataset,
    StreamPredictionsDataset as StreamPredictionsDataset,
)
from .streams import CustomerStreamDataset as CustomerStreamDataset
from .table_parts import RawTablePartsDataset as RawTablePartsDataset
from .tables import (
    RawTableDataset as RawTableDataset,
    TableDataset as TableDataset,
    read_sheet_headers as read_sheet_headers,
)
