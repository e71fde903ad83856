from .configuration import ProjectConfigLoader as ProjectConfigLoader
from .lineage import (
    LineageHooks as LineageHooks,
    ParameterHooks as ParameterHooks,
    SummaryHooks as SummaryHooks,
    TrackingServerHooks as TrackingServerHooks,
)
