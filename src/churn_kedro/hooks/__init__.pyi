from .configuration import ProjectConfigLoader as ProjectConfigLoader
from .lineage import LineageHooks as LineageHooks
from .log_records import protect_output as protect_output
from .recorded_parameters import ParameterHooks as ParameterHooks
from .summary import SummaryHooks as SummaryHooks
from .tracking_server import TrackingServerHooks as TrackingServerHooks
