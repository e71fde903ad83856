"""Kedro datasets for side effects without a library dataset: files, MLflow, clock and progress."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
