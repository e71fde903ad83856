"""The scoring service: models that swap, requests from the declaration, prediction log, metrics and security."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
