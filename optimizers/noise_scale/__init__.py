"""The gradient noise scale as a callback, its estimators, and a batch size that follows it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
