from .configuration import ProjectConfigLoader as ProjectConfigLoader
from .hidden_secrets import hide_secrets_in_output as hide_secrets_in_output
from .lineage import LineageHooks as LineageHooks
from .recorded_parameters import ParameterHooks as ParameterHooks
from .summary import SummaryHooks as SummaryHooks
from .tracking_server import TrackingServerHooks as TrackingServerHooks
