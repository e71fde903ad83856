"""A model on raw customer columns: what it answers, which version it is, and which rows it was trained on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
