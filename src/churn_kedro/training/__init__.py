"""From customers to a model: folds, algorithms, search, candidates, calibration and the recipe that combines them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
