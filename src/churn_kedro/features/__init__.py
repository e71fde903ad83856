"""The treatment of columns: configuration, scikit-learn pipeline and fitted values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
