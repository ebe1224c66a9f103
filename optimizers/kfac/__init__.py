"""Kronecker-factored curvature: preconditioners of the Fisher matrix's blocks, and the optimizer K-FAC."""

import lazy_loader

# If the installed Keras is not supported, importing K-FAC fails here with a clear message.
from .. import keras_bridge  # noqa: F401

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
