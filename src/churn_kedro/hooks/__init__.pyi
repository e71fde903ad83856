from .configuration import ProjectConfigLoader as ProjectConfigLoader
from .lineage import (
    LineageHooks as LineageHooks,
    ParameterHooks as ParameterHooks,
    PlaceHooks as PlaceHooks,
    SummaryHooks as SummaryHooks,
)
