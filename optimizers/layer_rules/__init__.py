"""For each kind of layer: its blocks of the Fisher matrix and its per-example gradient norms."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
