"""Evaluation: metrics with confidence intervals, customer groups, fairness, model comparison and explanations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
