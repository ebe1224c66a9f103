"""Layers and initializers for every Keras backend: blocks, normalization, residual networks, sampling."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
