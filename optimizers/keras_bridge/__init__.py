"""All code that depends on Keras's internals: optimizers attached to models, recorded layers, kernels."""

import lazy_loader

from .requirements import check

check()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
