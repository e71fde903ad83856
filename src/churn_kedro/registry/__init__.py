"""Registry rules: promotion gate, life cycle of versions and retention."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
