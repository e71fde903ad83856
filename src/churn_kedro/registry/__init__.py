"""What may become champion, and what an action on a version changes: gate, life cycle and retention."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
