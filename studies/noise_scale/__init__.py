"""The gradient noise scale of a model's training, and the batch size that it advises."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
