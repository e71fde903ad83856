from .application import Service as Service
from .model_holder import require_version as require_version
from .parameters import ServingParameters as ServingParameters
from .requests import CustomerRequests as CustomerRequests
from .server import (
    require_loopback_or_keys as require_loopback_or_keys,
    run_service as run_service,
)
from .settings import ServiceSettings as ServiceSettings, UseCase as UseCase, read_key_digests as read_key_digests
