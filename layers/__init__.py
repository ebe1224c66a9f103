"""Keras layers and initializers: blocks, normalization, residuals, sampling; any Keras backend."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
