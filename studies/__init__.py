"""Measurements over many training runs: the noise scale, optimizers compared, gradients checked."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
