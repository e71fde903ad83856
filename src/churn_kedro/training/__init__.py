"""Training: folds, algorithms, hyperparameter search, candidate comparison, calibration and the final fit."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
