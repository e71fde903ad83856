"""The customer table: its declaration, and the way from a file to validated, checked and split customers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
