"""K-FAC: its preconditioners, its damping, its quadratic model, and the optimizer."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
