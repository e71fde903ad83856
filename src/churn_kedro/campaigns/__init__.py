"""Decisions on predictions: economics of a campaign, decision threshold, backtest and scored list."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
