"""The treatment of columns: its configuration, its scikit-learn pipeline, and what that pipeline learned."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
