"""Hooks of a Kedro session: configuration, checks, MLflow run, lineage, parameters, progress, logs, summary."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
