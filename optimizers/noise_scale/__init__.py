"""The gradient noise scale: a callback that measures it, its estimators, and an adaptive batch size."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
