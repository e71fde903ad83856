"""Models on raw customer columns: predictions, compiled form, ONNX, registered versions, training rows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
