"""Hooks of a Kedro session: configuration, hidden passwords, lineage, parameters, server check and summary."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
