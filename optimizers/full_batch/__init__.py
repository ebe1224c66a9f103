"""Optimizers that evaluate the loss of all examples: BFGS, L-BFGS and conjugate gradients."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
